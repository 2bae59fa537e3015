package github_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/gitsource/forge/github"
)

// A script answers requests without sockets, so that time may be simulated.
type script struct {
	answer func(*http.Request) (int, http.Header, string)
	times  []time.Time
}

func (s *script) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
	s.times = append(s.times, time.Now())
	code, header, body := s.answer(req)
	if header == nil {
		header = http.Header{}
	}
	if header.Get("Content-Type") == "" {
		header.Set("Content-Type", "application/json; charset=utf-8")
	}
	return &http.Response{StatusCode: code, Status: fmt.Sprint(code), Header: header, Body: io.NopCloser(strings.NewReader(body)), Request: req, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}, nil
}

func scripted(t *testing.T, answer func(*http.Request) (int, http.Header, string)) (*script, *github.Client) {
	t.Helper()
	s := &script{answer: answer}
	client, err := github.New(github.Config{BaseURL: "https://ghe.example/api/v3", Repository: repoName, TokenFile: writeFile(t, token), Transport: s})
	require.NoError(t, err)
	return s, client
}

func TestNoRequestIsSentBeforeTheServerPermitsOne(t *testing.T) {
	second := func(n time.Duration) http.Header { return http.Header{"Retry-After": {fmt.Sprint(int(n.Seconds()))}} }
	reset := func(now time.Time, in time.Duration) http.Header {
		return http.Header{"X-Ratelimit-Remaining": {"0"}, "X-Ratelimit-Reset": {fmt.Sprint(now.Add(in).Unix())}}
	}
	for name, c := range map[string]struct {
		code   int
		header func(now time.Time) http.Header
		body   string
		wait   time.Duration
	}{
		"429, Retry-After": {429, func(time.Time) http.Header { return second(90 * time.Second) }, "", 90 * time.Second},
		"403, Retry-After": {403, func(time.Time) http.Header { return second(5 * time.Second) }, "", 5 * time.Second},
		"503, Retry-After": {503, func(time.Time) http.Header { return second(7 * time.Second) }, "", 7 * time.Second},
		"Retry-After as a date": {429, func(now time.Time) http.Header {
			return http.Header{"Retry-After": {now.Add(time.Minute).UTC().Format(http.TimeFormat)}}
		}, "", time.Minute},
		"Retry-After unreadable": {429, func(time.Time) http.Header { return http.Header{"Retry-After": {"soon"}} }, "", time.Minute},
		"Retry-After of a year":  {429, func(time.Time) http.Header { return second(8760 * time.Hour) }, "", 2 * time.Hour},
		"403, budget used up":    {403, func(now time.Time) http.Header { return reset(now, 30*time.Minute) }, "", 30 * time.Minute},
		"429, budget used up":    {429, func(now time.Time) http.Header { return reset(now, 30*time.Minute) }, "", 30 * time.Minute},
		"reset unreadable":       {403, func(time.Time) http.Header { return http.Header{"X-Ratelimit-Remaining": {"0"}} }, "", time.Minute},
		"the server's clock is fast": {403, func(now time.Time) http.Header {
			h := reset(now.Add(time.Hour), time.Minute)
			h.Set("Date", now.Add(time.Hour).UTC().Format(http.TimeFormat))
			return h
		}, "", time.Minute},
		"secondary limit in words": {403, func(time.Time) http.Header { return http.Header{} }, `{"message":"You have exceeded a secondary rate limit."}`, time.Minute},
		"secondary limit by link":  {403, func(time.Time) http.Header { return http.Header{} }, `{"message":"x","documentation_url":"https://docs.github.com/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits"}`, time.Minute},
		"bare 429":                 {429, func(time.Time) http.Header { return http.Header{} }, "", time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				limited := true
				s, client := scripted(t, func(*http.Request) (int, http.Header, string) {
					if limited {
						return c.code, c.header(time.Now()), c.body
					}
					return 200, nil, "[]"
				})
				ask := func() error { _, err := client.Reviews(t.Context(), 1); return err }
				start := time.Now()
				var transient *forge.TransientError
				for range 3 {
					require.ErrorAs(t, ask(), &transient)
					assert.Equal(t, c.wait, transient.RetryAt.Sub(start))
				}
				assert.Len(t, s.times, 1, "asked once, then refused without a request")

				limited = false
				time.Sleep(c.wait - time.Millisecond)
				require.ErrorAs(t, ask(), &transient)
				assert.Len(t, s.times, 1)
				time.Sleep(time.Millisecond)
				require.NoError(t, ask())
				assert.Len(t, s.times, 2)
			})
		})
	}
}

