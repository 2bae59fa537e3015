package gitea

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/gitsource/forge/transport"
)

// Config says which repository to ask about, where, and as whom.
type Config struct {
	// BaseURL is the server's address as people open it, such as
	// https://gitea.example. Plain http is accepted for loopback addresses
	// alone.
	BaseURL string
	// Repository is the environments repository, "owner/name".
	Repository string
	// TokenFile holds a token. It is read for every request, so that it can be
	// rotated in place.
	TokenFile string

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

// A Client asks one Gitea server with one set of credentials.
type Client struct {
	http       *http.Client
	base       *url.URL
	repository repository
}

type repository struct{ owner, name string }

func (r repository) String() string { return r.owner + "/" + r.name }

// path is that of a question about the repository.
func (r repository) path(segments ...string) string {
	path := "repos/" + url.PathEscape(r.owner) + "/" + url.PathEscape(r.name)
	for _, segment := range segments {
		path += "/" + url.PathEscape(segment)
	}
	return path
}

func parseRepository(subject, full string) (repository, error) {
	owner, name, err := forge.SplitRepository(full)
	if err != nil {
		return repository{}, &forge.RejectedError{Subject: subject, Err: err}
	}
	return repository{owner, name}, nil
}

// New checks the configuration and returns a client. It sends no request.
func New(cfg Config) (*Client, error) {
	base, err := transport.ParseBase(cfg.BaseURL)
	if err != nil {
		return nil, fmt.Errorf("configure gitea: %w", err)
	}
	repo, err := parseRepository("configure gitea", cfg.Repository)
	if err != nil {
		return nil, err
	}
	if cfg.TokenFile == "" {
		return nil, errors.New("configure gitea: set a token file")
	}
	client, err := transport.New(transport.Config{
		NullIsEmpty: true, // the timeline's; everything else is counted or has to name itself
		EmptyWrites: true, // the merge's
		Base:        base, Next: cfg.Transport, WriteInterval: cfg.WriteInterval, RetryBackoff: cfg.RetryBackoff, Log: cfg.Log, Observe: cfg.Observe,
		Authenticate: func(next http.RoundTripper) (http.RoundTripper, error) {
			return transport.TokenFile(cfg.TokenFile, next), nil
		},
	})
	if err != nil {
		return nil, fmt.Errorf("configure gitea: %w", err)
	}
	return &Client{http: client, base: base, repository: repo}, nil
}

// get reads one answer into into. Errors are not classified yet.
func (c *Client) get(ctx context.Context, path string, query url.Values, into any) (http.Header, error) {
	return c.send(ctx, http.MethodGet, path+"?"+query.Encode(), nil, http.StatusOK, into)
}

func (c *Client) send(ctx context.Context, method, path string, body any, want int, into any) (http.Header, error) {
	var sent bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&sent).Encode(body); err != nil {
			return nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base.String()+"api/v1/"+strings.TrimSuffix(path, "?"), &sent)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "sluice")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	return resp.Header, decode(resp.StatusCode, want, answer, into)
}

func decode(code, want int, answer []byte, into any) error {
	if code/100 != 2 {
		var refusal struct{ Message string }
		_ = json.Unmarshal(answer, &refusal) // a gateway's page has no words for us
		return &transport.StatusError{Code: code, Words: transport.Words(refusal.Message)}
	}
	if code != want {
		return fmt.Errorf("the server answered %d instead of %d", code, want)
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("the answer has another shape: %w", err)
	}
	return nil
}

// confirmReadable tells a missing thing, which is a fact, from a repository
// that is out of sight, which is not: it returns nil if the repository can be
// read.
func (c *Client) confirmReadable(ctx context.Context, repo repository, missing error) error {
	if _, err := c.defaultBranch(ctx, repo); err != nil {
		return errors.Join(missing, err)
	}
	return nil
}
