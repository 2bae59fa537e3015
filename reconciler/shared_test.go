package reconciler_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/analysis"
	"github.com/sluice-cd/sluice/reconciler/release"
)

// promoted is a world in which v1 is stable and something was promoted.
func promoted(t *testing.T, inputs string, change func(*world)) *world {
	t.Helper()
	w := newWorld(t)
	w.push(map[string]string{name: "v1"})
	w.begin()
	w.settle(checkout)
	change(w)
	w.push(map[string]string{name: inputs})
	return w
}

// last is the evidence that was written last of a rollout.
func (w *world) last() (e release.Evidence) {
	w.t.Helper()
	require.NoError(w.t, json.Unmarshal([]byte(w.evidence[w.order[len(w.order)-1]]), &e))
	return e
}

func TestAChangeOfScaleIsDoneAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := promoted(t, "v1+5", func(*world) {})
		began := time.Now()
		w.settle(checkout)
		assert.Equal(t, "v1+5", w.stable())
		assert.Less(t, w.record(checkout).Since.Sub(began), 5*time.Second)
		assert.Empty(t, w.last().Rollout.Analysis.Ticks)
	})
}

func TestSharedObjectsAreJudgedBeforeAndAfter(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := promoted(t, "v1~2", func(*world) {})
		w.reach(release.Verifying)
		assert.Equal(t, release.Traffic{Stable: "rv1"}, w.live[checkout].State.Traffic, "no pod is replaced")
		w.settle(checkout)
		assert.Equal(t, "v1~2", w.stable())
		e := w.last()
		assert.Equal(t, analysis.Pass, e.Rollout.Verdict.Outcome)
		assert.GreaterOrEqual(t, e.Rollout.Verdict.JudgedFor, 9*time.Second, "one interval")
		assert.GreaterOrEqual(t, e.At.Sub(e.Rollout.Began), 9*time.Second)
	})
}

func TestBadSharedObjectsAreRestored(t *testing.T) {
	bad := map[string]struct {
		change func(*world)
		holds  int
	}{
		"stable fails under them":     {func(w *world) { w.badRates["~2"] = 0.3 }, 1},
		"no request arrives any more": {func(w *world) { w.badRates["~2"] = 2 }, 0},
	}
	for what, c := range bad {
		for _, inputs := range []string{"v1~2", "v2~2"} {
			t.Run(what+", "+inputs, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					w := promoted(t, inputs, c.change)
					before := w.live[checkout].Hash["rv1"]
					w.reach(release.Stable)
					w.settle(checkout)
					assert.Equal(t, "v1", w.stable())
					assert.Equal(t, before, w.live[checkout].Hash["rv1"])
					assert.Equal(t, "rv1", w.live[checkout].State.Shared)
					assert.Equal(t, "v1", w.asked(name).Inputs, "git says so too")
					assert.Len(t, w.record(checkout).Holds, c.holds)
					for _, h := range w.record(checkout).Holds {
						assert.Empty(t, h.Digests, "the artifact had no traffic under them")
					}
				})
			})
		}
	}
}

func TestPodsThatFailUnderSharedObjectsTakeThemBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := promoted(t, "v1~2", func(*world) {})
		w.reach(release.Verifying)
		w.sick["rv1"] = true
		w.until(checkout, func(time.Time) bool { return w.record(checkout).Phase != release.Verifying })
		w.sick["rv1"] = false
		w.settle(checkout)
		assert.Equal(t, "v1", w.stable())
		assert.Equal(t, "v1", w.asked(name).Inputs)
	})
}

func TestSharedObjectsGoBeforeTheCandidatesTraffic(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := promoted(t, "v2~2", func(w *world) { w.badRates["v2~2"] = 0.3 })
		w.reach(release.Progressing)
		state := w.live[checkout].State
		assert.Equal(t, "rv2~2", state.Shared)
		assert.Zero(t, state.Traffic.Weight)
		assert.Contains(t, release.Explain(w.record(checkout), time.Now()).Text(), "stable is compared with what it was before")
		w.during(8 * time.Second)
		assert.Zero(t, w.live[checkout].State.Traffic.Weight, "for one interval")

		w.settle(checkout)
		assert.Equal(t, "v1", w.stable(), "the candidate is judged by its own counts afterwards")
		assert.Equal(t, "rv1", w.live[checkout].State.Shared, "and the way back restores what is shared")
	})
}

func TestGoodSharedObjectsAndAGoodCandidateBecomeStable(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := promoted(t, "v2~2", func(*world) {})
		w.settle(checkout)
		assert.Equal(t, "v2~2", w.stable())
		o := w.last().Rollout
		require.NotNil(t, o.Before)
		require.NotEmpty(t, o.Before.Ticks)
		assert.InDelta(t, 0.01, o.Before.Limits.Alpha, 1e-9)
		for _, tick := range o.Analysis.Ticks {
			assert.Positive(t, tick.Step, "the two comparisons are kept apart")
		}
		require.Len(t, o.Verdicts, 3)
		assert.Contains(t, o.Verdicts[0].Reason, "before")
	})
}

func TestWithoutAPastHealthAloneDecides(t *testing.T) {
	for _, inputs := range []string{"v1~2", "v2~2"} {
		t.Run(inputs, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := promoted(t, inputs, func(w *world) { w.noPast = true })
				w.settle(checkout)
				assert.Equal(t, inputs, w.stable())
			})
		})
	}
}

func TestWithoutCountersSharedObjectsWait(t *testing.T) {
	for _, inputs := range []string{"v1~2", "v2~2"} {
		t.Run(inputs, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := promoted(t, inputs, func(w *world) { w.meterDown = true })
				w.during(30 * time.Minute)
				assert.NotNil(t, w.record(checkout).Candidate, "an analysis that never ran is no pass")
				assert.Zero(t, w.live[checkout].State.Traffic.Weight)
				w.meterDown = false
				w.settle(checkout)
				assert.Equal(t, inputs, w.stable())
			})
		})
	}
}
