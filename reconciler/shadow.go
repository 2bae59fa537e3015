package reconciler

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/sluice-cd/sluice/reconciler/environments"
	"github.com/sluice-cd/sluice/reconciler/gate"
	"github.com/sluice-cd/sluice/reconciler/release"
	"github.com/sluice-cd/sluice/reconciler/render"
)

// An Evaluation is what the gates say about one release of an open pull request.
type Evaluation struct {
	Release string        `json:"release"`
	Summary gate.Summary  `json:"summary"`
	Gates   []gate.Result `json:"gates"`
	// Notes say what the answer does not rest on.
	Notes []string `json:"notes,omitempty"`
}

// Inspect asks the gates about an open pull request as PreviewOnce does, at an
// instant of the caller's, and shows the answer to nobody. It needs what Recover
// loads. A record that cannot be read is taken for one that knows nothing, which
// a note says.
func (c *Reconciler) Inspect(ctx context.Context, p environments.Proposal, at time.Time) ([]Evaluation, error) {
	var out []Evaluation
	for _, name := range slices.Sorted(maps.Keys(p.Problems)) {
		out = append(out, refusedFile(name, p.Problems[name]))
	}
	for _, candidate := range p.Candidates {
		e, err := c.inspect(ctx, candidate, at)
		if err != nil {
			return nil, fmt.Errorf("inspect %s in #%d: %w", candidate.Key, p.PullRequest.Number, err)
		}
		out = append(out, e)
	}
	return out, nil
}

// refusedFile: what cannot be read is refused before any gate is asked.
func refusedFile(name, problem string) Evaluation {
	return Evaluation{Release: name, Summary: gate.Summary{Verdict: gate.Fail, Status: gate.StatusFailure, Title: problem}, Gates: []gate.Result{}}
}

func (c *Reconciler) inspect(ctx context.Context, candidate environments.Candidate, at time.Time) (Evaluation, error) {
	e := Evaluation{Release: candidate.Key.String()}
	saved, err := c.load(ctx, candidate.Key, at)
	if err != nil {
		saved = stored{record: release.New(candidate.Key, at)}
		e.Notes = append(e.Notes, "what was merged before and is not verified yet is not part of the answer: "+err.Error())
	}
	p := c.passOver(candidate.Key, saved, at)
	if !p.located() {
		return Evaluation{}, p.lost
	}
	facts, err := p.facts(ctx, candidate, p.record.Stable)
	if err != nil {
		return Evaluation{}, err
	}
	if !candidate.Retired {
		output, err := p.render(ctx, p.planned, candidate.Want.Revision)
		var refusal *render.Refusal
		if err != nil && !errors.As(err, &refusal) {
			return Evaluation{}, err
		}
		p.describe(&facts, output, refusal)
	}
	e.Gates = gate.Evaluate(facts, at)
	e.Summary = gate.Summarize(e.Gates)
	return e, nil
}

// Policy is the commit whose policy is in force.
func (c *Reconciler) Policy() string {
	git, _ := c.known()
	return git.Policy
}
