package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/go-github/v88/github"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/gitsource/forge/transport"
)

// Propose opens a pull request and closes the others of its series. One for the
// same head that is there already is returned as it is, in whatever state, so
// that what a person closed stays closed and a repetition opens no second one.
func (c *Client) Propose(ctx context.Context, p forge.Proposal) (forge.PullRequest, error) {
	if err := transport.PlainRef("propose "+p.Head, p.Head); err != nil {
		return forge.PullRequest{}, err
	}
	open, err := c.series(ctx, p.Base, p.Series)
	if err != nil {
		return forge.PullRequest{}, err
	}
	pr, found := forge.PullRequest{}, false
	for _, of := range open {
		if of.Head.Name == p.Head {
			pr, found = of, true
		} else if err := c.close(ctx, of.Number); err != nil {
			return forge.PullRequest{}, err
		}
	}
	if found {
		return pr, nil
	}
	if pr, found, err = c.latestOf(ctx, p); err != nil || found {
		return pr, err
	}
	return c.open(ctx, p)
}

// Withdraw closes the open pull requests of a series.
func (c *Client) Withdraw(ctx context.Context, base, series string) error {
	open, err := c.series(ctx, base, series)
	if err != nil {
		return err
	}
	for _, of := range open {
		if err := c.close(ctx, of.Number); err != nil {
			return err
		}
	}
	return nil
}

// series lists the open pull requests from this repository's own branches:
// anybody may name a branch of a fork as they like.
func (c *Client) series(ctx context.Context, base, series string) ([]forge.PullRequest, error) {
	all, err := c.OpenPullRequests(ctx, base)
	var found []forge.PullRequest
	for _, pr := range all {
		if strings.EqualFold(pr.Head.Repository, c.repository.String()) && strings.HasPrefix(pr.Head.Name, series) {
			found = append(found, pr)
		}
	}
	return found, err
}

// latestOf is the newest pull request for a head that is not open any more.
func (c *Client) latestOf(ctx context.Context, p forge.Proposal) (forge.PullRequest, bool, error) {
	subject := "list pull requests of " + p.Head
	found, _, err := c.rest.PullRequests.List(transport.Asking(ctx, "pulls"), c.repository.owner, c.repository.name, &github.PullRequestListOptions{
		State: "all", Base: p.Base, Head: c.repository.owner + ":" + p.Head, Sort: "created", Direction: "desc",
	})
	if err != nil {
		return forge.PullRequest{}, false, classify(subject, err)
	}
	for _, answer := range found {
		pr, err := c.pullRequest(subject, answer)
		if err != nil {
			return forge.PullRequest{}, false, err
		}
		if pr.Head.Name == p.Head && strings.EqualFold(pr.Head.Repository, c.repository.String()) {
			return pr, true, nil
		}
	}
	return forge.PullRequest{}, false, nil
}

func (c *Client) open(ctx context.Context, p forge.Proposal) (forge.PullRequest, error) {
	subject := "open a pull request for " + p.Head
	answer, _, err := c.rest.PullRequests.Create(transport.Asking(ctx, "propose"), c.repository.owner, c.repository.name, &github.NewPullRequest{
		Title: &p.Title, Head: &p.Head, Base: &p.Base, Body: &p.Body,
	})
	if err != nil {
		return forge.PullRequest{}, classify(subject, err)
	}
	return c.pullRequest(subject, answer)
}

func (c *Client) close(ctx context.Context, number int) error {
	_, _, err := c.rest.PullRequests.Edit(transport.Asking(ctx, "propose"), c.repository.owner, c.repository.name, number,
		&github.PullRequest{State: github.Ptr("closed")})
	if err != nil {
		return classify(fmt.Sprintf("close pull request #%d", number), err)
	}
	return nil
}

// Merge merges in the first way that the repository allows and returns the
// commit. A *forge.RejectedError says that the forge wants something first that
// Sluice cannot give; after a *forge.TransientError it may have been merged.
func (c *Client) Merge(ctx context.Context, m forge.Merge) (string, error) {
	subject := fmt.Sprintf("merge pull request #%d", m.Number)
	if err := transport.FullSHA(subject, m.Head); err != nil {
		return "", err
	}
	var refused error
	for _, method := range []string{"merge", "squash", "rebase"} {
		merged, _, err := c.rest.PullRequests.Merge(transport.Asking(ctx, "merge"), c.repository.owner, c.repository.name, m.Number,
			m.Message, &github.PullRequestOptions{CommitTitle: m.Title, SHA: m.Head, MergeMethod: method})
		switch {
		case err == nil && merged.GetMerged() && transport.IsSHA(merged.GetSHA()):
			return merged.GetSHA(), nil
		case err == nil:
			return "", transport.Incomplete(subject, "it does not say that it is merged, and as which commit")
		}
		refused = classify(subject, err)
		if !otherMethod(err) {
			break
		}
	}
	return "", refused
}

// otherMethod reports whether the way of merging is all that was refused.
func otherMethod(err error) bool {
	var answer *github.ErrorResponse
	return errors.As(err, &answer) && answer.Response.StatusCode == http.StatusMethodNotAllowed &&
		(strings.Contains(answer.Message, "not allowed on this repository") || strings.Contains(answer.Message, "must not contain merge commits"))
}
