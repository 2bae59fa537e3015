package gate

import (
	"fmt"
	"slices"
	"time"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/schemas"
)

// A Scan is what the forge's code scanning knows about a source commit.
type Scan struct {
	// Analyses are those of the branch that contains the commit, down to the
	// commit's own.
	Analyses []forge.Analysis
	// Alerts are those of the branch that are open, and those that were fixed there
	// since the commit was analysed. What a person dismissed is not among them.
	Alerts []forge.Alert
	// Unknown says why it could not be read.
	Unknown string
}

const askScan = "whoever administers the source repository: turn code scanning on and let Sluice read it (security_events); or the owners of the policy: remove alerts"

// alerted asks for the absence of alerts of a severity and above on the source
// commit. That nothing is known of it is no absence.
func (f Facts) alerted(check schemas.Check, s Subject) finding {
	switch {
	case s.Scan == nil:
		return unknown(fmt.Sprintf("alerts of check %s have not been looked up yet", check.Gate), askForge)
	case s.Scan.Unknown != "":
		return unknown(fmt.Sprintf("alerts of check %s could not be read: %s", check.Gate, foreign(s.Scan.Unknown)), askScan)
	case len(s.Scan.ended(s.Commits[0])) == 0:
		return finding{
			cause:    Missing,
			reason:   fmt.Sprintf("no code scanning analysis of %s of %s is there yet", short(s.Commits[0]), foreign(s.Repository)),
			unblocks: "the code scanner, by analysing this commit on its branch",
		}.because(s.Scan.failures(s.Commits[0])...)
	}
	grave := s.Scan.on(s.Commits[0], check.Alerts.Severity)
	if len(grave) == 0 {
		return met("no open alert of severity " + foreign(check.Alerts.Severity) + " or above").
			because(Evidence{Text: fmt.Sprintf("code scanning analysed %s", short(s.Commits[0]))})
	}
	return f.grave(check, s, grave)
}

func (f Facts) grave(check schemas.Check, s Subject, grave []forge.Alert) finding {
	out := finding{
		cause: Concluded,
		reason: fmt.Sprintf("check %s: alert %d, %s, is open on %s%s", check.Gate, grave[0].Number, foreign(grave[0].Rule),
			short(s.Commits[0]), more(len(grave)-1, "alert")),
		unblocks: "the author: promote an artifact without it; or whoever judges alerts, by dismissing it with a reason",
		since:    grave[0].CreatedAt,
	}
	for i, a := range grave {
		if a.CreatedAt.Before(out.since) {
			out.since = a.CreatedAt
		}
		if i < maxAlerts {
			text := fmt.Sprintf("alert %d by %s: %s, severity %s", a.Number, foreign(a.Tool), foreign(a.Rule), severityName(a))
			out = out.because(Evidence{Text: text, URL: a.URL})
		}
	}
	out.since = f.afterMerge(out.since)
	return out
}

// maxAlerts bounds the evidence; the reason counts all.
const maxAlerts = 20

func severityName(a forge.Alert) string {
	if a.Severity == "" {
		return "not told"
	}
	return foreign(a.Severity)
}

// ended are the analyses of a commit that could be read, the latest first.
func (s Scan) ended(commit string) []forge.Analysis {
	var out []forge.Analysis
	for _, a := range s.Analyses {
		if a.Commit == commit && commit != "" && a.Error == "" {
			out = append(out, a)
		}
	}
	slices.SortStableFunc(out, func(a, b forge.Analysis) int { return b.CreatedAt.Compare(a.CreatedAt) })
	return out
}

func (s Scan) failures(commit string) []Evidence {
	var out []Evidence
	for _, a := range s.Analyses {
		if a.Commit == commit && a.Error != "" {
			out = append(out, Evidence{Text: fmt.Sprintf("an analysis by %s does not count: %s", foreign(a.Tool), foreign(a.Error))})
		}
	}
	return out
}

// on are the alerts of a severity and above that the commit has. Alerts belong to
// a branch. What one analysis finds or misses becomes known a little after it, so
// the analysis that follows the commit's own is what separates the commit's alerts
// from later ones: found after it, they are another commit's; fixed before it,
// they were fixed in this one.
func (s Scan) on(commit, severity string) []forge.Alert {
	var out []forge.Alert
	least := 1
	if slices.Contains([]string{"critical", "high", "medium"}, severity) {
		least = rank(severity)
	}
	for _, a := range s.Alerts {
		if rank(a.Severity) < least {
			continue
		}
		next, followed := s.next(commit, a.Tool)
		foundLater := followed && !a.CreatedAt.Before(next)
		fixedThen := !a.FixedAt.IsZero() && (!followed || a.FixedAt.Before(next))
		if !foundLater && !fixedThen {
			out = append(out, a)
		}
	}
	return out
}

// next is when the first analysis by a tool came in after those of the commit. A
// tool that did not analyse the commit cannot say which alerts are newer, so every
// open one counts.
func (s Scan) next(commit, tool string) (at time.Time, followed bool) {
	i := slices.IndexFunc(s.ended(commit), func(a forge.Analysis) bool { return a.Tool == tool })
	if i < 0 {
		return time.Time{}, false
	}
	own := s.ended(commit)[i].CreatedAt
	for _, a := range s.Analyses {
		if a.Tool == tool && a.Commit != commit && a.Error == "" && a.CreatedAt.After(own) && (!followed || a.CreatedAt.Before(at)) {
			at, followed = a.CreatedAt, true
		}
	}
	return at, followed
}

// rank orders severities. A rule that is not about security has the rank that its
// level suggests; one that tells nothing may be the gravest.
func rank(severity string) int {
	switch severity {
	case "low", "note", "none":
		return 1
	case "medium", "warning":
		return 2
	case "high", "error":
		return 3
	}
	return 4
}
