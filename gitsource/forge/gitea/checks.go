package gitea

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/gitsource/forge/transport"
)

type status struct {
	ID          int64     `json:"id"` // counts up on each commit
	State       string    `json:"status"`
	Context     string    `json:"context"`
	Description string    `json:"description"`
	TargetURL   string    `json:"target_url"`
	Creator     *account  `json:"creator"`
	Created     time.Time `json:"created_at"`
}

// Checks lists every status on a commit of any repository ("owner/name") that
// the credentials can see, superseded ones included; forge.LatestChecks reduces
// them. The account that reported a status is its app.
func (c *Client) Checks(ctx context.Context, fullName, commit string) ([]forge.Check, error) {
	ctx = transport.Asking(ctx, "statuses")
	subject := fmt.Sprintf("list statuses on %s of %s", commit, fullName)
	repo, err := parseRepository(subject, fullName)
	if err != nil {
		return nil, err
	}
	found, err := c.statuses(ctx, subject, repo, commit)
	if err != nil {
		return nil, err
	}
	var checks []forge.Check
	seen := map[int64]bool{}
	for _, answer := range found {
		check, err := answer.check(subject, commit)
		if err != nil {
			return nil, err
		}
		if seen[check.ID] {
			return nil, transport.Incomplete(subject, "status %d appears twice", check.ID)
		}
		seen[check.ID] = true
		checks = append(checks, check)
	}
	return checks, nil
}

// statuses are all of a commit, the latest first.
func (c *Client) statuses(ctx context.Context, subject string, repo repository, commit string) ([]*status, error) {
	if err := transport.FullSHA(subject, commit); err != nil {
		return nil, err
	}
	return everyPage[*status](ctx, c, subject, repo.path("statuses", commit), url.Values{"sort": {"recentupdate"}})
}

// check reads a status as a run of a check. A warning is not a success.
func (s *status) check(subject, commit string) (forge.Check, error) {
	if s == nil || s.ID == 0 || s.Context == "" {
		return forge.Check{}, transport.Incomplete(subject, "a status without id or context")
	}
	check := forge.Check{
		ID: s.ID, AppID: s.Creator.user().ID, App: s.Creator.user().Login, Name: s.Context, Commit: commit,
		Status: "completed", StartedAt: s.Created.UTC(), CompletedAt: s.Created.UTC(), URL: s.TargetURL,
	}
	switch s.State {
	case "pending":
		check.Status, check.CompletedAt = "in_progress", time.Time{}
	case "success", "failure", "skipped":
		check.Conclusion = s.State
	case "error":
		check.Conclusion = "failure"
	case "warning":
		check.Conclusion = "neutral"
	default:
		return forge.Check{}, transport.Incomplete(subject, "status %d has the unknown state %q", s.ID, s.State)
	}
	return check, nil
}

// SetStatus puts a status on a commit of the environments repository. It
// writes nothing when the latest status of the same context already says the
// same, so it may be repeated after any failure.
func (c *Client) SetStatus(ctx context.Context, commit string, want forge.Status) error {
	ctx = transport.Asking(ctx, "status")
	subject := fmt.Sprintf("set status %s on %s", want.Context, commit)
	want.Description = transport.OneLine(want.Description)
	known, err := c.statuses(ctx, subject, c.repository, commit)
	if err != nil {
		return err
	}
	if latest := latestOf(known, want.Context); latest != nil && latest.says(want) {
		return nil
	}
	var made status
	_, err = c.send(ctx, http.MethodPost, c.repository.path("statuses", commit), map[string]string{
		"context": want.Context, "state": string(want.State), "description": want.Description, "target_url": want.URL,
	}, http.StatusCreated, &made)
	if err != nil {
		return transport.Classify(subject, err)
	}
	if made.Context != want.Context || made.State != string(want.State) {
		return transport.Incomplete(subject, "the server made another status of it")
	}
	return nil
}

func latestOf(statuses []*status, context string) *status {
	var latest *status
	for _, s := range statuses {
		if s != nil && s.Context == context && (latest == nil || s.ID > latest.ID) {
			latest = s
		}
	}
	return latest
}

func (s *status) says(want forge.Status) bool {
	return s.State == string(want.State) && s.Description == want.Description && s.TargetURL == want.URL
}
