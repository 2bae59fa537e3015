package release

import (
	"fmt"
	"slices"
	"time"
)

// tick lets time pass.
func (r Record) tick(now time.Time) Record {
	if !r.PausedSince.IsZero() {
		return r
	}
	o := r.Rollout
	switch r.Phase {
	case Preparing:
		if !now.Before(r.Since.Add(o.Plan.Prepare)) {
			return r.revert(NotProven, fmt.Sprintf("the candidate was not ready within %s", o.Plan.Prepare), now)
		}
		return r.expire(now)
	case Progressing:
		if n := r.advance(now); n.Phase != r.Phase || n.Rollout.Step != r.Rollout.Step {
			return n
		} else {
			return n.expire(now)
		}
	case Verifying:
		if !o.StepBegan.IsZero() && !now.Before(o.WindowEnds) && r.mayFinish() {
			return r.promote(now)
		}
		return r.expire(now)
	case Stable, Pending, Rejected, Reverting, Restoring, Frozen, Removing, Removed:
	}
	return r
}

// expire ends a rollout that did not prove itself in time. Once the window
// runs, its end decides.
func (r Record) expire(now time.Time) Record {
	if now.Before(r.Rollout.Deadline) || !r.Rollout.WindowEnds.IsZero() && r.mayFinish() {
		return r
	}
	return r.revert(NotProven, fmt.Sprintf("not proven within %s", r.Rollout.Plan.Deadline), now)
}

// promote makes the candidate the stable revision.
func (r Record) promote(now time.Time) Record {
	previous := r.Stable
	revision := r.Candidate.Revision
	r = r.remember("stable", now)
	r = r.owe(WriteEvidence, revision.Inputs, now, Intent{Evidence: r.finished("stable")})
	if previous != nil {
		r.Proven = closeProof(r.Proven, previous.Inputs, now)
	}
	proven := append(slices.Clone(r.Proven), proofOf(revision, now))
	r.Proven = proven[max(0, len(proven)-maxProven):]
	r.Stable, r.Adopted = &revision, false
	next := r.Next
	reason := "the candidate proved itself and is stable"
	r.Candidate, r.Next, r.Rollout = nil, nil, Rollout{}
	r.Gates, r.Decision, r.Recheck = nil, "", time.Time{}
	r = r.enter(Stable, reason, now)
	if next != nil {
		return r.pend(*next, now)
	}
	return r
}

func closeProof(proven []Proof, inputs string, now time.Time) []Proof {
	out := slices.Clone(proven)
	for i := range out {
		if out[i].Inputs == inputs && out[i].Until.IsZero() {
			out[i].Until = now
		}
	}
	return out
}

func (r Record) finished(outcome string) *Evidence {
	rollout := r.Rollout
	return &Evidence{
		Kind: "rollout", Outcome: outcome, Reason: r.Reason, Candidate: r.Candidate,
		Previous: r.Stable, Decision: r.Decision, Gates: r.Gates, Rollout: &rollout,
	}
}

// revert sends traffic back. It is the only way into reverting.
func (r Record) revert(cause Cause, measurement string, now time.Time) Record {
	r.Rollout.Rollback = &Rollback{
		ID:    fmt.Sprintf("%s-%s-%s-%d", r.Key.Environment, r.Key.Service, r.Candidate.Revision.ID, r.Attempt),
		Cause: cause, Measurement: measurement, DetectedAt: now,
		Holds: cause == AnalysisFailed || cause == HealthFailed || cause == OverExposed,
	}
	return r.enter(Reverting, measurement, now)
}
