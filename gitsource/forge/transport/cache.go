package transport

import (
	"bytes"
	"container/list"
	"io"
	"net/http"
	"sync"
)

const (
	maxCachedBytes = 16 << 20
	// maxCachedEntry has room for GitHub's largest page, a hundred pull requests of
	// 25 KiB each: it is asked for in every round.
	maxCachedEntry = 4 << 20
	// entryOverhead stands for key and headers, so that many empty lists do
	// not escape the bound.
	entryOverhead = 4 << 10
)

// cache turns repeated reads into conditional ones: an answer that has not
// changed does not count against GitHub's request budget, for one. It forgets the least
// recently used answers beyond maxCachedBytes.
type cache struct {
	next http.RoundTripper

	mu sync.Mutex
	// mu guards the following
	entries map[string]*list.Element // of *cached
	recent  *list.List               // front is the most recent
	bytes   int
}

type cached struct {
	key, etag string
	header    http.Header
	body      []byte
}

func newCache(next http.RoundTripper) *cache {
	return &cache{next: next, entries: map[string]*list.Element{}, recent: list.New()}
}

func (c *cache) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method != http.MethodGet {
		return c.next.RoundTrip(req)
	}
	key := req.Header.Get("Accept") + " " + req.URL.String()
	known := c.find(key)
	if known != nil {
		req = req.Clone(req.Context())
		req.Header.Set("If-None-Match", known.etag)
	}
	resp, err := c.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if known != nil && resp.StatusCode == http.StatusNotModified {
		return known.answer(resp), nil
	}
	if resp.StatusCode == http.StatusOK && resp.Header.Get("ETag") != "" {
		return resp, c.keep(key, resp)
	}
	return resp, nil
}

// answer is the kept answer with the fresh answer's headers on top: those tell
// the current rate limit.
func (e *cached) answer(fresh *http.Response) *http.Response {
	resp := *fresh
	resp.StatusCode, resp.Status = http.StatusOK, "200 OK"
	resp.Header = e.header.Clone()
	for name, values := range fresh.Header {
		if name != "Content-Length" && name != "Content-Type" {
			resp.Header[name] = values
		}
	}
	resp.Body = io.NopCloser(bytes.NewReader(e.body))
	resp.ContentLength = int64(len(e.body))
	return &resp
}

func (c *cache) find(key string) *cached {
	c.mu.Lock()
	defer c.mu.Unlock()
	element, ok := c.entries[key]
	if !ok {
		return nil
	}
	c.recent.MoveToFront(element)
	return element.Value.(*cached)
}

// keep stores the answer and leaves its body readable.
func (c *cache) keep(key string, resp *http.Response) error {
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forgetLocked(key)
	if len(body) > maxCachedEntry {
		return nil
	}
	c.entries[key] = c.recent.PushFront(&cached{key: key, etag: resp.Header.Get("ETag"), header: resp.Header.Clone(), body: body})
	c.bytes += entryOverhead + len(body)
	for c.bytes > maxCachedBytes {
		c.forgetLocked(c.recent.Back().Value.(*cached).key)
	}
	return nil
}

func (c *cache) forgetLocked(key string) {
	element, ok := c.entries[key]
	if !ok {
		return
	}
	c.bytes -= entryOverhead + len(element.Value.(*cached).body)
	c.recent.Remove(element)
	delete(c.entries, key)
}
