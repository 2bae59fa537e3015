package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/reconciler/release"
)

// A Deployment is how far one release of a merged pull request has come. It holds
// only what changes with a transition, so that equal ones read the same.
type Deployment struct {
	Release string `json:"release"`
	Version string `json:"version,omitempty"`
	Commit  string `json:"commit"`
	// Phase is where it stands, Outcome what became of it in the end.
	Phase   release.Phase `json:"phase,omitempty"`
	Outcome string        `json:"outcome,omitempty"`
	Reason  string        `json:"reason,omitempty"`
	// Began is zero for as long as it waits.
	Began   time.Time        `json:"began,omitzero"`
	Steps   []int            `json:"steps,omitempty"`
	Moments []release.Moment `json:"moments,omitempty"`
	// Verdict is that of the last step that ended.
	Verdict string `json:"verdict,omitempty"`
	// Gates are those that did not pass, and Passed counts the others.
	Gates    []release.Gate    `json:"gates,omitempty"`
	Passed   int               `json:"passed,omitempty"`
	Rollback *release.Rollback `json:"rollback,omitempty"`
	Held     bool              `json:"held,omitempty"`
}

// The outcomes besides those of evidence.
const (
	superseded = "superseded"
	rejected   = "rejected"
	rolledBack = "rolled-back"
	stable     = "stable"
)

// maxShownMoments bounds the story of a rollout that was extended again and again.
const maxShownMoments = 24

// Underway is the deployment of a record's candidate.
func Underway(r release.Record) (number int, d Deployment) {
	if r.Candidate == nil {
		return 0, Deployment{}
	}
	d = of(*r.Candidate, r.Key.String(), r.Gates)
	d.Phase = r.Phase
	switch r.Phase {
	case release.Pending, release.Rejected:
		return r.Candidate.Promotion.PullRequest, d
	case release.Stable, release.Preparing, release.Progressing, release.Verifying, release.Reverting,
		release.Restoring, release.Frozen, release.Removing, release.Removed:
	}
	d.rollout(r.Rollout)
	return r.Candidate.Promotion.PullRequest, d
}

// Finished is the deployment that evidence is about; 0 where it is about none.
func Finished(e release.Evidence) (number int, d Deployment) {
	if e.Candidate == nil {
		return 0, Deployment{}
	}
	d = of(*e.Candidate, e.Release, e.Gates)
	d.Outcome, d.Reason, d.Held = e.Outcome, e.Reason, e.Hold != nil
	if e.Rollout != nil {
		d.rollout(*e.Rollout)
	}
	return e.Candidate.Promotion.PullRequest, d
}

// Superseded is a deployment that another pull request took the place of.
func (d Deployment) Superseded(by int) Deployment {
	d.Outcome, d.Reason = superseded, fmt.Sprintf("the newer promotion #%d took its place before it began", by)
	return d
}

// Repeats reports whether it says nothing that came after the end that is known: a
// rejection is told before git was put right, for one.
func (d Deployment) Repeats(end Deployment) bool {
	return !d.Over() && d.Commit == end.Commit && !d.Began.After(end.Began)
}

// Over reports whether nothing more comes of it.
func (d Deployment) Over() bool { return d.Outcome != "" }

func of(w release.Want, name string, gates []release.Gate) Deployment {
	d := Deployment{Release: name, Version: w.Revision.Version, Commit: w.Promotion.Commit}
	if d.Version == "" {
		d.Version = w.Revision.ID
	}
	for _, g := range gates {
		if g.Verdict == "pass" {
			d.Passed++
			continue
		}
		g.Evidence = nil
		d.Gates = append(d.Gates, g)
	}
	return d
}

