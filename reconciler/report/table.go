package report

import (
	"fmt"
	"strings"
	"time"

	"github.com/sluice-cd/sluice/reconciler/gate"
)

// section is a release with the table of its gates.
func (r Release) section() string {
	var out strings.Builder
	s := r.summary()
	fmt.Fprintf(&out, "**%s**%s %s %s\n\n", inert(r.name()), r.versions(), sign(s.Status), inert(s.Title))
	if len(r.Results) == 0 {
		return out.String()
	}
	out.WriteString("| gate | verdict | reason | who can change it | next check |\n|---|---|---|---|---|\n")
	for _, g := range r.Results {
		fmt.Fprintf(&out, "| %s | %s | %s | %s | %s |\n", inert(g.Gate), word(g), because(g), inert(g.Unblocks), next(g))
	}
	out.WriteString("\n")
	return out.String()
}

func (r Release) versions() string {
	switch {
	case r.To == "":
		return ""
	case r.From == "":
		return " " + code(r.To)
	}
	return " " + code(r.From) + " → " + code(r.To)
}

func sign(s gate.Status) string {
	switch s {
	case gate.StatusSuccess:
		return "✅"
	case gate.StatusFailure:
		return "❌"
	case gate.StatusPending:
	}
	return "⏳"
}

// word is a verdict with its sign. What waits only for its time stands in nobody's
// way.
func word(g gate.Result) string {
	switch {
	case g.Verdict == gate.Pass:
		return "✅ pass"
	case g.Verdict == gate.Fail:
		return "❌ fail"
	case g.Unknown:
		return "❔ unknown"
	case g.Cause == gate.Later:
		return "🕒 later"
	}
	return "⏳ wait"
}

// maxEvidence bounds how much a gate shows of what it rests on.
const maxEvidence = 8

func because(g gate.Result) string {
	out := inert(g.Reason)
	for i, e := range g.Evidence {
		if i == maxEvidence {
			return out + fmt.Sprintf("<br>and %d more", len(g.Evidence)-i)
		}
		out += "<br>" + link(e.Text, e.URL)
	}
	return out
}

func next(g gate.Result) string {
	if g.Verdict == gate.Pass {
		return ""
	}
	return moment(g.NextCheck.Round(time.Second))
}
