package transport

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"time"
)

// attempts is how often a read is sent at most. More belongs to the caller's
// next pass, which may decide anew.
const attempts = 3

// retries repeats reads that a gateway or a connection has lost.
type retries struct {
	next    http.RoundTripper
	backoff time.Duration
	log     *slog.Logger
}

func (t *retries) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method != http.MethodGet {
		return t.next.RoundTrip(req)
	}
	for attempt := 1; ; attempt++ {
		resp, err := t.next.RoundTrip(req)
		if attempt == attempts || !worthRepeating(resp, err) || req.Context().Err() != nil {
			return resp, err
		}
		t.log.Warn("will retry a read of the forge", "api", questionOf(req.Context()), "attempt", attempt, "code", codeOf(resp), "error", err)
		// Full jitter: several clients that lost the same gateway spread out.
		if err := pause(req.Context(), rand.N(t.backoff<<attempt)); err != nil {
			return nil, err
		}
	}
}

func worthRepeating(resp *http.Response, err error) bool {
	var refused *StatusError
	switch {
	case err == nil:
		return gatewayFailure(resp.StatusCode)
	case errors.As(err, &refused):
		return gatewayFailure(refused.Code)
	case !WasSent(err):
		return false
	}
	return true
}

func gatewayFailure(code int) bool {
	return code == http.StatusBadGateway || code == http.StatusServiceUnavailable || code == http.StatusGatewayTimeout
}

func codeOf(resp *http.Response) int {
	if resp == nil {
		return 0
	}
	return resp.StatusCode
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
