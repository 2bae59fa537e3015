package gate

import (
	"time"

	"github.com/sluice-cd/sluice/schemas"
)

// The gates that every policy has. Each check of a policy adds one of its own.
const (
	Integrity  = "integrity"
	Artifacts  = "artifact"
	Provenance = "provenance"
	Render     = "render"
	Probes     = "health-probes"
	HotfixRef  = "hotfix"
	Held       = "hold"
	Paused     = "paused"
	Frozen     = "freeze"
	Approvals  = "approvals"
	Order      = "order"
	Backfills  = "backfill"
	Soaked     = "soak"
	Window     = "window"
	Owners     = "owners" // of a policy change only, see EvaluatePolicy
)

// path is the way on which a release got its inputs.
type path int

const (
	standard path = iota
	hotfix
	returning // to what was stable here
	removal
	paths
)

// A rule is one row of the table of precedence.
type rule struct {
	gate  string // "" stands for the checks of the policy, then its own gates
	asked [paths]bool
	// first: also asked in the first environment.
	first bool
	ask   func(Facts, time.Time) finding
}

// anytime is a question whose answer the facts alone give.
func anytime(ask func(Facts) finding) func(Facts, time.Time) finding {
	return func(f Facts, _ time.Time) finding { return ask(f) }
}

// precedence is the order in which gates are listed and which path they are
// asked on. What puts the trustworthiness of a change in question comes
// first, what only takes time comes last.
func precedence() []rule {
	const yes, no = true, false
	return []rule{
		//                  standard, hotfix, return, removal
		{Integrity, [paths]bool{yes, yes, yes, yes}, yes, anytime(integrity)},
		{Artifacts, [paths]bool{yes, yes, yes, no}, yes, anytime(artifact)},
		{Provenance, [paths]bool{yes, yes, no, no}, no, anytime(provenance)},
		{Render, [paths]bool{yes, yes, yes, no}, yes, anytime(render)},
		{Probes, [paths]bool{yes, yes, no, no}, no, anytime(probes)},
		{HotfixRef, [paths]bool{yes, yes, no, no}, no, anytime(incident)},
		{Held, [paths]bool{yes, yes, yes, no}, yes, anytime(hold)},
		{Paused, [paths]bool{yes, yes, no, yes}, yes, anytime(paused)},
		{Frozen, [paths]bool{yes, yes, no, yes}, yes, frozen}, // a hotfix: unless hotfix.waives lists it
		{"", [paths]bool{yes, yes, no, no}, yes, nil},
		{Approvals, [paths]bool{yes, yes, yes, yes}, yes, anytime(approvals)},
		{Order, [paths]bool{yes, yes, no, no}, no, anytime(order)},
		{Backfills, [paths]bool{yes, no, no, no}, no, backfilled},
		{Soaked, [paths]bool{yes, yes, no, no}, no, soak},     // a hotfix: unless hotfix.waives lists it
		{Window, [paths]bool{yes, yes, no, yes}, yes, window}, // a hotfix: unless hotfix.waives lists it
	}
}

func (f Facts) path() path {
	switch {
	case f.Return:
		return returning
	case f.Retired:
		return removal
	case f.hotfix():
		return hotfix
	}
	return standard
}

func (f Facts) hotfix() bool { return f.Class == schemas.ChangeHotfix }

// Evaluate asks every gate and lists all answers in order of precedence.
func Evaluate(f Facts, now time.Time) []Result {
	var results []Result
	for _, rule := range precedence() {
		for _, q := range f.questions(rule) {
			results = append(results, q.answer(f, now).result(q.gate, f.Merged, now))
		}
	}
	return results
}

// A question is one gate together with what answers it.
type question struct {
	gate   string
	answer func(Facts, time.Time) finding
}

func (f Facts) questions(r rule) []question {
	questions := []question{{r.gate, r.ask}}
	if r.gate == "" {
		questions = append(f.checks(), f.custom()...)
	}
	reason := f.notAsked(r)
	for i := range questions {
		if reason != "" {
			questions[i].answer = anytime(func(Facts) finding { return met(reason) })
		}
	}
	return questions
}

// notAsked says why a gate passes without a question, "" when it is asked.
func (f Facts) notAsked(r rule) string {
	switch {
	case f.First && !r.first:
		return "not asked in the first environment"
	case r.asked[f.path()]:
		return ""
	case f.Return:
		return "not asked on the way back to what was stable here"
	case f.path() == hotfix:
		return "not asked of a hotfix"
	}
	return "not asked when a release is removed"
}