func (d *Deployment) rollout(o release.Rollout) {
	d.Began, d.Steps, d.Rollback = o.Began, o.Plan.Steps, o.Rollback
	d.Moments = slices.Clone(o.Moments)
	if extra := len(d.Moments) - maxShownMoments; extra > 0 {
		d.Moments = slices.Delete(d.Moments, 1, 1+extra)
	}
	if n := len(o.Verdicts); n > 0 {
		d.Verdict = string(o.Verdicts[n-1].Outcome) + ": " + o.Verdicts[n-1].Reason
	}
}

// Deployed is the comment of a pull request after its merge.
func Deployed(scope string, deployments []Deployment) forge.Comment {
	marker := Marker(scope)
	out := &page{}
	out.add(marker + "\n### Deployment\n\n")
	var sections []string
	for _, d := range deployments {
		sections = append(sections, d.section())
	}
	out.addAll(sections, more("releases are", ""))
	return forge.Comment{Marker: marker, Body: out.String()}
}

func (d Deployment) section() string {
	var out strings.Builder
	fmt.Fprintf(&out, "**%s** %s %s\n\n", inert(d.Release), code(d.Version), d.title())
	d.story(&out)
	if d.Verdict != "" {
		fmt.Fprintf(&out, "Last step that was judged: %s\n\n", inert(d.Verdict))
	}
	if len(d.Gates) > 0 {
		out.WriteString("| gate | verdict | reason | who can change it |\n|---|---|---|---|\n")
		for _, g := range d.Gates {
			fmt.Fprintf(&out, "| %s | %s | %s | %s |\n", inert(g.Name), verdict(g.Verdict), inert(g.Reason), inert(g.Unblocks))
		}
		fmt.Fprintf(&out, "\n%s.\n\n", plural(d.Passed, "other gate passes", "other gates pass"))
	}
	return out.String()
}

func verdict(v string) string {
	if v == "fail" {
		return "❌ fail"
	}
	return "⏳ wait"
}

// title says in one line where it stands or how it ended.
func (d Deployment) title() string {
	switch d.Outcome {
	case stable:
		return "✅ is stable"
	case rolledBack:
		text := "❌ was rolled back: " + inert(d.measured())
		if d.Held {
			text += ". It is on hold until a reviewed change lifts that"
		}
		return text
	case rejected:
		return "❌ was rejected: " + inert(strings.TrimPrefix(d.Reason, "Rejected: "))
	case superseded:
		return "⏹ was superseded: " + inert(d.Reason)
	case "":
		return d.doing()
	}
	return "ended as " + inert(d.Outcome) + ": " + inert(d.Reason)
}

func (d Deployment) measured() string {
	if d.Rollback != nil {
		return d.Rollback.Measurement
	}
	return d.Reason
}

func (d Deployment) doing() string {
	switch d.Phase {
	case release.Pending:
		return "⏳ waits for its gates"
	case release.Rejected:
		return "❌ is rejected, and git is being put right"
	case release.Preparing:
		return "🚀 is made ready, without traffic"
	case release.Progressing:
		return "🚀 gets traffic step by step"
	case release.Verifying:
		return "🔎 has all traffic and is watched"
	case release.Reverting, release.Restoring:
		return "↩ is rolled back: " + inert(d.measured())
	case release.Stable, release.Frozen, release.Removing, release.Removed:
	}
	return inert(string(d.Phase))
}

// story is the table of what happened when.
func (d Deployment) story(out *strings.Builder) {
	if len(d.Moments) == 0 {
		return
	}
	out.WriteString("| when | phase | traffic | what happened |\n|---|---|---|---|\n")
	for _, m := range d.Moments {
		fmt.Fprintf(out, "| %s | %s | %d %% | %s |\n", m.At.UTC().Format("2006-01-02 15:04:05 UTC"), inert(string(m.Phase)), m.Weight, inert(m.Text))
	}
	if r := d.Rollback; r != nil && !r.TrafficBackAt.IsZero() {
		fmt.Fprintf(out, "\nTraffic was back after %s.\n", r.TrafficBackAt.Sub(r.DetectedAt).Round(time.Second))
	}
	out.WriteString("\n")
}
