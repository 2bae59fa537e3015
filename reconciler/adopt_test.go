package reconciler_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/reconciler/release"
)

func TestAWorkloadUnderItsAuthorsNameIsAdoptedAndNotTouched(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.byHand[checkout] = "v1"
		w.push(map[string]string{name: "v1"})
		w.begin()
		w.settle(checkout)
		w.during(10 * time.Minute)
		r := w.record(checkout)
		assert.Equal(t, release.Stable, r.Phase)
		assert.Equal(t, "v1", w.stable())
		assert.True(t, r.Adopted)
		assert.NotEmpty(t, r.Stable.Workload, "what it renders to is known from now on")
		assert.Zero(t, w.byPort["Cluster.Converge"])
		assert.Len(t, w.evidence, 1)
	})
}

func TestAWorkloadThatDiffersFromTheBaselineWaitsForAPerson(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.byHand[checkout] = "v0"
		w.push(map[string]string{name: "v1"})
		w.begin()
		w.settle(checkout)
		r := w.record(checkout)
		assert.Equal(t, release.Frozen, r.Phase)
		assert.Equal(t, "what runs differs from the baseline: the inputs are v0 and git says v1", r.Reason)

		w.push(map[string]string{name: "v0"})
		w.during(10 * time.Minute)
		r = w.record(checkout)
		assert.Equal(t, release.Frozen, r.Phase, "nobody named that commit as the baseline")
		assert.Contains(t, r.Reason, "name that commit with --genesis")
		assert.Zero(t, w.byPort["Cluster.Converge"])
	})
}

func TestAPersonMakesWhatRunsEqualTheBaseline(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.byHand[checkout] = "v0"
		w.push(map[string]string{name: "v1"})
		w.begin()
		w.settle(checkout)
		w.byHand[checkout] = "v1"
		w.reach(release.Stable)
		assert.True(t, w.record(checkout).Adopted)
	})
}

func TestARevisionBesideAWorkloadOfSomebodyElseWaitsForAPerson(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.push(map[string]string{name: "v1"})
		w.begin()
		w.settle(checkout)
		w.docs, w.decoded, w.evidence = map[string]document{}, map[release.Key]decoded{}, map[string]string{}
		w.byHand[checkout] = "v1"
		w.begin()
		w.settle(checkout)
		assert.Contains(t, w.record(checkout).Reason, "revision rv1 runs beside a workload that Sluice did not create")
		delete(w.byHand, checkout)
		w.reach(release.Stable)
		assert.False(t, w.record(checkout).Adopted)
	})
}

// adopted is a daemon whose release ran before it came.
func adopted(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.byHand[checkout] = "v1"
	w.push(map[string]string{name: "v1"})
	w.begin()
	w.settle(checkout)
	require.True(t, w.record(checkout).Adopted)
	return w
}

func TestTheFirstRolloutOfAnAdoptedReleaseRehomesIt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := adopted(t)
		w.push(map[string]string{name: "v2"})
		w.reach(release.Preparing)
		assert.True(t, release.Desired(w.record(checkout)).Rehome)
		assert.NotContains(t, w.live[checkout].Hash, "rv2", "the candidate comes afterwards")
		w.reach(release.Progressing)
		assert.False(t, w.record(checkout).Adopted)
		assert.Empty(t, w.byHand)
		w.settle(checkout)
		assert.Equal(t, "v2", w.stable())
	})
}

func TestACandidateThatFailsAfterTheRehomingGoesBackToTheRehomedRevision(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := adopted(t)
		w.badRates["v2"] = 0.5
		w.push(map[string]string{name: "v2"})
		w.reach(release.Progressing)
		w.settle(checkout)
		assert.Equal(t, "v1", w.stable())
		assert.False(t, w.record(checkout).Adopted)
		assert.Equal(t, []release.Workload{{Revision: "rv1", Share: 100}}, w.live[checkout].State.Workloads)
	})
}

func TestARehomingThatDoesNotFinishLeavesWhatServes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := adopted(t)
		w.sick["rv1"] = true
		w.push(map[string]string{name: "v2"})
		w.reach(release.Preparing)
		w.settle(checkout)
		r := w.record(checkout)
		assert.Equal(t, release.Stable, r.Phase)
		assert.Contains(t, r.Reason, "re-homing took longer than 10m0s: what was adopted is not re-homed yet: what was adopted still serves")
		assert.True(t, r.Adopted)
		assert.Equal(t, "v1", w.byHand[checkout])
		assert.NotContains(t, w.live[checkout].Hash, "rv2")

		w.sick["rv1"] = false
		w.push(map[string]string{name: "v3"})
		w.settle(checkout)
		assert.Equal(t, "v3", w.stable(), "the next promotion goes on where this one ended")
	})
}

func TestAnAdoptedWorkloadThatWasChangedSinceIsNotReplaced(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := adopted(t)
		w.byHand[checkout] = "v9"
		w.push(map[string]string{name: "v2"})
		w.during(5 * time.Minute)
		r := w.record(checkout)
		assert.Equal(t, release.Pending, r.Phase)
		assert.Equal(t, "every gate passes, but what runs is not what was adopted any more: the inputs are v9 and git says v1", r.Reason)
		w.byHand[checkout] = "v1"
		w.settle(checkout)
		assert.Equal(t, "v2", w.stable())
	})
}
