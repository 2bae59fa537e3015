package github

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/go-github/v88/github"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/gitsource/forge/transport"
)

// Checks lists every check run on a commit of any repository ("owner/name")
// that the credentials can see, re-runs included; forge.LatestChecks reduces
// them.
func (c *Client) Checks(ctx context.Context, fullName, commit string) ([]forge.Check, error) {
	ctx = transport.Asking(ctx, "check-runs")
	subject := fmt.Sprintf("list check runs on %s of %s", commit, fullName)
	repo, err := parseRepository(fullName)
	if err != nil {
		return nil, &forge.RejectedError{Subject: subject, Err: err}
	}
	if err := transport.FullSHA(subject, commit); err != nil {
		return nil, err
	}
	total := -1
	found, err := everyPage(subject, func(opts github.ListOptions) ([]*github.CheckRun, *github.Response, error) {
		page, resp, err := c.rest.Checks.ListCheckRunsForRef(ctx, repo.owner, repo.name, commit, &github.ListCheckRunsOptions{Filter: github.Ptr("all"), ListOptions: opts})
		if err != nil {
			return nil, nil, err
		}
		if page.Total != nil {
			total = *page.Total
		}
		return page.CheckRuns, resp, nil
	})
	if err != nil {
		return nil, err
	}
	if len(found) != total {
		return nil, transport.Incomplete(subject, "%d of %d runs", len(found), total)
	}
	return checksOf(subject, commit, found)
}

func checksOf(subject, commit string, found []*github.CheckRun) ([]forge.Check, error) {
	var checks []forge.Check
	seen := map[int64]bool{}
	for _, run := range found {
		if run.GetID() == 0 || seen[run.GetID()] || run.GetHeadSHA() != commit || run.GetName() == "" || run.GetStatus() == "" {
			return nil, transport.Incomplete(subject, "run %d appears twice, or is of another commit, or lacks its state", run.GetID())
		}
		seen[run.GetID()] = true
		checks = append(checks, forge.Check{
			ID:          run.GetID(),
			AppID:       run.GetApp().GetID(),
			App:         run.GetApp().GetSlug(),
			Name:        run.GetName(),
			Commit:      run.GetHeadSHA(),
			Status:      run.GetStatus(),
			Conclusion:  run.GetConclusion(),
			StartedAt:   run.GetStartedAt().UTC(),
			CompletedAt: run.GetCompletedAt().UTC(),
			ExternalID:  run.GetExternalID(),
			URL:         run.GetHTMLURL(),
		})
	}
	return checks, nil
}

// SetStatus puts a status on a commit of the environments repository. It
// writes nothing when the latest status of the same context already says the
// same, so it may be repeated after any failure.
func (c *Client) SetStatus(ctx context.Context, commit string, status forge.Status) error {
	ctx = transport.Asking(ctx, "status")
	subject := fmt.Sprintf("set status %s on %s", status.Context, commit)
	if err := transport.FullSHA(subject, commit); err != nil {
		return err
	}
	status.Description = transport.OneLine(status.Description)
	known, err := c.statuses(ctx, subject, commit)
	if err != nil {
		return err
	}
	same := func(s *github.RepoStatus) bool {
		return s.GetContext() == status.Context && s.GetState() == string(status.State) &&
			s.GetDescription() == status.Description && s.GetTargetURL() == status.URL
	}
	if slices.ContainsFunc(known, same) {
		return nil
	}
	_, _, err = c.rest.Repositories.CreateStatus(ctx, c.repository.owner, c.repository.name, commit, github.RepoStatus{
		State:       github.Ptr(string(status.State)),
		Context:     github.Ptr(status.Context),
		Description: github.Ptr(status.Description),
		TargetURL:   github.Ptr(status.URL),
	})
	if err != nil {
		return classify(subject, err)
	}
	return nil
}

// statuses are the latest of each context: GitHub combines them.
func (c *Client) statuses(ctx context.Context, subject, commit string) ([]*github.RepoStatus, error) {
	total := -1
	found, err := everyPage(subject, func(opts github.ListOptions) ([]*github.RepoStatus, *github.Response, error) {
		combined, resp, err := c.rest.Repositories.GetCombinedStatus(ctx, c.repository.owner, c.repository.name, commit, &opts)
		if err != nil {
			return nil, nil, err
		}
		if combined.TotalCount != nil {
			total = *combined.TotalCount
		}
		return combined.Statuses, resp, nil
	})
	if err == nil && len(found) != total {
		return nil, transport.Incomplete(subject, "%d of %d statuses", len(found), total)
	}
	return found, err
}
