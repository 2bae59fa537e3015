package release_test

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/reconciler/release"
)

func TestInvariantsHoldAlongRandomHistories(t *testing.T) {
	seen := map[release.Phase]int{}
	for seed := range uint64(25) {
		source := rand.New(rand.NewPCG(seed, 1))
		r, now := release.New(key, t0), t0
		ids := map[string]string{}
		for range 250 {
			moments := instants(r, now)
			now = moments[source.IntN(len(moments))]
			e := pick(source, r, now)
			after := release.Next(r, e, now)
			checkStep(t, step{r, after, e, now})
			if after.Seq != r.Seq {
				checkStorage(t, after)
				checkExit(t, after, now)
				checkIDs(t, ids, after)
			}
			seen[r.Phase]++
			r = after
		}
	}
	for _, phase := range phases {
		assert.Positive(t, seen[phase], "no history passed through %s", phase)
	}
}

// pick prefers what brings a release further, or histories would end in the
// first rollback.
func pick(source *rand.Rand, r release.Record, now time.Time) release.Event {
	if source.IntN(3) == 0 {
		all := events(r, now)
		return all[source.IntN(len(all))]
	}
	forward := []release.Event{release.Tick{}, release.Seen{Observed: asWanted(r, now)}, release.Controlled{Holds: holdIDs(r)}}
	if len(r.Owed) > 0 {
		forward = append(forward, release.Done{ID: r.Owed[0].ID, Commit: "written"})
	}
	if r.Candidate != nil {
		forward = append(forward, judged(r, release.Proceed, canary()))
	}
	if release.Measuring(r) {
		forward = append(forward, measured(r, 10, ofTraffic(r, 0.001, 0.001), now))
	}
	return forward[source.IntN(len(forward))]
}

var phases = [...]release.Phase{
	release.Stable, release.Pending, release.Rejected, release.Preparing, release.Progressing, release.Verifying,
	release.Reverting, release.Restoring, release.Frozen, release.Removing, release.Removed,
}

// checkIDs holds the ids of a history's intents against what they stood for.
func checkIDs(t *testing.T, known map[string]string, r release.Record) {
	t.Helper()
	for _, i := range r.Owed {
		i.Refused, i.PullRequest = "", 0
		data, err := json.Marshal(i)
		require.NoError(t, err)
		if before, ok := known[i.ID]; ok {
			require.Equal(t, before, string(data), "intent %s stands for two contents", i.ID)
		}
		known[i.ID] = string(data)
	}
}

func checkStep(t *testing.T, s step) {
	t.Helper()
	if s.after.Seq == s.before.Seq {
		require.True(t, reflect.DeepEqual(s.before, s.after), "a change did not count: %s", s)
		return
	}
	assert.Equal(t, s.before.Seq+1, s.after.Seq, "a change counts as one")
	assert.True(t, reflect.DeepEqual(s.after, release.Next(s.before, s.event, s.now)), "Next gives two answers")
	checkStable(t, s)
	checkTraffic(t, s)
	checkAdopted(t, s.after)
	checkRepetition(t, s)
	checkUnknown(t, s)
	checkUnproven(t, s)
	if _, moved := s.arrow(); moved {
		checkStorage(t, s.after)
		checkExit(t, s.after, s.now)
	}
	if t.Failed() {
		t.Fatalf("after %s", s)
	}
}

func encoded(t *testing.T, r release.Record) string {
	t.Helper()
	data, err := release.Encode(r)
	require.NoError(t, err)
	return string(data)
}

func checkStorage(t *testing.T, r release.Record) {
	t.Helper()
	data, err := release.Encode(r)
	require.NoError(t, err)
	loaded, err := release.Decode(data)
	require.NoError(t, err)
	if !assert.ObjectsAreEqual(r, loaded) {
		assert.Equal(t, r, loaded, "what was saved is not what is loaded")
	}
}

// checkStable: stable changes only where the drawing's invariant says so.
func checkStable(t *testing.T, s step) {
	t.Helper()
	before, after := inputs(s.before.Stable), inputs(s.after.Stable)
	if before == after {
		return
	}
	_, adopted := s.event.(release.Adopted)
	proven := s.before.Phase == release.Verifying && after == s.before.Candidate.Revision.Inputs
	removed := s.after.Phase == release.Removed
	assert.True(t, proven || adopted || removed, "stable went from %q to %q", before, after)
}

func inputs(v *release.Revision) string {
	if v == nil {
		return ""
	}
	return v.Inputs
}

