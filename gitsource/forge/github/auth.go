package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/bradleyfalzon/ghinstallation/v2"
	"github.com/google/go-github/v88/github"

	"github.com/sluice-cd/sluice/gitsource/forge/transport"
)

// authenticate puts the configured credentials on every request.
func authenticate(cfg Config, base *url.URL, next http.RoundTripper) (http.RoundTripper, error) {
	app := cfg.AppID != 0 || cfg.InstallationID != 0 || cfg.PrivateKeyFile != ""
	switch {
	case app && cfg.TokenFile != "":
		return nil, errors.New("configure github: set a token file or an App, not both")
	case app:
		return authenticateApp(cfg, base, next)
	case cfg.TokenFile != "":
		return transport.TokenFile(cfg.TokenFile, next), nil
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
	app, err := ghinstallation.New(next, cfg.AppID, cfg.InstallationID, key)
	if err != nil {
		return nil, fmt.Errorf("configure github: private key %s is not a PEM-encoded RSA key", cfg.PrivateKeyFile)
	}
	// An empty object; without it the body would be the word null.
	app.InstallationTokenOptions = &github.InstallationTokenOptions{}
	app.BaseURL = strings.TrimRight(base.String(), "/")
	return &installation{app}, nil
}

// installation is an App with its token, of which a refusal is reported as what it
// is: an answer of the server.
type installation struct {
	app *ghinstallation.Transport
}

func (t *installation) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.app.RoundTrip(req)
	return resp, refusedToken(err)
}

func refusedToken(err error) error {
	var refused *ghinstallation.HTTPError
	if errors.As(err, &refused) && refused.Response != nil {
		return fmt.Errorf("%w: %w", transport.ErrCredentials,
			&transport.StatusError{Code: refused.Response.StatusCode, Words: "the App's installation token was refused"})
	}
	return err
}

// Token is the App's token of the hour, for git's own protocol. Without an App
// there is none: the token file is read by whoever uses it.
func (c *Client) Token(ctx context.Context) (string, error) {
	if c.installation == nil {
		return "", errors.New("read the App's token: no App is configured")
	}
	token, err := c.installation.app.Token(ctx)
	if err != nil {
		return "", classify("read the App's token", refusedToken(err))
	}
	return token, nil
}
