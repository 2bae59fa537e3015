package gitea

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/gitsource/forge/transport"
)

// LastPushers returns who pushed the head commit of the pull request onto its
// branch. forge.ErrPusherUnknown says that it cannot be known: the head
// repository is gone, or neither its feed nor the timeline shows the push.
func (c *Client) LastPushers(ctx context.Context, pr forge.PullRequest) ([]forge.User, error) {
	ctx = transport.Asking(ctx, "activity")
	subject := fmt.Sprintf("find who pushed the head of #%d", pr.Number)
	if pr.Head.Repository == "" {
		return nil, fmt.Errorf("%s: %w: the head repository was deleted", subject, forge.ErrPusherUnknown)
	}
	pushers, err := c.feed(ctx, subject, pr.Head)
	if err != nil {
		return nil, err
	}
	events, err := c.timeline(ctx, subject, pr)
	if err != nil {
		return nil, err
	}
	for _, event := range events {
		// What was there at the opening the timeline ascribes to whoever
		// opened, so it is not believed about them.
		user := event.User.user()
		if event.Type == "pull_push" && user.ID != pr.Author.ID && endsWith(event.Body, pr.Head.Commit) && !slices.Contains(pushers, user) {
			pushers = append(pushers, user)
		}
	}
	if len(pushers) == 0 {
		return nil, fmt.Errorf("%s: %w: neither the feed of %s nor the timeline mentions %s", subject, forge.ErrPusherUnknown, pr.Head.Repository, pr.Head.Commit)
	}
	return pushers, nil
}

type activity struct {
	Type    string   `json:"op_type"`
	ActUser *account `json:"act_user"`
	Ref     string   `json:"ref_name"`
	Content string   `json:"content"` // JSON
}

// pushed reports whether the activity put the branch at the commit.
func (a activity) pushed(head forge.Branch) bool {
	if a.Type != "commit_repo" || a.Ref != "refs/heads/"+head.Name {
		return false
	}
	var push struct{ HeadCommit struct{ Sha1 string } }
	return json.Unmarshal([]byte(a.Content), &push) == nil && push.HeadCommit.Sha1 == head.Commit
}

// feed stops at the first page, newest first, that mentions the commit.
func (c *Client) feed(ctx context.Context, subject string, head forge.Branch) ([]forge.User, error) {
	repo, err := parseRepository(subject, head.Repository)
	if err != nil {
		return nil, err
	}
	var pushers []forge.User
	seen := 0
	for number := 1; number <= maxPages; number++ {
		read, err := readPage[activity](ctx, c, repo.path("activities", "feeds"), nil, number)
		if err != nil {
			return nil, transport.Classify(subject, err)
		}
		seen += len(read.items)
		for _, entry := range read.items {
			if entry.pushed(head) {
				pushers = append(pushers, entry.ActUser.user())
			}
		}
		switch {
		case len(pushers) > 0, seen >= read.total:
			return pushers, nil
		case len(read.items) == 0:
			return nil, transport.Incomplete(subject, "%d of %d activities", seen, read.total)
		}
	}
	return nil, transport.Incomplete(subject, "the feed goes on after %d pages", maxPages)
}

// endsWith reads the commits of a push, oldest first, or the old and the new
// head of a forced one.
func endsWith(body, commit string) bool {
	var push struct {
		Commits []string `json:"commit_ids"`
	}
	if json.Unmarshal([]byte(body), &push) != nil || len(push.Commits) == 0 {
		return false
	}
	return push.Commits[len(push.Commits)-1] == commit
}
