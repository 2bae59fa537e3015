package prometheus

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
)

var (
	errTooLarge = errors.New("answer is larger than the limit")
	errDenied   = errors.New("credentials were refused")
)

// newClient is an HTTP client for one server: bounded answers, no redirects.
func newClient(c Config) (*http.Client, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read CA file: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read CA file %s: no certificate in it", c.CAFile)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	return &http.Client{
		Transport:     &bounded{next: transport, tokenFile: c.TokenFile, maxBytes: c.MaxBytes},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// checkURL accepts only an address without secrets in it, so that no error and no
// log line that names it can reveal one.
func checkURL(address string) error {
	u, err := url.Parse(address)
	if err != nil {
		return errors.New("address is not a URL") // the cause would repeat the address
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return errors.New("address must be an http or https URL with a host")
	case u.User != nil:
		return errors.New("address must not contain credentials: use a token file")
	case u.RawQuery != "" || u.Fragment != "":
		return errors.New("address must end with its path")
	}
	return nil
}

// bounded adds the token and cuts answers off.
type bounded struct {
	next      http.RoundTripper
	tokenFile string
	maxBytes  int64
}

func (b *bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	if b.tokenFile != "" {
		token, err := b.token()
		if err != nil {
			return nil, err
		}
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := b.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	// A proxy that forbids only POST answers 403 as well; the client then tries GET.
	if resp.StatusCode == http.StatusUnauthorized ||
		resp.StatusCode == http.StatusForbidden && r.Method == http.MethodGet {
		_ = resp.Body.Close()
		return nil, fmt.Errorf("%w with status %d", errDenied, resp.StatusCode)
	}
	resp.Body = &limited{body: resp.Body, left: b.maxBytes}
	return resp, nil
}

// token is read for each request, because projected tokens are rotated.
func (b *bounded) token() (string, error) {
	raw, err := os.ReadFile(b.tokenFile)
	if err != nil {
		return "", fmt.Errorf("%w: read token file: %w", errDenied, err)
	}
	token := strings.TrimSpace(string(raw))
	if token == "" || strings.ContainsAny(token, "\r\n") {
		return "", fmt.Errorf("%w: token file %s does not hold one token", errDenied, b.tokenFile)
	}
	return token, nil
}

// limited fails instead of ending when the limit is reached: a silent end could
// leave something that still parses.
type limited struct {
	body io.ReadCloser
	left int64
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left < 0 {
		return 0, errTooLarge
	}
	if int64(len(p)) > l.left+1 {
		p = p[:l.left+1]
	}
	n, err := l.body.Read(p)
	l.left -= int64(n)
	if l.left < 0 {
		return n, errTooLarge
	}
	return n, err
}

func (l *limited) Close() error { return l.body.Close() }
