package release

import (
	"slices"
	"time"
)

// judged takes the gates' answers about the pending candidate.
func (r Record) judged(e Judged, now time.Time) Record {
	if r.Phase != Pending || r.Candidate.Promotion.Commit != e.Commit {
		return r
	}
	if len(e.Gates) == 0 {
		e.Gates = nil
	}
	r.Gates, r.Decision, r.Recheck, r.Reason = e.Gates, e.Decision, plain(e.Recheck), clip(e.Reason)
	if e.Promotion.Commit == e.Commit {
		e.Promotion.At = plain(e.Promotion.At)
		r.Candidate = &Want{Revision: r.Candidate.Revision, Promotion: e.Promotion}
	}
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
	unwritten := slices.ContainsFunc(r.Owed, func(i Intent) bool {
		return i.Kind == WriteEvidence && i.Evidence.Kind == ofRollout
	})
	problem := plan.check(r.Stable == nil)
	switch {
	case !r.PausedSince.IsZero():
		return "paused in control.yaml"
	case unwritten:
		// Rollouts without a trace would be worse than none, and a record that
		// collects the traces of many would grow too large to be saved.
		return "the evidence of the rollout before is not written yet"
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
	r.Candidate, r.Adopted, r.Place = &want, false, e.Place
	r.Attempt++
	r.Rollout = Rollout{
		Plan: e.Plan, Began: now, Deadline: now.Add(e.Plan.Deadline), ReadyBy: now.Add(e.Plan.Prepare),
	}
	r.Rollout.Analysis = e.Plan.analysis(r.Stable == nil)
	return r.enter(Preparing, "the gates passed; the candidate is applied without traffic", now)
}

func (r Record) reject(e Judged, now time.Time) Record {
	commit := r.Candidate.Promotion.Commit
	r.Attempt++
	r = r.enter(Rejected, r.Reason, now)
	r = r.owe(WriteEvidence, commit, now, Intent{Evidence: &Evidence{
		Kind: ofRejection, Outcome: "rejected", Reason: r.Reason,
		Candidate: r.Candidate, Previous: r.Stable, Gates: e.Gates, Decision: e.Decision,
	}})
	if e.Plan.OnReject != "revert" || r.wayBack() == "" {
		return r
	}
	return r.owe(CommitReject, commit, now, Intent{Commit: &Commit{
		Bad: *r.Candidate, Good: r.wayBack(), Previous: r.Stable, Gates: e.Gates, Reason: r.Reason,
	}})
}

// wayBack is the commit whose bytes of the release's directory are good.
func (r Record) wayBack() string {
	if r.Stable != nil {
		return r.Stable.Commit
	}
	return r.Candidate.Promotion.Before
}
