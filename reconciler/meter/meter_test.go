package meter_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/analysis"
	"github.com/sluice-cd/sluice/analysis/prometheus"
	"github.com/sluice-cd/sluice/reconciler/meter"
	"github.com/sluice-cd/sluice/schemas"
)

var began = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// counters serve 19 requests a second to stable and 1 to the candidate, whose
// every tenth fails.
type counters struct {
	away  error                // of every snapshot
	holes map[time.Time]error  // of one
	reads []time.Time          // snapshots asked for
	asked []prometheus.Queries // and with what
	born  map[string]time.Time // pods that count from later on
	burst bool                 // stable's errors come all at once
	past  error                // of the history
	every time.Duration        // of the history that was asked for
}

func (c *counters) Snapshot(_ context.Context, q prometheus.Queries, at time.Time) (analysis.Snapshot, error) {
	c.reads, c.asked = append(c.reads, at), append(c.asked, q)
	if err := errors.Join(c.away, c.holes[at]); err != nil {
		return analysis.Snapshot{}, err
	}
	return c.at(at), nil
}

func (c *counters) at(at time.Time) analysis.Snapshot {
	s := analysis.Snapshot{At: at}
	add := func(pod string, perSecond, oneIn float64) {
		from := began.Add(-time.Hour)
		if born, ok := c.born[pod]; ok {
			from = born
		}
		total := float64(int(at.Sub(from).Seconds() * perSecond))
		if total < 0 {
			return
		}
		failed := float64(int(total / oneIn))
		if c.burst {
			failed = float64(int(at.Sub(from).Minutes())/7) * 60
		}
		s.Series = append(s.Series, analysis.Series{Pod: pod, Class: analysis.Total, Value: total}, analysis.Series{Pod: pod, Class: analysis.Failed, Value: failed})
	}
	add("checkout-old-1", 19, 100)
	add("checkout-new-1", 1, 10)
	return s
}

func (c *counters) History(_ context.Context, _ prometheus.Queries, from, to time.Time, every time.Duration) ([]analysis.Snapshot, error) {
	c.every = every
	var out []analysis.Snapshot
	for at := from; !at.After(to); at = at.Add(every) {
		out = append(out, c.at(at))
	}
	return out, c.past
}

func newMeter(c *counters) *meter.Meter {
	return meter.New(map[string]meter.Source{"main": {Counters: c, Scrape: 5 * time.Second, Lag: 5 * time.Second}})
}

func question() meter.Question {
	return meter.Question{
		Metrics:   schemas.Metrics{Prometheus: "main", Errors: &schemas.ErrorMetric{Preset: "http"}},
		Namespace: "shop", Stable: "checkout-old-", Candidate: "checkout-new-",
		Began: began.Add(-time.Minute), StepBegan: began, Interval: 10 * time.Minute,
		Situation: analysis.Situation{Weight: 0.05, Steered: true, Up: true},
	}
}

// settled is when the first window of a step begins: 15 s after its weight.
var settled = began.Add(15 * time.Second)

func TestTicksCountBothArms(t *testing.T) {
	c := &counters{born: map[string]time.Time{"checkout-new-1": began}}
	r, err := newMeter(c).Ticks(t.Context(), question(), began.Add(2*time.Minute))
	require.NoError(t, err)
	require.Len(t, r.Ticks, 3)
	require.NoError(t, r.Trouble)
	for i, tick := range r.Ticks {
		assert.Equal(t, settled.Add(time.Duration(i+1)*30*time.Second), tick.At)
		assert.Equal(t, int64(30), tick.Candidate.Requests)
		assert.Equal(t, int64(570), tick.Stable.Requests)
		assert.Equal(t, int64(3), tick.Candidate.Errors)
	}
	assert.Len(t, c.reads, 4, "the end of one window is the beginning of the next")
}

func TestReadingGoesOnWhereTheRecordEnds(t *testing.T) {
	c := &counters{born: map[string]time.Time{"checkout-new-1": began}}
	whole, err := newMeter(c).Ticks(t.Context(), question(), began.Add(5*time.Minute))
	require.NoError(t, err)
	q := question()
	var parts []analysis.Tick
	for now := began; !now.After(began.Add(5 * time.Minute)); now = now.Add(time.Second) {
		r, err := newMeter(c).Ticks(t.Context(), q, now) // a new one each time, as after a restart
		require.NoError(t, err)
		if n := len(r.Ticks); n > 0 {
			parts, q.Last = append(parts, r.Ticks...), r.Ticks[n-1].At
		}
	}
	assert.Equal(t, whole.Ticks, parts)
}

