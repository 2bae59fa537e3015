package release

import (
	"fmt"
	"slices"
	"time"
)

// returnWithin is how long after its end a revision may be returned to. Longer ago
// than that, what is around it has changed too much to call it known.
const returnWithin = 30 * 24 * time.Hour

// Returns reports whether going to the inputs is a return: they were stable here
// not long ago, and something else is now. A return needs no proof that they work,
// so it has neither steps nor a judge.
func Returns(r Record, inputs string, now time.Time) bool {
	if r.Stable == nil || inputs == r.Stable.Inputs {
		return false
	}
	return slices.ContainsFunc(r.Proven, func(p Proof) bool {
		return p.Inputs == inputs && !p.Until.IsZero() && now.Before(p.Until.Add(returnWithin))
	})
}

// AtOnce is a plan without steps and judge: as soon as everything is seen to go to
// the candidate, it is stable.
func (p Plan) AtOnce() Plan {
	p.Steps, p.Measured, p.Shared, p.Window = []int{100}, false, false, 0
	p.Exception, p.Backfill = false, 0
	return p
}

// leave puts what a return went away from on hold, and takes note that it was the
// failed change. Git says already what runs, so that the hold is all that is to be
// written.
func (r Record) leave(left Revision, now time.Time) Record {
	to := r.Candidate
	back := Rollback{
		ID:    fmt.Sprintf("%s-%s-%s-%d", r.Key.Environment, r.Key.Service, left.ID, r.Attempt),
		Cause: Returned, Measurement: "somebody went back to " + named(&to.Revision, to.Promotion).name(),
		DetectedAt: r.Rollout.Began, TrafficBackAt: r.Rollout.StepBegan, Holds: true,
	}
	hold := Hold{ID: back.ID, Inputs: left.Inputs, Digests: foreignDigests(left, &to.Revision), Reason: back.Measurement, At: now}
	r.Holds = append(slices.Clone(r.Holds), hold)
	r = r.oweHold(hold, now)
	r = r.owe(CommitHold, left.Inputs, now, Intent{Commit: &Commit{
		Bad:      Want{Revision: left, Promotion: Promotion{Commit: left.Commit, Policy: to.Promotion.Policy}},
		Previous: &to.Revision, Rollback: &back, Hold: &hold, Gates: r.Gates, Reason: back.Measurement,
	}})
	return r.void(back.Measurement, now, func(b Backfill) bool { return b.Inputs == left.Inputs })
}

// oweHold owes the evidence of a hold.
func (r Record) oweHold(hold Hold, now time.Time) Record {
	return r.owe(WriteEvidence, "hold "+hold.ID, now, Intent{Evidence: &Evidence{
		Kind: ofHold, Outcome: "held", Reason: hold.Reason, Candidate: r.Candidate, Hold: &hold,
	}})
}

// foreignDigests are those that only the bad revision has: where the good one has
// them too the fault must be in the configuration.
func foreignDigests(bad Revision, good *Revision) (digests []string) {
	for _, a := range bad.Artifacts {
		if good == nil || !slices.Contains(good.Artifacts, a) {
			digests = append(digests, a.Digest)
		}
	}
	return digests
}
