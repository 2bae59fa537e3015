package release

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Text is the explanation for a terminal: plain, ending in a newline. Control
// characters of others are taken out, and what they wrote stays on its line.
func (e Explanation) Text() string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s: %s\n", e.Release, oneLine(e.Title))
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	line := func(name, text string) {
		if text != "" {
			fmt.Fprintf(w, "  %s\t%s\n", name, oneLine(text))
		}
	}
	line("phase", fmt.Sprintf("%s since %s", e.Phase, moment(e.Since)))
	line("why", e.Reason)
	for _, blocked := range e.Blocked {
		line("blocked", blocked)
	}
	line("next", e.next())
	line("who", e.Person)
	line("stable", e.Stable.text())
	line("candidate", e.Candidate.text())
	line("waiting", e.Waiting.text())
	for _, what := range e.WaitsFor {
		line("waits for", what)
	}
	line("step", e.Step.text())
	line("window", until(e.WindowEnds))
	line("deadline", until(e.Deadline))
	e.details(line)
	_ = w.Flush() // a strings.Builder takes everything
	return out.String()
}

func (e Explanation) details(line func(name, text string)) {
	for _, g := range e.Gates {
		line("gate", fmt.Sprintf("%s  %s  %s", g.Verdict, g.Name, g.Reason))
	}
	if v := e.Verdict; v != nil {
		line("analysis", fmt.Sprintf("%s: %s", v.Outcome, v.Reason))
	}
	if b := e.Rollback; b != nil {
		line("rollback", fmt.Sprintf("%s, %s: %s", b.ID, b.Cause, b.Measurement))
	}
	for _, h := range e.Holds {
		line("hold", fmt.Sprintf("%s %s", h.ID, words(strings.Join(append(slices.Clone(h.Digests), h.Inputs), " "), h.Reason)))
	}
	for _, b := range e.Backfills {
		line("backfill", b.String())
	}
	for _, d := range e.Owed {
		line("owed", words(fmt.Sprintf("%s since %s", d.Kind, moment(d.Since)), d.Refused))
	}
}

func (e Explanation) next() string {
	if e.At.IsZero() {
		return e.Next
	}
	return e.Next + ", " + moment(e.At)
}

func (n *Named) text() string {
	if n == nil {
		return ""
	}
	parts := []string{n.name(), "revision " + n.ID}
	for _, a := range n.Artifacts {
		parts = append(parts, a.Image+"@"+a.Digest)
	}
	parts = append(parts, "commit "+n.Commit)
	if n.PullRequest > 0 {
		parts = append(parts, fmt.Sprintf("#%d %s", n.PullRequest, n.URL))
	}
	return strings.Join(parts, ", ")
}

func (s *Stage) text() string {
	if s == nil {
		return ""
	}
	text := fmt.Sprintf("%d of %d, %d %%", s.Number, s.Of, s.Weight)
	if !s.Ends.IsZero() {
		text += ", ends " + moment(s.Ends)
	}
	if s.Extended {
		text += ", extended once"
	}
	return text
}

func until(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return "until " + moment(t)
}

func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// oneLine keeps what somebody else wrote from moving the cursor, from making
// lines of its own, and from breaking out of its column.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, s)
}
