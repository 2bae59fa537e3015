package release_test

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/analysis"
	"github.com/sluice-cd/sluice/reconciler/release"
)

// A step is one event for one record, and what became of it.
type step struct {
	before, after release.Record
	event         release.Event
	now           time.Time
}

func (s step) String() string {
	return fmt.Sprintf("%s --%s--> %s (%s)", s.before.Phase, eventName(s.event), s.after.Phase, s.after.Reason)
}

func eventName(e release.Event) string { return reflect.TypeOf(e).Name() }

// explore takes every event that makes sense, and many that do not, to every
// record that can be reached from a new one, as far as records differ in what
// Next looks at, and shows each step to visit.
func explore(t *testing.T, visit func(step)) {
	t.Helper()
	type place struct {
		record release.Record
		now    time.Time
	}
	todo := []place{{release.New(key, t0), t0}}
	known := map[string]bool{signature(todo[0].record): true}
	for len(todo) > 0 {
		p := todo[0]
		todo = todo[1:]
		untouched := encoded(t, p.record)
		for i, now := range instants(p.record, p.now) {
			all := events(p.record, now)
			if i > 0 {
				all = []release.Event{release.Tick{}}
			}
			for _, e := range all {
				after := release.Next(p.record, e, now)
				visit(step{p.record, after, e, now})
				if s := signature(after); !known[s] {
					known[s] = true
					todo = append(todo, place{after, now})
				}
			}
		}
		require.Equal(t, untouched, encoded(t, p.record), "Next changed its argument")
		require.Less(t, len(known), 2_000, "the signature tells too many records apart")
	}
}

// signature is what of a record decides where it can go.
func signature(r release.Record) string {
	o := r.Rollout
	parts := []any{
		r.Phase, r.Stable != nil, r.Candidate != nil, r.Next != nil, r.FrozenFrom,
		min(o.Step, 1), !o.StepBegan.IsZero(), o.Extended, o.Verdict.Outcome, o.Plan.InPlace, o.Plan.Shared && o.Step == 0, o.Health.Count,
	}
	switch r.Phase {
	case release.Stable, release.Pending, release.Rejected: // where a debt can be in the way
		parts = append(parts, len(r.Owed) > 0)
	case release.Preparing, release.Progressing:
		parts = append(parts, !r.PausedSince.IsZero(), owesReject(r))
	case release.Verifying:
		parts = append(parts, owesReject(r))
	default: // what every phase has is all that counts
	}
	if o.Rollback != nil {
		parts = append(parts, o.Rollback.Cause)
	}
	return fmt.Sprint(parts...)
}

func owesReject(r release.Record) bool {
	return slices.ContainsFunc(r.Owed, func(i release.Intent) bool { return i.Kind == release.CommitReject })
}

func candidateVersion(r release.Record) string {
	if r.Candidate == nil {
		return ""
	}
	return r.Candidate.Revision.Version
}

// instants are the moments at which time alone may change something.
func instants(r release.Record, now time.Time) []time.Time {
	o := r.Rollout
	out := []time.Time{now.Add(time.Second)}
	for _, at := range []time.Time{o.StepEnds, o.WindowEnds, o.Deadline} {
		if at.After(now) {
			out = append(out, at)
		}
	}
	return out
}

