package reconciler_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

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
