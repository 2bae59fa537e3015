package meter

import (
	"context"
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

// Ticks reads every tick that is due. What a source cannot tell is in the tick;
// the error is a question that can never be answered, such as an unknown source.
func (m *Meter) Ticks(ctx context.Context, q Question, now time.Time) ([]analysis.Tick, error) {
	source, queries, err := m.bind(q)
	if err != nil {
		return nil, err
	}
	pace := source.Pace(q.Interval)
	stable, candidate := q.arms(pace)
	last := q.Last
	var prev *analysis.Snapshot
	var ticks []analysis.Tick
	for range maxTicks {
		from, to, due := pace.Next(last, q.StepBegan, now)
		if !due {
			break
		}
		if prev == nil {
			if prev, err = read(ctx, source, queries, from); err != nil {
				ticks = append(ticks, analysis.UnknownTick(from, to, q.Situation, analysis.ReasonOf(err)))
				last = to
				continue
			}
		}
		cur, err := read(ctx, source, queries, to)
		last = to
		if err != nil {
			ticks, prev = append(ticks, analysis.UnknownTick(from, to, q.Situation, analysis.ReasonOf(err))), nil
			continue
		}
		ticks = append(ticks, analysis.Measure(*prev, *cur, stable, candidate, q.Situation))
		carried := prev.Carry(*cur)
		prev = &carried
	}
	return ticks, nil
}

func read(ctx context.Context, source Source, queries prometheus.Queries, at time.Time) (*analysis.Snapshot, error) {
	snapshot, err := source.Counters.Snapshot(ctx, queries, at)
	if err != nil {
		return nil, err
	}
	return &snapshot, nil
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
	if q.Metrics.Errors == nil || q.Metrics.Errors.Preset == "" {
		return source, prometheus.Queries{}, fmt.Errorf("read metrics: the service names no preset for errors")
	}
	preset, err := prometheus.Named(q.Metrics.Errors.Preset)
	if err != nil {
		return source, prometheus.Queries{}, err
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

func (q Question) arms(pace analysis.Pace) (stable, candidate analysis.Pods) {
	stable = analysis.Pods{Prefix: noPod, Since: q.Began, WarmUp: pace.WarmUp}
	if q.Stable != "" {
		stable.Prefix = q.Stable
	}
	candidate = analysis.Pods{Prefix: q.Candidate, Since: q.Began, WarmUp: pace.WarmUp, AllNew: true}
	return stable, candidate
}

// noPod is the prefix of no pod's name; an empty one would mean every pod.
const noPod = "/"
