package release

import "time"

// judged takes the gates' answers about the pending candidate.
func (r Record) judged(e Judged, now time.Time) Record {
	if r.Phase != Pending || r.Candidate.Promotion.Commit != e.Commit {
		return r
	}
	r.Gates, r.Decision, r.Recheck, r.Reason = e.Gates, e.Decision, e.Recheck, e.Reason
	if e.Promotion.Commit == e.Commit {
		r.Candidate = &Want{Revision: r.Candidate.Revision, Promotion: e.Promotion}
	}
	if !r.PausedSince.IsZero() && e.Outcome == Proceed {
		r.Reason = "paused in control.yaml"
		return r
	}
	switch e.Outcome {
	case Proceed:
		return r.begin(e, now)
	case Reject:
		return r.reject(e, now)
	case Wait:
	}
	return r
}

func (r Record) begin(e Judged, now time.Time) Record {
	want := *r.Candidate
	want.Revision.Workload, want.Revision.Manifest = e.Workload, e.Manifest
	if e.Plan.InPlace && r.Stable != nil {
		want.Revision.ID = r.Stable.ID
	}
	r.Candidate = &want
	r.Attempt++
	r.Rollout = Rollout{Plan: e.Plan, Began: now, Deadline: now.Add(e.Plan.Deadline)}
	r.Rollout.Analysis = r.startAnalysis()
	return r.enter(Preparing, "the gates passed; the candidate is applied without traffic", now)
}

func (r Record) reject(e Judged, now time.Time) Record {
	commit := r.Candidate.Promotion.Commit
	r.Attempt++
	r = r.enter(Rejected, e.Reason, now)
	r = r.owe(WriteEvidence, commit, now, Intent{Evidence: &Evidence{
		Kind: "rejection", Outcome: "rejected", Reason: e.Reason,
		Candidate: r.Candidate, Previous: r.Stable, Gates: e.Gates, Decision: e.Decision,
	}})
	if e.Plan.OnReject != "revert" || r.wayBack() == "" {
		return r
	}
	return r.owe(CommitReject, commit, now, Intent{Commit: &Commit{
		Bad: *r.Candidate, Good: r.wayBack(), Previous: r.Stable, Gates: e.Gates, Reason: e.Reason,
	}})
}

// wayBack is the commit whose bytes of the release's directory are good.
func (r Record) wayBack() string {
	if r.Stable != nil {
		return r.Stable.Commit
	}
	return r.Candidate.Promotion.Before
}
