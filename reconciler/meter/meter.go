package meter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sluice-cd/sluice/analysis"
	"github.com/sluice-cd/sluice/analysis/prometheus"
	"github.com/sluice-cd/sluice/schemas"
)

// Counters reads raw counters as they were at an instant. Errors carry an
// analysis.ReadError.
type Counters interface {
	Snapshot(ctx context.Context, q prometheus.Queries, at time.Time) (analysis.Snapshot, error)
	History(ctx context.Context, q prometheus.Queries, from, to time.Time, every time.Duration) ([]analysis.Snapshot, error)
}

// A Source is a named place to read counters from.
type Source struct {
	Counters Counters
	// Scrape is how often it collects, Lag how long until a scrape can be read.
	Scrape time.Duration
	Lag    time.Duration
}

// A Meter reads from the sources of the daemon's own configuration.
type Meter struct{ sources map[string]Source }

// New returns a Meter over the named sources.
func New(sources map[string]Source) *Meter { return &Meter{sources: sources} }

// A Question is what to read for one rollout.
type Question struct {
	Metrics   schemas.Metrics
	Health    schemas.Health
	Namespace string
	// Stable and Candidate are the pod name prefixes; Stable is "" in a first
	// deployment.
	Stable    string
	Candidate string
	// Began is the start of the rollout, StepBegan that of the step, Interval
	// the step's length.
	Began     time.Time
	StepBegan time.Time
	Interval  time.Duration
	// Last is the end of the last tick, zero before the first.
	Last time.Time
	// Lives are the pods of both arms that the cluster knows.
	Lives map[string]analysis.Life
	// BeforeAfter compares Stable with itself: every window of the step with one as
	// long before the rollout began, the latest first.
	BeforeAfter bool
	// Situation is what is true of the ticks besides their counts.
	Situation analysis.Situation
}

// Caps of one call: a daemon that was away for an hour catches up in portions.
const (
	maxTicks = 20
	// lookback is how much of stable's past its dispersion is measured on.
	lookback = 30 * time.Minute
)

// Pace is when the ticks of a step are read. The durations of a normal policy
// are upper bounds; a step of seconds shrinks them.
func (s Source) Pace(interval time.Duration) analysis.Pace {
	pace := analysis.DefaultPace()
	pace.Scrape, pace.Lag = s.Scrape, s.Lag
	pace.Interval = min(pace.Interval, interval/10)
	pace.Settle = min(pace.Settle, interval/20)
	pace.WarmUp = min(pace.WarmUp, interval/5)
	return pace
}

// A Reading is what could be read.
type Reading struct {
	Ticks []analysis.Tick
	// Trouble is why the last of the ticks has no counts; nil when it has.
	Trouble error
}

// Ticks reads the ticks that are due, up to the first that cannot be read, which
// then says so itself: a source that does not answer is asked once in a call. The
// error is the context's, or a question that can never be answered, such as an
// unknown source.
func (m *Meter) Ticks(ctx context.Context, q Question, now time.Time) (Reading, error) {
	source, queries, err := m.bind(q)
	if err != nil {
		return Reading{}, err
	}
	pace := source.Pace(q.Interval)
	r := reader{q, source, queries}
	var out Reading
	var prev *analysis.Snapshot
	for last := q.Last; len(out.Ticks) < maxTicks; {
		from, to, due := pace.Next(last, q.StepBegan, now)
		if !due {
			break
		}
		tick, end, err := r.tick(ctx, prev, from, to)
		if ctx.Err() != nil {
			return out, ctx.Err() // nobody waits any more, which says nothing of the source
		}
		out.Ticks = append(out.Ticks, tick)
		if err != nil {
			out.Trouble = err
			break
		}
		prev, last = &end, to
	}
	return out, nil
}

// A reader asks one source for the windows of one rollout.
type reader struct {
	Question
	source  Source
	queries prometheus.Queries
}

// tick measures a window; prev is its beginning when it is known, end its end.
func (r reader) tick(ctx context.Context, prev *analysis.Snapshot, from, to time.Time) (tick analysis.Tick, end analysis.Snapshot, err error) {
	before, after, err := r.read(ctx, prev, from, to)
	if err != nil {
		return r.unknown(from, to, err), end, err
	}
	stable, candidate := r.arms(r.source.Pace(r.Interval))
	tick, end = analysis.Measure(before, after, stable, candidate, r.Situation), before.Carry(after)
	if r.BeforeAfter && tick.Unknown == "" {
		tick.Stable, err = r.past(ctx, from, to)
	}
	if err != nil {
		tick = r.unknown(from, to, err)
	}
	return tick, end, err
}

