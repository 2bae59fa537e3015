package transport

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

// maxTokenBytes is far above any token: it only keeps a wrong path (a log, a
// device) from being read into memory.
const maxTokenBytes = 64 << 10

// TokenFile puts the token in the file at path on every request. The file is
// read each time, so that the token can be rotated in place.
func TokenFile(path string, next http.RoundTripper) http.RoundTripper {
	return &tokenFile{path: path, next: next}
}

// ErrCredentials marks a request that was not sent for want of credentials.
var ErrCredentials = errors.New("credentials unavailable")

type tokenFile struct {
	path string
	next http.RoundTripper
}

func (t *tokenFile) RoundTrip(req *http.Request) (*http.Response, error) {
	token, err := t.read()
	if err != nil {
		return nil, err
	}
	req = req.Clone(req.Context())
	req.Header.Set("Authorization", "Bearer "+token)
	return t.next.RoundTrip(req)
}

func (t *tokenFile) read() (string, error) {
	file, err := os.Open(t.path)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrCredentials, err)
	}
	defer func() { _ = file.Close() }()
	raw, err := io.ReadAll(io.LimitReader(file, maxTokenBytes))
	if err != nil {
		return "", fmt.Errorf("%w: read %s: %w", ErrCredentials, t.path, err)
	}
	token := string(bytes.TrimSpace(raw))
	if token == "" || strings.ContainsFunc(token, notTokenRune) {
		return "", fmt.Errorf("%w: %s does not hold one token", ErrCredentials, t.path)
	}
	return token, nil
}

func notTokenRune(r rune) bool { return r <= ' ' || r > '~' }
