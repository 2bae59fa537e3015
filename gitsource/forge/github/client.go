package github

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/go-github/v88/github"

	"github.com/sluice-cd/sluice/gitsource/forge"
)

const (
	publicAPI = "https://api.github.com/"
	// GitHub asks for a second between writes; one a second also stays below
	// its 80 content-creating requests a minute.
	defaultWriteInterval = time.Second
	defaultRetryBackoff  = 250 * time.Millisecond
)

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
	Observe func(Exchange)

	WriteInterval time.Duration // between two writes; 0 is one second
	RetryBackoff  time.Duration // before the first repetition of a read; 0 is 250 ms
}

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

// A Client asks one GitHub server with one set of credentials.
type Client struct {
	rest       *github.Client
	repository repository
	noReply    string // domain of the e-mail addresses that carry account ids
}

type repository struct{ owner, name string }

func (r repository) String() string { return r.owner + "/" + r.name }

func parseRepository(full string) (repository, error) {
	owner, name, err := forge.SplitRepository(full)
	return repository{owner, name}, err
}

// New checks the configuration and returns a client. It sends no request.
func New(cfg Config) (*Client, error) {
	base, err := parseBase(cfg.BaseURL)
	if err != nil {
		return nil, err
	}
	repo, err := parseRepository(cfg.Repository)
	if err != nil {
		return nil, fmt.Errorf("configure github: %w", err)
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	transport, err := newTransport(cfg, base)
	if err != nil {
		return nil, err
	}
	address := base.String()
	rest, err := github.NewClient(
		github.WithHTTPClient(&http.Client{Transport: transport, CheckRedirect: neverRedirect}),
		github.WithURLs(&address, &address),
		github.WithUserAgent("sluice"),
		github.WithDisableRateLimitCheck(), // the transport keeps the limits
	)
	if err != nil {
		return nil, fmt.Errorf("configure github: %w", err)
	}
	return &Client{rest: rest, repository: repo, noReply: noReplyDomain(base)}, nil
}

// newTransport stacks the layers, outermost last. The cache is outside of the
// authentication so that a new token does not empty it; the limits are outside
// too, so that a refused request costs not even a token.
func newTransport(cfg Config, base *url.URL) (http.RoundTripper, error) {
	next := cfg.Transport
	if next == nil {
		next = http.DefaultTransport.(*http.Transport).Clone()
	}
	authenticated, err := authenticate(cfg, base, &answers{next: next, scheme: base.Scheme, host: base.Host})
	if err != nil {
		return nil, err
	}
	limited := newLimits(authenticated, cmp.Or(cfg.WriteInterval, defaultWriteInterval), cfg.Observe)
	retried := &retries{next: limited, backoff: cmp.Or(cfg.RetryBackoff, defaultRetryBackoff), log: cfg.Log}
	return newCache(retried), nil
}

func parseBase(raw string) (*url.URL, error) {
	base, err := url.Parse(cmp.Or(raw, publicAPI))
	if err != nil {
		return nil, errors.New("configure github: the base URL cannot be parsed") // err would repeat it, credentials included
	}
	switch {
	case base.User != nil:
		return nil, errors.New("configure github: the base URL carries credentials; use a token file")
	case base.Host == "" || base.RawQuery != "" || base.Fragment != "":
		return nil, fmt.Errorf("configure github: base URL %q: want https://HOST/PATH", base.Redacted())
	case base.Scheme == "http" && !loopback(base.Hostname()):
		return nil, fmt.Errorf("configure github: base URL %q: plain http would show the credentials; use https", base.Redacted())
	case base.Scheme != "https" && base.Scheme != "http":
		return nil, fmt.Errorf("configure github: base URL %q: want https", base.Redacted())
	}
	base.Path = strings.TrimRight(base.Path, "/") + "/"
	return base, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func neverRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// noReplyDomain is where the server's users get their private addresses.
func noReplyDomain(base *url.URL) string {
	if base.Hostname() == "api.github.com" {
		return "users.noreply.github.com"
	}
	return "users.noreply." + strings.ToLower(base.Hostname())
}