func TestTheLastAnswerOfABudgetIsUsedAndThenItIsQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, client := scripted(t, func(*http.Request) (int, http.Header, string) {
			return 200, http.Header{"X-Ratelimit-Remaining": {"0"}, "X-Ratelimit-Reset": {fmt.Sprint(time.Now().Add(time.Minute).Unix())}}, "[]"
		})
		_, err := client.Reviews(t.Context(), 1)
		require.NoError(t, err)
		_, err = client.Reviews(t.Context(), 1)
		var transient *forge.TransientError
		require.ErrorAs(t, err, &transient)
		assert.Equal(t, time.Minute, time.Until(transient.RetryAt))
		assert.Len(t, s.times, 1)
	})
}

func TestAPlainRefusalIsNotARateLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, client := scripted(t, func(*http.Request) (int, http.Header, string) {
			return 403, http.Header{"X-Ratelimit-Remaining": {"4000"}}, `{"message":"Resource not accessible by integration"}`
		})
		for range 2 {
			_, err := client.Reviews(t.Context(), 1)
			var rejected *forge.RejectedError
			require.ErrorAs(t, err, &rejected)
			assert.Equal(t, 403, rejected.Code)
		}
		assert.Len(t, s.times, 2)
	})
}

func TestWritesKeepASecondBetweenThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, client := scripted(t, func(req *http.Request) (int, http.Header, string) {
			if req.Method == http.MethodGet {
				return 200, nil, `{"state":"pending","total_count":0,"statuses":[]}`
			}
			return 201, nil, `{}`
		})
		for range 5 {
			require.NoError(t, client.SetStatus(t.Context(), strings.Repeat("a", 40), forge.Status{Context: "c", State: "pending"}))
		}
		require.Len(t, s.times, 10)
		for i := 3; i < 10; i += 2 {
			assert.GreaterOrEqual(t, s.times[i].Sub(s.times[i-2]), time.Second)
		}
	})
}

func TestAServerThatSaysNothingIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		silent := transportFunc(func(req *http.Request) (*http.Response, error) {
			<-req.Context().Done()
			return nil, req.Context().Err()
		})
		client, err := github.New(github.Config{Repository: repoName, TokenFile: writeFile(t, token), Transport: silent})
		require.NoError(t, err)
		start := time.Now()

		_, err = client.Reviews(t.Context(), 1)
		var transient *forge.TransientError
		require.ErrorAs(t, err, &transient)
		assert.ErrorContains(t, err, "nothing within 30s")
		assert.Less(t, time.Since(start), 2*time.Minute)
	})
}

func TestRepetitionsAreFewAndSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, client := scripted(t, func(*http.Request) (int, http.Header, string) { return 502, nil, "" })
		start := time.Now()
		_, err := client.Reviews(t.Context(), 1)
		assert.Error(t, err)
		assert.Len(t, s.times, 3)
		assert.Less(t, time.Since(start), 2*time.Second)
	})
}

func TestACallerThatLeavesEndsTheRepetitions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s, client := scripted(t, func(*http.Request) (int, http.Header, string) { cancel(); return 502, nil, "" })
		_, err := client.Reviews(ctx, 1)
		assert.Error(t, err)
		assert.Len(t, s.times, 1)
	})
}

type transportFunc func(*http.Request) (*http.Response, error)

func (f transportFunc) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }
