package reconciler_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/reconciler/intake"
	"github.com/sluice-cd/sluice/reconciler/release"
	"github.com/sluice-cd/sluice/schemas"
)

var staged = release.Key{Environment: "staging", Service: "checkout"}

// soaking returns a world in which v2 is stable in staging, where it has to soak
// for ten minutes, and has just been promoted to production.
func soaking(t *testing.T, change func(*world)) *world {
	t.Helper()
	w := newWorld(t)
	staging := w.policy.Environments[0]
	staging.Name = "staging"
	staging.Soak = &schemas.Soak{Duration: schemas.Duration(10 * time.Minute), ErrorRateIncreasePoints: 0.1, MinRequests: 500}
	w.policy.Environments = []schemas.Environment{staging, w.policy.Environments[0]}
	change(w)
	w.push(map[string]string{name: "v1", staged.String(): "v1"})
	w.begin()
	w.settle(checkout)
	w.both(12 * time.Minute)
	w.push(map[string]string{staged.String(): "v2"})
	w.untilStaged("v2")
	w.push(map[string]string{name: "v2"})
	return w
}

// both lets time pass for both releases.
func (w *world) both(d time.Duration) {
	w.t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(2 * time.Second) {
		w.bothOnce()
	}
}

func (w *world) bothOnce() {
	_ = w.once(w.daemon.IntakeOnce)
	for _, key := range []release.Key{staged, checkout} {
		_ = w.once(func(ctx context.Context) error { _, err := w.daemon.Once(ctx, key); return err })
	}
}

func (w *world) untilStaged(inputs string) {
	w.t.Helper()
	for range 600 {
		if r := w.record(staged); r.Phase == release.Stable && r.Stable.Inputs == inputs {
			return
		}
		w.bothOnce()
		time.Sleep(time.Second)
	}
	require.Fail(w.t, "staging is not there", "%+v", w.record(staged))
}

func (w *world) soaked() release.Soak {
	proof, ok := release.Soaking(w.record(staged))
	require.True(w.t, ok)
	require.NotNil(w.t, proof.Soak)
	return *proof.Soak
}

func (w *world) why() string { return release.Explain(w.record(checkout), time.Now()).Title }

func TestAPromotionWaitsUntilItHasSoaked(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := soaking(t, func(*world) {})
		w.both(9 * time.Minute)
		assert.Contains(t, w.why(), "of 10m in staging")
		assert.Equal(t, release.Pending, w.record(checkout).Phase)

		w.both(3 * time.Minute)
		assert.Equal(t, "v2", w.stable())
		s := w.soaked()
		assert.GreaterOrEqual(t, s.Healthy, 10*time.Minute)
		assert.InDelta(t, 100*s.Healthy.Seconds(), s.Requests, 1)
	})
}

func TestWhatHasSoakedIsLookedAtAndNotWritten(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := soaking(t, func(*world) {})
		w.both(14 * time.Minute)
		require.Equal(t, "v2", w.stable())
		seq := w.record(staged).Seq
		w.both(30 * time.Minute)
		assert.Equal(t, seq, w.record(staged).Seq)
	})
}

func TestASoakSurvivesRestartsAndAnAbsentDaemonAddsNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := soaking(t, func(*world) {})
		w.both(4 * time.Minute)
		before := w.soaked().Healthy
		require.Greater(t, before, 2*time.Minute)
		w.begin()
		assert.Equal(t, before, w.soaked().Healthy)
		time.Sleep(time.Hour)
		w.bothOnce()
		assert.Equal(t, before, w.soaked().Healthy)
		assert.Equal(t, release.Pending, w.record(checkout).Phase)
		w.both(8 * time.Minute)
		assert.Equal(t, "v2", w.stable())
	})
}

