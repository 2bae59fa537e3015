package environments

import (
	"context"
	"fmt"
	"time"

	"github.com/sluice-cd/sluice/gitsource/forge"
)

// asked is a forge that is asked each question once: several releases, checks
// and commits of one decision need the same answers, and they should not change
// in between. It is used by one goroutine for one decision.
type asked struct {
	Forge
	answers map[string]any // of answer
}

type answer[V any] struct {
	value V
	err   error
}

func once[V any](a *asked, question string, ask func() (V, error)) (V, error) {
	if known, ok := a.answers[question].(answer[V]); ok {
		return known.value, known.err
	}
	value, err := ask()
	a.answers[question] = answer[V]{value, err}
	return value, err
}

func (a *asked) MergedPullRequest(ctx context.Context, commit, base string) (forge.PullRequest, error) {
	return once(a, fmt.Sprintf("merged %s %s", base, commit), func() (forge.PullRequest, error) {
		return a.Forge.MergedPullRequest(ctx, commit, base)
	})
}

func (a *asked) Reviews(ctx context.Context, number int) ([]forge.Review, error) {
	return once(a, fmt.Sprintf("reviews %d", number), func() ([]forge.Review, error) {
		return a.Forge.Reviews(ctx, number)
	})
}

func (a *asked) Commits(ctx context.Context, number int) ([]forge.PullRequestCommit, error) {
	return once(a, fmt.Sprintf("commits %d", number), func() ([]forge.PullRequestCommit, error) {
		return a.Forge.Commits(ctx, number)
	})
}

func (a *asked) LastPushers(ctx context.Context, pr forge.PullRequest) ([]forge.User, error) {
	return once(a, fmt.Sprintf("pushers %d %s", pr.Number, pr.Head.Commit), func() ([]forge.User, error) {
		return a.Forge.LastPushers(ctx, pr)
	})
}

func (a *asked) BaseChanges(ctx context.Context, number int) ([]time.Time, error) {
	return once(a, fmt.Sprintf("bases %d", number), func() ([]time.Time, error) {
		return a.Forge.BaseChanges(ctx, number)
	})
}

func (a *asked) Checks(ctx context.Context, repository, commit string) ([]forge.Check, error) {
	return once(a, fmt.Sprintf("checks %s %s", repository, commit), func() ([]forge.Check, error) {
		return a.Forge.Checks(ctx, repository, commit)
	})
}

func (a *asked) Branch(ctx context.Context, repository, name string) (forge.BranchState, error) {
	return once(a, fmt.Sprintf("branch %s %s", repository, name), func() (forge.BranchState, error) {
		return a.Forge.Branch(ctx, repository, name)
	})
}

func (a *asked) Contains(ctx context.Context, branch forge.BranchState, commit string) (bool, error) {
	return once(a, fmt.Sprintf("contains %s %s %s", branch.Repository, branch.Commit, commit), func() (bool, error) {
		return a.Forge.Contains(ctx, branch, commit)
	})
}

func (a *asked) Attestations(ctx context.Context, repository, digest string) ([]forge.Attestation, error) {
	return once(a, fmt.Sprintf("attestations %s %s", repository, digest), func() ([]forge.Attestation, error) {
		return a.Forge.Attestations(ctx, repository, digest)
	})
}

func (a *asked) ProtectedBranches(ctx context.Context, repository string) ([]forge.BranchState, error) {
	return once(a, "protected "+repository, func() ([]forge.BranchState, error) {
		return a.Forge.ProtectedBranches(ctx, repository)
	})
}

func (a *asked) Analyses(ctx context.Context, branch forge.BranchState, commit string) ([]forge.Analysis, error) {
	return once(a, fmt.Sprintf("analyses %s %s %s", branch.Repository, branch.Name, commit), func() ([]forge.Analysis, error) {
		return a.Forge.Analyses(ctx, branch, commit)
	})
}

func (a *asked) Alerts(ctx context.Context, branch forge.BranchState, since time.Time) ([]forge.Alert, error) {
	return once(a, fmt.Sprintf("alerts %s %s %s", branch.Repository, branch.Name, since), func() ([]forge.Alert, error) {
		return a.Forge.Alerts(ctx, branch, since)
	})
}

func (a *asked) TeamMember(ctx context.Context, team string, user forge.User) (bool, error) {
	return once(a, fmt.Sprintf("member %s %d", team, user.ID), func() (bool, error) {
		return a.Forge.TeamMember(ctx, team, user)
	})
}

func (a *asked) Permission(ctx context.Context, user forge.User) (forge.Permission, error) {
	return once(a, fmt.Sprintf("permission %d", user.ID), func() (forge.Permission, error) {
		return a.Forge.Permission(ctx, user)
	})
}
