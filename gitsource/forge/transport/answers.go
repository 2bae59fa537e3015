package transport

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"
)

const (
	// requestTimeout covers one attempt, body included. Forges themselves give
	// up earlier.
	requestTimeout = 30 * time.Second
	// maxAnswerBytes bounds what one answer may take. The largest real ones,
	// comparisons with patches, stay below 10 MiB.
	maxAnswerBytes = 32 << 20
)

var (
	errForeignHost = errors.New("refused to send credentials to another host")
	errIncomplete  = errors.New("incomplete answer")
)

// answers is the innermost layer. It reads every answer whole, so that what
// the layers above see is either complete JSON or an error: a JSON decoder by
// itself takes an empty body for an empty list.
type answers struct {
	next         http.RoundTripper
	scheme, host string
	null         bool // null is an answer
	empty        bool // nothing is an answer to a write
}

func (t *answers) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme != t.scheme || req.URL.Host != t.host {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, errForeignHost
	}
	ctx, cancel := context.WithTimeoutCause(req.Context(), requestTimeout,
		fmt.Errorf("%w: nothing within %s", errIncomplete, requestTimeout))
	defer cancel()
	resp, err := t.next.RoundTrip(req.WithContext(ctx))
	if err != nil {
		return nil, timeoutOr(ctx, req.Context(), err)
	}
	body, err := readAll(resp.Body)
	if err != nil {
		return nil, timeoutOr(ctx, req.Context(), err)
	}
	if t.empty && req.Method != http.MethodGet && len(body) == 0 {
		return resp, nil
	}
	if err := checkAnswer(resp, body, t.null); err != nil {
		return nil, err
	}
	body = withoutCredential(resp, req, body)
	resp.Body = io.NopCloser(bytes.NewReader(body))
	resp.ContentLength = int64(len(body))
	return resp, nil
}

// withoutCredential cuts the credential out of a refusal that repeats it: its
// words end up in errors and logs.
func withoutCredential(resp *http.Response, req *http.Request, body []byte) []byte {
	_, credential, found := strings.Cut(req.Header.Get("Authorization"), " ")
	if !found || resp.StatusCode < 400 {
		return body
	}
	return bytes.ReplaceAll(body, []byte(credential), []byte("[redacted]"))
}

// timeoutOr names this layer's own timeout instead of a bare deadline, which
// would look like the caller's.
func timeoutOr(ctx, parent context.Context, err error) error {
	if ctx.Err() != nil && parent.Err() == nil {
		return context.Cause(ctx)
	}
	return err
}

func readAll(from io.ReadCloser) ([]byte, error) {
	defer from.Close()
	body, err := io.ReadAll(io.LimitReader(from, maxAnswerBytes+1))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errIncomplete, err)
	}
	if len(body) > maxAnswerBytes {
		return nil, fmt.Errorf("%w: more than %d bytes", errIncomplete, maxAnswerBytes)
	}
	return body, nil
}

// checkAnswer holds a success to its promise of JSON. Failures may be anything:
// gateways answer with pages.
func checkAnswer(resp *http.Response, body []byte, null bool) error {
	if resp.StatusCode/100 != 2 || resp.StatusCode == http.StatusNoContent {
		return nil
	}
	media, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil || media != "application/json" && !strings.HasSuffix(media, "+json") {
		return fmt.Errorf("%w: the server answered with content type %q instead of JSON", errIncomplete, media)
	}
	if !json.Valid(body) || !null && bytes.Equal(bytes.TrimSpace(body), []byte("null")) {
		return fmt.Errorf("%w: %d bytes that are not one JSON value", errIncomplete, len(body))
	}
	return nil
}
