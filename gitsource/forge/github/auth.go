package github

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/bradleyfalzon/ghinstallation/v2"
	"github.com/google/go-github/v88/github"
)

// maxTokenBytes is far above any token: it only keeps a wrong path (a log, a
// device) from being read into memory.
const maxTokenBytes = 64 << 10

// authenticate puts the configured credentials on every request.
func authenticate(cfg Config, base *url.URL, next http.RoundTripper) (http.RoundTripper, error) {
	app := cfg.AppID != 0 || cfg.InstallationID != 0 || cfg.PrivateKeyFile != ""
	switch {
	case app && cfg.TokenFile != "":
		return nil, errors.New("configure github: set a token file or an App, not both")
	case app:
		return authenticateApp(cfg, base, next)
	case cfg.TokenFile != "":
		return &tokenFile{path: cfg.TokenFile, next: next}, nil
	}
	return nil, errors.New("configure github: set a token file, or an App's id, installation id and private key file")
}

func authenticateApp(cfg Config, base *url.URL, next http.RoundTripper) (http.RoundTripper, error) {
	if cfg.AppID <= 0 || cfg.InstallationID <= 0 || cfg.PrivateKeyFile == "" {
		return nil, errors.New("configure github: an App needs its id, its installation id and its private key file")
	}
	key, err := os.ReadFile(cfg.PrivateKeyFile)
	if err != nil {
		return nil, fmt.Errorf("configure github: read private key: %w", err)
	}
	transport, err := ghinstallation.New(next, cfg.AppID, cfg.InstallationID, key)
	if err != nil {
		return nil, fmt.Errorf("configure github: private key %s is not a PEM-encoded RSA key", cfg.PrivateKeyFile)
	}
	// An empty object; without it the body would be the word null.
	transport.InstallationTokenOptions = &github.InstallationTokenOptions{}
	transport.BaseURL = strings.TrimRight(base.String(), "/")
	return transport, nil
}

// errCredentials marks a failure before anything was sent.
var errCredentials = errors.New("credentials unavailable")

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
		return "", fmt.Errorf("%w: %w", errCredentials, err)
	}
	defer func() { _ = file.Close() }()
	raw, err := io.ReadAll(io.LimitReader(file, maxTokenBytes))
	if err != nil {
		return "", fmt.Errorf("%w: read %s: %w", errCredentials, t.path, err)
	}
	token := string(bytes.TrimSpace(raw))
	if token == "" || strings.ContainsFunc(token, notTokenRune) {
		return "", fmt.Errorf("%w: %s does not hold one token", errCredentials, t.path)
	}
	return token, nil
}

func notTokenRune(r rune) bool { return r <= ' ' || r > '~' }