func TestALongAbsenceIsCaughtUpInPortions(t *testing.T) {
	c := &counters{born: map[string]time.Time{"checkout-new-1": began}}
	q, now, ticks := question(), began.Add(time.Hour), 0
	for range 20 {
		r, err := newMeter(c).Ticks(t.Context(), q, now)
		require.NoError(t, err)
		assert.LessOrEqual(t, len(r.Ticks), 20)
		if len(r.Ticks) == 0 {
			break
		}
		ticks, q.Last = ticks+len(r.Ticks), r.Ticks[len(r.Ticks)-1].At
	}
	assert.Equal(t, 119, ticks)
}

func TestASourceThatDoesNotAnswerIsAskedOnce(t *testing.T) {
	c := &counters{away: &analysis.ReadError{Reason: analysis.TimedOut, Err: errors.New("no answer in 10 s")}}
	r, err := newMeter(c).Ticks(t.Context(), question(), began.Add(time.Hour))
	require.NoError(t, err, "unknown is no error")
	require.Len(t, r.Ticks, 1)
	assert.Equal(t, analysis.TimedOut, r.Ticks[0].Unknown)
	assert.InDelta(t, 30, r.Ticks[0].Seconds, 0)
	require.ErrorContains(t, r.Trouble, "no answer in 10 s", "an operator sees why")
	assert.Len(t, c.reads, 1)
}

func TestOneMissingReadingSpoilsOneTick(t *testing.T) {
	c := &counters{
		born:  map[string]time.Time{"checkout-new-1": began},
		holes: map[time.Time]error{settled.Add(time.Minute): errors.New("connection reset")},
	}
	q := question()
	first, err := newMeter(c).Ticks(t.Context(), q, began.Add(3*time.Minute))
	require.NoError(t, err)
	require.Len(t, first.Ticks, 2)
	assert.Empty(t, first.Ticks[0].Unknown)
	assert.Equal(t, analysis.Unreachable, first.Ticks[1].Unknown)
	c.holes = nil
	q.Last = first.Ticks[1].At
	rest, err := newMeter(c).Ticks(t.Context(), q, began.Add(3*time.Minute))
	require.NoError(t, err)
	require.NotEmpty(t, rest.Ticks)
	assert.Equal(t, int64(30), rest.Ticks[0].Candidate.Requests)
}

func TestAReadingThatIsCutShortSaysNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r, err := newMeter(&counters{away: context.Canceled}).Ticks(ctx, question(), began.Add(time.Hour))
	require.ErrorIs(t, err, context.Canceled)
	assert.Empty(t, r.Ticks)
}

func TestPodsThatWarmUpAreNotJudged(t *testing.T) {
	c := &counters{born: map[string]time.Time{"checkout-new-1": began}}
	q := question()
	q.Lives = map[string]analysis.Life{"checkout-new-1": {
		Started: began.Add(-time.Hour), // a node whose clock is wrong
		Ready:   began,
	}}
	r, err := newMeter(c).Ticks(t.Context(), q, began.Add(3*time.Minute))
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(r.Ticks), 4)
	assert.Equal(t, int64(30), r.Ticks[0].Candidate.Unjudged, "warm-up lasts 60 s")
	assert.Zero(t, r.Ticks[0].Candidate.Requests)
	assert.Equal(t, int64(30), r.Ticks[3].Candidate.Requests)
}

func TestShortStepsShrinkThePace(t *testing.T) {
	s := meter.Source{Scrape: time.Second, Lag: time.Second}
	pace := s.Pace(20 * time.Second)
	assert.Equal(t, 2*time.Second, pace.Interval)
	assert.Equal(t, time.Second, pace.Settle)
	assert.Equal(t, 4*time.Second, pace.WarmUp)
	assert.Equal(t, analysis.DefaultPace().WarmUp, s.Pace(time.Hour).WarmUp, "and long ones do not stretch it")
}

func TestDispersionIsMeasuredOnStablesPast(t *testing.T) {
	c := &counters{}
	calm, err := newMeter(c).Dispersion(t.Context(), question())
	require.NoError(t, err)
	assert.False(t, calm.Thin())
	assert.InDelta(t, 1, calm.Phi, 0.5)
	assert.Equal(t, 30*time.Second, c.every)

	bursty, err := newMeter(&counters{burst: true}).Dispersion(t.Context(), question())
	require.NoError(t, err)
	assert.Greater(t, bursty.Phi, 5.0)
}

