package release

import "time"

// wanted takes what git asks for. A newer wish waits behind a rollout until it is
// proven; see judgedNext.
func (r Record) wanted(e Wanted, now time.Time) Record {
	if e.Retired {
		r.Kept = ""
		return r.retire(now)
	}
	if !e.Want.known() {
		return r
	}
	r.Kept = ""
	e.Want.Promotion.At = plain(e.Want.Promotion.At)
	switch r.Phase {
	case Stable:
		return r.wantedWhenStable(e.Want, now)
	case Pending:
		return r.wantedWhenPending(e.Want, now)
	case Rejected:
		return r.wantedWhenRejected(e.Want, now)
	case Preparing, Progressing, Verifying:
		return r.wantedWhenRolling(e.Want, now)
	case Reverting, Restoring:
		return r.queue(e.Want, now)
	case Frozen, Removing:
		return r.wantedAfterAll(e.Want, now)
	case Removed:
		return r.pend(e.Want, now)
	}
	return r
}

func (r Record) wantedWhenStable(w Want, now time.Time) Record {
	if w.Revision.Inputs == r.stableInputs() {
		return r.restate(w)
	}
	if w.Promotion.Commit == r.Settled || w.Promotion.Commit == r.Refused {
		return r // closed already; git still says so until its revert is read
	}
	return r.pend(w, now)
}

// restate follows a new baseline: after the history was rewritten the commit that
// was proven may not exist any more. Nothing else moves it. That a detour led back
// to the same inputs says nothing about the rest of the directory, which the next
// rollback would restore, and nobody was asked about it.
func (r Record) restate(w Want) Record {
	if r.Stable == nil || !w.Promotion.Genesis || r.Stable.Commit == w.Revision.Commit {
		return r
	}
	stable := *r.Stable
	stable.Commit, stable.Base, stable.Version = w.Revision.Commit, w.Revision.Base, w.Revision.Version
	r.Stable = &stable
	return r
}

func (r Record) wantedWhenPending(w Want, now time.Time) Record {
	switch {
	case r.Candidate.Promotion.Commit == w.Promotion.Commit:
		return r
	case w.Revision.Inputs == r.stableInputs():
		return r.settle("git asks for the stable revision again", now).restate(w)
	}
	return r.pend(w, now)
}

func (r Record) wantedWhenRejected(w Want, now time.Time) Record {
	switch {
	case r.Candidate.Promotion.Commit == w.Promotion.Commit:
		return r
	case w.Revision.Inputs == r.stableInputs():
		return r.moot().settle("git asks for the stable revision again", now).restate(w)
	}
	return r.pend(w, now)
}

// wantedWhenRolling lets a rollout go on while the gates are asked about what git
// asks for now: whoever may push could stop every rollout otherwise. Only the way
// back is free. In an incident it must not wait for a review, it leads to what was
// proven, and what a stranger could do with it is to delay. Once the candidate has
// had everything, going back says something against it.
func (r Record) wantedWhenRolling(w Want, now time.Time) Record {
	switch {
	case w.Revision.Inputs == r.stableInputs() && r.Phase == Verifying:
		return r.unqueue().revert(Returned, "git asks for the stable revision again, after the candidate had got everything", now)
	case w.Revision.Inputs == r.stableInputs():
		return r.unqueue().revert(Superseded, "git asks for the stable revision again", now)
	}
	return r.queue(w, now)
}

// wantedAfterAll ends a removal: what was taken away of stable is applied again,
// whatever else git asks for has to be proven first.
func (r Record) wantedAfterAll(w Want, now time.Time) Record {
	switch {
	case r.FrozenFrom == Stable:
		return r // what runs is not ours yet; see adopt
	case w.Revision.Inputs == r.stableInputs():
		return r.rest("git asks for the stable revision again", now).restate(w)
	}
	return r.pend(w, now)
}

func (r Record) retire(now time.Time) Record {
	switch r.Phase {
	case Stable, Pending, Rejected, Frozen:
		if r.FrozenFrom == Removing {
			return r
		}
		if r.Stable == nil && r.Phase == Stable {
			return r.enter(Removed, "retired; nothing of it runs", now)
		}
		return r.moot().forget().enter(Removing, "retired: draining and pruning", now)
	case Preparing, Progressing, Verifying:
		return r.unqueue().revert(Superseded, "the release is being retired", now)
	case Reverting, Restoring:
		return r.unqueue()
	case Removing, Removed:
	}
	return r
}
