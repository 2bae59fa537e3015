package rehearsal

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sluice-cd/sluice/reconciler/gate"
	"github.com/sluice-cd/sluice/schemas"
)

// An Outcome is what became of one case.
type Outcome struct {
	Name   string `json:"name"`
	Passed bool   `json:"passed"`
	// Differences say in what the answer is not the one that is expected.
	Differences []string `json:"differences,omitempty"`
	// Title is what the gates say together.
	Title string        `json:"title"`
	Gates []gate.Result `json:"gates"`
}

// Play asks the gates of a policy about every case. An error says that the file
// does not fit the policy.
func Play(test schemas.PolicyTest, policy schemas.Policy) ([]Outcome, error) {
	environment, ok := policy.Environment(test.Environment)
	if !ok {
		return nil, fmt.Errorf("the policy has no environment %q", test.Environment)
	}
	out := make([]Outcome, len(test.Cases))
	for i, of := range test.Cases {
		for _, check := range of.Checks {
			if !slices.ContainsFunc(environment.Checks, func(c schemas.Check) bool { return c.Gate == check.Gate }) {
				return nil, fmt.Errorf("case %q: environment %s has no check with gate %q", of.Name, environment.Name, check.Gate)
			}
		}
		results := gate.Evaluate(facts(test, policy, of), of.At.Time)
		summary := gate.Summarize(results)
		differences := compare(of.Expect, summary, results)
		out[i] = Outcome{Name: of.Name, Passed: len(differences) == 0, Differences: differences, Title: summary.Title, Gates: results}
	}
	return out, nil
}

func compare(want schemas.TestExpectation, summary gate.Summary, results []gate.Result) []string {
	var out []string
	if string(summary.Verdict) != want.Verdict {
		out = append(out, fmt.Sprintf("it is %s, not %s: %s", summary.Verdict, want.Verdict, summary.Title))
	}
	for _, r := range results {
		if d := differs(expected(want, r.Gate), r); d != "" {
			out = append(out, d)
		}
	}
	for _, g := range want.Gates {
		if !slices.ContainsFunc(results, func(r gate.Result) bool { return r.Gate == g.Gate }) {
			out = append(out, fmt.Sprintf("gate %s is not one of the policy's", g.Gate))
		}
	}
	return out
}

// expected is what a gate has to say; one that the case does not name has to pass.
func expected(want schemas.TestExpectation, name string) schemas.TestGate {
	for _, g := range want.Gates {
		if g.Gate == name {
			return g
		}
	}
	return schemas.TestGate{Gate: name, Verdict: string(gate.Pass)}
}

func differs(want schemas.TestGate, got gate.Result) string {
	switch {
	case string(got.Verdict) != want.Verdict:
		return fmt.Sprintf("gate %s is %s, not %s: %s", want.Gate, got.Verdict, want.Verdict, got.Reason)
	case !strings.Contains(got.Reason, want.Because):
		return fmt.Sprintf("gate %s is %s because %q, which does not contain %q", want.Gate, got.Verdict, got.Reason, want.Because)
	}
	return ""
}
