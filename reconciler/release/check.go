package release

import (
	"errors"
	"fmt"
	"slices"
)

// check says what makes a record impossible: Next never makes such a one, so it
// was damaged or written by somebody else, and nothing may follow from it.
func (r Record) check() error {
	if _, err := ParseKey(r.Key.String()); err != nil {
		return err
	}
	if r.Seq < 0 || r.Attempt < 0 {
		return fmt.Errorf("sequence %d and attempt %d cannot both be", r.Seq, r.Attempt)
	}
	if r.Stable != nil && !r.Stable.known() {
		return errors.New("the stable revision has no name")
	}
	if r.Next != nil && !r.Next.known() {
		return errors.New("the waiting revision has no name")
	}
	if err := r.checkPhase(); err != nil {
		return err
	}
	for _, p := range r.Proven {
		if err := p.Soak.check(); err != nil {
			return err
		}
	}
	return errors.Join(checkOwed(r.Owed), checkBackfills(r.Backfills))
}

// checkPhase says what a phase cannot do without or must not have.
func (r Record) checkPhase() error {
	if r.Phase != Frozen && r.FrozenFrom != "" {
		return fmt.Errorf("%s but frozen from %s", r.Phase, r.FrozenFrom)
	}
	switch r.Phase {
	case Stable, Removing, Removed:
		return r.checkIdle()
	case Frozen:
		if r.FrozenFrom != Stable && r.FrozenFrom != Removing {
			return fmt.Errorf("frozen from %q", r.FrozenFrom)
		}
		return r.checkIdle()
	case Pending, Rejected:
		return r.checkCandidate()
	case Preparing, Progressing, Verifying, Reverting, Restoring:
		return errors.Join(r.checkCandidate(), r.checkRollout())
	}
	return fmt.Errorf("phase %q is not known", r.Phase)
}

func (r Record) checkIdle() error {
	if r.Candidate != nil || r.Next != nil {
		return fmt.Errorf("%s with a candidate", r.Phase)
	}
	return nil
}

func (r Record) checkCandidate() error {
	if r.Candidate == nil || !r.Candidate.known() {
		return fmt.Errorf("%s without a candidate", r.Phase)
	}
	return nil
}

func (r Record) checkRollout() error {
	plan, back := r.Rollout.Plan, r.Rollout.Rollback
	returning := r.Phase == Reverting || r.Phase == Restoring
	switch err := plan.check(r.Stable == nil); {
	case err != nil:
		return err
	case r.Adopted && (r.Phase == Progressing || r.Phase == Verifying):
		return errors.New("a candidate has traffic beside a workload that Sluice did not create")
	case plan.InPlace && r.Stable == nil:
		return errors.New("changed in place without a stable revision")
	case r.Rollout.Step < 0 || r.Rollout.Step >= len(plan.Steps):
		return fmt.Errorf("step %d of %d does not exist", r.Rollout.Step, len(plan.Steps))
	case r.Phase == Progressing && r.weight() == 100, r.Phase == Verifying && r.weight() != 100:
		return fmt.Errorf("%s at %d %%", r.Phase, r.weight())
	case returning != (back != nil):
		return fmt.Errorf("%s and a rollback do not go together", r.Phase)
	case returning && back.ID == "":
		return errors.New("the rollback has no name")
	}
	return nil
}

// check says why a plan cannot be carried out; alone is a first deployment.
func (p Plan) check(alone bool) error {
	if p.Shared && alone {
		return errors.New("without a stable revision there is nothing to judge shared objects by")
	}
	rising := p.Steps
	if p.leads() {
		if len(rising) == 0 || rising[0] != 0 {
			return fmt.Errorf("steps %v do not begin with the shared objects alone", p.Steps)
		}
		rising = rising[1:]
	}
	last := 0
	for _, step := range rising {
		if step <= last || step > 100 {
			return fmt.Errorf("steps %v do not rise to 100", p.Steps)
		}
		last = step
	}
	if last != 100 {
		return fmt.Errorf("steps %v do not rise to 100", p.Steps)
	}
	if min(p.Backfill, p.Interval, p.Prepare, p.Deadline, p.Window, p.Silence, p.HealthEvery) < 0 {
		return errors.New("a duration is negative")
	}
	if p.Measured {
		in := p.analysis(alone)
		return in.Check()
	}
	return nil
}

// leads reports whether the steps begin with one without traffic.
func (p Plan) leads() bool { return p.Shared && !p.InPlace }

func checkOwed(owed []Intent) error {
	for i, o := range owed {
		if o.ID == "" || slices.ContainsFunc(owed[:i], func(p Intent) bool { return p.ID == o.ID }) {
			return fmt.Errorf("intent %q is owed twice or has no name", o.ID)
		}
		switch o.Kind {
		case CommitReject, CommitRollback, CommitHold:
			if o.Commit == nil {
				return fmt.Errorf("intent %s has no commit", o.ID)
			}
		case WriteEvidence:
			if o.Evidence == nil {
				return fmt.Errorf("intent %s has no evidence", o.ID)
			}
		default:
			return fmt.Errorf("intent %s is of an unknown kind, %q", o.ID, o.Kind)
		}
	}
	return nil
}

func (v Revision) known() bool { return v.ID != "" && v.Inputs != "" && v.Commit != "" }

func (w Want) known() bool { return w.Revision.known() && w.Promotion.Commit != "" }
