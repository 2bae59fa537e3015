package release

import (
	"fmt"
	"slices"
	"time"

	"github.com/sluice-cd/sluice/analysis"
)

// seen takes what the cluster says.
func (r Record) seen(o Observed, now time.Time) Record {
	switch r.Phase {
	case Preparing:
		return r.seenPreparing(o, now)
	case Progressing, Verifying:
		return r.seenServing(o, now)
	case Reverting:
		return r.seenReverting(o, now)
	case Removing:
		return r.seenRemoving(o, now)
	case Stable, Pending, Rejected, Restoring, Frozen, Removed:
		return r
	}
	return r
}

func (r Record) seenPreparing(o Observed, now time.Time) Record {
	if r = r.watchHealth(o, now); r.Phase != Preparing {
		return r
	}
	status := o.Revisions[r.Candidate.Revision.ID]
	switch status.Readiness {
	case Ready:
		if o.Converged && o.Route.Accepted && r.PausedSince.IsZero() {
			return r.step(0, now)
		}
		return r
	case Failed:
		return r.revert(NotProven, "the candidate did not become ready: "+status.Reason, now)
	case InProgress, Absent, Unknowable:
	}
	return r
}

// step gives the candidate the share of step i. Its clock starts when the
// cluster is seen to have it.
func (r Record) step(i int, now time.Time) Record {
	r.Rollout.Step, r.Rollout.StepBegan, r.Rollout.StepEnds = i, time.Time{}, time.Time{}
	r.Rollout.Extended = false
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
	if !r.Rollout.StepBegan.IsZero() || !r.carries(o) {
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
// be asked says nothing.
func (r Record) watchHealth(o Observed, now time.Time) Record {
	status, ok := o.Revisions[r.Candidate.Revision.ID]
	if !ok || status.Readiness == Unknowable || r.Rollout.Plan.InPlace {
		return r
	}
	health := analysis.HealthOf(status.Pods, o.At)
	r.Rollout.Health = r.Rollout.Health.After(health, r.Rollout.Plan.HealthEvery)
	if r.Rollout.Health.Count < r.Rollout.Plan.HealthFailures {
		return r
	}
	return r.revert(HealthFailed, health.Reason, now)
}

func (r Record) seenReverting(o Observed, now time.Time) Record {
	if !o.Converged || !o.Route.Accepted || o.Route.Weight != 0 {
		return r
	}
	rollback := *r.Rollout.Rollback
	rollback.TrafficBackAt = now
	r.Rollout.Rollback = &rollback
	if rollback.Cause == Superseded {
		return r.supersede(now)
	}
	return r.restore(now)
}

// supersede closes a rollout that nothing is held against.
func (r Record) supersede(now time.Time) Record {
	r = r.owe(WriteEvidence, r.Candidate.Revision.Inputs, now, Intent{Evidence: r.finished("superseded")})
	return r.settle(r.Rollout.Rollback.Measurement, now)
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
		r = r.owe(WriteEvidence, "hold "+hold.ID, now, Intent{Evidence: &Evidence{
			Kind: "hold", Outcome: "held", Reason: hold.Reason, Candidate: r.Candidate, Hold: &hold,
		}})
	}
	r = r.enter(Restoring, "traffic is at stable; the rollback commit is owed", now)
	return r.owe(CommitRollback, r.Candidate.Revision.Inputs, now, Intent{Commit: &commit})
}

// holdOf refuses the candidate's inputs, and its digests too unless stable runs
// the same ones: then the fault is in the configuration.
func (r Record) holdOf(b Rollback) Hold {
	h := Hold{ID: b.ID, Inputs: r.Candidate.Revision.Inputs, Reason: b.Measurement, At: b.DetectedAt}
	for _, a := range r.Candidate.Revision.Artifacts {
		if r.Stable == nil || !slices.Contains(r.Stable.Artifacts, a) {
			h.Digests = append(h.Digests, a.Digest)
		}
	}
	return h
}

func (r Record) seenRemoving(o Observed, now time.Time) Record {
	switch {
	case o.Guarded != "":
		r.FrozenFrom, r.Guarded = Removing, o.Guarded
		return r.enter(Frozen, "the prune was refused: "+o.Guarded, now)
	case !o.Converged:
		return r
	}
	next := r.Next
	if r.Stable != nil {
		r.Proven = closeProof(r.Proven, r.Stable.Inputs, now)
	}
	r.Stable, r.Candidate, r.Next, r.Adopted = nil, nil, nil, false
	r = r.enter(Removed, "retired; everything but volume claims is gone", now)
	if next != nil {
		return r.pend(*next, now)
	}
	return r
}
