package github

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/go-github/v88/github"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/gitsource/forge/transport"
)

// maxAnalysisPages bounds the search for a commit's analyses: 1000 of them.
const maxAnalysisPages = 10

// Analyses lists the code scanning analyses of a branch, the newest first, down to
// those of a commit. Without any of the commit among the newest 1000, they end
// there. A repository without code scanning is an error.
func (c *Client) Analyses(ctx context.Context, branch forge.BranchState, commit string) ([]forge.Analysis, error) {
	ctx = transport.Asking(ctx, "code-scanning-analyses")
	subject := fmt.Sprintf("list code scanning analyses of %s in %s", branch.Name, branch.Repository)
	repo, ref, err := scanned(subject, branch)
	if err != nil {
		return nil, err
	}
	found := false
	pages, _, err := pagesUntil(subject, maxAnalysisPages, func(opts github.ListOptions) ([]*github.ScanningAnalysis, *github.Response, error) {
		return c.rest.CodeScanning.ListAnalysesForRepo(ctx, repo.owner, repo.name, &github.AnalysesListOptions{Ref: &ref, ListOptions: opts})
	}, func(page []*github.ScanningAnalysis) bool {
		has := slices.ContainsFunc(page, func(a *github.ScanningAnalysis) bool { return a.GetCommitSHA() == commit })
		found = found || has
		return found && !has // those of one commit may go over the edge of a page
	})
	if err != nil {
		return nil, err
	}
	var out []forge.Analysis
	for _, a := range pages {
		if a.GetID() == 0 || a.GetCommitSHA() == "" || a.GetRef() != ref || a.GetCreatedAt().IsZero() {
			return nil, transport.Incomplete(subject, "analysis %d is of another branch or lacks its commit", a.GetID())
		}
		out = append(out, forge.Analysis{
			ID: a.GetID(), Commit: a.GetCommitSHA(), Tool: a.GetTool().GetName(), Error: a.GetError(), CreatedAt: a.GetCreatedAt().UTC(),
		})
	}
	return out, nil
}

// Alerts lists the code scanning alerts of a branch that are open, and those that
// were fixed on it since an instant. What somebody dismissed is not listed.
func (c *Client) Alerts(ctx context.Context, branch forge.BranchState, since time.Time) ([]forge.Alert, error) {
	ctx = transport.Asking(ctx, "code-scanning-alerts")
	subject := fmt.Sprintf("list code scanning alerts of %s in %s", branch.Name, branch.Repository)
	repo, ref, err := scanned(subject, branch)
	if err != nil {
		return nil, err
	}
	list := func(state string) func(github.ListOptions) ([]*github.Alert, *github.Response, error) {
		return func(opts github.ListOptions) ([]*github.Alert, *github.Response, error) {
			return c.rest.CodeScanning.ListAlertsForRepo(ctx, repo.owner, repo.name, &github.AlertListOptions{
				State: state, Ref: ref, Sort: "updated", Direction: "desc", ListOptions: opts,
			})
		}
	}
	open, err := everyPage(subject, list("open"))
	if err != nil {
		return nil, err
	}
	fixed, whole, err := pagesUntil(subject, maxPages, list("fixed"), func(page []*github.Alert) bool {
		return slices.ContainsFunc(page, func(a *github.Alert) bool { return a.GetUpdatedAt().Before(since) })
	})
	if err != nil {
		return nil, err
	}
	if !whole {
		return nil, transport.Incomplete(subject, "the list goes on after %d pages", maxPages)
	}
	out, err := alertsOf(subject, "open", open)
	if err != nil {
		return nil, err
	}
	more, err := alertsOf(subject, "fixed", fixed)
	if err != nil {
		return nil, err
	}
	return append(out, slices.DeleteFunc(more, func(a forge.Alert) bool { return a.FixedAt.Before(since) })...), nil
}

func scanned(subject string, branch forge.BranchState) (repository, string, error) {
	repo, err := parseRepository(branch.Repository)
	if err != nil {
		return repo, "", &forge.RejectedError{Subject: subject, Err: err}
	}
	return repo, "refs/heads/" + branch.Name, transport.PlainRef(subject, branch.Name)
}

func alertsOf(subject, state string, found []*github.Alert) ([]forge.Alert, error) {
	var out []forge.Alert
	for _, a := range found {
		if a.GetNumber() == 0 || a.GetState() != state || a.GetCreatedAt().IsZero() || (state == "fixed") != (a.FixedAt != nil) {
			return nil, transport.Incomplete(subject, "alert %d is not %s or lacks a time", a.GetNumber(), state)
		}
		out = append(out, forge.Alert{
			Number: a.GetNumber(), URL: a.GetHTMLURL(), Rule: a.GetRule().GetID(), Tool: a.GetTool().GetName(),
			Severity:  cmp.Or(a.GetRule().GetSecuritySeverityLevel(), a.GetRule().GetSeverity()),
			CreatedAt: a.GetCreatedAt().UTC(), FixedAt: a.GetFixedAt().UTC(),
		})
	}
	return out, nil
}

// pagesUntil reads a list up to the page that is enough or to its end, and says
// whether it came that far within a number of pages.
func pagesUntil[T any](subject string, limit int, fetch func(github.ListOptions) ([]T, *github.Response, error), enough func([]T) bool) (items []T, whole bool, err error) {
	for number := 1; number <= limit; number++ {
		page, resp, err := fetch(github.ListOptions{Page: number, PerPage: perPage})
		if err != nil {
			return nil, false, classify(subject, err)
		}
		items = append(items, page...)
		if enough(page) || resp.NextPage == 0 && len(page) < perPage {
			return items, true, nil
		}
	}
	return items, false, nil
}
