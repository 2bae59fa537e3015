package gate

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Summary is what all gates together say.
type Summary struct {
	Verdict Verdict `json:"verdict"`
	// Status is set before the merge, Outcome after it.
	Status  Status  `json:"status,omitempty"`
	Outcome Outcome `json:"outcome,omitempty"`
	// Title names the most useful reasons on one line of at most 140 characters.
	Title string `json:"title"`
	// NextCheck is the earliest of the results' instants; zero: only when
	// something happens.
	NextCheck time.Time `json:"nextCheck,omitzero"`
}

// Summarize sums results of one Evaluate up. Without any result nothing was
// asked, and nothing passes.
func Summarize(results []Result) Summary {
	if len(results) == 0 {
		return Summary{Verdict: Wait, Status: StatusPending, Outcome: OutcomeWait, Title: "Waiting: no gate has been asked yet"}
	}
	s := Summary{Verdict: Pass, Status: results[0].Status, Outcome: results[0].Outcome}
	for _, r := range results {
		s.Verdict = worse(s.Verdict, r.Verdict, Fail, Wait)
		s.Status = worse(s.Status, r.Status, StatusFailure, StatusPending)
		s.Outcome = worse(s.Outcome, r.Outcome, OutcomeReject, OutcomeWait)
		s.NextCheck = earlier(s.NextCheck, r.NextCheck)
	}
	s.Title = s.title(results)
	return s
}

// worse returns whichever of two values comes first in order, a if neither does.
func worse[T comparable](a, b T, order ...T) T {
	for _, v := range order {
		if a == v || b == v {
			return v
		}
	}
	return a
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}

func (s Summary) title(results []Result) string {
	var reasons []string
	for _, r := range results {
		if r.Verdict == s.Verdict {
			reasons = append(reasons, r.Reason)
		}
	}
	switch s.Verdict {
	case Pass:
		return fmt.Sprintf("Ready: all %d gates pass", len(results))
	case Fail:
		if s.Outcome == OutcomeReject {
			return joined("Rejected: ", reasons)
		}
		return joined("Refused: ", reasons)
	case Wait:
	}
	if s.Status == StatusSuccess {
		return joined("Deploys later: ", reasons)
	}
	return joined("Waiting: ", reasons)
}

// joined fits as many whole reasons as the title holds and counts the others.
func joined(prefix string, reasons []string) string {
	title := prefix + reasons[0]
	for i, reason := range reasons[1:] {
		more := fmt.Sprintf(" · and %d more", len(reasons)-1-i)
		longer := title + " · " + reason
		room := maxTitle
		if i+2 < len(reasons) {
			room -= utf8.RuneCountInString(more)
		}
		if utf8.RuneCountInString(longer) > room {
			return cut(title, maxTitle-utf8.RuneCountInString(more)) + more
		}
		title = longer
	}
	return cut(strings.TrimSpace(title), maxTitle)
}
