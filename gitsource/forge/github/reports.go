package github

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/google/go-github/v88/github"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/gitsource/forge/transport"
)

const (
	checkRunning   = "in_progress"
	checkCompleted = "completed"
)

// Report shows a report on a commit of the environments repository: as a check
// run for an App, and as a status for a token, which may not make check runs. It
// writes nothing when the same is shown already, so it may be repeated after any
// failure.
func (c *Client) Report(ctx context.Context, commit string, report forge.Report) error {
	if c.app == 0 {
		return c.SetStatus(ctx, commit, report.Status)
	}
	ctx = transport.Asking(ctx, "report")
	subject := fmt.Sprintf("report %s on %s", report.Context, commit)
	if err := transport.FullSHA(subject, commit); err != nil {
		return err
	}
	report.Description = transport.OneLine(report.Description)
	content, err := contentOf(report)
	if err != nil {
		return &forge.RejectedError{Subject: subject, Err: err}
	}
	shown, err := c.shown(ctx, subject, commit, report.Context)
	switch {
	case err != nil:
		return err
	case shown != nil && shown.GetExternalID() == content:
		return nil
	case shown != nil && (shown.GetStatus() != checkCompleted || status(report) == checkCompleted):
		return c.updateRun(ctx, subject, shown.GetID(), report, content)
	}
	// A run that is completed stays completed. A newer one of the same name takes
	// its place.
	return c.createRun(ctx, subject, commit, report, content)
}

// contentOf identifies what a check run says. It is kept in the run itself, so
// that a restart shows nothing anew.
func contentOf(report forge.Report) (string, error) {
	data, err := json.Marshal(report)
	if err != nil {
		return "", fmt.Errorf("identify the report: %w", err)
	}
	sum := sha256.Sum256(data)
	return "sluice-" + hex.EncodeToString(sum[:16]), nil
}

// shown is this App's newest run of the name, nil when there is none.
func (c *Client) shown(ctx context.Context, subject, commit, name string) (*github.CheckRun, error) {
	found, err := everyPage(subject, func(opts github.ListOptions) ([]*github.CheckRun, *github.Response, error) {
		page, resp, err := c.rest.Checks.ListCheckRunsForRef(ctx, c.repository.owner, c.repository.name, commit, &github.ListCheckRunsOptions{
			CheckName: &name, AppID: &c.app, Filter: github.Ptr("latest"), ListOptions: opts,
		})
		if err != nil {
			return nil, nil, err
		}
		if page.Total == nil {
			return nil, nil, transport.Incomplete(subject, "a list of check runs without their number")
		}
		return page.CheckRuns, resp, nil
	})
	var newest *github.CheckRun
	for _, run := range found {
		ours := run.GetApp().GetID() == c.app && run.GetName() == name && run.GetHeadSHA() == commit
		if ours && (newest == nil || run.GetID() > newest.GetID()) {
			newest = run
		}
	}
	return newest, err
}

func (c *Client) createRun(ctx context.Context, subject, commit string, report forge.Report, content string) error {
	_, _, err := c.rest.Checks.CreateCheckRun(ctx, c.repository.owner, c.repository.name, github.CreateCheckRunOptions{
		Name: report.Context, HeadSHA: commit, DetailsURL: optional(report.URL), ExternalID: &content,
		Status: github.Ptr(status(report)), Conclusion: conclusion(report), Output: output(report),
	})
	if err != nil {
		return classify(subject, err)
	}
	return nil
}

func (c *Client) updateRun(ctx context.Context, subject string, id int64, report forge.Report, content string) error {
	_, _, err := c.rest.Checks.UpdateCheckRun(ctx, c.repository.owner, c.repository.name, id, github.UpdateCheckRunOptions{
		Name: report.Context, DetailsURL: optional(report.URL), ExternalID: &content,
		Status: github.Ptr(status(report)), Conclusion: conclusion(report), Output: output(report),
	})
	if err != nil {
		return classify(subject, err)
	}
	return nil
}

func status(r forge.Report) string {
	if r.State == forge.StatusPending {
		return checkRunning
	}
	return checkCompleted
}

// conclusion is nil for as long as there is none.
func conclusion(r forge.Report) *string {
	switch {
	case r.Neutral:
		return github.Ptr("neutral")
	case r.State == forge.StatusSuccess:
		return github.Ptr("success")
	case r.State == forge.StatusPending:
		return nil
	}
	return github.Ptr("failure")
}

func output(r forge.Report) *github.CheckRunOutput {
	return &github.CheckRunOutput{Title: &r.Description, Summary: &r.Summary}
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
