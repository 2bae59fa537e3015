package environments

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sluice-cd/sluice/gitsource"
	"github.com/sluice-cd/sluice/reconciler/gate"
	"github.com/sluice-cd/sluice/reconciler/intake"
	"github.com/sluice-cd/sluice/reconciler/release"
)

// Begin is the record of the baseline that an operator names.
func (r *Repository) Begin(ctx context.Context, genesis string) (intake.Repository, error) {
	if _, err := r.git.Tip(ctx); err != nil {
		return intake.Repository{}, err
	}
	commit, err := r.git.Commit(genesis)
	if err != nil {
		return intake.Repository{}, fmt.Errorf("read the baseline %s: %w", genesis, err)
	}
	rules, err := r.Rules(genesis)
	if err != nil {
		return intake.Repository{}, fmt.Errorf("read the baseline: %w", err)
	}
	names, err := r.releases(rules, genesis)
	if err != nil {
		return intake.Repository{}, err
	}
	snapshots, err := r.snapshots(rules, genesis, names)
	if err != nil {
		return intake.Repository{}, err
	}
	return intake.Begin(genesis, commit.Time, snapshots), nil
}

// Poll reads on from the record's mark. It costs one request when nothing
// changed. When the history was rewritten the record comes back frozen. After
// an error the record holds everything up to the commit that the error is
// about, and Poll may be called again.
func (r *Repository) Poll(ctx context.Context, record intake.Repository, now time.Time) (intake.Repository, error) {
	if record.Frozen != "" {
		return record, nil
	}
	tip, err := r.git.Tip(ctx)
	if err != nil || tip == record.Mark {
		return record, err
	}
	commits, err := r.git.Range(record.Mark, tip)
	if errors.Is(err, gitsource.ErrRewritten) || errors.Is(err, gitsource.ErrUnknownCommit) {
		return intake.Freeze(record, fmt.Sprintf(
			"the history of %s was rewritten: %.12s does not follow %.12s; put the branch back, or start with --genesis %s to accept it",
			r.branch, tip, record.Mark, tip)), nil
	}
	if err != nil {
		return record, err
	}
	for _, c := range commits {
		step, err := r.step(ctx, record, c, now)
		if err != nil {
			return record, fmt.Errorf("read commit %.12s: %w", c.SHA, err)
		}
		if record, err = intake.Fold(record, step); err != nil {
			return record, err
		}
	}
	return record, nil
}

// step gathers what one commit did.
func (r *Repository) step(ctx context.Context, record intake.Repository, c gitsource.Commit, now time.Time) (intake.Step, error) {
	step := intake.Step{From: record.Mark, Commit: c.SHA, At: c.Time}
	changes, err := r.git.Changes(record.Mark, c.SHA)
	if err != nil {
		return step, err
	}
	if step.Policy, err = r.decidePolicy(ctx, record, c, changes, now); err != nil {
		return step, err
	}
	inForce := record.Policy
	if step.Policy != nil && step.Policy.Accepted {
		inForce = c.SHA
	}
	rules, err := r.Rules(inForce)
	if err != nil {
		return step, err
	}
	names, err := r.touched(rules, c.SHA, changes, inForce != record.Policy)
	if err != nil {
		return step, err
	}
	if step.Releases, err = r.snapshots(rules, c.SHA, names); err != nil {
		return step, err
	}
	step.Control, err = r.decideControl(ctx, record, c, step.Releases, now)
	return step, err
}

// touched lists the releases whose state may differ after the changes.
func (r *Repository) touched(rules Rules, commit string, changes []gitsource.Change, all bool) ([]string, error) {
	if all {
		return r.releases(rules, commit)
	}
	seen := map[string]bool{}
	for _, c := range changes {
		top, rest, _ := strings.Cut(c.Path, "/")
		name, _, below := strings.Cut(rest, "/")
		switch {
		case !below:
		case top == "services" && len(rules.Policy.Environments) > 0:
			seen[rules.Policy.Environments[0].Name+"/"+name] = true
		case rules.Policy.Index(top) >= 0:
			seen[top+"/"+name] = true
		}
	}
	names := make([]string, 0, len(seen))
	for name := range seen {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, nil
}

// releases lists every release of a commit.
func (r *Repository) releases(rules Rules, commit string) ([]string, error) {
	var names []string
	for _, e := range rules.Policy.Environments {
		services, err := r.directories(commit, e.Name)
		if err != nil {
			return nil, err
		}
		for _, s := range services {
			names = append(names, e.Name+"/"+s)
		}
	}
	return names, nil
}

func (r *Repository) snapshots(rules Rules, commit string, names []string) (map[string]intake.Snapshot, error) {
	out := make(map[string]intake.Snapshot, len(names))
	for _, name := range names {
		key, err := release.ParseKey(name)
		if err != nil {
			return nil, err
		}
		f, err := r.readFiles(rules, key, commit)
		var fault unusable
		switch {
		case errors.As(err, &fault):
			out[name] = intake.Snapshot{Problem: fault.Error()}
		case err != nil:
			return nil, err
		default:
			out[name] = intake.Snapshot{Inputs: f.inputs, Control: f.control}
		}
	}
	return out, nil
}

// decidePolicy says whether a commit that changed the rules was allowed to. It
// is nil for a commit that did not.
func (r *Repository) decidePolicy(ctx context.Context, record intake.Repository, c gitsource.Commit, changes []gitsource.Change, now time.Time) (*intake.Decision, error) {
	if !slices.ContainsFunc(changes, func(g gitsource.Change) bool { return owned(g.Path) }) {
		return nil, nil
	}
	if _, err := r.readRules(c.SHA); err != nil {
		return &intake.Decision{Reason: err.Error()}, nil
	}
	old, err := r.Rules(record.Policy)
	if err != nil {
		return nil, err
	}
	return r.decide(ctx, c, old.Policy.Owners, now)
}

// decideControl says whether a commit that took a pause or a hold away was
// allowed to. It is nil for a commit that took nothing away.
func (r *Repository) decideControl(ctx context.Context, record intake.Repository, c gitsource.Commit, snapshots map[string]intake.Snapshot, now time.Time) (*intake.Decision, error) {
	for name, s := range snapshots {
		if s.Problem == "" && record.Releases[name].Control.Looser(s.Control) {
			return r.decide(ctx, c, nil, now)
		}
	}
	return nil, nil
}

// decide asks whether a commit was reviewed and approved. What the forge could
// not answer is an error: an undecided change of the rules makes everything
// after it wait.
func (r *Repository) decide(ctx context.Context, c gitsource.Commit, owners []string, now time.Time) (*intake.Decision, error) {
	change := r.change(ctx, intake.Change{Commit: c.SHA, At: c.Time}, owners, now)
	results := gate.EvaluatePolicy(gate.PolicyFacts{
		Repository: r.name, Branch: r.branch, Merged: true, Owners: owners, Change: change,
	}, now)
	for _, result := range results {
		if result.Unknown {
			return nil, fmt.Errorf("ask who approved it: %s", result.Reason)
		}
	}
	summary := gate.Summarize(results)
	return &intake.Decision{Accepted: summary.Verdict == gate.Pass, Reason: summary.Title}, nil
}
