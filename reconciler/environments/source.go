package environments

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/reconciler/gate"
	"github.com/sluice-cd/sluice/schemas"
)

// defaultBranch is how the forge's question names the default branch.
const defaultBranch = ""

// allowed lists the branches that an artifact's source may be in: the default
// branch, and for a hotfix those that the service names.
func (q *inquiry) allowed(service schemas.Service, file schemas.Release) []string {
	branches := []string{defaultBranch}
	if file.Change == schemas.ChangeHotfix {
		branches = append(branches, service.Source.Branches...)
	}
	return branches
}

// contained finds the first of the branches that is protected and has the commit.
// A branch that could not be asked about leaves the question open only where no
// other one has the commit.
func (q *inquiry) contained(ctx context.Context, branches []string, from schemas.ArtifactSource) (forge.BranchState, gate.Answer) {
	var reasons []string
	var unknown error
	for _, name := range branches {
		states, err := q.branches(ctx, from.Repository, name)
		if errors.Is(err, forge.ErrNotFound) && name != defaultBranch {
			reasons = append(reasons, fmt.Sprintf("there is no branch %s", name))
			continue
		}
		unknown = errors.Join(unknown, err)
		for _, branch := range states {
			reason, err := q.outside(ctx, branch, from.Commit)
			if err == nil && reason == "" {
				return branch, gate.Answer{Yes: true}
			}
			unknown = errors.Join(unknown, err)
			if reason != "" && !slices.Contains(reasons, reason) {
				reasons = append(reasons, reason)
			}
		}
	}
	if unknown != nil {
		return forge.BranchState{}, gate.Answer{Unknown: strings.ReplaceAll(unknown.Error(), "\n", "; ")}
	}
	slices.Reverse(reasons) // what was named in so many words is nearer to the remedy than the default
	return forge.BranchState{}, gate.Answer{Reason: strings.Join(reasons, "; ")}
}

// branches are those of a name, or the protected ones that fit a pattern.
func (q *inquiry) branches(ctx context.Context, repository, name string) ([]forge.BranchState, error) {
	if !strings.Contains(name, "*") {
		branch, err := q.ask.Branch(ctx, repository, name)
		if err != nil {
			return nil, err
		}
		return []forge.BranchState{branch}, nil
	}
	protected, err := q.ask.ProtectedBranches(ctx, repository)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(protected), func(b forge.BranchState) bool {
		fits, err := path.Match(name, b.Name)
		return err != nil || !fits
	}), nil
}

// outside says why a commit is not in a branch that counts, "" when it is.
func (q *inquiry) outside(ctx context.Context, branch forge.BranchState, commit string) (string, error) {
	if !branch.Protected {
		return fmt.Sprintf("branch %s of %s is not protected", branch.Name, branch.Repository), nil
	}
	yes, err := q.ask.Contains(ctx, branch, commit)
	if err != nil || yes {
		return "", err
	}
	return fmt.Sprintf("commit %.12s is not in branch %s of %s", commit, branch.Name, branch.Repository), nil
}

// scanned reads what code scanning found in a commit of a branch. Alerts are asked
// for since the commit's own analysis: what was fixed before is not in it.
func (q *inquiry) scanned(ctx context.Context, branch forge.BranchState, commit string) *gate.Scan {
	analyses, err := q.ask.Analyses(ctx, branch, commit)
	if err != nil {
		return &gate.Scan{Unknown: err.Error()}
	}
	var since time.Time
	for _, a := range analyses {
		if a.Commit == commit && (since.IsZero() || a.CreatedAt.Before(since)) {
			since = a.CreatedAt
		}
	}
	scan := &gate.Scan{Analyses: analyses}
	if since.IsZero() {
		return scan // without an analysis nothing is known of the commit, whatever alerts there are
	}
	if scan.Alerts, err = q.ask.Alerts(ctx, branch, since); err != nil {
		return &gate.Scan{Unknown: err.Error()}
	}
	return scan
}
