package gitlab

import (
	"context"
	"fmt"
	"net/url"
	"slices"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/gitsource/forge/transport"
)

type commit struct {
	ID        string `json:"id"`
	Message   string `json:"message"`
	Author    string `json:"author_email"`
	Committer string `json:"committer_email"`
}

// Commits lists the commits of a merge request with their people, oldest first.
// GitLab only repeats what the commits say, so everybody is known by an e-mail
// that the credentials can find exactly one account by, and has ID 0 otherwise.
func (c *Client) Commits(ctx context.Context, number int) ([]forge.PullRequestCommit, error) {
	ctx = transport.Asking(ctx, "pull-commits")
	subject := fmt.Sprintf("list commits of !%d", number)
	found, err := everyPage[commit](ctx, c, subject, c.project.mergeRequest(number, "commits"), nil)
	if err != nil {
		return nil, err
	}
	slices.Reverse(found) // GitLab begins with the latest
	known := map[string]forge.User{}
	var commits []forge.PullRequestCommit
	for _, answer := range found {
		if !transport.IsSHA(answer.ID) || answer.Message == "" || answer.Author == "" {
			return nil, transport.Incomplete(subject, "a commit without SHA, message or author")
		}
		made, err := c.withPeople(ctx, answer, known)
		if err != nil {
			return nil, err
		}
		commits = append(commits, made)
	}
	return commits, nil
}

func (c *Client) withPeople(ctx context.Context, of commit, known map[string]forge.User) (forge.PullRequestCommit, error) {
	made := forge.PullRequestCommit{Commit: of.ID}
	var err error
	if made.Author, err = c.byEmail(ctx, of.Author, known); err != nil {
		return made, err
	}
	if made.Committer, err = c.byEmail(ctx, of.Committer, known); err != nil {
		return made, err
	}
	for _, who := range forge.CoAuthors(of.Message) {
		user, err := c.byEmail(ctx, who.Email, known)
		if err != nil {
			return made, err
		}
		made.CoAuthors = append(made.CoAuthors, user)
	}
	return made, nil
}

type pushEvent struct {
	ID     int64    `json:"id"`
	Author *account `json:"author"`
	Push   *struct {
		RefType string `json:"ref_type"`
		Ref     string `json:"ref"`
		To      string `json:"commit_to"`
	} `json:"push_data"`
}

// LastPushers returns who pushed the head commit of the merge request onto its
// branch. forge.ErrPusherUnknown says that it cannot be known: the source project
// is gone, or its events do not show the push, such as one of many branches at
// once or one from long ago.
func (c *Client) LastPushers(ctx context.Context, pr forge.PullRequest) ([]forge.User, error) {
	ctx = transport.Asking(ctx, "activity")
	subject := fmt.Sprintf("find who pushed the head of !%d", pr.Number)
	if pr.Head.Repository == "" {
		return nil, fmt.Errorf("%s: %w: the source project was deleted or is hidden", subject, forge.ErrPusherUnknown)
	}
	from, err := parsePath(subject, pr.Head.Repository)
	if err != nil {
		return nil, err
	}
	events, err := everyPage[pushEvent](ctx, c, subject, from.path("events"), url.Values{"action": {"pushed"}})
	if err != nil {
		return nil, err
	}
	var pushers []forge.User
	for _, e := range events {
		if e.ID == 0 || e.Push == nil {
			return nil, transport.Incomplete(subject, "an event without id or push")
		}
		user := e.Author.user()
		if e.Push.RefType == "branch" && e.Push.Ref == pr.Head.Name && e.Push.To == pr.Head.Commit && !slices.Contains(pushers, user) {
			pushers = append(pushers, user)
		}
	}
	if len(pushers) == 0 {
		return nil, fmt.Errorf("%s: %w: no event of %s mentions %s", subject, forge.ErrPusherUnknown, from, pr.Head.Commit)
	}
	return pushers, nil
}
