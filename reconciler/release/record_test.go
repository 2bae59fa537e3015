package release_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/analysis"
	"github.com/sluice-cd/sluice/reconciler/release"
)

// play takes events to a record, a second apart.
func play(r release.Record, now time.Time, events ...func(release.Record, time.Time) release.Event) (release.Record, time.Time) {
	for _, e := range events {
		now = now.Add(time.Second)
		r = release.Next(r, e(r, now), now)
	}
	return r, now
}

func fixed(e release.Event) func(release.Record, time.Time) release.Event {
	return func(release.Record, time.Time) release.Event { return e }
}

func settled(r release.Record, now time.Time) release.Event {
	return release.Seen{Observed: asWanted(r, now)}
}

func allowed(plan release.Plan) func(release.Record, time.Time) release.Event {
	return func(r release.Record, _ time.Time) release.Event { return judged(r, release.Proceed, plan) }
}

func paid(r release.Record, _ time.Time) release.Event { return release.Done{ID: r.Owed[0].ID} }

// progressing is a canary at its first step, whose clock runs.
func progressing(t *testing.T) (release.Record, time.Time) {
	t.Helper()
	r, now := play(release.New(key, t0), t0,
		fixed(release.Adopted{Revision: revision("v1"), Same: true, Ours: true}), paid,
		fixed(release.Wanted{Want: want("v2")}), allowed(canary()), settled, settled)
	require.Equal(t, release.Progressing, r.Phase)
	require.False(t, r.Rollout.StepBegan.IsZero())
	return r, now
}

func TestDecodeRefusesWhatNextCannotHaveMade(t *testing.T) {
	good, _ := progressing(t)
	back := &release.Rollback{ID: "id", Cause: release.NotProven}
	for name, damage := range map[string]func(*release.Record){
		"it has schema 2":                func(r *release.Record) { r.Schema = 2 },
		"want <environment>/<service>":   func(r *release.Record) { r.Key.Service = "" },
		"cannot both be":                 func(r *release.Record) { r.Seq = -1 },
		"phase \"dancing\" is not known": func(r *release.Record) { r.Phase = "dancing" },
		"progressing without a candidate": func(r *release.Record) {
			r.Candidate = nil
		},
		"stable with a candidate":         func(r *release.Record) { r.Phase = release.Stable },
		"the stable revision has no name": func(r *release.Record) { r.Stable = &release.Revision{} },
		"the waiting revision has":        func(r *release.Record) { r.Next = &release.Want{} },
		"do not rise to 100":              func(r *release.Record) { r.Rollout.Plan.Steps = []int{50, 5} },
		"steps [] do not rise":            func(r *release.Record) { r.Rollout.Plan.Steps = nil },
		"step 9 of 4 does not exist":      func(r *release.Record) { r.Rollout.Step = 9 },
		"step -1 of 4 does not exist":     func(r *release.Record) { r.Rollout.Step = -1 },
		"progressing at 100 %":            func(r *release.Record) { r.Rollout.Step = 3 },
		"verifying at 5 %":                func(r *release.Record) { r.Phase = release.Verifying },
		"do not begin with the shared":    func(r *release.Record) { r.Rollout.Plan.Shared = true },
		"nothing to judge shared objects": func(r *release.Record) { r.Rollout.Plan.Shared, r.Stable = true, nil },
		"a duration is negative":          func(r *release.Record) { r.Rollout.Plan.Window = -1 },
		"alpha 0 is not in":               func(r *release.Record) { r.Rollout.Plan.Limits.Alpha = 0 },
		"changed in place without":        func(r *release.Record) { r.Rollout.Plan.InPlace, r.Stable = true, nil },
		"reverting and a rollback":        func(r *release.Record) { r.Phase = release.Reverting },
		"progressing and a rollback":      func(r *release.Record) { r.Rollout.Rollback = back },
		"the rollback has no name": func(r *release.Record) {
			r.Phase, r.Rollout.Rollback = release.Restoring, &release.Rollback{}
		},
		"frozen from \"\"":                  func(r *release.Record) { r.Phase = release.Frozen },
		"progressing but frozen":            func(r *release.Record) { r.FrozenFrom = release.Stable },
		"intent a has no commit":            func(r *release.Record) { r.Owed = []release.Intent{{ID: "a", Kind: release.CommitReject}} },
		"intent a has no evidence":          func(r *release.Record) { r.Owed = []release.Intent{{ID: "a", Kind: release.WriteEvidence}} },
		"unknown kind, \"dance\"":           func(r *release.Record) { r.Owed = []release.Intent{{ID: "a", Kind: "dance"}} },
		"is owed twice or has no name":      func(r *release.Record) { r.Owed = []release.Intent{{}} },
		"rejected without a candidate":      func(r *release.Record) { r.Phase, r.Candidate = release.Rejected, &release.Want{} },
		"removed with a candidate":          func(r *release.Record) { r.Phase = release.Removed },
		"removing but frozen from removing": func(r *release.Record) { r.Phase, r.FrozenFrom = release.Removing, release.Removing },
	} {
		t.Run(name, func(t *testing.T) {
			bad := good
			damage(&bad)
			_, err := release.Decode([]byte(encoded(t, bad)))
			require.ErrorContains(t, err, name)
			if bad.Schema != release.Schema {
				return
			}
			assert.Equal(t, bad, release.Next(bad, release.Tick{}, t0.Add(24*time.Hour)), "nothing follows from it")
			assert.Equal(t, release.State{Observed: true}, release.Desired(bad), "and the cluster is left alone")
			assert.Contains(t, release.Explain(bad, t0).Title, "damaged")
		})
	}
	_, err := release.Decode([]byte("{"))
	require.ErrorContains(t, err, "decode record")
}