func TestDispersionThatCannotBeMeasuredIsCautious(t *testing.T) {
	d, err := newMeter(&counters{past: errors.New("away")}).Dispersion(t.Context(), question())
	require.NoError(t, err)
	assert.True(t, d.Thin())
	q := question()
	q.Stable = ""
	d, err = newMeter(&counters{}).Dispersion(t.Context(), q)
	require.NoError(t, err)
	assert.True(t, d.Thin(), "a first deployment has no stable to measure it on")
}

func TestAServiceMayBringItsOwnQueries(t *testing.T) {
	c := &counters{}
	q := question()
	q.Metrics.Errors = &schemas.ErrorMetric{
		Requests: `sum by (pod) (orders_total{ {{.Selector}} })`,
		Query:    `sum by (pod) (orders_failed_total{ {{.Selector}} })`,
	}
	_, err := newMeter(c).Ticks(t.Context(), q, began.Add(time.Minute))
	require.NoError(t, err)
	require.NotEmpty(t, c.asked)
	assert.Contains(t, c.asked[0].Requests, "orders_total{ namespace=\"shop\"")
	assert.Contains(t, c.asked[0].Errors, "orders_failed_total")
}

func TestAQuestionThatCanNeverBeAnsweredIsAnError(t *testing.T) {
	for name, change := range map[string]func(*meter.Question){
		"is not in the daemon's configuration": func(q *meter.Question) { q.Metrics.Prometheus = "elsewhere" },
		"names no counters":                    func(q *meter.Question) { q.Metrics.Errors = nil },
		"misspelt":                             func(q *meter.Question) { q.Metrics.Errors = &schemas.ErrorMetric{Preset: "misspelt"} },
		"{{.Selector}}": func(q *meter.Question) {
			q.Metrics.Errors = &schemas.ErrorMetric{Query: "up", Requests: "up"}
		},
	} {
		q := question()
		change(&q)
		_, err := newMeter(&counters{}).Ticks(t.Context(), q, began.Add(time.Minute))
		require.ErrorContains(t, err, name)
	}
}

func TestBeforeAndAfterComparesStableWithItsOwnPast(t *testing.T) {
	c := &counters{born: map[string]time.Time{"checkout-old-1": began.Add(-4 * time.Minute)}}
	q := question()
	q.BeforeAfter, q.Candidate, q.Situation.Weight = true, q.Stable, 0.5
	r, err := newMeter(c).Ticks(t.Context(), q, began.Add(2*time.Minute))
	require.NoError(t, err)
	require.Len(t, r.Ticks, 3)
	for i, tick := range r.Ticks {
		assert.Equal(t, settled.Add(time.Duration(i+1)*30*time.Second), tick.At)
		assert.Equal(t, int64(570), tick.Candidate.Requests, "after")
		assert.Equal(t, int64(570), tick.Stable.Requests, "before")
	}
	// The rollout began a minute before the step: the first window is mirrored there.
	assert.Equal(t, q.Began.Add(-45*time.Second), c.reads[2])
	assert.Equal(t, q.Began.Add(-15*time.Second), c.reads[3])

	c.holes = map[time.Time]error{q.Began.Add(-75 * time.Second): errors.New("no answer")}
	r, err = newMeter(c).Ticks(t.Context(), q, began.Add(2*time.Minute))
	require.NoError(t, err)
	require.Len(t, r.Ticks, 2)
	require.ErrorContains(t, r.Trouble, "no answer")
	assert.Equal(t, analysis.Unreachable, r.Ticks[1].Unknown)
}

func TestAPastWithoutCountersIsSilent(t *testing.T) {
	c := &counters{born: map[string]time.Time{"checkout-old-1": began.Add(-30 * time.Second)}}
	q := question()
	q.BeforeAfter, q.Candidate = true, q.Stable
	r, err := newMeter(c).Ticks(t.Context(), q, began.Add(2*time.Minute))
	require.NoError(t, err)
	require.NotEmpty(t, r.Ticks)
	assert.True(t, r.Ticks[0].Stable.Silent)
	assert.Empty(t, r.Ticks[0].Unknown)
}
