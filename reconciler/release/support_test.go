package release_test

import (
	"time"

	"github.com/sluice-cd/sluice/analysis"
	"github.com/sluice-cd/sluice/reconciler/release"
)

var (
	t0  = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	key = release.Key{Environment: "production", Service: "checkout"}
)

// revision is the one that is called by a version: "v1" and so on.
func revision(version string) release.Revision {
	return release.Revision{
		ID: "r-" + version, Inputs: "in-" + version, Commit: "commit-" + version,
		Base: "base", BaseTree: "tree", Version: version,
		Artifacts: []release.Artifact{{Image: "registry.example.com/shop/checkout", Digest: "sha256:" + version}},
	}
}

func want(version string) release.Want {
	return release.Want{
		Revision: revision(version),
		Promotion: release.Promotion{
			Commit: "commit-" + version, At: t0.Add(-time.Minute), Before: "commit-before-" + version,
			PullRequest: 7, URL: "https://forge.example.com/7", Author: "ada",
		},
	}
}

func canary() release.Plan {
	return release.Plan{
		Steps: []int{5, 25, 50, 100}, Interval: 5 * time.Minute,
		Prepare: 10 * time.Minute, Deadline: 2 * time.Hour, Window: 30 * time.Minute,
		Measured: true, Limits: analysis.DefaultLimits(), Silence: 15 * time.Minute,
		HealthFailures: 2, HealthEvery: 10 * time.Second, OnReject: "revert",
	}
}

func atOnce() release.Plan {
	p := canary()
	p.Steps = []int{100}
	return p
}

func inPlace() release.Plan {
	p := atOnce()
	p.InPlace, p.Measured, p.Window = true, false, 0
	return p
}

// shared is a canary whose shared objects change too, sharedInPlace one of nothing
// else.
func shared() release.Plan {
	p := canary()
	p.Shared, p.Steps = true, append([]int{0}, p.Steps...)
	return p
}

func sharedInPlace() release.Plan {
	p := atOnce()
	p.InPlace, p.Shared = true, true
	return p
}

func judged(r release.Record, outcome release.Outcome, plan release.Plan) release.Judged {
	return judgedOf(*r.Candidate, outcome, plan)
}

// judgedOf is an answer about a promotion, such as the one that waits.
func judgedOf(w release.Want, outcome release.Outcome, plan release.Plan) release.Judged {
	return release.Judged{
		Commit: w.Promotion.Commit, Outcome: outcome, Plan: plan,
		Gates: []release.Gate{
			{Name: "approvals", Verdict: "pass", Reason: "1 of 1 approvals", Evidence: []string{"bob https://forge.example.com/7"}},
			{Name: "window", Verdict: verdictOf(outcome), Reason: "the window opens 10:00", Unblocks: "time"},
		},
		Reason: "waiting: the window opens 10:00", Decision: "decision", Recheck: t0.Add(time.Hour),
		Workload: "workload-" + w.Revision.Version, Manifest: "manifest-" + w.Revision.Version,
		Promotion: w.Promotion,
	}
}

func verdictOf(o release.Outcome) string {
	switch o {
	case release.Proceed:
		return "pass"
	case release.Reject:
		return "fail"
	case release.Wait:
	}
	return "wait"
}

// asWanted is a cluster that has done all it was asked to.
func asWanted(r release.Record, at time.Time) release.Observed {
	traffic := release.Desired(r).Traffic
	o := release.Observed{
		At: at, Converged: true, Revisions: map[string]release.RevisionStatus{},
		Route: release.RouteStatus{Accepted: true, Candidate: traffic.Candidate, Weight: traffic.Weight},
	}
	for _, w := range release.Desired(r).Workloads {
		o.Revisions[w.Revision] = release.RevisionStatus{
			Readiness: release.Ready, Replicas: 1, Endpoints: 1,
			Pods: []analysis.Pod{{Name: w.Revision + "-0", Ready: true, BeenReady: true}},
		}
	}
	return o
}

// candidateIs is a cluster on its way, with a candidate in the given state.
func candidateIs(r release.Record, at time.Time, readiness release.Readiness, reason string) release.Observed {
	o := asWanted(r, at)
	o.Converged = false
	if r.Candidate != nil {
		o.Revisions[r.Candidate.Revision.ID] = release.RevisionStatus{Readiness: readiness, Reason: reason}
	}
	return o
}

// crashing is a cluster in which the candidate's only pod crashes.
func crashing(r release.Record, at time.Time) release.Observed {
	o := asWanted(r, at)
	if r.Candidate != nil {
		o.Revisions[r.Candidate.Revision.ID] = release.RevisionStatus{
			Readiness: release.InProgress, Replicas: 1,
			Pods: []analysis.Pod{{Name: "r-0", CrashLoop: true, BeenReady: true}},
		}
	}
	return o
}

const tick = 30 * time.Second

// A sample is what each tick of a series counted.
type sample struct {
	stable, stableErrors       int64
	candidate, candidateErrors int64
	silent, noPast             bool
	unknown                    analysis.Unknown
}

// ofTraffic is a sample of 4000 requests divided as the record wants, of which
// both arms fail the given fractions.
func ofTraffic(r release.Record, stableRate, candidateRate float64) sample {
	share := float64(release.Desired(r).Traffic.Weight) / 100
	switch {
	case r.Stable == nil:
		share = 1
	case release.BeforeAfter(r):
		share = 0.5
	}
	c := int64(4000 * share)
	s := sample{candidate: c, candidateErrors: int64(float64(c) * candidateRate), stable: 4000 - c}
	s.stableErrors = int64(float64(s.stable) * stableRate)
	return s
}

// measured is n ticks of a sample that end at an instant.
func measured(r release.Record, n int, s sample, until time.Time) release.Measured {
	e := release.Measured{
		Attempt: r.Attempt, Step: r.Rollout.Step,
		Dispersion: analysis.Dispersion{Phi: 1, DF: 60, Source: "measured on stable"},
	}
	weight := float64(release.Desired(r).Traffic.Weight) / 100
	if release.BeforeAfter(r) {
		weight = 0.5
	}
	for i := range n {
		t := analysis.Tick{
			At: until.Add(-time.Duration(n-1-i) * tick), Seconds: tick.Seconds(), Step: r.Rollout.Step,
			Stable:    analysis.Arm{Requests: s.stable, Errors: s.stableErrors, Silent: s.noPast},
			Candidate: analysis.Arm{Requests: s.candidate, Errors: s.candidateErrors, Silent: s.silent},
			Weight:    weight, Steered: r.Stable != nil, Up: true, Unknown: s.unknown,
		}
		if s.unknown != "" {
			t.Stable, t.Candidate = analysis.Arm{}, analysis.Arm{}
		}
		e.Ticks = append(e.Ticks, t)
	}
	return e
}
