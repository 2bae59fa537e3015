package environments

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/reconciler/gate"
	"github.com/sluice-cd/sluice/reconciler/intake"
	"github.com/sluice-cd/sluice/reconciler/release"
	"github.com/sluice-cd/sluice/schemas"
)

// A Candidate is what gates are asked about.
type Candidate struct {
	Key  release.Key
	Want release.Want
	// Retired: git asks for the release to go.
	Retired bool
	// Changes are on the branch and have to be proven, also where PullRequest
	// would come on top of them.
	Changes []intake.Change
	// PullRequest is set for the preview of one that is not merged.
	PullRequest *forge.PullRequest
	// Stable is what runs and was proven, nil when nothing does. Genesis is the
	// commit up to which an operator vouches for everything, "" for none.
	Stable  *release.Revision
	Genesis string
	// Proven is what earlier environments know of the candidate's artifact and
	// base, by their names. One that is absent was not asked.
	Proven map[string]Proven
}

// Facts gathers what git and the forge know about a candidate. What could not
// be asked is unknown in the facts; the error is git's alone. Whoever asks adds
// what is known of the cluster and of other environments.
func (r *Repository) Facts(ctx context.Context, rules Rules, c Candidate, now time.Time) (gate.Facts, error) {
	environment, ok := rules.Policy.Environment(c.Key.Environment)
	if !ok {
		return gate.Facts{}, fmt.Errorf("gather facts of %s: the policy has no environment %s", c.Key, c.Key.Environment)
	}
	q := r.inquire(now)
	changes, err := q.changes(ctx, rules, c, environment.Approvals.Teams)
	if err != nil {
		return gate.Facts{}, err
	}
	file, err := q.file(ctx, rules, c, changes)
	if err != nil {
		return gate.Facts{}, err
	}
	sources, err := q.sources(ctx, rules, c, file.release, environment.Approvals)
	if err != nil {
		return gate.Facts{}, err
	}
	f := gate.Facts{
		Environment: environment, First: rules.First(c.Key.Environment),
		Merged: c.PullRequest == nil, Retired: c.Retired,
		Repository: r.name, Branch: r.branch,
		Class: gate.Class(environment.Approvals, file.release.Change), Incident: file.release.Incident,
		Inputs: c.Want.Revision.Inputs, Revision: c.Want.Revision.ID,
		Artifacts: artifacts(file.release), BaseTree: c.Want.Revision.BaseTree,
		Changes: changes, Classes: rules.Policy.Classes, Sources: sources,
	}
	f.Origins = q.built(ctx, rules, file.release, c)
	if !c.Retired {
		f.Checks = q.checks(ctx, rules, file.release, f.Changes, c)
		q.custom(ctx, rules, file.release, c, &f)
	}
	return f, nil
}

// file is what the candidate says about itself. Class, incident and source are
// no inputs, so a rebased pull request can say something else in each of its
// commits: what its reviewers saw counts.
func (q *inquiry) file(ctx context.Context, rules Rules, c Candidate, changes []gate.Change) (files, error) {
	if c.PullRequest != nil {
		tip, err := q.git.Last(ctx)
		if err != nil {
			return files{}, err
		}
		return q.readOnto(rules, c.Key, c.Want.Promotion.Commit, tip)
	}
	if n := len(changes); n > 0 && changes[n-1].Content.Yes {
		return q.readFiles(rules, c.Key, changes[n-1].Commit)
	}
	return q.readFiles(rules, c.Key, c.Want.Promotion.Commit)
}

func artifacts(file schemas.Release) []gate.Artifact {
	var out []gate.Artifact
	for _, a := range file.List() {
		out = append(out, gate.Artifact{
			Image: a.Image, Digest: a.Digest, Repository: a.Source.Repository, SourceCommit: a.Source.Commit,
		})
	}
	return out
}

// An inquiry is one decision's look at git and the forge.
type inquiry struct {
	*Repository
	ask *asked
	now time.Time
}

func (r *Repository) inquire(now time.Time) *inquiry {
	return &inquiry{Repository: r, ask: &asked{Forge: r.forge, answers: map[string]any{}}, now: now}
}

// changes gathers the review of every change, one entry for each pull request.
func (q *inquiry) changes(ctx context.Context, rules Rules, c Candidate, teams []string) ([]gate.Change, error) {
	listed, err := q.sinceTrusted(c)
	if err != nil {
		return nil, err
	}
	out, err := q.origins(ctx, c, listed, teams)
	if err != nil {
		return nil, err
	}
	for i, change := range listed {
		if idle, err := q.idle(c, change); err != nil {
			return nil, err
		} else if idle {
			continue
		}
		if change.Lost {
			out = append(out, gate.Change{Commit: change.Commit, Content: gate.Answer{Reason: "there were too many changes before it to keep account of them"}})
		}
		g := q.change(ctx, change.Commit, teams)
		if last := i == len(listed)-1; last && c.PullRequest == nil && g.Commit != change.Commit {
			if err := q.whole(rules, c, &g); err != nil {
				return nil, err
			}
		}
		if at := slices.IndexFunc(out, func(o gate.Change) bool { return o.PullRequest != nil && o.Commit == g.Commit }); at >= 0 {
			if out[at].Base && !out[at].Content.Yes {
				g.Content = out[at].Content
			}
			out = slices.Delete(out, at, at+1)
		}
		if f, err := q.readFiles(rules, c.Key, g.Commit); err == nil {
			g.Class = f.release.Change
		} else if !errors.As(err, new(unusable)) {
			return nil, err
		}
		out = append(out, g)
	}
	if c.PullRequest != nil {
		out = append(out, q.proposed(ctx, *c.PullRequest, teams))
	}
	for i := range out {
		if err := q.assign(ctx, rules.Commit, &out[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// idle: the release became unusable by something else than its files, such as a
// policy that asks more of them.
func (q *inquiry) idle(c Candidate, change intake.Change) (bool, error) {
	if !change.Broken || change.Lost {
		return false, nil
	}
	for _, dir := range []string{c.Key.String(), baseDir(c.Key)} {
		same, err := q.sameDirectory(dir, change.From, change.Commit)
		if err != nil || !same {
			return false, err
		}
	}
	return true, nil
}

// whole makes a candidate wait that is a state inside of a rebased pull request:
// what the reviewers saw is what the pull request adds up to.
func (q *inquiry) whole(rules Rules, c Candidate, g *gate.Change) error {
	inputs, err := q.Inputs(rules, c.Key, g.Commit)
	if err != nil {
		return err
	}
	wanted := c.Want.Revision.Inputs
	if c.Retired {
		wanted = intake.Retired
	}
	if inputs != wanted {
		g.Content = gate.Answer{Unknown: fmt.Sprintf("it ends with commit %.12s, which has not been read yet", g.Commit)}
	}
	return nil
}
