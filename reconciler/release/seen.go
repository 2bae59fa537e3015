package release

import (
	"fmt"
	"slices"
	"time"

	"github.com/sluice-cd/sluice/analysis"
)

// seen takes what the cluster says.
func (r Record) seen(o Observed, now time.Time) Record {
	if !Looking(r) || o.At.IsZero() {
		return r // nobody asked, or nobody answered
	}
	o.At = plain(o.At)
	r.Lacking, r.Guarded = clip(r.lacking(o)), clip(o.Guarded)
	switch r.Phase {
	case Preparing:
		if r.Adopted {
			return r.seenRehoming(o, now)
		}
		return r.seenPreparing(o, now)
	case Progressing, Verifying:
		return r.seenServing(o, now)
	case Reverting:
		return r.seenReverting(o, now)
	case Removing, Frozen:
		return r.seenRemoving(o, now)
	case Stable, Pending, Rejected, Restoring, Removed:
	}
	return r
}

// Serving reports whether a rollout is on its way forward, so that a candidate has
// traffic or is about to.
func Serving(r Record) bool {
	return r.Phase == Preparing || r.Phase == Progressing || r.Phase == Verifying
}

// Looking reports whether what the cluster says is of use now.
func Looking(r Record) bool {
	switch r.Phase {
	case Preparing, Progressing, Verifying, Reverting, Removing:
		return true
	case Frozen:
		return r.FrozenFrom == Removing
	case Stable, Pending, Rejected, Restoring, Removed:
	}
	return false
}

// lacking says in words what keeps the cluster from looking as wanted; "" when
// nothing does.
func (r Record) lacking(o Observed) string {
	switch {
	case r.Phase == Frozen:
		return "" // its reason says so
	case o.Guarded != "":
		return "a prune was refused: " + o.Guarded
	case len(o.Contested) > 0:
		return o.Contested[0].words()
	case r.Phase == Preparing && r.Adopted && o.Rehoming != "":
		return "what was adopted is not re-homed yet: " + o.Rehoming
	case r.Phase == Preparing && !r.Adopted && r.candidateIn(o).Readiness != Ready:
		return r.candidateIn(o).words()
	case !o.Route.Accepted:
		return words("the route is not accepted", o.Route.Reason)
	case !o.Converged:
		return "the cluster does not look as wanted yet"
	}
	return ""
}

func (r Record) candidateIn(o Observed) RevisionStatus { return o.Revisions[r.Candidate.Revision.ID] }

func (s RevisionStatus) words() string {
	switch s.Readiness {
	case Ready:
		return ""
	case InProgress:
		return words("the candidate is not ready", s.Reason)
	case Failed:
		return words("the candidate failed", s.Reason)
	case Unknowable:
		return words("the cluster does not say whether the candidate is ready", s.Reason)
	case Absent:
	}
	return "the candidate's workload does not exist yet"
}

func (c Contest) words() string {
	if c.Manager == "" {
		return c.Object + " is deleted again and again"
	}
	return c.Object + " is changed again and again by " + c.Manager
}

func words(what, reason string) string {
	if reason == "" {
		return what
	}
	return what + ": " + reason
}

func (r Record) seenPreparing(o Observed, now time.Time) Record {
	if r = r.watchHealth(o, now); r.Phase != Preparing {
		return r
	}
	status := r.candidateIn(o)
	switch status.Readiness {
	case Ready:
		if o.Converged && o.Route.Accepted && r.PausedSince.IsZero() {
			return r.step(0, now)
		}
	case Failed:
		return r.revert(NotProven, words("the candidate did not become ready", status.Reason), now)
	case InProgress, Absent, Unknowable:
	}
	return r
}

// seenRehoming waits until what was adopted runs under the names of its revision.
// The rollout's clocks start again then: the candidate had no part in it.
func (r Record) seenRehoming(o Observed, now time.Time) Record {
	status := o.Revisions[r.Stable.ID]
	switch {
	case status.Readiness == Failed:
		return r.revert(NotProven, words("what was adopted could not be made again under Sluice's names", status.Reason), now)
	case status.Readiness != Ready, !o.Converged, !o.Route.Accepted, o.Rehoming != "", !r.PausedSince.IsZero():
		return r
	}
	r.Adopted = false
	r.Rollout.ReadyBy, r.Rollout.Deadline = now.Add(r.Rollout.Plan.Prepare), now.Add(r.Rollout.Plan.Deadline)
	return r.enter(Preparing, "what was adopted runs under Sluice's names; the candidate is applied without traffic", now)
}

// step gives the candidate the share of step i. Its clock starts when the
// cluster is seen to have it, and no verdict of an earlier step counts.
func (r Record) step(i int, now time.Time) Record {
	r.Rollout.Step, r.Rollout.StepBegan, r.Rollout.StepEnds = i, time.Time{}, time.Time{}
	r.Rollout.Extended, r.Rollout.SilentUntil = false, time.Time{}
	r.Rollout.Verdict, r.Rollout.ReadyBy = analysis.Verdict{}, time.Time{}
	switch {
	case r.Rollout.Plan.InPlace:
		return r.enter(Verifying, "changed in place; no pod was replaced", now)
	case r.weight() == 0:
		return r.enter(Progressing, "the shared objects changed; stable is compared with what it was before", now)
	}
	if r.weight() == 100 {
		return r.enter(Verifying, "the candidate gets all traffic; stable is kept at full size", now)
	}
	return r.enter(Progressing, fmt.Sprintf("the candidate gets %d %% of the traffic", r.weight()), now)
}

