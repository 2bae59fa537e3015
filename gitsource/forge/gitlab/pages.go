package gitlab

import (
	"context"
	"maps"
	"net/url"
	"strconv"

	"github.com/sluice-cd/sluice/gitsource/forge/transport"
)

const (
	// perPage is the most that GitLab gives.
	perPage = 100
	// maxPages stops a server that never ends a list.
	maxPages = 100
)

// everyPage reads a list to its end, which is where the server names no next
// page. Where it also counts the items, the count has to be right.
func everyPage[T any](ctx context.Context, c *Client, subject, path string, query url.Values) ([]T, error) {
	var items []T
	count := ""
	for number := 1; number <= maxPages; number++ {
		page, next, total, err := readPage[T](ctx, c, subject, path, query, number)
		if err != nil {
			return nil, err
		}
		items = append(items, page...)
		if number == 1 {
			count = total
		}
		switch {
		case total != count:
			return nil, transport.Incomplete(subject, "the list changed from %q to %q items while it was read", count, total)
		case next == "" && count != "" && count != strconv.Itoa(len(items)):
			return nil, transport.Incomplete(subject, "%d of %s items", len(items), count)
		case next == "":
			return items, nil
		case next != strconv.Itoa(number+1):
			return nil, transport.Incomplete(subject, "page %q follows page %d", next, number)
		}
	}
	return nil, transport.Incomplete(subject, "the list goes on after %d pages", maxPages)
}

// readPage also returns the number of the next page, "" at the end, and how many
// items the list has, "" where the server does not count.
func readPage[T any](ctx context.Context, c *Client, subject, path string, query url.Values, number int) (items []T, next, total string, err error) {
	query = maps.Clone(query)
	if query == nil {
		query = url.Values{}
	}
	query.Set("page", strconv.Itoa(number))
	query.Set("per_page", strconv.Itoa(perPage))
	header, err := c.get(ctx, path, query, &items)
	if err != nil {
		return nil, "", "", transport.Classify(subject, err)
	}
	if len(header.Values("X-Next-Page")) != 1 {
		return nil, "", "", transport.Incomplete(subject, "it does not say whether it goes on")
	}
	return items, header.Get("X-Next-Page"), header.Get("X-Total"), nil
}
