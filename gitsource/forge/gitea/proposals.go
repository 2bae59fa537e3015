package gitea

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

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
	if pr, found, err = c.firstOf(ctx, p); err != nil || found {
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

// firstOf is the pull request for a head that is not open any more. Where people
// made several, Gitea gives the first.
func (c *Client) firstOf(ctx context.Context, p forge.Proposal) (forge.PullRequest, bool, error) {
	ctx = transport.Asking(ctx, "pull")
	subject := "find the pull request of " + p.Head
	var answer *pull
	if _, err := c.get(ctx, c.repository.path("pulls", p.Base, p.Head), nil, &answer); err != nil {
		err = transport.Classify(subject, err)
		if errors.Is(err, forge.ErrNotFound) {
			return forge.PullRequest{}, false, c.confirmReadable(ctx, c.repository, err)
		}
		return forge.PullRequest{}, false, err
	}
	pr, err := answer.fact(subject)
	if err == nil && (pr.Head.Name != p.Head || pr.Base.Name != p.Base) {
		err = transport.Incomplete(subject, "it is about %s into %s", pr.Head.Name, pr.Base.Name)
	}
	return pr, err == nil, err
}

func (c *Client) open(ctx context.Context, p forge.Proposal) (forge.PullRequest, error) {
	subject := "open a pull request for " + p.Head
	var answer *pull
	_, err := c.send(transport.Asking(ctx, "propose"), http.MethodPost, c.repository.path("pulls"), map[string]string{
		"title": p.Title, "head": p.Head, "base": p.Base, "body": p.Body,
	}, http.StatusCreated, &answer)
	if err != nil {
		return forge.PullRequest{}, transport.Classify(subject, err)
	}
	return answer.fact(subject)
}

func (c *Client) close(ctx context.Context, number int) error {
	_, err := c.send(transport.Asking(ctx, "propose"), http.MethodPatch, c.repository.path("pulls", strconv.Itoa(number)),
		map[string]string{"state": "closed"}, http.StatusCreated, nil)
	if err != nil {
		return transport.Classify(fmt.Sprintf("close pull request #%d", number), err)
	}
	return nil
}

// Merge merges in the first way that the repository allows and returns the
// commit. A *forge.RejectedError says that the forge wants something first that
// Sluice cannot give; after a *forge.TransientError it may have been merged.
func (c *Client) Merge(ctx context.Context, m forge.Merge) (string, error) {
	ctx = transport.Asking(ctx, "merge")
	subject := fmt.Sprintf("merge pull request #%d", m.Number)
	if err := transport.FullSHA(subject, m.Head); err != nil {
		return "", err
	}
	style, err := c.mergeStyle(ctx, subject)
	if err != nil {
		return "", err
	}
	_, err = c.send(ctx, http.MethodPost, c.repository.path("pulls", strconv.Itoa(m.Number), "merge"), map[string]string{
		"do": style, "merge_title_field": m.Title, "merge_message_field": m.Message, "head_commit_id": m.Head,
	}, http.StatusOK, nil)
	if err != nil {
		return "", notMerged(subject, err)
	}
	pr, err := c.PullRequest(ctx, m.Number)
	switch {
	case err != nil:
		return "", err
	case !pr.Merged || pr.Head.Commit != m.Head:
		return "", transport.Incomplete(subject, "it does not say that it is merged with %s", m.Head)
	}
	return pr.MergeCommit, nil
}

// mergeStyle is the first that the repository allows of those that need nothing
// else.
func (c *Client) mergeStyle(ctx context.Context, subject string) (string, error) {
	var allowed struct {
		Merge       *bool `json:"allow_merge_commits"`
		Squash      bool  `json:"allow_squash_merge"`
		Rebase      bool  `json:"allow_rebase"`
		RebaseMerge bool  `json:"allow_rebase_explicit"`
		FastForward bool  `json:"allow_fast_forward_only_merge"`
	}
	if _, err := c.get(ctx, c.repository.path(), nil, &allowed); err != nil {
		return "", transport.Classify(subject, err)
	}
	switch {
	case allowed.Merge == nil:
		return "", transport.Incomplete(subject, "it does not say how the repository may merge")
	case *allowed.Merge:
		return "merge", nil
	case allowed.Squash:
		return "squash", nil
	case allowed.Rebase:
		return "rebase", nil
	case allowed.RebaseMerge:
		return "rebase-merge", nil
	case allowed.FastForward:
		return "fast-forward-only", nil
	}
	return "", &forge.RejectedError{Subject: subject, Err: errors.New("the repository allows no way of merging")}
}

// notMerged tells apart what Gitea answers alike. It wants time after a push to
// look for conflicts, which it says as a refusal, and calls the no of a hook a
// conflict.
func notMerged(subject string, err error) error {
	var answer *transport.StatusError
	switch {
	case !errors.As(err, &answer):
	case answer.Code == http.StatusMethodNotAllowed && strings.HasPrefix(answer.Words, "Please try again later"),
		answer.Code == http.StatusMethodNotAllowed && strings.HasPrefix(answer.Words, "The PR is already merged"):
		return &forge.TransientError{Subject: subject, Err: answer}
	case answer.Code == http.StatusConflict && strings.HasPrefix(answer.Words, "PushRejected"):
		return &forge.RejectedError{Subject: subject, Code: answer.Code, Err: answer}
	}
	return transport.Classify(subject, err)
}
