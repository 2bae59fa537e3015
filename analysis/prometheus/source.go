package prometheus

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"time"

	"github.com/prometheus/client_golang/api"
	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	"github.com/sluice-cd/sluice/analysis"
)

const (
	// defaultTimeout is a third of a tick: a slow answer must not delay the next one.
	defaultTimeout = 10 * time.Second
	// defaultMaxBytes and defaultMaxSeries are far above what one release has
	// (a thousand pods make about 200 KB), and far below what hurts.
	defaultMaxBytes  = 8 << 20
	defaultMaxSeries = 5000
	// maxPoints in a history: 30 minutes need 61.
	maxPoints = 1000
)

// Config is one Prometheus server.
type Config struct {
	// URL is the server's address, without credentials.
	URL string
	// TokenFile holds a bearer token; optional. It is read again for each request.
	TokenFile string
	// CAFile holds the certificates that the server's is checked against; the
	// system's if empty.
	CAFile string
	// Timeout of one query, MaxBytes and MaxSeries of one answer; 0 for the defaults.
	Timeout   time.Duration
	MaxBytes  int64
	MaxSeries int
}

// Source reads counters from one server.
type Source struct {
	api       v1.API
	timeout   time.Duration
	maxSeries int
}

// New checks the configuration. It does not connect.
func New(c Config) (*Source, error) {
	if err := checkURL(c.URL); err != nil {
		return nil, fmt.Errorf("configure prometheus: %w", err)
	}
	if c.Timeout < 0 || c.MaxBytes < 0 || c.MaxSeries < 0 {
		return nil, errors.New("configure prometheus: a limit is negative")
	}
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = defaultMaxBytes
	}
	if c.MaxSeries == 0 {
		c.MaxSeries = defaultMaxSeries
	}
	client, err := newClient(c)
	if err != nil {
		return nil, fmt.Errorf("configure prometheus: %w", err)
	}
	conn, err := api.NewClient(api.Config{Address: c.URL, Client: client})
	if err != nil {
		return nil, fmt.Errorf("configure prometheus: %w", err)
	}
	return &Source{api: v1.NewAPI(conn), timeout: c.Timeout, maxSeries: c.MaxSeries}, nil
}

// Snapshot reads the counters as they were at an instant. Instants of the past
// can be read again, with the same answer, as long as the server keeps them. The
// error is a *analysis.ReadError; nobody but the next tick needs to retry.
func (s *Source) Snapshot(ctx context.Context, q Queries, at time.Time) (analysis.Snapshot, error) {
	at = at.Truncate(time.Millisecond)
	snap := analysis.Snapshot{At: at}
	for _, one := range q.classes() {
		value, err := s.ask(ctx, func(ctx context.Context, opts ...v1.Option) (model.Value, v1.Warnings, error) {
			value, warnings, _, err := s.api.Query(ctx, one.query, at, opts...)
			return value, warnings, err
		})
		if err == nil {
			snap.Series, err = s.appendVector(snap.Series, value, q.PodLabel, one.class, at)
		}
		if err != nil {
			return analysis.Snapshot{}, fmt.Errorf("read %s at %s: %w", one.name, at.UTC().Format(time.RFC3339), err)
		}
	}
	return snap, nil
}

// History reads the counters at every instant between from and to, both
// included, in one query per class. Instants without counters are left out.
func (s *Source) History(ctx context.Context, q Queries, from, to time.Time, every time.Duration) ([]analysis.Snapshot, error) {
	from, every = from.Truncate(time.Millisecond), every.Truncate(time.Millisecond)
	if every <= 0 || to.Before(from) || to.Sub(from)/every > maxPoints {
		return nil, fmt.Errorf("read history: %s to %s every %s is not 1 to %d instants", from, to, every, maxPoints)
	}
	points := make(map[int64][]analysis.Series)
	for _, one := range q.classes() {
		value, err := s.ask(ctx, func(ctx context.Context, opts ...v1.Option) (model.Value, v1.Warnings, error) {
			value, warnings, _, err := s.api.QueryRange(ctx, one.query, v1.Range{Start: from, End: to, Step: every}, opts...)
			return value, warnings, err
		})
		if err == nil {
			err = s.addMatrix(points, value, q.PodLabel, one.class)
		}
		if err != nil {
			return nil, fmt.Errorf("read history of %s: %w", one.name, err)
		}
	}
	history := make([]analysis.Snapshot, 0, len(points))
	for _, ms := range slices.Sorted(maps.Keys(points)) {
		if at := time.UnixMilli(ms); !at.Before(from) && !at.After(to) {
			history = append(history, analysis.Snapshot{At: at, Series: points[ms]})
		}
	}
	return history, nil
}

type classQuery struct {
	name  string
	class analysis.Class
	query string
}

func (q Queries) classes() []classQuery {
	all := []classQuery{
		{"requests", analysis.Total, q.Requests},
		{"errors", analysis.Failed, q.Errors},
	}
	if q.Aborted != "" {
		all = append(all, classQuery{"aborted requests", analysis.Aborted, q.Aborted})
	}
	return all
}

// ask runs one query and accepts only a complete answer.
func (s *Source) ask(ctx context.Context, query func(context.Context, ...v1.Option) (model.Value, v1.Warnings, error)) (model.Value, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	// One series beyond the limit tells a full answer from a cut one.
	value, warnings, err := query(ctx, v1.WithTimeout(s.timeout), v1.WithLimit(uint64(s.maxSeries)+1))
	if err != nil {
		return nil, classify(err)
	}
	if count(value) > s.maxSeries {
		return nil, unknown(analysis.TooManySeries, "more than %d", s.maxSeries)
	}
	if len(warnings) > 0 {
		return nil, unknown(analysis.Partial, "server warns: %.200q", warnings[0])
	}
	return value, nil
}

func count(value model.Value) int {
	switch v := value.(type) {
	case model.Vector:
		return len(v)
	case model.Matrix:
		return len(v)
	}
	return 0
}

func unknown(reason analysis.Unknown, format string, args ...any) error {
	return &analysis.ReadError{Reason: reason, Err: fmt.Errorf(format, args...)}
}

// classify finds the reason of a query that gave no answer.
func classify(err error) error {
	var outer *url.Error
	if errors.As(err, &outer) {
		err = outer.Err // the URL in it may hold the whole query
	}
	var answer *v1.Error
	var network net.Error
	switch {
	case errors.Is(err, errTooLarge):
		return &analysis.ReadError{Reason: analysis.TooLarge, Err: err}
	case errors.Is(err, errDenied):
		return &analysis.ReadError{Reason: analysis.Denied, Err: err}
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return &analysis.ReadError{Reason: analysis.TimedOut, Err: err}
	case errors.As(err, &answer):
		return refused(answer)
	}
	return &analysis.ReadError{Reason: analysis.Unreachable, Err: err}
}

// refused quotes and cuts the server's message: it may be a whole error page.
func refused(answer *v1.Error) error {
	reason := analysis.Unreachable
	switch answer.Type {
	case v1.ErrTimeout:
		reason = analysis.TimedOut
	case v1.ErrBadResponse:
		reason = analysis.Malformed
	}
	return unknown(reason, "server answers %.40q: %.200q", string(answer.Type), answer.Msg)
}
