package gitea

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/gitsource/forge/transport"
)

// Branch returns a branch of any repository ("owner/name") that the
// credentials can see; an empty name is its default branch.
//
// Protected says that a protection rule covers the branch, not what it asks.
func (c *Client) Branch(ctx context.Context, fullName, name string) (forge.BranchState, error) {
	ctx = transport.Asking(ctx, "branch")
	subject := fmt.Sprintf("read branch %s of %s", name, fullName)
	repo, err := parseRepository(subject, fullName)
	if err != nil {
		return forge.BranchState{}, err
	}
	if name == "" {
		if name, err = c.defaultBranch(ctx, repo); err != nil {
			return forge.BranchState{}, err
		}
	}
	if err := transport.PlainRef(subject, name); err != nil {
		return forge.BranchState{}, err
	}
	var answer struct {
		Name      string
		Commit    struct{ ID string }
		Protected *bool
	}
	if _, err := c.get(ctx, repo.path("branches", name), nil, &answer); err != nil {
		return forge.BranchState{}, transport.Classify(subject, err)
	}
	if answer.Name != name || answer.Protected == nil || !transport.IsSHA(answer.Commit.ID) {
		return forge.BranchState{}, transport.Incomplete(subject, "it is about another branch or lacks its commit")
	}
	return forge.BranchState{Repository: repo.String(), Name: name, Commit: answer.Commit.ID, Protected: *answer.Protected}, nil
}

func (c *Client) defaultBranch(ctx context.Context, repo repository) (string, error) {
	subject := "read repository " + repo.String()
	var answer struct {
		DefaultBranch string `json:"default_branch"`
	}
	if _, err := c.get(ctx, repo.path(), nil, &answer); err != nil {
		return "", transport.Classify(subject, err)
	}
	if answer.DefaultBranch == "" {
		return "", transport.Incomplete(subject, "no default branch")
	}
	return answer.DefaultBranch, nil
}

// Contains reports whether the commit is the branch's head or one of its
// ancestors. A commit that the repository does not have is not contained.
//
// It counts the commits that the branch lacks. Gitea's comparison would take a
// branch that is named like a commit for the commit.
func (c *Client) Contains(ctx context.Context, branch forge.BranchState, commit string) (bool, error) {
	ctx = transport.Asking(ctx, "contains")
	subject := fmt.Sprintf("ask whether %s of %s contains %s", branch.Name, branch.Repository, commit)
	repo, err := parseRepository(subject, branch.Repository)
	if err != nil {
		return false, err
	}
	if err := errors.Join(transport.FullSHA(subject, commit), transport.FullSHA(subject, branch.Commit)); err != nil {
		return false, err
	}
	lacking, err := readPage[pullCommit](ctx, c, repo.path("commits"), brief(url.Values{"sha": {commit}, "not": {branch.Commit}}), 1)
	if err != nil {
		err = transport.Classify(subject, err)
		if errors.Is(err, forge.ErrNotFound) {
			return false, c.confirmReadable(ctx, repo, err)
		}
		return false, err
	}
	if lacking.total == 0 && len(lacking.items) == 0 {
		return true, nil
	}
	// What a branch lacks begins with the commit itself.
	if lacking.total < len(lacking.items) || len(lacking.items) == 0 || lacking.items[0].SHA != commit {
		return false, transport.Incomplete(subject, "%d of %d commits, or others", len(lacking.items), lacking.total)
	}
	return false, nil
}

// hasCommit reports whether a readable repository has the commit.
func (c *Client) hasCommit(ctx context.Context, subject string, repo repository, commit string) (bool, error) {
	var answer pullCommit
	if _, err := c.get(ctx, repo.path("git", "commits", commit), brief(url.Values{}), &answer); err != nil {
		err = transport.Classify(subject, err)
		if errors.Is(err, forge.ErrNotFound) {
			return false, c.confirmReadable(ctx, repo, err)
		}
		return false, err
	}
	if answer.SHA != commit {
		return false, transport.Incomplete(subject, "it is about commit %q", answer.SHA)
	}
	return true, nil
}

// ProtectedBranches lists the branches of any repository ("owner/name") that a
// protection rule covers.
func (c *Client) ProtectedBranches(ctx context.Context, fullName string) ([]forge.BranchState, error) {
	ctx = transport.Asking(ctx, "protected-branches")
	subject := "list the branches of " + fullName
	repo, err := parseRepository(subject, fullName)
	if err != nil {
		return nil, err
	}
	type branch struct {
		Name      string
		Commit    struct{ ID string }
		Protected *bool
	}
	found, err := everyPage[branch](ctx, c, subject, repo.path("branches"), nil)
	if err != nil {
		return nil, err
	}
	var out []forge.BranchState
	for _, b := range found {
		if b.Name == "" || b.Protected == nil || !transport.IsSHA(b.Commit.ID) {
			return nil, transport.Incomplete(subject, "one lacks its name, its commit or whether it is protected")
		}
		if *b.Protected {
			out = append(out, forge.BranchState{Repository: repo.String(), Name: b.Name, Commit: b.Commit.ID, Protected: true})
		}
	}
	return out, nil
}
