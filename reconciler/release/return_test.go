package release_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/reconciler/release"
)

// twice is a release in which v2 has replaced v1 an hour ago.
func twice(t *testing.T) *life {
	l := adopted(t)
	l.promote("v2", canary())
	l.finish("v2")
	l.paid()
	l.wait(time.Hour)
	return l
}

func (l *life) settled() (kinds []string) {
	for _, i := range l.r.Owed {
		switch {
		case i.Evidence != nil:
			kinds = append(kinds, i.Evidence.Kind+" "+i.Evidence.Outcome)
		default:
			kinds = append(kinds, string(i.Kind))
		}
	}
	return kinds
}

func TestAReturnHasOneStepAndHoldsWhatItLeft(t *testing.T) {
	l := twice(t)
	l.next(release.Wanted{Want: want("v1")})
	require.True(t, l.r.Candidate.Return)
	l.next(judged(l.r, release.Proceed, canary().AtOnce()))
	require.Equal(t, release.Preparing, l.r.Phase)
	l.next(release.Seen{Observed: asWanted(l.r, l.now)})
	assert.Equal(t, 100, release.Desired(l.r).Traffic.Weight, "one weight change")
	l.next(release.Seen{Observed: asWanted(l.r, l.now)})
	l.next(release.Tick{})
	require.Equal(t, release.Stable, l.r.Phase, "nobody judges it once more")
	assert.Equal(t, "in-v1", l.r.Stable.Inputs)
	assert.ElementsMatch(t, []string{"rollout returned", "hold held", "commit-hold"}, l.settled())
	require.Len(t, l.r.Holds, 1)
	hold := l.r.Holds[0]
	assert.Equal(t, "in-v2", hold.Inputs)
	assert.Equal(t, []string{"sha256:v2"}, hold.Digests)
	assert.Equal(t, "somebody went back to v1", hold.Reason)
	for _, i := range l.r.Owed {
		if i.Kind == release.CommitHold {
			assert.Equal(t, "in-v2", i.Commit.Bad.Revision.Inputs)
			assert.Empty(t, i.Commit.Good, "git says already what runs")
			assert.Equal(t, hold, *i.Commit.Hold)
		}
		if i.Evidence != nil && i.Evidence.Kind == "rollout" {
			assert.Equal(t, "in-v2", i.Evidence.Previous.Inputs, "what failed")
		}
	}
	l.paid()
	assert.Empty(t, l.r.Owed)
	assert.Equal(t, release.Stable, l.r.Phase, "what is done does not move it")
}

func TestAReturnIsToWhatWasStableWithin30Days(t *testing.T) {
	l := twice(t)
	ended := l.r.Proven[0].Until
	assert.True(t, release.Returns(l.r, "in-v1", ended.Add(30*24*time.Hour-time.Second)))
	assert.False(t, release.Returns(l.r, "in-v1", ended.Add(30*24*time.Hour)))
	assert.False(t, release.Returns(l.r, "in-v2", l.now), "it is stable")
	assert.False(t, release.Returns(l.r, "in-v3", l.now), "it never was")
	l.wait(31 * 24 * time.Hour)
	l.next(release.Wanted{Want: want("v1")})
	assert.False(t, l.r.Candidate.Return)
}

func TestAReturnThatDoesNotGetReadyLeavesWhatServes(t *testing.T) {
	l := twice(t)
	l.next(release.Wanted{Want: want("v1")})
	l.next(judged(l.r, release.Proceed, canary().AtOnce()))
	l.next(release.Seen{Observed: candidateIs(l.r, l.now, release.Failed, "no image")})
	require.Equal(t, release.Reverting, l.r.Phase)
	assert.Equal(t, release.NotProven, l.r.Rollout.Rollback.Cause)
	assert.Zero(t, release.Desired(l.r).Traffic.Weight)
	l.next(release.Seen{Observed: asWanted(l.r, l.now)})
	l.paid()
	assert.Equal(t, "in-v2", l.r.Stable.Inputs)
	assert.Empty(t, l.r.Holds, "nothing was left")
}

func TestAReturnIsNotStoppedByAPause(t *testing.T) {
	l := twice(t)
	l.next(release.Controlled{Paused: true})
	l.next(release.Wanted{Want: want("v3")})
	l.next(judged(l.r, release.Proceed, canary()))
	require.Equal(t, release.Pending, l.r.Phase)
	l.next(release.Wanted{Want: want("v1")})
	l.next(judged(l.r, release.Proceed, canary().AtOnce()))
	assert.Equal(t, release.Preparing, l.r.Phase)
}

func TestAReturnFromAHotfixEndsWhatThatOwes(t *testing.T) {
	l := adopted(t)
	l.promote("v2", hotfix())
	l.finish("v2")
	l.paid()
	l.next(release.Wanted{Want: want("v1")})
	l.next(judged(l.r, release.Proceed, canary().AtOnce()))
	l.finish("v1")
	assert.Nil(t, l.r.Backfills)
	assert.Equal(t, []string{"void INC-v2"}, outcomes(l.paid()))
}

func TestAReturnPaysNoBackfill(t *testing.T) {
	l := twice(t)
	l.promote("v3", hotfix())
	l.finish("v3")
	l.paid()
	l.promote("v4", canary())
	l.finish("v4")
	l.paid()
	require.Equal(t, "commit-v4", l.r.Backfills[0].Carrier.Commit)
	l.next(release.Wanted{Want: want("v2")})
	l.next(judged(l.r, release.Proceed, canary().AtOnce()))
	l.finish("v2")
	assert.Equal(t, "commit-v4", l.r.Backfills[0].Carrier.Commit)
}

// Going back while stable still runs is one weight change, too.
func TestGoingBackInTheWindowHoldsWhatItLeft(t *testing.T) {
	l := adopted(t)
	l.promote("v2", canary())
	for range 200 {
		if l.r.Phase == release.Verifying {
			break
		}
		l.now = l.now.Add(30 * time.Second)
		l.next(release.Seen{Observed: asWanted(l.r, l.now)})
		if release.Measuring(l.r) {
			l.next(measured(l.r, 4, ofTraffic(l.r, 0.001, 0.001), l.now))
		}
		l.next(release.Tick{})
	}
	l.next(release.Wanted{Want: want("v1")})
	require.Equal(t, release.Reverting, l.r.Phase)
	assert.Equal(t, release.Returned, l.r.Rollout.Rollback.Cause)
	l.next(release.Seen{Observed: asWanted(l.r, l.now)})
	l.paid()
	require.Equal(t, release.Stable, l.r.Phase)
	assert.Equal(t, []string{"rollout returned"}, l.settled())
	require.Len(t, l.r.Holds, 1)
	assert.Equal(t, "in-v2", l.r.Holds[0].Inputs)
}
