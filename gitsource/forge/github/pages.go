package github

import (
	"context"

	"github.com/google/go-github/v88/github"

	"github.com/sluice-cd/sluice/gitsource/forge/transport"
)

const (
	perPage = 100
	// maxPages stops a server that never ends a list.
	maxPages = 100
)

// everyPage reads a list to its end. A list ends with a page that is not full
// and names no next one: a full page without a link may be the work of
// something that dropped the header, so the page after it is asked for too.
func everyPage[T any](subject string, fetch func(github.ListOptions) ([]T, *github.Response, error)) ([]T, error) {
	var items []T
	last := 0
	for number := 1; number <= maxPages; number++ {
		page, resp, err := fetch(github.ListOptions{Page: number, PerPage: perPage})
		if err != nil {
			return nil, classify(subject, err)
		}
		items = append(items, page...)
		last = max(last, resp.LastPage)
		switch {
		case resp.NextPage != 0 && resp.NextPage != number+1:
			return nil, transport.Incomplete(subject, "page %d is followed by page %d", number, resp.NextPage)
		case resp.NextPage == 0 && number < last:
			return nil, transport.Incomplete(subject, "the list ends at page %d of %d", number, last)
		case resp.NextPage == 0 && len(page) < perPage:
			return items, nil
		}
	}
	return nil, transport.Incomplete(subject, "the list goes on after %d pages", maxPages)
}

// lister adapts the usual shape of go-github's list calls.
func lister[T any](ctx context.Context, repo repository, list func(ctx context.Context, owner, name string, opts *github.ListOptions) ([]T, *github.Response, error)) func(github.ListOptions) ([]T, *github.Response, error) {
	return func(opts github.ListOptions) ([]T, *github.Response, error) {
		return list(ctx, repo.owner, repo.name, &opts)
	}
}