func TestRecordOfALongRolloutStaysSmall(t *testing.T) {
	const limit = 256 << 10
	r, now := progressing(t)
	largest := 0
	for r.Phase == release.Progressing && now.Before(t0.Add(8*time.Hour)) {
		now = now.Add(tick)
		s := ofTraffic(r, 0.00125, 0.001)
		s.stable, s.candidate = s.stable*9973, s.candidate*9973 // counts of a busy service take more digits
		s.stable += 3_000_000
		if now.Before(t0.Add(6 * time.Hour)) {
			s = sample{unknown: analysis.TooManySeries}
		}
		r = release.Next(r, measured(r, 1, s, now), now)
		r = release.Next(r, release.Tick{}, now)
		largest = max(largest, len(encoded(t, r)))
	}
	t.Logf("largest record: %d bytes, %s", largest, r.Reason)
	assert.Less(t, largest, limit*2/3)

	r, now = progressing(t)
	for i := range 240 {
		now = now.Add(tick)
		r = release.Next(r, measured(r, 1, sample{stable: 123456789, stableErrors: 12345, candidate: 6497725, candidateErrors: 600}, now), now)
		require.Equal(t, release.Progressing, r.Phase, "tick %d: %s", i, r.Reason)
	}
	size := len(encoded(t, r))
	t.Logf("two hours of ticks: %d bytes", size)
	assert.Less(t, size, limit/3)
}

func TestReasonsOfOthersAreBounded(t *testing.T) {
	r, now := progressing(t)
	endless := strings.Repeat("é", 1<<20)
	r, _ = play(r, now,
		fixed(release.Kept{Reason: endless}),
		func(r release.Record, now time.Time) release.Event {
			o := asWanted(r, now)
			o.Converged, o.Guarded = false, endless
			return release.Seen{Observed: o}
		})
	assert.Less(t, len(encoded(t, r)), 16<<10)
}

func TestTicksThatCannotBeStoredAreUnknown(t *testing.T) {
	r, now := progressing(t)
	e := measured(r, 2, ofTraffic(r, 0, 0), now)
	e.Ticks[0].Seconds, e.Ticks[1].Weight = math.NaN(), math.Inf(1)
	e.Dispersion.Phi = math.NaN()
	r = release.Next(r, e, now)
	assert.Equal(t, analysis.MetricsDown, r.Rollout.Verdict.Outcome)
	_, err := json.Marshal(r)
	require.NoError(t, err)
}

func TestTicksOfAnotherStepAreNotCounted(t *testing.T) {
	r, now := progressing(t)
	e := measured(r, 2, ofTraffic(r, 0, 0.5), now)
	e.Ticks[0].Step, e.Ticks[1].Step = 1, 2
	assert.Empty(t, release.Next(r, e, now).Rollout.Analysis.Ticks)
}

func TestVerdictOfAnEarlierStepDoesNotAdvanceALaterOne(t *testing.T) {
	r, _ := progressing(t)
	now := r.Rollout.StepEnds
	r = release.Next(r, measured(r, 10, ofTraffic(r, 0, 0), now), now)
	r = release.Next(r, release.Tick{}, now)
	require.Equal(t, 1, r.Rollout.Step)
	r, now = play(r, now, settled)
	r = release.Next(r, release.Tick{}, now.Add(time.Hour))
	assert.Equal(t, 1, r.Rollout.Step, "nothing was measured in this step")
}

func TestAPlanThatCannotBeCarriedOutKeepsTheCandidateWaiting(t *testing.T) {
	r, now := play(release.New(key, t0), t0,
		fixed(release.Adopted{Revision: revision("v1"), Same: true, Ours: true}), paid, fixed(release.Wanted{Want: want("v2")}))
	for _, plan := range []release.Plan{{}, {Steps: []int{100}, Window: -1}, {Steps: []int{0, 100}}, {Steps: []int{100}, Measured: true}} {
		n, _ := play(r, now, allowed(plan))
		assert.Equal(t, release.Pending, n.Phase)
		assert.Contains(t, n.Reason, "the plan cannot be carried out")
	}
	same := r
	same.Candidate = &release.Want{Revision: revision("v2"), Promotion: r.Candidate.Promotion}
	same.Candidate.Revision.ID = "r-v1"
	same, _ = play(same, now, allowed(canary()))
	assert.Contains(t, same.Reason, "has the name of the stable revision")
}

func TestKeysAreReadAsTheyAreWritten(t *testing.T) {
	k, err := release.ParseKey("production/checkout")
	require.NoError(t, err)
	assert.Equal(t, key, k)
	for _, bad := range []string{"", "a", "/a", "a/", "a/b/c"} {
		_, err := release.ParseKey(bad)
		require.ErrorContains(t, err, "want <environment>/<service>")
	}
}
