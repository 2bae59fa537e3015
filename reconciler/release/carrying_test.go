package release_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/analysis"
	"github.com/sluice-cd/sluice/reconciler/release"
)

func TestOnlyWhatHasServedEverythingForAStepServes(t *testing.T) {
	r := release.New(key, t0)
	serves := func(at time.Time) bool {
		_, _, ok := release.Carrying(r, at)
		return ok
	}
	plan := atOnce()
	plan.Measured = false
	r = release.Next(r, release.Wanted{Want: want("v1")}, t0)
	r = release.Next(r, judged(r, release.Proceed, plan), t0)
	assert.False(t, serves(t0.Add(time.Hour)), "it is only being prepared")
	r = release.Next(r, release.Seen{Observed: asWanted(r, t0)}, t0)
	require.Equal(t, release.Verifying, r.Phase)
	assert.False(t, serves(t0.Add(time.Hour)), "its share was not seen yet")
	r = release.Next(r, release.Seen{Observed: asWanted(r, t0)}, t0)

	assert.False(t, serves(t0.Add(plan.Interval-time.Second)))
	require.True(t, serves(t0.Add(plan.Interval)))
	revision, since, _ := release.Carrying(r, t0.Add(plan.Interval))
	assert.Equal(t, "in-v1", revision.Inputs)
	assert.Equal(t, t0, since)

	r.Rollout.Health = analysis.Streak{Count: 1}
	assert.False(t, serves(t0.Add(time.Hour)), "it has just failed once")
}
