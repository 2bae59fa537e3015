package gitea

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/gitsource/forge/transport"
)

// An event is one line of a pull request's timeline.
type event struct {
	Type    string    `json:"type"`
	User    *account  `json:"user"`
	Body    string    `json:"body"` // JSON, of a push
	Created time.Time `json:"created_at"`
}

// BaseChanges returns when the pull request was given another base branch, in
// the order in which that happened. Gitea keeps no record of a base branch that
// was rewritten.
func (c *Client) BaseChanges(ctx context.Context, number int) ([]time.Time, error) {
	ctx = transport.Asking(ctx, "pull-events")
	subject := fmt.Sprintf("list changes of the base of #%d", number)
	pr, err := c.PullRequest(ctx, number)
	if err != nil {
		return nil, err
	}
	events, err := c.timeline(ctx, subject, pr)
	if err != nil {
		return nil, err
	}
	var changes []time.Time
	for _, event := range events {
		if event.Type == "change_target_branch" {
			changes = append(changes, event.Created.UTC())
		}
	}
	return changes, nil
}

// timeline reads what happened to a pull request, oldest first. Pages may be
// empty in the middle, because the server leaves out comments on code after it
// has counted them for a page, and nothing says where the list ends: so an
// open pull request's is read up to the first empty page, and that of a merged
// one, which decides, up to the merge.
func (c *Client) timeline(ctx context.Context, subject string, pr forge.PullRequest) ([]event, error) {
	path := c.repository.path("issues", strconv.Itoa(pr.Number), "timeline")
	var events []event
	for number := 1; number <= maxPages; number++ {
		var page []event
		query := url.Values{"page": {strconv.Itoa(number)}, "limit": {strconv.Itoa(perPage)}}
		if _, err := c.get(ctx, path, query, &page); err != nil {
			return nil, transport.Classify(subject, err)
		}
		for _, event := range page {
			if event.Type == "" || event.Created.IsZero() {
				return nil, transport.Incomplete(subject, "an event without kind or time")
			}
			events = append(events, event)
			if event.Type == "merge_pull" {
				return events, nil
			}
		}
		if len(page) == 0 && !pr.Merged {
			return events, nil
		}
	}
	return nil, transport.Incomplete(subject, "the timeline does not end within %d pages", maxPages)
}
