package restore

import (
	"fmt"
	"strings"
	"time"

	"github.com/sluice-cd/sluice/analysis"
	"github.com/sluice-cd/sluice/gitsource"
	"github.com/sluice-cd/sluice/reconciler/environments"
	"github.com/sluice-cd/sluice/reconciler/release"
)

// text is what a commit says. Values are written as they are: the formatter of
// messages makes them harmless.
type text struct {
	key release.Key
	release.Commit
	found     finding
	unwritten error
	sluice    string // version
}

// restores reports whether the commit changes the release's directory.
func (t text) restores() bool { return t.found == failed && t.Good != "" }

// message tells the reader of the history what happened and what to do next.
func (t text) message() string {
	parts := []string{fmt.Sprintf("%s: %s", t.key, t.subject()), t.reason(), t.directory(), t.hold()}
	var said []string
	for _, p := range parts {
		if p != "" {
			said = append(said, p)
		}
	}
	return strings.Join(said, "\n\n")
}

func (t text) subject() string {
	switch {
	case t.Rollback == nil:
		return "revert refused promotion" + number(t.Bad.Promotion)
	case !t.restores() && t.found == newer:
		return fmt.Sprintf("hold %s, a newer promotion stays", version(t.Bad.Revision))
	case !t.restores():
		return "hold " + version(t.Bad.Revision)
	case t.Previous == nil:
		return "take back first deployment, " + version(t.Bad.Revision)
	}
	return "roll back to " + version(*t.Previous)
}

// reason is why, as a sentence that git does not take for a trailer.
func (t text) reason() string {
	if t.Rollback != nil {
		return t.Reason
	}
	return "The gates refuse it: " + strings.TrimPrefix(t.Reason, "Rejected: ")
}

// directory says what became of the release's directory.
func (t text) directory() string {
	switch {
	case t.restores() && t.Previous == nil:
		return "The directory is what it was before the promotion. Nothing serves."
	case t.restores() && t.Rollback == nil:
		return "The directory is what it was before. Promote again once what stood in the\nway is mended."
	case t.restores():
		return "Traffic was moved back before this commit was made. The directory is what\nit was when what runs now was promoted."
	}
	if t.Rollback != nil && t.Rollback.Cause == release.Returned {
		return "What runs now is what somebody went back to in git; the directory is left as\nit is."
	}
	switch t.found {
	case failed:
		return "There is no earlier state to go back to, so the directory stays as it is."
	case already:
		return "Somebody had already put the directory back."
	case gone:
		return fmt.Sprintf("%s/%s is not there any more and is not brought back.", t.key, releaseFile)
	case below:
		return fmt.Sprintf("What failed came with services/%s/ and is left there: other\nenvironments read it too. Revert it in a reviewed pull request.", t.key.Service)
	case unusable:
		return "What the directory asks for now cannot be read and is left alone."
	case newer:
	}
	return "Something newer was merged for this release meanwhile and is left alone."
}

func (t text) hold() string {
	switch {
	case t.Rollback == nil:
		return ""
	case t.Hold == nil:
		return "Nothing is held against what was rolled back: it may be promoted again."
	case t.unwritten != nil:
		return fmt.Sprintf("What failed is on hold. %s could not\nbe read, so the hold is not in it yet.", environments.ControlPath(t.key))
	}
	return fmt.Sprintf("What failed is on hold in %s. Promote\nsomething newer, or take the hold out in a reviewed pull request.", environments.ControlPath(t.key))
}

func number(p release.Promotion) string {
	if p.PullRequest == 0 {
		return ""
	}
	return fmt.Sprintf(" #%d", p.PullRequest)
}

func version(r release.Revision) string {
	if r.Version != "" {
		return r.Version
	}
	return r.ID
}

// trailers are for people and for searching the history. Nothing decides by
// them, since anybody can write one.
func (t text) trailers() []gitsource.Trailer {
	l := list{{Key: "Release", Value: t.key.String()}}
	if t.restores() {
		l.digests("Artifact-Digest", t.Previous)
		l.digests("Previous-Digest", &t.Bad.Revision)
	}
	l.add("Pull-Request", t.Bad.Promotion.URL)
	for _, login := range t.Bad.Promotion.ApprovedBy {
		l.add("Approved-By", login)
	}
	if t.Rollback == nil {
		l.gates(t.Gates)
	} else {
		l.rollback(*t.Rollback, t.Commit)
	}
	l.add("Policy-Commit", t.Bad.Promotion.Policy)
	l.add("Sluice-Version", t.sluice)
	return l
}

type list []gitsource.Trailer

// add leaves out what is not known.
func (l *list) add(key, value string) {
	if strings.TrimSpace(value) != "" {
		*l = append(*l, gitsource.Trailer{Key: key, Value: value})
	}
}

func (l *list) digests(key string, r *release.Revision) {
	if r == nil {
		return
	}
	for _, a := range r.Artifacts {
		l.add(key, a.Digest)
	}
}

// gates lists those that stood in the way.
func (l *list) gates(gates []release.Gate) {
	for _, g := range gates {
		if g.Verdict != "pass" {
			l.add("Gate", fmt.Sprintf("%s=%s; %s", g.Name, g.Verdict, g.Reason))
		}
	}
}

func (l *list) rollback(b release.Rollback, c release.Commit) {
	if b.Cause != release.Returned {
		l.add("Analysis", measurement(b, c))
	}
	l.add("Rollback-Of", c.Bad.Promotion.Commit)
	l.add("Rollback-Id", b.ID)
	l.add("Detected-At", instant(b.DetectedAt))
	l.add("Traffic-Back-At", instant(b.TrafficBackAt))
}

func instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// measurement has the numbers where the analysis decided, in per cent of the
// requests. Without a stable revision there is no baseline and the limit is a
// rate of its own.
func measurement(b release.Rollback, c release.Commit) string {
	v := c.Verdict
	if v.Metric == "" || b.Cause != release.AnalysisFailed && b.Cause != release.OverExposed {
		return fmt.Sprintf("%s; %s", b.Cause, b.Measurement)
	}
	return string(v.Metric) + baseline(v, c.Previous == nil) + fmt.Sprintf(" evidence=%.3g needed=%.3g requests=%d verdict=%s",
		v.Evidence, v.Needed, v.Candidate.Requests, v.Outcome)
}

func baseline(v analysis.Verdict, alone bool) string {
	if alone {
		return fmt.Sprintf(" canary=%.2f%% limit=%.2f%%", 100*v.CandidateRate, 100*v.Threshold)
	}
	return fmt.Sprintf(" baseline=%.2f%% canary=%.2f%% limit=+%.2fpp", 100*v.StableRate, 100*v.CandidateRate, 100*v.Threshold)
}