func TestWithoutMeasurementsASoakStandsStill(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := soaking(t, func(*world) {})
		w.both(2 * time.Minute)
		w.meterDown = true
		w.both(time.Minute)
		before := w.soaked().Healthy
		w.both(30 * time.Minute)
		assert.Equal(t, before, w.soaked().Healthy)
		assert.Equal(t, release.Pending, w.record(checkout).Phase)
		w.meterDown = false
		w.both(10 * time.Minute)
		assert.Equal(t, "v2", w.stable())
	})
}

func TestAFailureInStagingBeforeAPromotionTakesTheSoakBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := soaking(t, func(*world) {})
		w.commit(map[string]intake.Snapshot{name: {Inputs: "v2", Control: intake.Control{Paused: true}}})
		w.both(15 * time.Minute)
		require.GreaterOrEqual(t, w.soaked().Healthy, 10*time.Minute)
		w.sick["rv2"] = true
		w.both(2 * time.Minute)
		w.sick["rv2"] = false
		w.commit(map[string]intake.Snapshot{name: {Inputs: "v2"}})
		w.both(2 * time.Minute)
		assert.Equal(t, release.Pending, w.record(checkout).Phase)
		assert.Contains(t, w.why(), "of 10m in staging")
		assert.NotEmpty(t, w.soaked().Failed)
		w.both(10 * time.Minute)
		assert.Equal(t, "v2", w.stable())
	})
}

func TestASoakThatFailsMoreThanItsPredecessorHoldsThePromotion(t *testing.T) {
	bubble(t, func(t *testing.T) {
		// Too little to fail a rollout, and more than a tenth of a point.
		w := soaking(t, func(w *world) { w.badRates["v2"] = 0.004 })
		w.both(30 * time.Minute)
		assert.Equal(t, release.Pending, w.record(checkout).Phase)
		assert.Contains(t, w.why(), "of the requests failed in staging, and the limit is 1.10 %")
	})
}

func TestAServiceWithoutCountersSoaksByReadiness(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := soaking(t, func(w *world) {
			s := w.services["checkout"]
			s.Metrics = schemas.Metrics{}
			w.services["checkout"] = s
		})
		w.both(9 * time.Minute)
		assert.Equal(t, release.Pending, w.record(checkout).Phase)
		w.both(3 * time.Minute)
		assert.Equal(t, "v2", w.stable())
	})
}

func TestAHotfixDoesNotSoak(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := soaking(t, func(w *world) {
			w.hotfixes["v2"] = true
			w.policy.Environments[1].Hotfix.Waives = []string{"soak"}
		})
		w.both(time.Minute)
		assert.Equal(t, "v2", w.stable())
	})
}

func TestAHotfixFollowsWhatServesStagingBeforeItsWindowIsOver(t *testing.T) {
	for _, urgent := range []bool{true, false} {
		bubble(t, func(t *testing.T) {
			w := newWorld(t)
			staging := w.policy.Environments[0]
			staging.Name, staging.Rollback.Window = "staging", schemas.Duration(20*time.Minute)
			w.policy.Environments = []schemas.Environment{staging, w.policy.Environments[0]}
			w.hotfixes["v2"] = urgent
			w.push(map[string]string{name: "v1", staged.String(): "v1"})
			w.begin()
			w.settle(checkout)
			w.both(30 * time.Minute)
			w.push(map[string]string{staged.String(): "v2"})
			w.both(time.Second)
			require.NotEqual(t, release.Verifying, w.record(staged).Phase)
			w.push(map[string]string{name: "v2"})
			w.both(8 * time.Minute)
			require.Equal(t, release.Verifying, w.record(staged).Phase)
			if urgent {
				assert.Equal(t, "v2", w.stable())
			} else {
				assert.Equal(t, release.Pending, w.record(checkout).Phase)
			}
		})
	}
}

func TestWhoApprovedIsNamedOnceHoweverOftenTheGatesAreAsked(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := soaking(t, func(*world) {})
		w.both(5 * time.Minute)
		require.Equal(t, release.Pending, w.record(checkout).Phase)
		assert.Equal(t, []string{"rita"}, w.record(checkout).Candidate.Promotion.ApprovedBy)
	})
}
