package release_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/reconciler/release"
)

// hotfix is the plan of one that has a day to come by the normal flow.
func hotfix() release.Plan {
	p := canary()
	p.Steps, p.Interval, p.Exception, p.Backfill = []int{25, 100}, 2*time.Minute, true, 24*time.Hour
	return p
}

// A life is a record and its clock.
type life struct {
	t   *testing.T
	r   release.Record
	now time.Time
}

func adopted(t *testing.T) *life {
	l := &life{t: t, r: release.New(key, t0), now: t0}
	l.next(release.Adopted{Revision: revision("v1"), Same: true, Ours: true})
	l.paid()
	return l
}

func (l *life) next(e release.Event) {
	l.t.Helper()
	l.r = release.Next(l.r, e, l.now)
	data, err := release.Encode(l.r)
	require.NoError(l.t, err)
	l.r, err = release.Decode(data) // every step outlives a restart
	require.NoError(l.t, err)
}

// paid carries out what is owed and returns the exceptions among it.
func (l *life) paid() (exceptions []release.Evidence) {
	for _, i := range l.r.Owed {
		if i.Evidence != nil && i.Evidence.Kind == "exception" {
			exceptions = append(exceptions, *i.Evidence)
		}
		l.next(release.Done{ID: i.ID, Commit: "written"})
	}
	return exceptions
}

func (l *life) wait(d time.Duration) {
	l.now = l.now.Add(d)
	l.next(release.Tick{})
}

// promote begins a rollout of a version.
func (l *life) promote(version string, plan release.Plan) {
	l.t.Helper()
	w := want(version)
	if plan.Exception {
		w.Promotion.Class, w.Promotion.Incident = "hotfix", "INC-"+version
	}
	l.next(release.Wanted{Want: w})
	e := judged(l.r, release.Proceed, plan)
	e.Sources = []release.Source{{Repository: "acme/checkout", Commit: "source-" + version}}
	l.next(e)
	require.Equal(l.t, release.Preparing, l.r.Phase, l.r.Reason)
}

// finish makes it stable.
func (l *life) finish(version string) {
	l.t.Helper()
	for range 200 {
		if l.r.Phase == release.Stable {
			break
		}
		l.now = l.now.Add(30 * time.Second)
		l.next(release.Seen{Observed: asWanted(l.r, l.now)})
		if release.Measuring(l.r) {
			l.next(measured(l.r, 4, ofTraffic(l.r, 0.001, 0.001), l.now))
		}
		l.next(release.Tick{})
	}
	require.Equal(l.t, "in-"+version, l.r.Stable.Inputs, l.r.Reason)
}

func outcomes(exceptions []release.Evidence) (out []string) {
	for _, e := range exceptions {
		out = append(out, e.Outcome+" "+e.Backfill.Incident)
	}
	return out
}

func TestAHotfixOwesItsBackfillFromTheMomentItBegins(t *testing.T) {
	l := adopted(t)
	l.promote("v2", hotfix())
	require.Len(t, l.r.Backfills, 1)
	b := l.r.Backfills[0]
	assert.Equal(t, t0.Add(24*time.Hour), b.Deadline)
	assert.Equal(t, []release.Source{{Repository: "acme/checkout", Commit: "source-v2"}}, b.Sources)
	assert.Equal(t, "INC-v2", b.Incident)
	exceptions := l.paid()
	require.Equal(t, []string{"opened INC-v2"}, outcomes(exceptions))
	assert.Equal(t, b, *exceptions[0].Backfill)
	assert.Equal(t, "production/checkout", exceptions[0].Release)

	l.finish("v2")
	assert.Nil(t, l.r.Backfills[0].Carrier, "a hotfix does not pay for itself")
	assert.Contains(t, release.Explain(l.r, l.now).Text(), "hotfix v2 for INC-v2 is due to come by the normal flow by 2026-03-03 09:00:00 UTC")
}

func TestABackfillIsAnnouncedAndThenOverdueOnce(t *testing.T) {
	l := adopted(t)
	l.promote("v2", hotfix())
	l.finish("v2")
	l.paid()
	due := t0.Add(24 * time.Hour)
	l.next(release.Controlled{Paused: true})
	l.wait(due.Add(-4*time.Hour - time.Second).Sub(l.now))
	assert.False(t, l.r.Backfills[0].Announced)
	l.wait(time.Second)
	assert.True(t, l.r.Backfills[0].Announced, "a pause does not stop the time")
	assert.Contains(t, release.Explain(l.r, l.now).Person, "merge source-v2 of acme/checkout into the default branch")
	assert.Empty(t, l.r.Owed)

	l.wait(due.Sub(l.now))
	require.Equal(t, []string{"overdue INC-v2"}, outcomes(l.paid()))
	l.wait(time.Hour)
	assert.Empty(t, l.r.Owed)
	assert.Contains(t, release.Explain(l.r, l.now).Title, "v2 is stable: hotfix v2 for INC-v2 has not come by the normal flow")
}

