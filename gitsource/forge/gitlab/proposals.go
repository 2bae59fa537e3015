package gitlab

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/gitsource/forge/transport"
)

// Propose opens a merge request and closes the others of its series. One for the
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
	if pr, found, err = c.latestFor(ctx, p); err != nil || found {
		return pr, err
	}
	return c.open(ctx, p)
}

// Withdraw closes the open merge requests of a series.
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

// series lists the open merge requests from this project's own branches: anybody
// may name a branch of a fork as they like.
func (c *Client) series(ctx context.Context, base, series string) ([]forge.PullRequest, error) {
	all, err := c.OpenPullRequests(ctx, base)
	return slices.DeleteFunc(all, func(pr forge.PullRequest) bool {
		return pr.Head.Repository != string(c.project) || !strings.HasPrefix(pr.Head.Name, series)
	}), err
}

// latestFor is the newest merge request for a head that is not open any more.
func (c *Client) latestFor(ctx context.Context, p forge.Proposal) (forge.PullRequest, bool, error) {
	all, err := c.list(transport.Asking(ctx, "pulls"), "list merge requests of "+p.Head, c.project.path("merge_requests"), url.Values{
		"state": {"all"}, "source_branch": {p.Head}, "target_branch": {p.Base}, "order_by": {"created_at"}, "sort": {"desc"},
	})
	for _, pr := range all {
		if pr.Head.Name == p.Head && pr.Head.Repository == string(c.project) {
			return pr, true, err
		}
	}
	return forge.PullRequest{}, false, err
}

func (c *Client) open(ctx context.Context, p forge.Proposal) (forge.PullRequest, error) {
	ctx = transport.Asking(ctx, "propose")
	subject := "open a merge request for " + p.Head
	var answer *mergeRequest
	_, err := c.send(ctx, http.MethodPost, c.project.path("merge_requests"), map[string]any{
		"title": p.Title, "source_branch": p.Head, "target_branch": p.Base, "description": p.Body, "remove_source_branch": false,
	}, http.StatusCreated, &answer)
	if err != nil {
		return forge.PullRequest{}, transport.Classify(subject, err)
	}
	return c.fact(ctx, subject, answer)
}

func (c *Client) close(ctx context.Context, number int) error {
	subject := fmt.Sprintf("close merge request !%d", number)
	var answer *mergeRequest
	_, err := c.send(transport.Asking(ctx, "propose"), http.MethodPut, c.project.mergeRequest(number),
		map[string]string{"state_event": "close"}, http.StatusOK, &answer)
	switch {
	case err != nil:
		return transport.Classify(subject, err)
	case answer.Number != number || answer.State != "closed":
		return transport.Incomplete(subject, "it does not say that it is closed")
	}
	return nil
}

// Merge merges in the way that the project asks for and returns the commit. A
// *forge.RejectedError says that the forge wants something first that Sluice
// cannot give; after a *forge.TransientError it may have been merged.
func (c *Client) Merge(ctx context.Context, m forge.Merge) (string, error) {
	ctx = transport.Asking(ctx, "merge")
	subject := fmt.Sprintf("merge !%d", m.Number)
	if err := transport.FullSHA(subject, m.Head); err != nil {
		return "", err
	}
	message := strings.TrimSpace(m.Title + "\n\n" + m.Message)
	var answer *mergeRequest
	_, err := c.send(ctx, http.MethodPut, c.project.mergeRequest(m.Number, "merge"), map[string]any{
		"sha": m.Head, "merge_commit_message": message, "squash_commit_message": message, "should_remove_source_branch": false,
	}, http.StatusOK, &answer)
	if err != nil {
		return "", c.notMerged(ctx, subject, m.Number, err)
	}
	pr, err := c.fact(ctx, subject, answer)
	switch {
	case err != nil:
		return "", err
	case !pr.Merged || pr.Number != m.Number || pr.Head.Commit != m.Head:
		return "", transport.Incomplete(subject, "it does not say that it is merged with %s", m.Head)
	}
	return pr.MergeCommit, nil
}

// notMerged asks why a merge request cannot be merged: GitLab answers alike where
// a person has to act and where it has not looked yet.
func (c *Client) notMerged(ctx context.Context, subject string, number int, refused error) error {
	var answer *transport.StatusError
	if !errors.As(refused, &answer) || answer.Code != http.StatusMethodNotAllowed && answer.Code != http.StatusUnprocessableEntity {
		return transport.Classify(subject, refused)
	}
	now, err := c.mergeRequest(ctx, subject, number)
	if err != nil {
		return err
	}
	why := fmt.Errorf("%w (%s)", answer, transport.Words(now.MergeStatus))
	switch now.MergeStatus {
	case "unchecked", "checking", "preparing", "approvals_syncing", "ci_still_running", "mergeable", "conflict", "need_rebase":
		// Sluice makes its change anew for each tip, so a conflict passes too.
		return &forge.TransientError{Subject: subject, Err: why}
	}
	if now.State == "merged" {
		return &forge.TransientError{Subject: subject, Err: why}
	}
	return &forge.RejectedError{Subject: subject, Code: answer.Code, Err: why}
}
