package release

import (
	"fmt"
	"slices"
	"time"
)

// tick lets time pass.
func (r Record) tick(now time.Time) Record {
	r = r.ageBackfills(now)
	if !r.PausedSince.IsZero() {
		return r
	}
	o := r.Rollout
	switch r.Phase {
	case Preparing:
		if !now.Before(o.ReadyBy) && r.Adopted {
			return r.revert(NotProven, words(fmt.Sprintf("re-homing took longer than %s", o.Plan.Prepare), r.Lacking), now)
		}
		if !now.Before(o.ReadyBy) {
			return r.revert(NotProven, fmt.Sprintf("the candidate was not ready within %s", o.Plan.Prepare), now)
		}
		return r.expire(now)
	case Progressing:
		n := r.advance(now)
		if n.Phase != Progressing || n.Rollout.Step != o.Step {
			return n
		}
		return n.expire(now)
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
	previous, revision := r.Stable, r.Candidate.Revision
	outcome, reason := "stable", "the candidate proved itself and is stable"
	if r.Candidate.Return && previous != nil {
		outcome, reason = "returned", "back at what was stable before; what was left is on hold"
	}
	r = r.remember(reason, now)
	r = r.carry(now)
	r = r.owe(WriteEvidence, revision.Inputs, now, Intent{Evidence: r.finished(outcome, reason)})
	if outcome == "returned" {
		r = r.leave(*previous, now)
	}
	if previous != nil {
		r.Proven = closeProof(r.Proven, previous.Inputs, now)
	}
	proven := append(slices.Clone(r.Proven), proofOf(revision, now))
	r.Proven = proven[max(0, len(proven)-maxProven):]
	r.Stable = &revision
	return r.rest(reason, now)
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

func (r Record) finished(outcome, reason string) *Evidence {
	rollout := r.Rollout
	return &Evidence{
		Kind: ofRollout, Outcome: outcome, Reason: reason, Candidate: r.Candidate,
		Previous: r.Stable, Decision: r.Decision, Gates: r.Gates, Rollout: &rollout,
	}
}

// revert sends traffic back. It is the only way into reverting.
func (r Record) revert(cause Cause, measurement string, now time.Time) Record {
	measurement = clip(measurement)
	r = r.reconsider(cause)
	r.Rollout.Rollback = &Rollback{
		ID:    fmt.Sprintf("%s-%s-%s-%d", r.Key.Environment, r.Key.Service, r.Candidate.Revision.ID, r.Attempt),
		Cause: cause, Measurement: measurement, DetectedAt: now,
		Holds: cause == AnalysisFailed || cause == HealthFailed || cause == OverExposed || cause == Returned,
	}
	return r.enter(Reverting, measurement, now)
}
