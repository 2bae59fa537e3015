package release

import "time"

// TEMPORARY, uncommitted: delete this file when explain.go is ready.

type Explanation struct {
	Release   string    `json:"release"`
	Phase     Phase     `json:"phase"`
	Title     string    `json:"title"`
	Stable    *Revision `json:"stable,omitempty"`
	Candidate *Revision `json:"candidate,omitempty"`
}

func (e Explanation) Text() string { return e.Title + "\n" }

func Explain(r Record, now time.Time) Explanation {
	e := Explanation{Release: r.Key.String(), Phase: r.Phase, Title: r.Reason, Stable: r.Stable}
	if r.Candidate != nil {
		e.Candidate = &r.Candidate.Revision
	}
	return e
}
