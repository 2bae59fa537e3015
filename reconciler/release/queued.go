package release

import "time"

// An Answer is what the gates last said about the promotion that waits behind a
// rollout.
type Answer struct {
	Gates   []Gate    `json:"gates,omitempty"`
	Reason  string    `json:"reason,omitempty"`
	Recheck time.Time `json:"recheck,omitzero"`
}

// A Query is a promotion that the gates are to be asked about.
type Query struct {
	Want Want
	// Trusted is the last revision whose changes are proven, nil for none.
	Trusted *Revision
}

// Asking says what the gates are to be asked about at an instant; ok is false
// when nothing is. What waits behind a rollout builds on the candidate, whose own
// changes were proven before it began.
func Asking(r Record, now time.Time) (q Query, ok bool) {
	switch r.Phase {
	case Pending:
		return Query{*r.Candidate, r.Stable}, r.Gates == nil || !now.Before(r.Recheck)
	case Preparing, Progressing, Verifying:
		if r.Next == nil {
			return q, false
		}
		return Query{*r.Next, &r.Candidate.Revision}, !now.Before(r.Queued.Recheck)
	case Stable, Rejected, Reverting, Restoring, Frozen, Removing, Removed:
	}
	return q, false
}

// queue keeps the newest wish that is neither the candidate nor stable, and
// forgets what git no longer asks for. What was refused is not asked about again
// while the commit that takes it out of git has not been read.
func (r Record) queue(w Want, now time.Time) Record {
	if r.Next != nil && r.Next.Promotion.Commit == w.Promotion.Commit {
		return r
	}
	if r = r.unqueue(); w.Promotion.Commit == r.Refused {
		return r
	}
	r = r.moot()
	w.Return = Returns(r, w.Revision.Inputs, now)
	if w.Revision.Inputs != r.Candidate.Revision.Inputs && w.Revision.Inputs != r.stableInputs() {
		r.Next = &w
	}
	return r
}

func (r Record) unqueue() Record {
	r.Next, r.Queued = nil, Answer{}
	return r
}

// judgedNext takes the gates' answers about what waits behind a rollout. Before
// 100 % a promotion that passes takes the candidate's place; one that is refused
// for good leaves git, which then asks for the candidate again. Where the policy
// leaves git to people it waits, and is refused when its turn comes.
func (r Record) judgedNext(e Judged, now time.Time) Record {
	r.Next = e.completed(*r.Next)
	r.Queued = Answer{Gates: e.Gates, Reason: clip(e.Reason), Recheck: plain(e.Recheck)}
	switch {
	case e.Outcome == Proceed && r.Phase != Verifying:
		turn := r
		turn.Candidate = r.Next
		if r.Queued.Reason = turn.unready(e.Plan); r.Queued.Reason != "" {
			return r // it could not begin, so nothing is gained by stopping what runs
		}
		return r.revert(Superseded, "superseded by a newer promotion", now)
	case e.Outcome == Reject && e.Plan.reverts():
		refused, reason := *r.Next, r.Queued.Reason
		r = r.unqueue()
		r.Refused = refused.Promotion.Commit
		return r.refuse(refusal{refused, reason, &r.Candidate.Revision, r.Candidate.Revision.Commit}, e, now)
	}
	return r
}

// reconsider takes back the commit that would put the directory back to a
// candidate that now leaves itself. Where git still asks for what was refused
// that is judged anew, and what it then goes back to is what runs.
func (r Record) reconsider(cause Cause) Record {
	for _, i := range r.Owed {
		if i.Kind == CommitReject && cause != Superseded && cause != Returned {
			refused := i.Commit.Bad
			r.Next, r.Refused = &refused, ""
		}
	}
	return r.moot()
}
