package github

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/go-github/v88/github"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/gitsource/forge/transport"
)

// LastPushers returns who pushed the head commit of the pull request onto its
// branch, the latest first. forge.ErrPusherUnknown says that the record does not
// tell: the head repository is gone or out of sight, the record does not reach
// back to the push, or it names an account that is gone. forge.ErrNoRecord says
// that the server has no activity API.
func (c *Client) LastPushers(ctx context.Context, pr forge.PullRequest) ([]forge.User, error) {
	ctx = transport.Asking(ctx, "activity")
	subject := fmt.Sprintf("find who pushed the head of #%d", pr.Number)
	if pr.Head.Repository == "" {
		return nil, fmt.Errorf("%s: %w: the head repository was deleted", subject, forge.ErrPusherUnknown)
	}
	head, err := parseRepository(pr.Head.Repository)
	if err != nil {
		return nil, &forge.RejectedError{Subject: subject, Err: err}
	}
	pushers, err := c.pushers(ctx, subject, head, pr.Head)
	if errors.Is(err, forge.ErrNotFound) {
		return nil, c.whyNoActivity(ctx, subject, head)
	}
	if err != nil {
		return nil, err
	}
	if len(pushers) == 0 {
		return nil, fmt.Errorf("%s: %w: the activity of %s does not mention %s", subject, forge.ErrPusherUnknown, pr.Head.Name, pr.Head.Commit)
	}
	for _, pusher := range pushers {
		if !pusher.Known() {
			return nil, fmt.Errorf("%s: %w: the account is gone", subject, forge.ErrPusherUnknown)
		}
	}
	return pushers, nil
}

// whyNoActivity tells a repository that is out of sight, whose owner chose that
// it is, from a server that shows no activity of any repository.
func (c *Client) whyNoActivity(ctx context.Context, subject string, head repository) error {
	if head != c.repository {
		_, _, err := c.rest.Repositories.ListRepositoryActivities(ctx, c.repository.owner, c.repository.name, &github.ListRepositoryActivityOptions{PerPage: 1})
		if err == nil {
			return fmt.Errorf("%s: %w: %s is out of sight", subject, forge.ErrPusherUnknown, head)
		}
		if err := classify(subject, err); !errors.Is(err, forge.ErrNotFound) {
			return err
		}
	}
	if _, err := c.defaultBranch(ctx, c.repository); err != nil {
		return err
	}
	return fmt.Errorf("%s: %w: the server shows no activity of %s", subject, forge.ErrNoRecord, c.repository)
}

// pushers follows cursors instead of page numbers and stops at the first page,
// newest first, that mentions the commit.
func (c *Client) pushers(ctx context.Context, subject string, repo repository, head forge.Branch) ([]forge.User, error) {
	opts := &github.ListRepositoryActivityOptions{Ref: "refs/heads/" + head.Name, PerPage: perPage}
	for range maxPages {
		page, resp, err := c.rest.Repositories.ListRepositoryActivities(ctx, repo.owner, repo.name, opts)
		if err != nil {
			return nil, classify(subject, err)
		}
		if pushers := pushersOf(page, head); len(pushers) > 0 || resp.After == "" {
			if len(pushers) == 0 && len(page) == perPage {
				return nil, transport.Incomplete(subject, "a full page names no next one")
			}
			return pushers, nil
		}
		opts.After = resp.After
	}
	return nil, transport.Incomplete(subject, "the list goes on after %d pages", maxPages)
}

func pushersOf(page []*github.RepositoryActivity, head forge.Branch) []forge.User {
	var pushers []forge.User
	for _, activity := range page {
		if activity.After != head.Commit || activity.Ref != "refs/heads/"+head.Name || activity.ActivityType == "branch_deletion" {
			continue
		}
		pushers = append(pushers, forge.User{
			ID:    activity.GetActor().GetID(),
			Login: activity.GetActor().GetLogin(),
			Kind:  activity.GetActor().GetType(),
		})
	}
	return pushers
}

// BaseChanges returns when the pull request was given another base branch, by
// somebody or because its base branch went away, and when the base branch was
// rewritten below it, in the order of the forge's list.
func (c *Client) BaseChanges(ctx context.Context, number int) ([]time.Time, error) {
	subject := fmt.Sprintf("list changes of the base of #%d", number)
	found, err := everyPage(subject, lister(transport.Asking(ctx, "pull-events"), c.repository,
		func(ctx context.Context, owner, name string, opts *github.ListOptions) ([]*github.IssueEvent, *github.Response, error) {
			return c.rest.Issues.ListIssueEvents(ctx, owner, name, number, opts)
		}))
	if err != nil {
		return nil, err
	}
	var changes []time.Time
	for _, event := range found {
		if event.GetEvent() == "" || event.CreatedAt == nil {
			return nil, transport.Incomplete(subject, "event %d lacks its kind or time", event.GetID())
		}
		switch event.GetEvent() {
		case "base_ref_changed", "automatic_base_change_succeeded", "base_ref_force_pushed":
			changes = append(changes, event.GetCreatedAt().UTC())
		}
	}
	return changes, nil
}