func TestAnAbsentDaemonSaysThatItIsOverdueAllTheSame(t *testing.T) {
	l := adopted(t)
	l.promote("v2", hotfix())
	l.finish("v2")
	l.paid()
	l.wait(48 * time.Hour)
	assert.True(t, l.r.Backfills[0].Announced)
	assert.Equal(t, []string{"overdue INC-v2"}, outcomes(l.paid()))
}

func TestOnlyTheNormalFlowCarriesABackfill(t *testing.T) {
	l := adopted(t)
	l.promote("v2", hotfix())
	l.finish("v2")
	l.paid()
	l.promote("v3", hotfix())
	l.finish("v3")
	require.Len(t, l.r.Backfills, 2)
	l.paid()
	for _, b := range l.r.Backfills {
		assert.Nil(t, b.Carrier)
		l.next(release.Backfilled{ID: b.ID, Carrier: "commit-v3"})
	}
	require.Len(t, l.r.Backfills, 2, "nobody can pay with a hotfix")

	l.promote("v4", canary())
	l.finish("v4")
	l.paid()
	first, second := l.r.Backfills[0], l.r.Backfills[1]
	assert.Equal(t, "commit-v4", first.Carrier.Commit)
	assert.Equal(t, []release.Source{{Repository: "acme/checkout", Commit: "source-v4"}}, first.Carrier.Sources)
	l.next(release.Backfilled{ID: second.ID, Carrier: "commit-v3"})
	require.Len(t, l.r.Backfills, 2, "an answer about another promotion")
	l.next(release.Backfilled{ID: second.ID, Carrier: "commit-v4"})
	require.Len(t, l.r.Backfills, 1)
	assert.Equal(t, first.ID, l.r.Backfills[0].ID, "each is paid by itself")
	exceptions := l.paid()
	require.Equal(t, []string{"paid INC-v3"}, outcomes(exceptions))
	assert.Equal(t, "commit-v4", exceptions[0].Backfill.Carrier.Commit)
	l.next(release.Backfilled{ID: first.ID, Carrier: "commit-v4"})
	assert.Nil(t, l.r.Backfills)
}

func TestAHotfixThatWasTakenBackOwesNothing(t *testing.T) {
	l := adopted(t)
	l.promote("v2", hotfix())
	l.next(release.Seen{Observed: asWanted(l.r, l.now)})
	l.now = l.now.Add(time.Minute)
	l.next(release.Seen{Observed: crashing(l.r, l.now)})
	l.now = l.now.Add(time.Minute)
	l.next(release.Seen{Observed: crashing(l.r, l.now)})
	require.Equal(t, release.Reverting, l.r.Phase)
	require.Len(t, l.r.Backfills, 1, "it still has traffic")
	l.next(release.Seen{Observed: asWanted(l.r, l.now)})
	found := l.paid()
	found = append(found, l.paid()...)
	assert.Equal(t, []string{"opened INC-v2", "void INC-v2"}, outcomes(found))
	assert.Equal(t, release.Stable, l.r.Phase)
	assert.Nil(t, l.r.Backfills)
}

func TestRetirementEndsWhatIsOwed(t *testing.T) {
	l := adopted(t)
	l.promote("v2", hotfix())
	l.finish("v2")
	l.paid()
	l.next(release.Wanted{Retired: true})
	require.Len(t, l.r.Backfills, 1)
	l.next(release.Seen{Observed: asWanted(l.r, l.now)})
	require.Equal(t, release.Removed, l.r.Phase)
	assert.Equal(t, []string{"void INC-v2"}, outcomes(l.paid()))
	assert.Nil(t, l.r.Backfills)
}

func TestExceptionsAreNotGivenWithoutEnd(t *testing.T) {
	l := adopted(t)
	for i := range 50 {
		version := "h" + strings.Repeat("x", i)
		l.promote(version, hotfix())
		l.finish(version)
		l.paid()
	}
	data, err := release.Encode(l.r)
	require.NoError(t, err)
	assert.Less(t, len(data), 200<<10)
	l.next(release.Wanted{Want: want("one-more")})
	l.next(judged(l.r, release.Proceed, hotfix()))
	assert.Equal(t, release.Pending, l.r.Phase)
	assert.Contains(t, l.r.Reason, "50 hotfixes have not been brought")
	l.next(release.Tick{})
	l.now = l.now.Add(2 * time.Hour)
	l.next(judged(l.r, release.Proceed, canary()))
	assert.Equal(t, release.Preparing, l.r.Phase, "what goes the normal flow begins")
}

func TestADamagedBackfillIsRefused(t *testing.T) {
	l := adopted(t)
	l.promote("v2", hotfix())
	for name, damage := range map[string]func(*release.Backfill){
		"no name":           func(b *release.Backfill) { b.ID = "" },
		"no time":           func(b *release.Backfill) { b.Deadline = b.Opened },
		"carrier of nobody": func(b *release.Backfill) { b.Carrier = &release.Carrier{} },
	} {
		r := l.r
		r.Backfills = []release.Backfill{l.r.Backfills[0]}
		damage(&r.Backfills[0])
		data, err := release.Encode(r)
		require.NoError(t, err)
		_, err = release.Decode(data)
		require.ErrorContains(t, err, "backfill", name)
	}
}
