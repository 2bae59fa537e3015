package environments

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sluice-cd/sluice/gitsource"
	"github.com/sluice-cd/sluice/reconciler/gate"
	"github.com/sluice-cd/sluice/reconciler/intake"
	"github.com/sluice-cd/sluice/reconciler/release"
	"github.com/sluice-cd/sluice/schemas"
)

// A decider finds out what one step of the branch did and whether it was
// allowed to.
type decider struct {
	*inquiry
	record intake.Repository
	commit gitsource.Commit
	// ends is the last commit of the pull request that a decision rests on, and
	// from the commit before its first one.
	ends, from string
}

func (d *decider) step(ctx context.Context) (intake.Step, error) {
	step := intake.Step{From: d.record.Mark, Commit: d.commit.SHA, At: d.commit.Time}
	changes, err := d.git.Changes(d.record.Mark, d.commit.SHA)
	if err != nil {
		return step, err
	}
	if step.Policy, err = d.decidePolicy(ctx, changes); err != nil {
		return step, err
	}
	inForce := d.record.Policy
	if step.Policy != nil && step.Policy.Accepted {
		inForce = d.commit.SHA
	}
	rules, err := d.Rules(inForce)
	if err != nil {
		return step, err
	}
	names, err := d.touched(rules, d.commit.SHA, changes, inForce != d.record.Policy)
	if err != nil {
		return step, err
	}
	if step.Releases, err = d.snapshots(rules, d.commit.SHA, names); err != nil {
		return step, err
	}
	step.Releases = d.known(step.Releases)
	step.Control, err = d.decideControl(ctx, step.Releases)
	return step, err
}

// known leaves out what neither is nor was a release, such as a service that
// does not run in the first environment.
func (d *decider) known(snapshots map[string]intake.Snapshot) map[string]intake.Snapshot {
	maps.DeleteFunc(snapshots, func(name string, s intake.Snapshot) bool {
		_, known := d.record.Releases[name]
		return !known && s.Inputs == "" && s.Problem == "" && !s.Control.Paused && s.Control.Frozen == "" && len(s.Control.Holds) == 0
	})
	return snapshots
}

// decidePolicy says whether a commit that changed what the owners own was
// allowed to. It is nil for a commit that did not. The owners are those of the
// policy in force.
func (d *decider) decidePolicy(ctx context.Context, changes []gitsource.Change) (*intake.Decision, error) {
	if len(ownedPaths(changes)) == 0 {
		return nil, nil
	}
	since, err := d.git.Changes(d.record.Policy, d.commit.SHA)
	if err != nil {
		return nil, err
	}
	if len(ownedPaths(since)) == 0 {
		return &intake.Decision{Accepted: true, Reason: "it is again what is in force"}, nil
	}
	old, err := d.Rules(d.record.Policy)
	if err != nil {
		return nil, err
	}
	var fault unusable
	after, unread := d.Rules(d.commit.SHA)
	if unread != nil && !errors.As(unread, &fault) {
		return nil, unread
	}
	change := d.reviewed(ctx, old.Policy.Owners)
	if unread == nil {
		change.Weakens = Weakens(old, after)
	}
	decision, err := d.decide(ctx, gate.EvaluatePolicy(gate.PolicyFacts{
		Repository: d.name, Branch: d.branch, Merged: true, Owners: old.Policy.Owners, Change: change,
	}, d.now), old.Policy.Owners)
	switch {
	case err != nil:
		return nil, err
	case unread != nil:
		return &intake.Decision{Reason: fault.Error()}, nil //nolint:nilerr // rules that cannot be read are refused
	}
	if decision, err = d.refuseDrift(decision); err != nil || !decision.Accepted {
		return decision, err
	}
	reason, err := d.unfit(ctx)
	return &intake.Decision{Accepted: reason == "", Reason: cmp.Or(reason, decision.Reason)}, err
}

// unfit says why the rules of the commit cannot be in force whoever approved
// them, "" when they can: with them nobody could approve anything any more.
func (d *decider) unfit(ctx context.Context) (string, error) {
	reason, err := d.ownersFault(d.record.Policy, d.commit.SHA)
	if err != nil || reason != "" {
		return reason, err
	}
	before, err := d.allTeams(d.record.Policy)
	if err != nil {
		return "", err
	}
	after, err := d.allTeams(d.commit.SHA)
	if err != nil {
		return "", err
	}
	return d.newTeams(ctx, before, after)
}

