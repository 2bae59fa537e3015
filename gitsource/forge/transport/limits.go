package transport

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// GitHub asks for at least a minute when it gives no time itself.
	unstatedPause = time.Minute
	// maxPause keeps a broken header from silencing the client for ever: the
	// longest window that GitHub has is an hour.
	maxPause = 2 * time.Hour
)

// An Exchange is one request and its answer, for metrics.
type Exchange struct {
	API    string // which question, such as "reviews"; a small fixed set
	Method string
	Code   int // status code; 0 when no complete answer came
	// Cached says that the server confirmed a kept answer (304).
	Cached bool
	// Limit and Remaining are the server's request budget; -1 when it did not
	// say. Reset is when the budget is full again.
	Limit     int
	Remaining int
	Reset     time.Time
}

// A limitError refuses a request because the server permits none before until.
type limitError struct {
	until  time.Time
	reason string
}

func (e *limitError) Error() string { return e.reason }

// limits keeps the server's rate limits and the distance between writes.
type limits struct {
	next    http.RoundTripper
	writes  *rate.Limiter
	observe func(Exchange)

	mu sync.Mutex
	// mu guards the following
	pause limitError
}

func newLimits(next http.RoundTripper, writeInterval time.Duration, observe func(Exchange)) *limits {
	if observe == nil {
		observe = func(Exchange) {}
	}
	return &limits{next: next, writes: rate.NewLimiter(rate.Every(writeInterval), 1), observe: observe}
}

func (l *limits) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := l.permitted(time.Now()); err != nil {
		return nil, err
	}
	if req.Method != http.MethodGet {
		if err := l.writes.Wait(req.Context()); err != nil {
			return nil, fmt.Errorf("wait for the next write: %w", err)
		}
		// The wait may have outlasted somebody else's discovery of a limit.
		if err := l.permitted(time.Now()); err != nil {
			return nil, err
		}
	}
	resp, err := l.next.RoundTrip(req)
	l.observe(exchangeOf(req, resp))
	if err != nil {
		return nil, err
	}
	if pause, found := pauseOf(resp, time.Now()); found {
		l.set(pause)
		if resp.StatusCode/100 != 2 {
			return nil, &pause
		}
	}
	return resp, nil
}

func (l *limits) permitted(now time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Before(l.pause.until) {
		pause := l.pause
		return &pause
	}
	return nil
}

// set never shortens a pause: answers arrive out of order.
func (l *limits) set(pause limitError) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if pause.until.After(l.pause.until) {
		l.pause = pause
	}
}

// pauseOf reads from an answer until when the server wants silence.
func pauseOf(resp *http.Response, now time.Time) (limitError, bool) {
	refused := resp.StatusCode == http.StatusForbidden || resp.StatusCode == http.StatusTooManyRequests
	wait, stated := retryAfter(resp.Header, now)
	switch {
	case stated && (refused || resp.StatusCode == http.StatusServiceUnavailable):
		return limitError{now.Add(bounded(wait)), "the server asked to wait (Retry-After)"}, true
	case (refused || resp.StatusCode/100 == 2 || resp.StatusCode == http.StatusNotModified) && resp.Header.Get("X-Ratelimit-Remaining") == "0":
		return limitError{now.Add(bounded(untilReset(resp.Header, now))), "the request budget is used up"}, true
	case resp.StatusCode == http.StatusTooManyRequests || refused && mentionsSecondaryLimit(resp):
		return limitError{now.Add(unstatedPause), "the server's secondary rate limit is reached"}, true
	}
	return limitError{}, false
}

func bounded(wait time.Duration) time.Duration { return min(max(wait, 0), maxPause) }

// retryAfter reads both forms of the header. One that cannot be read still
// asks for a pause.
func retryAfter(header http.Header, now time.Time) (time.Duration, bool) {
	value := strings.TrimSpace(header.Get("Retry-After"))
	if value == "" {
		return 0, false
	}
	if seconds, err := strconv.ParseInt(value, 10, 32); err == nil && seconds >= 0 {
		return time.Duration(seconds) * time.Second, true
	}
	if at, err := http.ParseTime(value); err == nil {
		return at.Sub(serverTime(header, now)), true
	}
	return unstatedPause, true
}

func untilReset(header http.Header, now time.Time) time.Duration {
	seconds, err := strconv.ParseInt(header.Get("X-Ratelimit-Reset"), 10, 64)
	if err != nil {
		return unstatedPause
	}
	return time.Unix(seconds, 0).Sub(serverTime(header, now))
}

// serverTime makes instants of the server comparable to one another when its
// clock and ours differ.
func serverTime(header http.Header, now time.Time) time.Time {
	if at, err := http.ParseTime(header.Get("Date")); err == nil {
		return at
	}
	return now
}

// mentionsSecondaryLimit looks for GitHub's own words, the only sign of the
// secondary limit when an answer has no Retry-After. The body stays readable.
func mentionsSecondaryLimit(resp *http.Response) bool {
	body, err := io.ReadAll(resp.Body)
	resp.Body = io.NopCloser(bytes.NewReader(body))
	text := bytes.ToLower(body)
	return err == nil && (bytes.Contains(text, []byte("secondary rate limit")) ||
		bytes.Contains(text, []byte("secondary-rate-limits")) || bytes.Contains(text, []byte("abuse detection")))
}

func exchangeOf(req *http.Request, resp *http.Response) Exchange {
	seen := Exchange{API: questionOf(req.Context()), Method: req.Method, Limit: -1, Remaining: -1}
	if resp == nil {
		return seen
	}
	seen.Code = resp.StatusCode
	seen.Cached = resp.StatusCode == http.StatusNotModified
	if n, err := strconv.Atoi(resp.Header.Get("X-Ratelimit-Limit")); err == nil {
		seen.Limit = n
	}
	if n, err := strconv.Atoi(resp.Header.Get("X-Ratelimit-Remaining")); err == nil {
		seen.Remaining = n
	}
	if n, err := strconv.ParseInt(resp.Header.Get("X-Ratelimit-Reset"), 10, 64); err == nil {
		seen.Reset = time.Unix(n, 0)
	}
	return seen
}
