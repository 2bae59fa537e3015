package github

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/go-github/v88/github"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/gitsource/forge/transport"
)

// OpenPullRequests lists the open pull requests into the branch base, oldest
// first. The list has neither MergedBy nor the counts of the single answer.
func (c *Client) OpenPullRequests(ctx context.Context, base string) ([]forge.PullRequest, error) {
	ctx = transport.Asking(ctx, "pulls")
	subject := "list open pull requests into " + base
	if err := transport.PlainRef(subject, base); err != nil {
		return nil, err
	}
	found, err := everyPage(subject, func(opts github.ListOptions) ([]*github.PullRequest, *github.Response, error) {
		return c.rest.PullRequests.List(ctx, c.repository.owner, c.repository.name, &github.PullRequestListOptions{
			State: "open", Base: base, Sort: "created", Direction: "asc", ListOptions: opts,
		})
	})
	if err != nil {
		return nil, err
	}
	var open []forge.PullRequest
	for _, answer := range found {
		pr, err := c.pullRequest(subject, answer)
		if err != nil {
			return nil, err
		}
		open = append(open, pr)
	}
	return open, nil
}

// PullRequest returns one pull request; forge.ErrNotFound when there is none.
func (c *Client) PullRequest(ctx context.Context, number int) (forge.PullRequest, error) {
	pr, _, err := c.pull(ctx, number)
	return pr, err
}

// pull also returns how many commits the pull request has.
func (c *Client) pull(ctx context.Context, number int) (forge.PullRequest, int, error) {
	subject := fmt.Sprintf("read pull request #%d", number)
	answer, _, err := c.rest.PullRequests.Get(transport.Asking(ctx, "pull"), c.repository.owner, c.repository.name, number)
	if err != nil {
		return forge.PullRequest{}, 0, classify(subject, err)
	}
	pr, err := c.pullRequest(subject, answer)
	if err != nil {
		return forge.PullRequest{}, 0, err
	}
	if pr.Number != number || answer.Merged == nil || answer.Commits == nil {
		return forge.PullRequest{}, 0, transport.Incomplete(subject, "it is about another pull request or lacks its state")
	}
	return pr, *answer.Commits, nil
}

// MergedPullRequest returns the merged pull request of the repository and the
// branch base that brought the commit there. forge.ErrNoPullRequest is the
// fact that there is none. Two that claim the commit count as none unless it is
// the merge commit of exactly one. A commit inside a rebase merge belongs to
// its pull request too, so the caller compares MergeCommit.
//
// GitHub links a fresh merge commit to its pull request after some seconds
// only: absence shortly after the commit appeared proves nothing.
func (c *Client) MergedPullRequest(ctx context.Context, commit, base string) (forge.PullRequest, error) {
	ctx = transport.Asking(ctx, "commit-pulls")
	subject := "find the pull request of " + commit
	if err := transport.FullSHA(subject, commit); err != nil {
		return forge.PullRequest{}, err
	}
	found, err := everyPage(subject, lister(ctx, c.repository,
		func(ctx context.Context, owner, name string, opts *github.ListOptions) ([]*github.PullRequest, *github.Response, error) {
			return c.rest.PullRequests.ListPullRequestsWithCommit(ctx, owner, name, commit, opts)
		}))
	if err != nil {
		return forge.PullRequest{}, err
	}
	var candidates []forge.PullRequest
	for _, answer := range found {
		pr, err := c.pullRequest(subject, answer)
		if err != nil {
			return forge.PullRequest{}, err
		}
		if pr.Merged && pr.Base.Name == base && strings.EqualFold(pr.Base.Repository, c.repository.String()) {
			candidates = append(candidates, pr)
		}
	}
	chosen, err := choose(candidates, commit)
	if err != nil {
		return forge.PullRequest{}, fmt.Errorf("%s: %w", subject, err)
	}
	return c.PullRequest(ctx, chosen.Number)
}

func choose(candidates []forge.PullRequest, commit string) (forge.PullRequest, error) {
	var exact []forge.PullRequest
	for _, pr := range candidates {
		if pr.MergeCommit == commit {
			exact = append(exact, pr)
		}
	}
	switch {
	case len(exact) == 1:
		return exact[0], nil
	case len(candidates) == 1:
		return candidates[0], nil
	case len(candidates) == 0:
		return forge.PullRequest{}, forge.ErrNoPullRequest
	}
	return forge.PullRequest{}, fmt.Errorf("%w: #%d, #%d and perhaps more claim it", forge.ErrNoPullRequest, candidates[0].Number, candidates[1].Number)
}

// Reviews lists every submitted review of a pull request in the order of
// submission, those without effect included. Pending ones, which only their
// own author sees, are left out.
func (c *Client) Reviews(ctx context.Context, number int) ([]forge.Review, error) {
	ctx = transport.Asking(ctx, "reviews")
	subject := fmt.Sprintf("list reviews of #%d", number)
	found, err := everyPage(subject, lister(ctx, c.repository,
		func(ctx context.Context, owner, name string, opts *github.ListOptions) ([]*github.PullRequestReview, *github.Response, error) {
			return c.rest.PullRequests.ListReviews(ctx, owner, name, number, opts)
		}))
	if err != nil {
		return nil, err
	}
	var reviews []forge.Review
	for _, answer := range found {
		review, err := reviewOf(subject, answer)
		if err != nil {
			return nil, err
		}
		if review.State != forge.Pending {
			reviews = append(reviews, review)
		}
	}
	return reviews, nil
}

// maxCommits is how many commits of one pull request GitHub ever lists.
const maxCommits = 250

// Commits lists the commits of a pull request with their people, oldest first.
// GitHub lists 250 at most: forge.ErrTooManyCommits where there are more.
//
// A co-author is known when the e-mail is one of GitHub's private addresses,
// which carry the account's id, or is linked to an author or committer of the
// same pull request. Everybody else has ID 0.
func (c *Client) Commits(ctx context.Context, number int) ([]forge.PullRequestCommit, error) {
	_, count, err := c.pull(ctx, number)
	if err != nil {
		return nil, err
	}
	subject := fmt.Sprintf("list commits of #%d", number)
	if count > maxCommits {
		return nil, &forge.RejectedError{Subject: subject, Err: fmt.Errorf("%w: it has %d", forge.ErrTooManyCommits, count)}
	}
	found, err := everyPage(subject, lister(transport.Asking(ctx, "pull-commits"), c.repository,
		func(ctx context.Context, owner, name string, opts *github.ListOptions) ([]*github.RepositoryCommit, *github.Response, error) {
			return c.rest.PullRequests.ListCommits(ctx, owner, name, number, opts)
		}))
	if err != nil {
		return nil, err
	}
	if len(found) != count {
		return nil, transport.Incomplete(subject, "%d of %d commits", len(found), count)
	}
	return c.commits(subject, found)
}
