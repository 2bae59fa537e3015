package release

import (
	"slices"
	"time"
)

// controlled takes what control.yaml asks for. A pause stops the clock of the
// rollout; the way back ignores it.
func (r Record) controlled(e Controlled, now time.Time) Record {
	r = r.followHolds(e.Holds, now)
	switch {
	case e.Paused && r.PausedSince.IsZero():
		r.PausedSince = now
	case !e.Paused && !r.PausedSince.IsZero():
		r = r.resume(now)
	}
	return r
}

// resume shifts what the pause held up. The step's measurements stay, so a
// pause can delay a verdict but not change it.
func (r Record) resume(now time.Time) Record {
	paused := max(0, now.Sub(r.PausedSince))
	r.PausedSince = time.Time{}
	later := func(t time.Time) time.Time {
		if t.IsZero() {
			return t
		}
		return t.Add(paused)
	}
	r.Rollout.StepEnds = later(r.Rollout.StepEnds)
	r.Rollout.WindowEnds = later(r.Rollout.WindowEnds)
	r.Rollout.ReadyBy = later(r.Rollout.ReadyBy)
	return r.shift(paused)
}

// shift moves the deadlines by a time that must not count against the candidate.
func (r Record) shift(by time.Duration) Record {
	if !r.Rollout.Deadline.IsZero() {
		r.Rollout.Deadline = r.Rollout.Deadline.Add(by)
	}
	if !r.Rollout.SilentUntil.IsZero() {
		r.Rollout.SilentUntil = r.Rollout.SilentUntil.Add(by)
	}
	return r
}

// followHolds keeps the record's holds in step with the control file. Between a
// rollback and the reading of its commit only the record knows the hold.
func (r Record) followHolds(inForce []string, now time.Time) Record {
	var kept []Hold
	for _, h := range r.Holds {
		switch {
		case slices.Contains(inForce, h.ID):
			h.InGit = true
			kept = append(kept, h)
		case !h.InGit:
			kept = append(kept, h)
		default:
			r = r.owe(WriteEvidence, "lifted "+h.ID, now, Intent{Evidence: &Evidence{
				Kind: ofRevocation, Outcome: "lifted", Reason: h.Reason, Hold: &h,
			}})
		}
	}
	r.Holds = kept
	return r
}

// troubleEvery bounds how often the same trouble in other words is written.
const troubleEvery = time.Minute

// troubled remembers why a look was incomplete, without writing a record for
// every attempt: errors like to carry ports and times.
func (r Record) troubled(e Troubled, now time.Time) Record {
	reason := clip(e.Reason)
	switch {
	case reason == r.Trouble:
		return r
	case reason == "":
		r.Trouble, r.TroubleAt = "", time.Time{}
		return r
	case r.Trouble != "" && now.Before(r.TroubleAt.Add(troubleEvery)) && !now.Before(r.TroubleAt):
		return r
	}
	r.Trouble, r.TroubleAt = reason, now
	return r
}

// done closes an intent whose effect is durable.
func (r Record) done(e Done, now time.Time) Record {
	i := slices.IndexFunc(r.Owed, func(o Intent) bool { return o.ID == e.ID })
	if i < 0 {
		return r
	}
	intent := r.Owed[i]
	r.Owed = slices.Delete(slices.Clone(r.Owed), i, i+1)
	if len(r.Owed) == 0 {
		r.Owed = nil
	}
	switch intent.Kind {
	case CommitReject:
		if r.Phase == Rejected && intent.Commit.Bad.Promotion.Commit == r.Candidate.Promotion.Commit {
			return r.settle("rejected; git says again what runs", now)
		}
	case CommitRollback:
		if r.Phase == Restoring {
			return r.restored(e.Commit, now)
		}
	case CommitHold, WriteEvidence:
	}
	return r
}

// restored closes a rollback: git says what runs.
func (r Record) restored(commit string, now time.Time) Record {
	rollback := *r.Rollout.Rollback
	rollback.Commit, rollback.CommittedAt = commit, now
	r.Rollout.Rollback = &rollback
	r = r.remember("git says again what runs", now)
	outcome := "rolled-back"
	if rollback.Cause == Returned {
		outcome = "returned"
	}
	evidence := r.finished(outcome, rollback.Measurement)
	if rollback.Holds {
		hold := r.holdOf(rollback)
		evidence.Hold = &hold
	}
	r = r.owe(WriteEvidence, r.Candidate.Revision.Inputs, now, Intent{Evidence: evidence})
	return r.settle("rolled back: "+rollback.Measurement, now)
}

// erred remembers that an intent was refused for good. It stays owed: only a
// person can take what stands in its way out of it.
func (r Record) erred(e Erred) Record {
	i := slices.IndexFunc(r.Owed, func(o Intent) bool { return o.ID == e.ID })
	if i < 0 {
		return r
	}
	r.Owed = slices.Clone(r.Owed)
	r.Owed[i].Refused, r.Owed[i].PullRequest = clip(e.Reason), e.PullRequest
	switch r.Owed[i].Kind {
	case CommitReject, CommitRollback:
		r.Reason = "git does not say what runs, and writing it was refused: " + r.Owed[i].Refused
		if e.PullRequest != 0 {
			r.Reason = "diverged: " + r.Owed[i].Refused
		}
	case CommitHold, WriteEvidence:
	}
	return r
}
