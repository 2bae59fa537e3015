package github

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/go-github/v88/github"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/gitsource/forge/transport"
)

// Compare returns what the commit to of any repository ("owner/name") has beyond
// the commit from. forge.ErrTooManyCommits says that it is more than 250.
func (c *Client) Compare(ctx context.Context, fullName, from, to string) (forge.Comparison, error) {
	ctx = transport.Asking(ctx, "compare")
	subject := fmt.Sprintf("compare %.12s with %.12s of %s", to, from, fullName)
	repo, err := parseRepository(fullName)
	if err != nil {
		return forge.Comparison{}, &forge.RejectedError{Subject: subject, Err: err}
	}
	if err := errors.Join(transport.FullSHA(subject, from), transport.FullSHA(subject, to)); err != nil {
		return forge.Comparison{}, err
	}
	var whole *github.CommitsComparison
	found, err := everyPage(subject, func(opts github.ListOptions) ([]*github.RepositoryCommit, *github.Response, error) {
		page, resp, err := c.rest.Repositories.CompareCommits(ctx, repo.owner, repo.name, from, to, &opts)
		if err != nil {
			return nil, resp, err
		}
		if whole = page; page.GetTotalCommits() > maxCommits {
			return nil, &github.Response{}, nil // none of them says anything about the rest
		}
		return page.Commits, resp, nil
	})
	switch total := whole.GetTotalCommits(); {
	case err != nil:
		return forge.Comparison{}, err
	case total > maxCommits:
		return forge.Comparison{}, &forge.RejectedError{Subject: subject, Err: fmt.Errorf("%w: they are %d", forge.ErrTooManyCommits, total)}
	case whole.TotalCommits == nil || whole.BehindBy == nil || len(found) != total:
		return forge.Comparison{}, transport.Incomplete(subject, "%d of %d commits", len(found), total)
	}
	commits, err := c.commits(subject, found)
	return forge.Comparison{Commits: commits, Behind: whole.GetBehindBy()}, err
}

// Newest returns a commit of any repository and what came right before it, 100
// commits at most, newest first.
func (c *Client) Newest(ctx context.Context, fullName, commit string) ([]forge.PullRequestCommit, error) {
	ctx = transport.Asking(ctx, "commits")
	subject := fmt.Sprintf("list the commits up to %.12s of %s", commit, fullName)
	repo, err := parseRepository(fullName)
	if err != nil {
		return nil, &forge.RejectedError{Subject: subject, Err: err}
	}
	if err := transport.FullSHA(subject, commit); err != nil {
		return nil, err
	}
	found, _, err := c.rest.Repositories.ListCommits(ctx, repo.owner, repo.name,
		&github.CommitsListOptions{SHA: commit, ListOptions: github.ListOptions{PerPage: perPage}})
	if err != nil {
		return nil, classify(subject, err)
	}
	if len(found) == 0 || found[0].GetSHA() != commit {
		return nil, transport.Incomplete(subject, "the list does not begin with the commit")
	}
	return c.commits(subject, found)
}

// MergedWith returns the merged pull requests of any repository that brought a
// commit, with the labels that they have now.
func (c *Client) MergedWith(ctx context.Context, fullName, commit string) ([]forge.PullRequest, error) {
	ctx = transport.Asking(ctx, "commit-pulls")
	subject := fmt.Sprintf("list the pull requests of %.12s of %s", commit, fullName)
	repo, err := parseRepository(fullName)
	if err != nil {
		return nil, &forge.RejectedError{Subject: subject, Err: err}
	}
	if err := transport.FullSHA(subject, commit); err != nil {
		return nil, err
	}
	found, err := everyPage(subject, lister(ctx, repo,
		func(ctx context.Context, owner, name string, opts *github.ListOptions) ([]*github.PullRequest, *github.Response, error) {
			return c.rest.PullRequests.ListPullRequestsWithCommit(ctx, owner, name, commit, opts)
		}))
	if err != nil {
		return nil, err
	}
	var merged []forge.PullRequest
	for _, answer := range found {
		pr, err := c.pullRequest(subject, answer)
		if err != nil {
			return nil, err
		}
		if pr.Merged && strings.EqualFold(pr.Base.Repository, repo.String()) {
			merged = append(merged, pr)
		}
	}
	return merged, nil
}
