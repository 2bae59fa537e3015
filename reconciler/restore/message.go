package restore

import (
	"fmt"
	"strings"
	"time"

	"github.com/sluice-cd/sluice/analysis"
	"github.com/sluice-cd/sluice/gitsource"
	"github.com/sluice-cd/sluice/reconciler/release"
)

// message tells the reader of the history what happened and what to do next.
func message(key release.Key, c release.Commit, wanted string) string {
	var b strings.Builder
	moved := wanted != c.Bad.Revision.Inputs
	switch {
	case c.Rollback == nil:
		fmt.Fprintf(&b, "%s: revert refused promotion%s\n\n", key, number(c.Bad.Promotion))
	case moved:
		fmt.Fprintf(&b, "%s: hold %s\n\n", key, version(&c.Bad.Revision))
	default:
		fmt.Fprintf(&b, "%s: roll back to %s\n\n", key, version(c.Previous))
	}
	fmt.Fprintf(&b, "%s\n\n", c.Reason)
	b.WriteString(next(key, c, moved))
	return b.String()
}

func next(key release.Key, c release.Commit, moved bool) string {
	switch {
	case c.Rollback == nil:
		return "The directory is what it was, which is what runs. Open the promotion again\nonce what stood in its way is mended."
	case moved:
		return "Something newer was merged meanwhile and is left alone."
	case c.Hold == nil:
		return "Traffic was moved back before this commit was made. Nothing is held\nagainst the release: it may be promoted again."
	}
	return fmt.Sprintf("Traffic was moved back before this commit was made. What failed is on hold\nin %s/control.yaml; promote something newer, or take the hold out in\na reviewed pull request.", key)
}

func number(p release.Promotion) string {
	if p.PullRequest == 0 {
		return ""
	}
	return fmt.Sprintf(" #%d", p.PullRequest)
}

func version(r *release.Revision) string {
	switch {
	case r == nil:
		return "nothing"
	case r.Version != "":
		return r.Version
	}
	return r.ID
}

// trailers are for people and for searching the history. Nothing decides by
// them, since anybody can write one.
func (c *Committer) trailers(key release.Key, commit release.Commit) []gitsource.Trailer {
	var out []gitsource.Trailer
	add := func(key, value string) {
		if value != "" {
			out = append(out, gitsource.Trailer{Key: key, Value: value})
		}
	}
	add("Release", key.String())
	if commit.Previous != nil {
		for _, a := range commit.Previous.Artifacts {
			add("Artifact-Digest", a.Digest)
		}
	}
	for _, a := range commit.Bad.Revision.Artifacts {
		add("Previous-Digest", a.Digest)
	}
	add("Pull-Request", commit.Bad.Promotion.URL)
	for _, login := range commit.Bad.Promotion.ApprovedBy {
		add("Approved-By", login)
	}
	for _, g := range commit.Gates {
		if commit.Rollback == nil && g.Verdict != "pass" {
			add("Gate", fmt.Sprintf("%s=%s; %s", g.Name, g.Verdict, g.Reason))
		}
	}
	if b := commit.Rollback; b != nil {
		add("Analysis", measurement(*b, commit.Verdict))
		add("Rollback-Of", commit.Bad.Promotion.Commit)
		add("Rollback-Id", b.ID)
		add("Detected-At", b.DetectedAt.UTC().Format(time.RFC3339Nano))
		add("Traffic-Back-At", b.TrafficBackAt.UTC().Format(time.RFC3339Nano))
	}
	add("Policy-Commit", commit.Bad.Promotion.Policy)
	add("Sluice-Version", c.Version)
	return out
}

func measurement(b release.Rollback, v analysis.Verdict) string {
	if b.Cause != release.AnalysisFailed && b.Cause != release.OverExposed {
		return fmt.Sprintf("%s; %s", b.Cause, b.Measurement)
	}
	return fmt.Sprintf("%s baseline=%.2f%% canary=%.2f%% limit=%+.2f evidence=%.3g needed=%.3g requests=%d verdict=%s",
		v.Metric, 100*v.StableRate, 100*v.CandidateRate, 100*v.Threshold, v.Evidence, v.Needed, v.Candidate.Requests, v.Outcome)
}
