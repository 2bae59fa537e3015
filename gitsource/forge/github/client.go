package github

import (
	"cmp"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/go-github/v88/github"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/gitsource/forge/transport"
)

const publicAPI = "https://api.github.com/"

// Config says which repository to ask about, where, and as whom.
type Config struct {
	// BaseURL is the root of the REST API; empty is https://api.github.com.
	// GitHub Enterprise Server answers under https://HOST/api/v3. Plain http
	// is accepted for loopback addresses alone.
	BaseURL string
	// Repository is the environments repository, "owner/name".
	Repository string

	// TokenFile holds a token. It is read for every request, so that it can
	// be rotated in place. Set either it or the three App fields.
	TokenFile      string
	AppID          int64
	InstallationID int64
	PrivateKeyFile string // PEM, read once

	Log *slog.Logger // nil discards
	// Transport carries the requests; nil is a private http.Transport that
	// obeys the proxy environment.
	Transport http.RoundTripper
	// Observe, when set, is called after every exchange with the server, from
	// the goroutine that asked.
	Observe func(transport.Exchange)

	WriteInterval time.Duration // between two writes; 0 is one second
	RetryBackoff  time.Duration // before the first repetition of a read; 0 is 250 ms
}

// A Client asks one GitHub server with one set of credentials.
type Client struct {
	rest       *github.Client
	repository repository
	app        int64  // the App's id; 0 for a token
	noReply    string // domain of the e-mail addresses that carry account ids
	web        string // where people find repositories, ends in a slash
	// installation is nil without an App.
	installation *installation
}

type repository struct{ owner, name string }

func (r repository) String() string { return r.owner + "/" + r.name }

func parseRepository(full string) (repository, error) {
	owner, name, err := forge.SplitRepository(full)
	return repository{owner, name}, err
}

// New checks the configuration and returns a client. It sends no request.
func New(cfg Config) (*Client, error) {
	base, err := transport.ParseBase(cmp.Or(cfg.BaseURL, publicAPI))
	if err != nil {
		return nil, fmt.Errorf("configure github: %w", err)
	}
	repo, err := parseRepository(cfg.Repository)
	if err != nil {
		return nil, fmt.Errorf("configure github: %w", err)
	}
	c := &Client{repository: repo, app: cfg.AppID, noReply: noReplyDomain(base), web: webAddress(base)}
	client, err := transport.New(transport.Config{
		Base: base, Next: cfg.Transport, WriteInterval: cfg.WriteInterval, RetryBackoff: cfg.RetryBackoff, Log: cfg.Log, Observe: cfg.Observe,
		Authenticate: func(next http.RoundTripper) (http.RoundTripper, error) {
			authenticated, err := authenticate(cfg, base, next)
			c.installation, _ = authenticated.(*installation)
			return authenticated, err
		},
	})
	if err != nil {
		return nil, err
	}
	address := base.String()
	c.rest, err = github.NewClient(
		github.WithHTTPClient(client),
		github.WithURLs(&address, &address),
		github.WithUserAgent("sluice"),
		github.WithDisableRateLimitCheck(), // the transport keeps the limits
	)
	if err != nil {
		return nil, fmt.Errorf("configure github: %w", err)
	}
	return c, nil
}

// noReplyDomain is where the server's users get their private addresses.
func noReplyDomain(base *url.URL) string {
	if base.Hostname() == "api.github.com" {
		return "users.noreply.github.com"
	}
	return "users.noreply." + strings.ToLower(base.Hostname())
}
