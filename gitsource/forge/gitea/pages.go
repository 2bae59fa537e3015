package gitea

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"strconv"

	"github.com/sluice-cd/sluice/gitsource/forge/transport"
)

const (
	// perPage is what Gitea gives at most unless it is configured otherwise.
	perPage = 50
	// maxPages stops a server that never ends a list.
	maxPages = 200
)

// A page is a part of a list and the length that the server claims for all of
// it.
type page[T any] struct {
	items []T
	total int
}

func readPage[T any](ctx context.Context, c *Client, path string, query url.Values, number int) (page[T], error) {
	query = maps.Clone(query)
	if query == nil {
		query = url.Values{}
	}
	query.Set("page", strconv.Itoa(number))
	query.Set("limit", strconv.Itoa(perPage))
	var read page[T]
	header, err := c.get(ctx, path, query, &read.items)
	if err != nil {
		return read, err
	}
	read.total, err = total(header)
	return read, err
}

func total(header http.Header) (int, error) { return strconv.Atoi(header.Get("X-Total-Count")) }

// everyPage reads a list to its end, which is where the server's own count says.
func everyPage[T any](ctx context.Context, c *Client, subject, path string, query url.Values) ([]T, error) {
	var items []T
	count := -1
	for number := 1; number <= maxPages; number++ {
		read, err := readPage[T](ctx, c, path, query, number)
		if err != nil {
			return nil, transport.Classify(subject, err)
		}
		items = append(items, read.items...)
		if count == -1 {
			count = read.total
		}
		switch {
		case read.total != count:
			return nil, transport.Incomplete(subject, "the list changed from %d to %d items while it was read", count, read.total)
		case len(items) == count:
			return items, nil
		case len(items) > count, len(read.items) == 0:
			return nil, transport.Incomplete(subject, "%d of %d items", len(items), count)
		}
	}
	return nil, transport.Incomplete(subject, "the list goes on after %d pages", maxPages)
}

// everyVisible reads a list that counts items that it does not show. Its end
// is where pages of the server's size have covered the count.
func everyVisible[T any](ctx context.Context, c *Client, subject, path string) ([]T, error) {
	var items []T
	size := 0
	for number := 1; number <= maxPages; number++ {
		read, err := readPage[T](ctx, c, path, nil, number)
		if err != nil {
			return nil, transport.Classify(subject, err)
		}
		items = append(items, read.items...)
		if len(items) >= read.total {
			return items, nil
		}
		if size == 0 {
			if size, err = c.pageSize(ctx); err != nil {
				return nil, err
			}
		}
		if number*size >= read.total {
			return items, nil
		}
	}
	return nil, transport.Incomplete(subject, "the list goes on after %d pages", maxPages)
}

// pageSize is how many items the server really gives at once.
func (c *Client) pageSize(ctx context.Context) (int, error) {
	const subject = "read the server's page size"
	var settings struct {
		MaxResponseItems int `json:"max_response_items"`
	}
	if _, err := c.get(ctx, "settings/api", nil, &settings); err != nil {
		return 0, transport.Classify(subject, err)
	}
	if settings.MaxResponseItems <= 0 {
		return 0, transport.Incomplete(subject, "%d items", settings.MaxResponseItems)
	}
	return min(perPage, settings.MaxResponseItems), nil
}
