package reconciler

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/reconciler/environments"
	"github.com/sluice-cd/sluice/reconciler/gate"
	"github.com/sluice-cd/sluice/reconciler/render"
)

// PreviewOnce shows on every open pull request what its gates say.
func (c *Reconciler) PreviewOnce(ctx context.Context) error {
	git, _ := c.known()
	rules, err := c.Releases.Rules(git.Policy)
	if err != nil {
		return err
	}
	proposals, err := c.Facts.Proposals(ctx, rules)
	errs := []error{err}
	for _, p := range proposals {
		statuses, err := c.preview(ctx, p)
		errs = append(errs, err)
		for _, status := range statuses {
			errs = append(errs, c.announce(ctx, p.PullRequest.Head.Commit, status))
		}
	}
	return errors.Join(errs...)
}

// preview makes one status for each environment that a pull request touches.
func (c *Reconciler) preview(ctx context.Context, p environments.Proposal) ([]forge.Status, error) {
	titles := map[string][]verdict{}
	for name, problem := range p.Problems {
		environment, _, _ := strings.Cut(name, "/")
		titles[environment] = append(titles[environment], verdict{name, forge.StatusFailure, problem})
	}
	var errs []error
	for _, candidate := range p.Candidates {
		if !c.ours(candidate.Key) {
			continue
		}
		v, err := c.previewOne(ctx, candidate)
		if err != nil {
			errs = append(errs, fmt.Errorf("preview %s in #%d: %w", candidate.Key, p.PullRequest.Number, err))
			continue
		}
		titles[candidate.Key.Environment] = append(titles[candidate.Key.Environment], v)
	}
	var out []forge.Status
	for _, environment := range slices.Sorted(maps.Keys(titles)) {
		out = append(out, summary(environment, titles[environment], p.PullRequest.URL))
	}
	return out, errors.Join(errs...)
}

// A verdict is what the gates say about one release of a pull request.
type verdict struct {
	release string
	state   forge.StatusState
	title   string
}

func (c *Reconciler) previewOne(ctx context.Context, candidate environments.Candidate) (verdict, error) {
	p, err := c.newPass(ctx, candidate.Key)
	if err != nil {
		return verdict{}, err
	}
	if !p.located() {
		return verdict{candidate.Key.String(), forge.StatusPending, p.lost.Error()}, nil
	}
	facts, err := p.facts(ctx, candidate, p.record.Stable)
	if err != nil {
		return verdict{}, err
	}
	if !candidate.Retired {
		output, err := p.render(ctx, p.planned, candidate.Want.Revision)
		var refusal *render.Refusal
		if err != nil && !errors.As(err, &refusal) {
			return verdict{}, err
		}
		p.describe(&facts, output, refusal)
	}
	s := gate.Summarize(gate.Evaluate(facts, time.Now()))
	return verdict{candidate.Key.String(), state(s.Status), s.Title}, nil
}

func state(s gate.Status) forge.StatusState {
	switch s {
	case gate.StatusSuccess:
		return forge.StatusSuccess
	case gate.StatusFailure:
		return forge.StatusFailure
	case gate.StatusPending:
	}
	return forge.StatusPending
}

// summary is the status of one environment: the worst of its releases.
func summary(environment string, verdicts []verdict, url string) forge.Status {
	rank := []forge.StatusState{forge.StatusFailure, forge.StatusPending, forge.StatusSuccess}
	worst := slices.MinFunc(verdicts, func(a, b verdict) int {
		return slices.Index(rank, a.state) - slices.Index(rank, b.state)
	})
	title := worst.title
	if len(verdicts) > 1 {
		title = worst.release + ": " + title
	}
	return forge.Status{Context: "sluice/" + environment, State: worst.state, Description: title, URL: url}
}

// announce shows a status unless it is what was shown last.
func (c *Reconciler) announce(ctx context.Context, commit string, status forge.Status) error {
	key, value := commit+" "+status.Context, string(status.State)+" "+status.Description
	c.mu.Lock()
	known := c.announced[key] == value
	c.mu.Unlock()
	if known || c.Observe {
		return nil
	}
	if err := c.Announcer.SetStatus(ctx, commit, status); err != nil {
		return fmt.Errorf("show status %s on %.12s: %w", status.Context, commit, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.announced) > maxAnnounced {
		clear(c.announced)
	}
	c.announced[key] = value
	c.Log.Info("showed status", "commit", commit, "context", status.Context, "state", string(status.State), "title", status.Description)
	return nil
}

// maxAnnounced bounds the memory of what was shown; showing it again is
// harmless.
const maxAnnounced = 10_000
