package gitlab

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
	"strconv"
	"strings"
	"time"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/gitsource/forge/transport"
)

// Config says which project to ask about, where, and as whom.
type Config struct {
	// BaseURL is the server's address as people open it, such as
	// https://gitlab.com. Plain http is accepted for loopback addresses alone.
	BaseURL string
	// Repository is the environments project, "group/name".
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

// A Client asks one GitLab server with one set of credentials.
type Client struct {
	http    *http.Client
	base    *url.URL
	project project
}

// A project is the full path of one, subgroups included.
type project string

// path is that of a question about the project.
func (p project) path(segments ...string) string {
	return route("projects", append([]string{string(p)}, segments...)...)
}

// mergeRequest is that of a question about one of its merge requests.
func (p project) mergeRequest(number int, segments ...string) string {
	return p.path(append([]string{"merge_requests", strconv.Itoa(number)}, segments...)...)
}

func route(kind string, segments ...string) string {
	for _, segment := range segments {
		kind += "/" + url.PathEscape(segment)
	}
	return kind
}

// parsePath takes "group/name" with any number of groups.
func parsePath(subject, full string) (project, error) {
	parts := strings.Split(full, "/")
	for i := range max(1, len(parts)-1) {
		if _, _, err := forge.SplitRepository(strings.Join(parts[i:min(i+2, len(parts))], "/")); err != nil {
			return "", &forge.RejectedError{Subject: subject, Err: err}
		}
	}
	return project(full), nil
}

// New checks the configuration and returns a client. It sends no request.
func New(cfg Config) (*Client, error) {
	base, err := transport.ParseBase(cfg.BaseURL)
	if err != nil {
		return nil, fmt.Errorf("configure gitlab: %w", err)
	}
	own, err := parsePath("configure gitlab", cfg.Repository)
	if err != nil {
		return nil, err
	}
	if cfg.TokenFile == "" {
		return nil, errors.New("configure gitlab: set a token file")
	}
	client, err := transport.New(transport.Config{
		Base: base, Next: cfg.Transport, WriteInterval: cfg.WriteInterval, RetryBackoff: cfg.RetryBackoff, Log: cfg.Log, Observe: cfg.Observe,
		Authenticate: func(next http.RoundTripper) (http.RoundTripper, error) {
			return transport.TokenFile(cfg.TokenFile, next), nil
		},
	})
	if err != nil {
		return nil, fmt.Errorf("configure gitlab: %w", err)
	}
	return &Client{http: client, base: base, project: own}, nil
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
	req, err := http.NewRequestWithContext(ctx, method, c.base.String()+"api/v4/"+strings.TrimSuffix(path, "?"), &sent)
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
		return &transport.StatusError{Code: code, Words: transport.Words(words(answer))}
	}
	if code != want {
		return fmt.Errorf("the server answered %d instead of %d", code, want)
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("the answer has another shape: %w", err)
	}
	return nil
}

// words are what a refusal says. GitLab gives a text, a list or an object of
// lists under one of two names; a gateway's page has no words for us.
func words(answer []byte) string {
	var refusal struct {
		Message json.RawMessage `json:"message"`
		Error   string          `json:"error"`
	}
	_ = json.Unmarshal(answer, &refusal)
	var text string
	if json.Unmarshal(refusal.Message, &text) == nil && text != "" {
		return text
	}
	if refusal.Error != "" {
		return refusal.Error
	}
	return string(refusal.Message)
}

// confirmReadable tells a missing thing, which is a fact, from a project that is
// out of sight, which is not: it returns nil if the project can be read.
func (c *Client) confirmReadable(ctx context.Context, of project, missing error) error {
	if _, err := c.defaultBranch(ctx, of); err != nil {
		return errors.Join(missing, err)
	}
	return nil
}