func events(r release.Record, now time.Time) []release.Event {
	out := []release.Event{
		release.Tick{},
		release.Wanted{Want: want("v1")}, release.Wanted{Want: want("v2")}, release.Wanted{Want: want("v3")},
		release.Wanted{Retired: true}, release.Wanted{},
		release.Kept{Reason: "its directory is not in git"}, release.Troubled{Reason: "no answer"}, release.Troubled{},
		release.Adopted{Revision: revision("v1"), Same: true, Ours: true}, release.Adopted{Revision: revision("v1"), Same: true},
		release.Adopted{Revision: revision("v1"), Differs: "the image"}, release.Adopted{Revision: revision("v1")},
		release.Judged{Commit: "foreign", Outcome: release.Proceed, Plan: canary()},
		release.Controlled{Paused: true}, release.Controlled{}, release.Controlled{Holds: holdIDs(r)},
		release.Seen{}, release.Seen{Observed: asWanted(r, now)},
		release.Seen{Observed: candidateIs(r, now, release.InProgress, "0 of 1 ready")},
		release.Seen{Observed: candidateIs(r, now, release.Failed, "exceeded its progress deadline")},
		release.Seen{Observed: candidateIs(r, now, release.Unknowable, "no answer")},
		release.Seen{Observed: crashing(r, now)}, release.Seen{Observed: crashing(r, now.Add(time.Minute))}, release.Seen{Observed: guarded(r, now)},
		release.Soaked{Inputs: revision("v1").Inputs, At: now, Ready: true, Every: time.Minute}, release.Soaked{Inputs: revision("v1").Inputs, At: now, Failed: "it crashes"}, release.Soaked{},
		release.Backfilled{ID: "foreign", Carrier: "commit-v1"}, release.Done{ID: "foreign"}, release.Erred{ID: "foreign", Reason: "no"},
		release.Measured{Attempt: r.Attempt + 1, Step: r.Rollout.Step}, release.Measured{Attempt: r.Attempt, Step: r.Rollout.Step},
	}
	if r.Next != nil {
		leave := canary()
		leave.OnReject = "none"
		out = append(out, judgedOf(*r.Next, release.Wait, canary()), judgedOf(*r.Next, release.Reject, canary()),
			judgedOf(*r.Next, release.Reject, leave), judgedOf(*r.Next, release.Proceed, canary()))
	}
	for _, i := range r.Owed {
		out = append(out, release.Done{ID: i.ID, Commit: "rollback-commit"}, release.Erred{ID: i.ID, Reason: "the branch is protected"})
	}
	for _, b := range r.Backfills {
		if b.Carrier != nil {
			out = append(out, release.Backfilled{ID: b.ID, Carrier: b.Carrier.Commit})
		}
	}
	if r.Candidate != nil {
		out = append(out, judgements(r)...)
	}
	if release.Measuring(r) {
		out = append(out, measurements(r, now)...)
	}
	return out
}

func guarded(r release.Record, now time.Time) release.Observed {
	o := asWanted(r, now)
	o.Converged, o.Guarded = false, "12 of 12 objects would go"
	return o
}

func holdIDs(r release.Record) (ids []string) {
	for _, h := range r.Holds {
		ids = append(ids, h.ID)
	}
	return ids
}

func judgements(r release.Record) []release.Event {
	broken, short := canary(), canary()
	broken.Steps, short.Steps = []int{50, 25}, []int{5, 50, 100}
	out := []release.Event{
		judged(r, release.Wait, canary()), judged(r, release.Reject, canary()), judged(r, release.Proceed, broken),
	}
	if r.Stable == nil {
		return append(out, judged(r, release.Proceed, atOnce()))
	}
	return append(out, judged(r, release.Proceed, short), judged(r, release.Proceed, hotfix()), judged(r, release.Proceed, inPlace()),
		judged(r, release.Proceed, shared()), judged(r, release.Proceed, sharedInPlace()))
}

func measurements(r release.Record, now time.Time) []release.Event {
	good, bad := ofTraffic(r, 0.001, 0.001), ofTraffic(r, 0.001, 0.2)
	over := sample{stable: 1000, candidate: 3000}
	silent := sample{stable: 4000, silent: true}
	quiet := sample{stable: 1, candidate: 1}
	suspect := sample{stable: 4000, stableErrors: 4, candidate: 210, candidateErrors: 2}
	sick := sample{stable: 4000, stableErrors: 2000, candidate: 210, candidateErrors: 100}
	return []release.Event{
		measured(r, 1, good, now), measured(r, 10, good, now), measured(r, 20, quiet, now),
		measured(r, 4, bad, now), measured(r, 20, suspect, now), measured(r, 4, over, now), measured(r, 4, silent, now),
		measured(r, 40, silent, now), measured(r, 4, sick, now),
		measured(r, 4, sample{stable: 4000}, now), measured(r, 20, sample{noPast: true, candidate: 4000}, now),
		measured(r, 1, sample{unknown: analysis.Unreachable}, now),
	}
}

// An arrow is a move that the drawing has to show.
type arrow struct{ from, to, event string }

func (a arrow) String() string { return fmt.Sprintf("%-12s %-12s %s", a.from, a.to, a.event) }

// arrow is the move of a step, ok when there is one: to another phase, step or
// candidate.
func (s step) arrow() (a arrow, ok bool) {
	b, n := s.before, s.after
	moved := b.Phase != n.Phase || b.Rollout.Step != n.Rollout.Step || candidateVersion(b) != candidateVersion(n)
	return arrow{string(b.Phase), string(n.Phase), eventName(s.event)}, moved
}
