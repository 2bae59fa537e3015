package gitlab

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/gitsource/forge/transport"
)

// Branch returns a branch of any project (its full path) that the credentials
// can see; an empty name is its default branch.
//
// Protected says that a protection rule covers the branch, not what it asks.
func (c *Client) Branch(ctx context.Context, fullName, name string) (forge.BranchState, error) {
	ctx = transport.Asking(ctx, "branch")
	subject := fmt.Sprintf("read branch %s of %s", name, fullName)
	of, err := parsePath(subject, fullName)
	if err != nil {
		return forge.BranchState{}, err
	}
	if name == "" {
		if name, err = c.defaultBranch(ctx, of); err != nil {
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
	if _, err := c.get(ctx, of.path("repository", "branches", name), nil, &answer); err != nil {
		return forge.BranchState{}, transport.Classify(subject, err)
	}
	if answer.Name != name || answer.Protected == nil || !transport.IsSHA(answer.Commit.ID) {
		return forge.BranchState{}, transport.Incomplete(subject, "it is about another branch or lacks its commit")
	}
	return forge.BranchState{Repository: string(of), Name: name, Commit: answer.Commit.ID, Protected: *answer.Protected}, nil
}

func (c *Client) defaultBranch(ctx context.Context, of project) (string, error) {
	subject := "read project " + string(of)
	var answer struct {
		DefaultBranch string `json:"default_branch"`
	}
	if _, err := c.get(ctx, of.path(), nil, &answer); err != nil {
		return "", transport.Classify(subject, err)
	}
	if answer.DefaultBranch == "" {
		return "", transport.Incomplete(subject, "no default branch")
	}
	return answer.DefaultBranch, nil
}

// Contains reports whether the commit is the branch's head or one of its
// ancestors. A commit that the project does not have is not contained.
func (c *Client) Contains(ctx context.Context, branch forge.BranchState, commit string) (bool, error) {
	ctx = transport.Asking(ctx, "contains")
	subject := fmt.Sprintf("ask whether %s of %s contains %s", branch.Name, branch.Repository, commit)
	of, err := parsePath(subject, branch.Repository)
	if err != nil {
		return false, err
	}
	if err := errors.Join(transport.FullSHA(subject, commit), transport.FullSHA(subject, branch.Commit)); err != nil {
		return false, err
	}
	known, err := c.hasCommit(ctx, subject, of, commit)
	if err != nil || !known {
		return false, err
	}
	var root struct{ ID string }
	_, err = c.get(ctx, of.path("repository", "merge_base"), url.Values{"refs[]": {commit, branch.Commit}}, &root)
	if err != nil {
		err = transport.Classify(subject, err)
		if errors.Is(err, forge.ErrNotFound) { // two histories
			return false, c.confirmReadable(ctx, of, err)
		}
		return false, err
	}
	if !transport.IsSHA(root.ID) {
		return false, transport.Incomplete(subject, "%q is no commit", root.ID)
	}
	return root.ID == commit, nil
}

// hasCommit reports whether a readable project has the commit. GitLab takes a
// branch that is called like a commit for one.
func (c *Client) hasCommit(ctx context.Context, subject string, of project, commit string) (bool, error) {
	var answer struct{ ID string }
	if _, err := c.get(ctx, of.path("repository", "commits", commit), url.Values{"stats": {"false"}}, &answer); err != nil {
		err = transport.Classify(subject, err)
		if errors.Is(err, forge.ErrNotFound) {
			return false, c.confirmReadable(ctx, of, err)
		}
		return false, err
	}
	if !transport.IsSHA(answer.ID) {
		return false, transport.Incomplete(subject, "a commit without SHA")
	}
	return answer.ID == commit, nil
}

// ProtectedBranches lists the branches of any project (its full path) that a
// protection rule covers.
func (c *Client) ProtectedBranches(ctx context.Context, fullName string) ([]forge.BranchState, error) {
	ctx = transport.Asking(ctx, "protected-branches")
	subject := "list the branches of " + fullName
	of, err := parsePath(subject, fullName)
	if err != nil {
		return nil, err
	}
	type branch struct {
		Name      string
		Commit    struct{ ID string }
		Protected *bool
	}
	found, err := everyPage[branch](ctx, c, subject, of.path("repository", "branches"), nil)
	if err != nil {
		return nil, err
	}
	var protected []forge.BranchState
	for _, b := range found {
		if b.Name == "" || b.Protected == nil || !transport.IsSHA(b.Commit.ID) {
			return nil, transport.Incomplete(subject, "a branch without name, commit or protection")
		}
		if *b.Protected {
			protected = append(protected, forge.BranchState{Repository: string(of), Name: b.Name, Commit: b.Commit.ID, Protected: true})
		}
	}
	return protected, nil
}
