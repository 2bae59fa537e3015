package report_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/sluice-cd/sluice/analysis"
	"github.com/sluice-cd/sluice/reconciler/release"
	"github.com/sluice-cd/sluice/reconciler/report"
)

func candidate() release.Record {
	r := release.Record{Key: release.Key{Environment: "production", Service: "checkout"}, Phase: release.Progressing}
	r.Candidate = &release.Want{
		Revision:  release.Revision{ID: "6d1c", Version: "1.42.0"},
		Promotion: release.Promotion{Commit: "9f2c41e", PullRequest: 7},
	}
	r.Gates = []release.Gate{{Name: "integrity", Verdict: "pass", Reason: "fine"}}
	r.Rollout = release.Rollout{
		Began: monday, Plan: release.Plan{Steps: []int{5, 100}},
		Verdicts: []analysis.Verdict{{Outcome: analysis.Pass, Reason: "0.10 % of 1000 requests failed, stable 0.12 %"}},
		Moments: []release.Moment{
			{At: monday, Phase: release.Preparing, Text: "the gates passed"},
			{At: monday.Add(time.Minute), Phase: release.Progressing, Weight: 5, Text: "ready without traffic"},
		},
	}
	return r
}

func deployed(d ...report.Deployment) string { return report.Deployed("", d).Body }

func TestADeploymentIsToldFromItsBeginningToItsEnd(t *testing.T) {
	r := candidate()
	r.Phase, r.Gates = release.Pending, append(r.Gates, release.Gate{Name: "window", Verdict: "wait", Reason: "the change window opens Mon 08:00", Unblocks: "time"})
	number, waits := report.Underway(r)
	assert.Equal(t, 7, number)
	golden(t, "waiting.md", deployed(waits))

	r = candidate()
	_, d := report.Underway(r)
	golden(t, "progressing.md", deployed(d))

	rollout := r.Rollout
	rollout.Rollback = &release.Rollback{
		Cause: release.AnalysisFailed, Measurement: "errors 4.1 %, stable 0.1 %, limit +0.5 points",
		DetectedAt: monday.Add(2 * time.Minute), TrafficBackAt: monday.Add(2*time.Minute + 3*time.Second),
	}
	number, back := report.Finished(release.Evidence{
		Kind: "rollout", Release: "production/checkout", Outcome: "rolled-back", Reason: rollout.Rollback.Measurement,
		Candidate: r.Candidate, Gates: r.Gates, Rollout: &rollout, Hold: &release.Hold{},
	})
	assert.Equal(t, 7, number)
	golden(t, "rolled-back.md", deployed(back))

	_, good := report.Finished(release.Evidence{Kind: "rollout", Release: "staging/checkout", Outcome: "stable", Candidate: r.Candidate, Rollout: &r.Rollout})
	_, no := report.Finished(release.Evidence{
		Kind: "rejection", Release: "production/cart", Outcome: "rejected", Reason: "Rejected: 1 of 2 approvals", Candidate: r.Candidate,
		Gates: []release.Gate{{Name: "approvals", Verdict: "fail", Reason: "1 of 2 approvals", Unblocks: "acme/releasers"}},
	})
	golden(t, "several.md", deployed(no, good, waits.Superseded(9)))
}

func TestAMeasurementWithinAStepChangesNothing(t *testing.T) {
	r := candidate()
	_, before := report.Underway(r)
	r.Rollout.Verdict = analysis.Verdict{Outcome: analysis.Fail, Reason: "new numbers"}
	r.Reason = "another reason"
	_, after := report.Underway(r)
	assert.Equal(t, deployed(before), deployed(after))
}

func TestADeploymentReportIsInertAndBounded(t *testing.T) {
	for _, text := range hostile {
		r := candidate()
		r.Candidate.Revision.Version = text
		for range 64 {
			r.Rollout.Moments = append(r.Rollout.Moments, release.Moment{Text: text})
		}
		_, d := report.Underway(r)
		assert.LessOrEqual(t, len(d.Moments), 24)
		body := codeSpan.ReplaceAllString(deployed(d), "")
		for _, forbidden := range []string{"<script", "](https://evil", "@acme", "\x1b", "\u202e", "s://evil"} {
			assert.NotContains(t, body, forbidden)
		}
	}
	var many []report.Deployment
	for range 400 {
		_, d := report.Underway(candidate())
		many = append(many, d)
	}
	assert.Less(t, len(deployed(many...)), 65_536)
	assert.Contains(t, deployed(many...), "more releases are left out")
	assert.True(t, strings.HasPrefix(deployed(many...), report.Marker("")))
}
