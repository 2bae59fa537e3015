package gitlab

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/gitsource/forge/transport"
)

type status struct {
	ID          int64      `json:"id"` // counts up on the server
	State       string     `json:"status"`
	Name        string     `json:"name"`
	Description string     `json:"description"`
	TargetURL   string     `json:"target_url"`
	Author      *account   `json:"author"`
	Created     time.Time  `json:"created_at"`
	Started     *time.Time `json:"started_at"`
	Finished    *time.Time `json:"finished_at"`
}

// Checks lists every status on a commit of any project that the credentials can
// see, superseded ones included; forge.LatestChecks reduces them. The account
// that reported a status is its app. A job of GitLab CI names nobody: it runs
// what the branch says in the name of whoever started the pipeline.
func (c *Client) Checks(ctx context.Context, fullName, commit string) ([]forge.Check, error) {
	ctx = transport.Asking(ctx, "statuses")
	subject := fmt.Sprintf("list statuses on %s of %s", commit, fullName)
	of, err := parsePath(subject, fullName)
	if err != nil {
		return nil, err
	}
	found, err := c.statuses(ctx, subject, of, commit)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	jobs, err := c.jobs(ctx, subject, of, commit)
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
		if jobs[check.ID] {
			check.App, check.AppID = "", 0
		}
		checks = append(checks, check)
	}
	return checks, nil
}

func (c *Client) statuses(ctx context.Context, subject string, of project, commit string) ([]*status, error) {
	if err := transport.FullSHA(subject, commit); err != nil {
		return nil, err
	}
	return everyPage[*status](ctx, c, subject, of.path("repository", "commits", commit, "statuses"), url.Values{"all": {"true"}})
}

// jobs are the statuses of a commit that GitLab's own CI has.
func (c *Client) jobs(ctx context.Context, subject string, of project, commit string) (map[int64]bool, error) {
	type numbered struct{ ID int64 }
	pipelines, err := everyPage[numbered](ctx, c, subject, of.path("pipelines"), url.Values{"sha": {commit}})
	if err != nil {
		return nil, err
	}
	jobs := map[int64]bool{}
	for _, pipeline := range pipelines {
		path := of.path("pipelines", strconv.FormatInt(pipeline.ID, 10), "jobs")
		found, err := everyPage[numbered](ctx, c, subject, path, url.Values{"include_retried": {"true"}})
		if err != nil {
			return nil, err
		}
		for _, job := range found {
			jobs[job.ID] = true
		}
	}
	return jobs, nil
}

// check reads a status as a run of a check.
func (s *status) check(subject, commit string) (forge.Check, error) {
	if s == nil || s.ID == 0 || s.Name == "" {
		return forge.Check{}, transport.Incomplete(subject, "a status without id or name")
	}
	check := forge.Check{
		ID: s.ID, AppID: s.Author.user().ID, App: s.Author.user().Login, Name: s.Name, Commit: commit,
		Status: "completed", StartedAt: timeOf(s.Started, s.Created), CompletedAt: timeOf(s.Finished, s.Created), URL: s.TargetURL,
	}
	switch s.State {
	case "created", "waiting_for_resource", "waiting_for_callback", "preparing", "pending", "scheduled", "manual":
		check.Status, check.CompletedAt = "queued", time.Time{}
	case "running", "canceling":
		check.Status, check.CompletedAt = "in_progress", time.Time{}
	case "success", "skipped":
		check.Conclusion = s.State
	case "failed":
		check.Conclusion = "failure"
	case "canceled":
		check.Conclusion = "cancelled"
	default:
		return forge.Check{}, transport.Incomplete(subject, "status %d has the unknown state %q", s.ID, s.State)
	}
	return check, nil
}

func timeOf(at *time.Time, otherwise time.Time) time.Time {
	if at == nil {
		return otherwise.UTC()
	}
	return at.UTC()
}

// SetStatus puts a status on a commit of the environments project. It writes
// nothing when the latest status of the same name already says the same, so it
// may be repeated after any failure.
//
// Some versions of GitLab refuse to write a status that is in the wanted state,
// though with another text: then the old text stays.
func (c *Client) SetStatus(ctx context.Context, commit string, want forge.Status) error {
	ctx = transport.Asking(ctx, "status")
	subject := fmt.Sprintf("set status %s on %s", want.Context, commit)
	want.Description = transport.OneLine(want.Description)
	known, err := c.statuses(ctx, subject, c.project, commit)
	if err != nil {
		return err
	}
	latest, state := latestOf(known, want.Context), stateOf(want.State)
	if latest != nil && latest.State == state && latest.Description == want.Description && latest.TargetURL == want.URL {
		return nil
	}
	var made status
	_, err = c.send(ctx, http.MethodPost, c.project.path("statuses", commit), map[string]string{
		"name": want.Context, "state": state, "description": want.Description, "target_url": want.URL,
	}, http.StatusCreated, &made)
	switch {
	case err != nil && latest != nil && latest.State == state && strings.Contains(err.Error(), "Cannot transition status"):
		return nil
	case err != nil:
		return transport.Classify(subject, err)
	case made.Name != want.Context || made.State != state:
		return transport.Incomplete(subject, "the server made another status of it")
	}
	return nil
}

// stateOf is GitLab's word.
func stateOf(state forge.StatusState) string {
	switch state {
	case forge.StatusFailure, forge.StatusError:
		return "failed"
	case forge.StatusPending, forge.StatusSuccess: // the same
	}
	return string(state)
}

func latestOf(statuses []*status, name string) *status {
	var latest *status
	for _, s := range statuses {
		if s != nil && s.Name == name && (latest == nil || s.ID > latest.ID) {
			latest = s
		}
	}
	return latest
}
