package transport

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
)

const (
	// GitHub asks for a second between writes; one a second also stays below
	// its 80 content-creating requests a minute.
	defaultWriteInterval = time.Second
	defaultRetryBackoff  = 250 * time.Millisecond
)

// Config says where requests go and how they are paced.
type Config struct {
	Base *url.URL // from ParseBase
	// Next carries the requests; nil is a private http.Transport that obeys
	// the proxy environment.
	Next http.RoundTripper
	// Authenticate puts credentials on every request before next sends it.
	Authenticate func(next http.RoundTripper) (http.RoundTripper, error)
	// NullIsEmpty accepts null as an answer, for servers that write empty lists
	// so. The driver then has to notice where something is missing.
	NullIsEmpty bool
	// EmptyWrites accepts a success without a body as the answer to a write, for
	// servers that answer so. The driver then has to look what came of it.
	EmptyWrites bool

	WriteInterval time.Duration  // between two writes; 0 is one second
	RetryBackoff  time.Duration  // before the first repetition of a read; 0 is 250 ms
	Log           *slog.Logger   // nil discards
	Observe       func(Exchange) // called after every exchange with the server; may be nil
}

// New stacks the layers, outermost last. The cache is outside of the
// authentication so that a new token does not empty it; the limits are outside
// too, so that a refused request costs not even a token.
func New(cfg Config) (*http.Client, error) {
	next, log := cfg.Next, cfg.Log
	if next == nil {
		next = http.DefaultTransport.(*http.Transport).Clone()
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	authenticated, err := cfg.Authenticate(&answers{next: next, scheme: cfg.Base.Scheme, host: cfg.Base.Host, null: cfg.NullIsEmpty, empty: cfg.EmptyWrites})
	if err != nil {
		return nil, err
	}
	limited := newLimits(authenticated, cmp.Or(cfg.WriteInterval, defaultWriteInterval), cfg.Observe)
	retried := &retries{next: limited, backoff: cmp.Or(cfg.RetryBackoff, defaultRetryBackoff), log: log}
	return &http.Client{Transport: newCache(retried), CheckRedirect: neverRedirect}, nil
}

// ParseBase reads the root of a REST API; the path ends in a slash. Plain http
// is accepted for loopback addresses alone.
func ParseBase(raw string) (*url.URL, error) {
	base, err := url.Parse(raw)
	if err != nil {
		return nil, errors.New("the base URL cannot be parsed") // err would repeat it, credentials included
	}
	switch {
	case base.User != nil:
		return nil, errors.New("the base URL carries credentials; use a token file")
	case base.Host == "" || base.RawQuery != "" || base.Fragment != "":
		return nil, fmt.Errorf("base URL %q: want https://HOST/PATH", base.Redacted())
	case base.Scheme == "http" && !loopback(base.Hostname()):
		return nil, fmt.Errorf("base URL %q: plain http would show the credentials; use https", base.Redacted())
	case base.Scheme != "https" && base.Scheme != "http":
		return nil, fmt.Errorf("base URL %q: want https", base.Redacted())
	}
	base.Path = strings.TrimRight(base.Path, "/") + "/"
	return base, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func neverRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