// refuseDrift refuses a change on top of one that was not accepted: whoever
// approved it saw the difference to that one, not to what is in force.
func (d *decider) refuseDrift(decision *intake.Decision) (*intake.Decision, error) {
	before, err := d.git.Changes(d.record.Policy, d.from)
	if err != nil {
		return nil, err
	}
	drifted := pathsThat(governs, before)
	if len(drifted) == 0 {
		return decision, nil
	}
	return &intake.Decision{Reason: fmt.Sprintf(
		"%s was changed before without being accepted, and a review of a later change does not cover that: put it back as it is in %.12s and change it again",
		strings.Join(drifted, ", "), d.record.Policy)}, nil
}

// decideControl says whether a commit that took a pause or a hold away was
// allowed to. It is nil for a commit that took nothing away.
func (d *decider) decideControl(ctx context.Context, snapshots map[string]intake.Snapshot) (*intake.Decision, error) {
	rules, err := d.Rules(d.record.Policy)
	if err != nil {
		return nil, err
	}
	var decision *intake.Decision
	for _, name := range slices.Sorted(maps.Keys(snapshots)) {
		inForce, s := d.record.Releases[name].Control, snapshots[name]
		if s.Problem != "" || !inForce.Looser(s.Control) {
			continue
		}
		one, err := d.decideRelease(ctx, rules, name, inForce, s.Control)
		if err != nil {
			return nil, err
		}
		if decision == nil || decision.Accepted {
			decision = one
		}
	}
	return decision, nil
}

// decideRelease asks for what a standard promotion of the release needs.
func (d *decider) decideRelease(ctx context.Context, rules Rules, name string, inForce, file intake.Control) (*intake.Decision, error) {
	key, err := release.ParseKey(name)
	if err != nil {
		return nil, err
	}
	environment, ok := rules.Policy.Environment(key.Environment)
	if !ok {
		return &intake.Decision{Reason: "the policy in force has no environment " + key.Environment}, nil
	}
	results := gate.Evaluate(gate.Facts{
		Environment: environment, First: rules.First(key.Environment), Merged: true,
		Repository: d.name, Branch: d.branch, Class: schemas.ChangeStandard,
		Changes: []gate.Change{d.reviewed(ctx, environment.Approvals.Teams)},
	}, d.now)
	decision, err := d.decide(ctx, slices.DeleteFunc(results, func(r gate.Result) bool {
		return r.Gate != gate.Integrity && r.Gate != gate.Approvals
	}), environment.Approvals.Teams)
	if err != nil {
		return nil, err
	}
	before, err := d.readControl(key, d.from)
	var fault unusable
	if err != nil && !errors.As(err, &fault) {
		return nil, err
	}
	if !shows(before, inForce, file) {
		return &intake.Decision{Reason: fmt.Sprintf(
			"%s was loosened before without a review, and a review of a later change does not cover that: put back what is in force and loosen it again",
			ControlPath(key))}, nil
	}
	return decision, nil
}

// shows reports whether the file before a change had everything that is in
// force and that the change takes away, so that its reviewers could see it go.
func shows(before, inForce, file intake.Control) bool {
	hidden := intake.Control{Paused: inForce.Paused && !file.Paused}
	if file.Frozen == "" {
		hidden.Frozen = inForce.Frozen
	}
	for _, h := range inForce.Holds {
		if one := (intake.Control{Holds: []intake.Hold{h}}); one.Looser(file) {
			hidden.Holds = append(hidden.Holds, h)
		}
	}
	return !hidden.Looser(before)
}

// reviewed is the change that the commit belongs to.
func (d *decider) reviewed(ctx context.Context, teams []string) gate.Change {
	change, from := d.trace(ctx, d.commit.SHA, teams)
	d.from = d.record.Mark
	if change.Content.Yes {
		d.ends, d.from = change.Commit, from
	}
	return change
}

// decide sums up. What the forge could not answer is an error: an undecided
// change of the rules makes everything after it wait.
func (d *decider) decide(ctx context.Context, results []gate.Result, teams []string) (*intake.Decision, error) {
	for _, result := range results {
		if result.Unknown {
			return nil, d.undecided(ctx, result.Reason, teams)
		}
	}
	summary := gate.Summarize(results)
	if summary.Verdict == gate.Pass {
		return &intake.Decision{Accepted: true, Reason: summary.Title}, nil
	}
	reason := summary.Title
	for _, result := range results {
		if result.Verdict == gate.Fail && result.Unblocks != "" {
			reason += "; " + result.Unblocks
		}
	}
	return &intake.Decision{Reason: reason}, nil
}