func (r reader) unknown(from, to time.Time, err error) analysis.Tick {
	return analysis.UnknownTick(from, to, r.Situation, analysis.ReasonOf(err))
}

// past is what stable served in the window that lies as far before the rollout's
// beginning as this one lies after the step's.
func (r reader) past(ctx context.Context, from, to time.Time) (analysis.Arm, error) {
	mirrored := func(at time.Time) time.Time { return r.Began.Add(r.StepBegan.Sub(at)) }
	before, after, err := r.read(ctx, nil, mirrored(to), mirrored(from))
	if err != nil {
		return analysis.Arm{}, err
	}
	stable, _ := r.arms(r.source.Pace(r.Interval))
	return analysis.Delta(before, after, stable)
}

// read takes the two ends of a window; prev is the first when it is known.
func (r reader) read(ctx context.Context, prev *analysis.Snapshot, from, to time.Time) (before, after analysis.Snapshot, err error) {
	if prev != nil {
		before = *prev
	} else if before, err = r.source.Counters.Snapshot(ctx, r.queries, from); err != nil {
		return before, after, err
	}
	after, err = r.source.Counters.Snapshot(ctx, r.queries, to)
	return before, after, err
}

// Dispersion is how bursty stable's errors were before the step. What cannot be
// read leaves the cautious assumption in place.
func (m *Meter) Dispersion(ctx context.Context, q Question) (analysis.Dispersion, error) {
	source, queries, err := m.bind(q)
	if err != nil || q.Stable == "" {
		return analysis.Dispersion{}, err
	}
	every := source.Pace(q.Interval).Length()
	to := q.Began.Add(-source.Lag)
	history, err := source.Counters.History(ctx, queries, to.Add(-min(lookback, maxHistory*every)), to, every)
	if err != nil {
		return analysis.Dispersion{}, nil //nolint:nilerr // unknown: the judge then assumes a cautious one
	}
	stable, _ := q.arms(source.Pace(q.Interval))
	return analysis.DispersionOf(analysis.Cells(history, stable)), nil
}

// maxHistory keeps a history of short ticks below what one query may return.
const maxHistory = 500

func (m *Meter) bind(q Question) (Source, prometheus.Queries, error) {
	source, ok := m.sources[q.Metrics.Prometheus]
	if !ok {
		return source, prometheus.Queries{}, fmt.Errorf("read metrics: source %q is not in the daemon's configuration", q.Metrics.Prometheus)
	}
	preset, err := presetOf(q.Metrics.Errors)
	if err != nil {
		return source, prometheus.Queries{}, fmt.Errorf("read metrics: %w", err)
	}
	selector := prometheus.Selector{Namespace: q.Namespace, Prefixes: []string{q.Candidate}}
	if q.Stable != "" {
		selector.Prefixes = append(selector.Prefixes, q.Stable)
	}
	for _, path := range []string{q.Health.Startup, q.Health.Live, q.Health.Ready} {
		if path != "" && path != schemas.NoProbe {
			selector.HealthPaths = append(selector.HealthPaths, path)
		}
	}
	queries, err := preset.Bind(selector)
	return source, queries, err
}

// presetOf is how the service's errors are counted: in a way that has a name, or
// by its own queries.
func presetOf(e *schemas.ErrorMetric) (prometheus.Preset, error) {
	switch {
	case e == nil:
		return prometheus.Preset{}, errors.New("the service names no counters of errors")
	case e.Preset != "":
		return prometheus.Named(e.Preset)
	}
	return prometheus.Preset{Requests: e.Requests, Errors: e.Query}, nil
}

func (q Question) arms(pace analysis.Pace) (stable, candidate analysis.Pods) {
	stable = analysis.Pods{Prefix: noPod, Since: q.Began, WarmUp: pace.WarmUp, Lives: q.Lives}
	if q.Stable != "" {
		stable.Prefix = q.Stable
	}
	if q.BeforeAfter {
		return stable, stable
	}
	candidate = analysis.Pods{Prefix: q.Candidate, Since: q.Began, WarmUp: pace.WarmUp, Lives: q.newborn(), AllNew: true}
	return stable, candidate
}

// newborn are the pods as the candidate's: none of them is older than the
// rollout, whatever the clocks of their nodes say.
func (q Question) newborn() map[string]analysis.Life {
	out := make(map[string]analysis.Life, len(q.Lives))
	for pod, life := range q.Lives {
		if life.Started.Before(q.Began) {
			life.Started = q.Began
		}
		out[pod] = life
	}
	return out
}

// noPod is the prefix of no pod's name; an empty one would mean every pod.
const noPod = "/"
