package environments

import (
	"context"
	"errors"
	"fmt"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/reconciler/intake"
	"github.com/sluice-cd/sluice/reconciler/release"
	"github.com/sluice-cd/sluice/reconciler/render"
)

// Want is what git asks for, from what was read of a release.
func (r *Repository) Want(rules Rules, key release.Key, of intake.Release) (release.Want, error) {
	f, err := r.readFiles(rules, key, of.Commit)
	if err != nil {
		return release.Want{}, err
	}
	promotion := release.Promotion{
		Commit: of.Commit, At: of.At, Class: f.release.Change, Incident: f.release.Incident,
		Genesis: of.Genesis, Policy: rules.Commit,
	}
	if len(of.Changes) > 0 {
		promotion.Before = of.Changes[0].From
	}
	return release.Want{Revision: f.revision, Promotion: promotion}, nil
}

// Manifests is what to render for a revision: the release's own directory from
// its commit and the service's subtree from its base, and nothing else. Where it
// lands is the caller's to say: what runs stays where it was put, whatever the
// policy says since.
func (r *Repository) Manifests(key release.Key, revision release.Revision, namespace string) (render.Input, error) {
	own, err := r.git.FS(revision.Commit)
	if err != nil {
		return render.Input{}, err
	}
	base, err := r.git.FS(revision.Base)
	if err != nil {
		return render.Input{}, err
	}
	images := make(map[string]string, len(revision.Artifacts))
	for _, a := range revision.Artifacts {
		images[a.Image] = a.Digest
	}
	return render.Input{
		Release: key.String(), Dir: key.String(), Service: key.Service,
		Files:     composed{dir: key.String(), own: own, subtree: baseDir(key), base: base},
		FilesID:   revision.Inputs,
		Images:    images,
		Namespace: namespace,
		Revision:  revision.ID,
	}, nil
}

// A Proposal is an open pull request and the releases that it would change.
type Proposal struct {
	PullRequest forge.PullRequest
	Candidates  []Candidate
	// Problems says by release name why the proposed files cannot be used.
	Problems map[string]string
	// Owned lists the changed files that belong to the policy's owners.
	Owned []string
}

// Proposals reads the open pull requests against the branch. One that changes
// the inputs of no release after the first environment has no candidates. An
// error is about single pull requests; the others are there.
func (r *Repository) Proposals(ctx context.Context, rules Rules) ([]Proposal, error) {
	open, err := r.forge.OpenPullRequests(ctx, r.branch)
	if err != nil {
		return nil, err
	}
	var out []Proposal
	var errs []error
	for _, pr := range open {
		p, err := r.proposal(ctx, rules, pr)
		if err != nil {
			errs = append(errs, fmt.Errorf("read #%d: %w", pr.Number, err))
			continue
		}
		out = append(out, p)
	}
	return out, errors.Join(errs...)
}

func (r *Repository) proposal(ctx context.Context, rules Rules, pr forge.PullRequest) (Proposal, error) {
	p := Proposal{PullRequest: pr, Problems: map[string]string{}}
	if _, err := r.git.Fetch(ctx, pr.Head.Commit); err != nil {
		return p, err
	}
	tip, err := r.git.Last(ctx)
	if err != nil {
		return p, err
	}
	bases, err := r.git.MergeBases(tip, pr.Head.Commit)
	if err != nil || len(bases) == 0 {
		return p, err
	}
	// With several bases the facts say that nothing can be proven; what is
	// touched is then what differs from one of them.
	changes, err := r.git.Changes(bases[0], pr.Head.Commit)
	if err != nil {
		return p, err
	}
	p.Owned = ownedPaths(changes)
	names, err := r.touched(rules, pr.Head.Commit, changes, false)
	if err != nil {
		return p, err
	}
	for _, name := range names {
		if err := r.propose(rules, &p, name, bases[0], tip); err != nil {
			return p, err
		}
	}
	return p, nil
}

// propose adds a release whose inputs differ between base and the pull request.
func (r *Repository) propose(rules Rules, p *Proposal, name, base, tip string) error {
	key, err := release.ParseKey(name)
	if err != nil || rules.First(key.Environment) {
		return err
	}
	pr := p.PullRequest
	f, err := r.readOnto(rules, key, pr.Head.Commit, tip)
	var fault unusable
	switch {
	case errors.As(err, &fault):
		p.Problems[name] = fault.Error()
		return nil
	case err != nil:
		return err
	case f.inputs == "":
		return nil
	}
	before, err := r.readOnto(rules, key, base, tip)
	if err != nil && !errors.As(err, &fault) {
		return err
	}
	if before.inputs == f.inputs {
		return nil
	}
	p.Candidates = append(p.Candidates, Candidate{
		Key: key, PullRequest: &pr, Retired: f.inputs == intake.Retired,
		Want: release.Want{Revision: f.revision, Promotion: release.Promotion{
			Commit: pr.Head.Commit, PullRequest: pr.Number, URL: pr.URL, Author: pr.Author.Login,
			Class: f.release.Change, Incident: f.release.Incident,
		}},
	})
	return nil
}