// checkTraffic: a candidate has traffic only in two phases, and never more than
// its step's share; what serves is never taken away without retirement.
func checkTraffic(t *testing.T, s step) {
	t.Helper()
	r, state := s.after, release.Desired(s.after)
	weight := state.Traffic.Weight
	if r.Phase == release.Progressing || r.Phase == release.Verifying {
		assert.LessOrEqual(t, weight, r.Rollout.Plan.Steps[r.Rollout.Step])
	} else {
		assert.Zero(t, weight, "%s with traffic for the candidate", r.Phase)
	}
	sources := release.Sources(r)
	for _, w := range state.Workloads {
		assert.Contains(t, sources, w.Revision, "a revision is wanted and cannot be rendered")
	}
	if r.Stable != nil && !r.Rollout.Plan.InPlace && !state.Retired && !state.Observed {
		assert.Equal(t, r.Stable.ID, state.Traffic.Stable, "stable lost its traffic")
		assert.Equal(t, release.Workload{Revision: r.Stable.ID, KeepSize: len(state.Workloads) > 1, Share: 100}, state.Workloads[0])
	}
	if s.before.Rollout.Step+1 < s.after.Rollout.Step {
		assert.Fail(t, "a step was left out")
	}
}

// checkRepetition: what comes twice changes nothing the second time.
// checkAdopted: what was adopted is touched in no other way than by re-homing it,
// and nothing of a candidate is applied before that is done.
func checkAdopted(t *testing.T, r release.Record) {
	t.Helper()
	state := release.Desired(r)
	assert.Equal(t, r.Adopted && r.Phase == release.Preparing, state.Rehome, "%s", r.Phase)
	switch {
	case state.Rehome:
		assert.Equal(t, []release.Workload{{Revision: r.Stable.ID, Share: 100}}, state.Workloads)
		assert.Len(t, release.Sources(r), 1)
	case r.Adopted:
		assert.True(t, state.Observed || state.Retired, "%s", r.Phase)
	}
}

func checkRepetition(t *testing.T, s step) {
	t.Helper()
	switch s.event.(type) {
	case release.Wanted, release.Done, release.Erred, release.Kept, release.Controlled, release.Measured, release.Adopted, release.Backfilled:
		again := release.Next(s.after, s.event, s.now)
		if _, adopted := s.event.(release.Adopted); adopted && s.before.Phase == release.Frozen {
			return // out of frozen the question is asked anew
		}
		assert.Equal(t, s.after.Seq, again.Seq, "%s twice: %s", eventName(s.event), again.Reason)
	case release.Judged, release.Seen, release.Tick, release.Troubled:
	}
}

// checkUnknown: what is not known moves nothing.
func checkUnknown(t *testing.T, s step) {
	t.Helper()
	moved := s.before.Phase != s.after.Phase || s.before.Rollout.Step != s.after.Rollout.Step
	switch e := s.event.(type) {
	case release.Measured:
		unknown := len(e.Ticks) == 1 && e.Ticks[0].Unknown != ""
		assert.False(t, moved && unknown, "moved by a tick that could not be read")
	case release.Seen:
		if e.Observed.Revisions == nil {
			assert.False(t, moved, "moved by a cluster that says nothing")
		}
	case release.Wanted, release.Kept, release.Adopted, release.Judged, release.Controlled, release.Done, release.Erred, release.Tick, release.Troubled, release.Backfilled:
	}
}

// checkUnproven: what git asks for stops no rollout before the gates have passed
// it, unless it is what was proven; and what they refuse leaves git for what it
// said before.
func checkUnproven(t *testing.T, s step) {
	t.Helper()
	before, after := s.before, s.after
	serving := before.Phase == release.Preparing || before.Phase == release.Progressing || before.Phase == release.Verifying
	if w, ok := s.event.(release.Wanted); ok && serving && !w.Retired && w.Want.Revision.Inputs != inputs(before.Stable) {
		assert.Equal(t, release.Desired(before), release.Desired(after), "an unproven promotion moved something")
	}
	for _, i := range after.Owed {
		if i.Kind != release.CommitReject || after.Phase == release.Stable {
			continue
		}
		good := after.Candidate.Promotion.Before
		switch {
		case after.Phase != release.Rejected:
			good = after.Candidate.Revision.Commit
		case after.Stable != nil:
			good = after.Stable.Commit
		}
		assert.Equal(t, good, i.Commit.Good, "%s: a refused promotion leaves git for something else", after.Phase)
	}
}

// checkExit: a record always wakes up again, and says what is next or who has
// to act.
func checkExit(t *testing.T, r release.Record, now time.Time) {
	t.Helper()
	assert.True(t, release.Wake(r, now).After(now))
	assert.LessOrEqual(t, release.Wake(r, now).Sub(now), 2*time.Hour)
	e := release.Explain(r, now)
	assert.NotEmpty(t, e.Title)
	assert.NotEmpty(t, e.Next+e.Person)
	assert.NotEmpty(t, e.Text())
}
