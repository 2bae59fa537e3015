package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/google/go-github/v88/github"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/gitsource/forge/transport"
)

// Branch returns a branch of any repository ("owner/name") that the
// credentials can see; an empty name is its default branch.
//
// Protected is GitHub's own flag. It says that some rule holds, not which.
func (c *Client) Branch(ctx context.Context, fullName, name string) (forge.BranchState, error) {
	ctx = transport.Asking(ctx, "branch")
	subject := fmt.Sprintf("read branch %s of %s", name, fullName)
	repo, err := parseRepository(fullName)
	if err != nil {
		return forge.BranchState{}, &forge.RejectedError{Subject: subject, Err: err}
	}
	if name == "" {
		if name, err = c.defaultBranch(ctx, repo); err != nil {
			return forge.BranchState{}, err
		}
	}
	if err := transport.PlainRef(subject, name); err != nil {
		return forge.BranchState{}, err
	}
	path := fmt.Sprintf("repos/%s/%s/branches/%s", repo.owner, repo.name, url.PathEscape(name))
	var answer *github.Branch
	if err := c.read(ctx, path, &answer); err != nil {
		return forge.BranchState{}, classify(subject, err)
	}
	commit := answer.GetCommit().GetSHA()
	if answer.GetName() != name || answer.Protected == nil || !transport.IsSHA(commit) {
		return forge.BranchState{}, transport.Incomplete(subject, "it is about another branch or lacks its commit")
	}
	return forge.BranchState{Repository: repo.String(), Name: name, Commit: commit, Protected: *answer.Protected}, nil
}

func (c *Client) defaultBranch(ctx context.Context, repo repository) (string, error) {
	subject := "read repository " + repo.String()
	answer, _, err := c.rest.Repositories.Get(ctx, repo.owner, repo.name)
	if err != nil {
		return "", classify(subject, err)
	}
	if answer.GetDefaultBranch() == "" {
		return "", transport.Incomplete(subject, "no default branch")
	}
	return answer.GetDefaultBranch(), nil
}

// Contains reports whether the commit is the branch's head or one of its
// ancestors. A commit that the repository does not have is not contained.
func (c *Client) Contains(ctx context.Context, branch forge.BranchState, commit string) (bool, error) {
	ctx = transport.Asking(ctx, "compare")
	subject := fmt.Sprintf("ask whether %s of %s contains %s", branch.Name, branch.Repository, commit)
	repo, err := parseRepository(branch.Repository)
	if err != nil {
		return false, &forge.RejectedError{Subject: subject, Err: err}
	}
	if err := errors.Join(transport.FullSHA(subject, commit), transport.FullSHA(subject, branch.Commit)); err != nil {
		return false, err
	}
	// Compared with the commit that was read with the protection flag, so
	// that both facts are of the same moment.
	comparison, _, err := c.rest.Repositories.CompareCommits(ctx, repo.owner, repo.name, branch.Commit, commit, &github.ListOptions{PerPage: 1})
	if err != nil {
		err = classify(subject, err)
		if errors.Is(err, forge.ErrNotFound) {
			return false, c.confirmReadable(ctx, repo, err)
		}
		return false, err
	}
	switch comparison.GetStatus() {
	case "identical", "behind":
		return true, nil
	case "ahead", "diverged":
		return false, nil
	}
	return false, transport.Incomplete(subject, "the comparison has the unknown status %q", comparison.GetStatus())
}

// confirmReadable tells a missing commit, which is a fact, from a repository
// that has gone out of sight since, which is not: it returns nil if the
// repository can still be read.
func (c *Client) confirmReadable(ctx context.Context, repo repository, missing error) error {
	if _, err := c.defaultBranch(ctx, repo); err != nil {
		return errors.Join(missing, err)
	}
	return nil
}

// read is a GET that go-github wraps in a way that loses the status code.
func (c *Client) read(ctx context.Context, path string, into any) error {
	req, err := c.rest.NewRequest(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	_, err = c.rest.Do(req, into)
	return err
}

// ProtectedBranches lists the branches of any repository ("owner/name") that some
// rule protects.
func (c *Client) ProtectedBranches(ctx context.Context, fullName string) ([]forge.BranchState, error) {
	ctx = transport.Asking(ctx, "protected-branches")
	subject := "list the protected branches of " + fullName
	repo, err := parseRepository(fullName)
	if err != nil {
		return nil, &forge.RejectedError{Subject: subject, Err: err}
	}
	found, err := everyPage(subject, func(opts github.ListOptions) ([]*github.Branch, *github.Response, error) {
		return c.rest.Repositories.ListBranches(ctx, repo.owner, repo.name, &github.BranchListOptions{Protected: github.Ptr(true), ListOptions: opts})
	})
	if err != nil {
		return nil, err
	}
	var out []forge.BranchState
	for _, b := range found {
		if !b.GetProtected() || b.GetName() == "" || !transport.IsSHA(b.GetCommit().GetSHA()) {
			return nil, transport.Incomplete(subject, "one is not protected or lacks its commit")
		}
		out = append(out, forge.BranchState{Repository: repo.String(), Name: b.GetName(), Commit: b.GetCommit().GetSHA(), Protected: true})
	}
	return out, nil
}