// weight is the percentage of the current step.
func (r Record) weight() int {
	steps := r.Rollout.Plan.Steps
	if r.Rollout.Step >= len(steps) {
		return 100
	}
	return steps[r.Rollout.Step]
}

func (r Record) seenServing(o Observed, now time.Time) Record {
	phase := r.Phase
	if r = r.watchHealth(o, now); r.Phase != phase {
		return r
	}
	if !r.Rollout.StepBegan.IsZero() || !r.PausedSince.IsZero() || !r.carries(o) {
		return r
	}
	r.Rollout.StepBegan = now
	if r.Phase == Verifying {
		r.Rollout.WindowEnds = now.Add(r.Rollout.Plan.Window)
		return r
	}
	r.Rollout.StepEnds = now.Add(r.Rollout.Plan.Interval)
	return r
}

// carries reports whether the cluster gives the candidate the step's share.
func (r Record) carries(o Observed) bool {
	if r.Rollout.Plan.InPlace {
		return o.Converged
	}
	return o.Converged && o.Route.Accepted &&
		o.Route.Candidate == r.Candidate.Revision.ID && o.Route.Weight == r.weight()
}

// watchHealth counts the candidate's failures in a row. A cluster that cannot
// be asked says nothing. In place the pods are stable's: a change of scale tells
// nothing by them, and shared objects do once the pods were ready under them.
func (r Record) watchHealth(o Observed, now time.Time) Record {
	plan := r.Rollout.Plan
	status, ok := o.Revisions[r.Candidate.Revision.ID]
	if !ok || status.Readiness == Unknowable || plan.InPlace && (!plan.Shared || r.Phase != Verifying) {
		return r
	}
	pods := status.Pods
	if plan.InPlace {
		pods = present(pods)
	}
	health := analysis.HealthOf(pods, o.At)
	r.Rollout.Health = r.Rollout.Health.After(health, r.Rollout.Plan.HealthEvery)
	if r.Rollout.Health.Count < max(1, r.Rollout.Plan.HealthFailures) {
		return r
	}
	return r.revert(HealthFailed, health.Reason, now)
}

func (r Record) seenReverting(o Observed, now time.Time) Record {
	if !o.Converged || !o.Route.Accepted || o.Route.Weight != 0 {
		return r
	}
	rollback := *r.Rollout.Rollback
	rollback.TrafficBackAt = o.At.UTC().Round(0)
	r.Rollout.Rollback = &rollback
	switch {
	case rollback.Cause == Superseded:
		return r.close("superseded", rollback.Measurement, now)
	case r.wayBack() == "" && !rollback.Holds:
		return r.close("rolled-back", "rolled back, and git has nothing to go back to: "+rollback.Measurement, now)
	}
	return r.restore(now)
}

// close ends a rollout that git has nothing more to say about.
func (r Record) close(outcome, reason string, now time.Time) Record {
	r = r.owe(WriteEvidence, r.Candidate.Revision.Inputs, now, Intent{Evidence: r.finished(outcome, r.Rollout.Rollback.Measurement)})
	return r.settle(reason, now)
}

// restore owes the commit that makes git say what runs.
func (r Record) restore(now time.Time) Record {
	rollback := r.Rollout.Rollback
	commit := Commit{
		Bad: *r.Candidate, Good: r.wayBack(), Previous: r.Stable,
		Rollback: rollback, Verdict: r.Rollout.Verdict, Gates: r.Gates, Reason: rollback.Measurement,
	}
	if rollback.Holds {
		hold := r.holdOf(*rollback)
		commit.Hold = &hold
		r.Holds = append(slices.Clone(r.Holds), hold)
		r = r.oweHold(hold, now)
	}
	r = r.enter(Restoring, "traffic is at stable; the rollback commit is owed", now)
	return r.owe(CommitRollback, r.Candidate.Revision.Inputs, now, Intent{Commit: &commit})
}

// holdOf refuses the candidate's inputs, and its digests too unless stable runs
// the same ones: then the fault is in the configuration.
func (r Record) holdOf(b Rollback) Hold {
	h := Hold{ID: b.ID, Inputs: r.Candidate.Revision.Inputs, Reason: b.Measurement, At: b.DetectedAt}
	if o := r.Rollout; o.Plan.leads() && o.Step == 0 && b.Cause == AnalysisFailed {
		return h // the shared objects failed; the artifacts had no traffic yet
	}
	h.Digests = foreignDigests(r.Candidate.Revision, r.Stable)
	return h
}

func (r Record) seenRemoving(o Observed, now time.Time) Record {
	reason := "a prune was refused: " + r.Guarded
	switch {
	case r.Guarded != "" && r.Reason == reason:
		return r
	case r.Guarded != "":
		r.FrozenFrom = Removing
		return r.enter(Frozen, reason, now)
	case !o.Converged && r.Phase == Frozen:
		r.FrozenFrom = ""
		return r.enter(Removing, "nothing refuses the prune any more", now)
	case !o.Converged:
		return r
	}
	if r.Stable != nil {
		r.Proven = closeProof(r.Proven, r.Stable.Inputs, now)
	}
	reason = "retired; everything but volume claims and what was there before Sluice is gone"
	r.Stable, r.Adopted, r.FrozenFrom = nil, false, ""
	r = r.void(reason, now, func(Backfill) bool { return true })
	return r.enter(Removed, reason, now)
}
