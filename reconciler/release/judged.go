package release

import (
	"fmt"
	"slices"
	"time"
)

// judged takes the gates' answers about the pending candidate, or about what
// waits behind a rollout.
func (r Record) judged(e Judged, now time.Time) Record {
	if len(e.Gates) == 0 {
		e.Gates = nil
	}
	switch q, _ := Asking(r, now); {
	case e.Commit == "" || q.Want.Promotion.Commit != e.Commit:
		return r
	case r.Phase != Pending:
		return r.judgedNext(e, now)
	}
	r.Gates, r.Decision, r.Recheck, r.Reason = e.Gates, e.Decision, plain(e.Recheck), clip(e.Reason)
	r.Candidate = e.completed(*r.Candidate)
	switch e.Outcome {
	case Proceed:
		if r.Reason = r.delayed(e.Plan); r.Reason == "" {
			return r.begin(e, now)
		}
	case Reject:
		return r.reject(e, now)
	case Wait:
	}
	return r
}

// delayed is why a rollout does not begin although every gate passes.
func (r Record) delayed(plan Plan) string {
	if !r.PausedSince.IsZero() && !r.Candidate.Return {
		return "paused in control.yaml"
	}
	return r.unready(plan)
}

// unready is delayed without the pause, which is about the rollout under way and
// may spare what comes after it: a hotfix in a freeze.
func (r Record) unready(plan Plan) string {
	unwritten := slices.ContainsFunc(r.Owed, func(i Intent) bool {
		return i.Kind == WriteEvidence && i.Evidence.Kind == ofRollout
	})
	problem := plan.check(r.Stable == nil)
	switch {
	case unwritten:
		// Rollouts without a trace would be worse than none, and a record that
		// collects the traces of many would grow too large to be saved.
		return "the evidence of the rollout before is not written yet"
	case plan.Backfill > 0 && len(r.Backfills) >= maxBackfills:
		return fmt.Sprintf("%d hotfixes have not been brought through the normal flow; bring one first", len(r.Backfills))
	case problem != nil:
		return "the plan cannot be carried out: " + problem.Error()
	case !plan.InPlace && r.Stable != nil && r.Stable.ID == r.Candidate.Revision.ID:
		return "the candidate has the name of the stable revision, " + r.Stable.ID + ", and another content"
	}
	return ""
}

func (r Record) begin(e Judged, now time.Time) Record {
	want := *r.Candidate
	want.Revision.Workload, want.Revision.Manifest = e.Workload, e.Manifest
	e.Plan.InPlace = e.Plan.InPlace && r.Stable != nil
	if e.Plan.InPlace {
		want.Revision.ID = r.Stable.ID
	}
	r.Candidate, r.Place = &want, e.Place
	r.Attempt++
	r.Rollout = Rollout{
		Plan: e.Plan, Began: now, Deadline: now.Add(e.Plan.Deadline), ReadyBy: now.Add(e.Plan.Prepare),
		Sources: e.Sources,
	}
	r = r.borrow(now)
	r.Rollout.Analysis = e.Plan.analysis(r.Stable == nil)
	if e.Plan.Shared {
		r.Rollout.Analysis = e.Plan.beforeAfter()
	}
	if r.Adopted {
		return r.enter(Preparing, "the gates passed; what was adopted is made again under Sluice's names first", now)
	}
	return r.enter(Preparing, "the gates passed; the candidate is applied without traffic", now)
}

// completed is what is wanted as far as the answer knows more of it. Its directory
// is that of the commit that was reviewed: the one that changed the inputs may be
// a state inside of a pull request, which nobody saw.
func (e Judged) completed(w Want) *Want {
	if e.Promotion.Commit == e.Commit {
		w.Promotion = e.Promotion
		w.Promotion.At = plain(w.Promotion.At)
	}
	if e.Reviewed.Commit != "" && e.Reviewed.Inputs == w.Revision.Inputs {
		w.Revision.Commit, w.Revision.Base, w.Revision.Version = e.Reviewed.Commit, e.Reviewed.Base, e.Reviewed.Version
	}
	return &w
}

func (r Record) reject(e Judged, now time.Time) Record {
	refused := refusal{*r.Candidate, r.Reason, r.Stable, r.wayBack()}
	return r.enter(Rejected, r.Reason, now).refuse(refused, e, now)
}

// A refusal is a promotion that the gates refused for good, and what git says
// once it is taken out again.
type refusal struct {
	want     Want
	reason   string
	previous *Revision
	good     string
}

// refuse owes the evidence of a refusal and, where the policy has it so, the
// commit that puts git right.
func (r Record) refuse(f refusal, e Judged, now time.Time) Record {
	about := f.want.Promotion.Commit
	r.Attempt++
	r = r.owe(WriteEvidence, about, now, Intent{Evidence: &Evidence{
		Kind: ofRejection, Outcome: "rejected", Reason: f.reason,
		Candidate: &f.want, Previous: f.previous, Gates: e.Gates, Decision: e.Decision,
	}})
	if !e.Plan.reverts() && !e.Plan.proposes() || f.good == "" {
		return r
	}
	return r.owe(CommitReject, about, now, Intent{Commit: &Commit{
		Bad: f.want, Good: f.good, Previous: f.previous, Gates: e.Gates, Reason: f.reason,
		Propose: e.Plan.proposes(),
	}})
}

// reverts reports whether a refused promotion is taken out of git at once, and
// proposes whether a person is asked to.
func (p Plan) reverts() bool  { return p.OnReject == "revert" }
func (p Plan) proposes() bool { return p.OnReject == "pullRequest" }

// wayBack is the commit whose bytes of the release's directory are good.
func (r Record) wayBack() string {
	if r.Stable != nil {
		return r.Stable.Commit
	}
	return r.Candidate.Promotion.Before
}
