package gitsource

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"unicode"

	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/go-git/go-git/v5/plumbing/transport/file"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
	gitssh "github.com/go-git/go-git/v5/plumbing/transport/ssh"
	"golang.org/x/crypto/ssh"
)

// errTooLarge is returned when a server sends more than it may.
var errTooLarge = errors.New("server sent more than allowed")

// maxErrorBytes is how much of a server's own words an error repeats.
const maxErrorBytes = 300

// remote opens sessions with the server. It uses go-git's transports directly,
// since go-git's Remote goes through a process-wide table of protocols.
type remote struct {
	endpoint *transport.Endpoint
	client   transport.Transport
	auth     Auth
}

func newRemote(cfg Config) (*remote, error) {
	ep, err := transport.NewEndpoint(cfg.URL)
	if err != nil {
		return nil, errors.New("repository URL is malformed")
	}
	r := &remote{endpoint: ep, auth: cfg.Auth}
	switch ep.Protocol {
	case "file":
		r.client = file.NewClient(transport.UploadPackServiceName, transport.ReceivePackServiceName)
	case "ssh":
		r.client = gitssh.NewClient(nil)
	default:
		r.client, err = newHTTPTransport(cfg)
	}
	return r, err
}

// newHTTPTransport follows no redirect: a renamed repository should be noticed,
// and a redirect is how credentials travel to strangers.
func newHTTPTransport(cfg Config) (transport.Transport, error) {
	base := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		ForceAttemptHTTP2:   true,
		MaxIdleConnsPerHost: 2,
		IdleConnTimeout:     PollTimeout,
		TLSHandshakeTimeout: connectTimeout,
	}
	if cfg.CAFile != "" {
		pem, err := os.ReadFile(cfg.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read certificate authorities: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read certificate authorities: no certificate in %s", cfg.CAFile)
		}
		base.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	client := &http.Client{Transport: limitedTransport{base: base, maxPack: cfg.MaxPackBytes}}
	return githttp.NewClientWithOptions(client, &githttp.ClientOptions{RedirectPolicy: githttp.NoFollowRedirects}), nil
}

// limitedTransport bounds every reply's body, also where go-git would read it
// whole: reference listings and error pages.
type limitedTransport struct {
	base    http.RoundTripper
	maxPack int64
}

func (t limitedTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := t.base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	limit := int64(maxRefsBytes)
	switch {
	case res.StatusCode < 200 || res.StatusCode > 299:
		// An error page is for people; the rest of it is cut silently.
		res.Body = readCloser{io.LimitReader(res.Body, maxErrorBytes), res.Body}
		return res, nil
	case req.Method == http.MethodPost:
		limit = t.maxPack
	}
	res.Body = readCloser{&limitReader{r: res.Body, left: limit}, res.Body}
	return res, nil
}

type readCloser struct {
	io.Reader
	io.Closer
}

// limitReader fails where io.LimitReader pretends that the stream ended.
type limitReader struct {
	r    io.Reader
	left int64
}

func (l *limitReader) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, errTooLarge
	}
	if int64(len(p)) > l.left {
		p = p[:l.left]
	}
	n, err := l.r.Read(p)
	l.left -= int64(n)
	return n, err
}

// credentials are read for one operation.
type credentials struct {
	method  transport.AuthMethod // nil when anonymous
	secrets []string             // for keeping them out of errors
}

func (r *remote) credentials(ctx context.Context) (credentials, error) {
	switch {
	case r.endpoint.Protocol == "ssh":
		return r.sshCredentials()
	case r.endpoint.Protocol == "file" || !r.auth.hasToken():
		return credentials{}, nil
	}
	token, err := r.token(ctx)
	if err != nil {
		return credentials{}, err
	}
	user := r.auth.User
	if user == "" {
		user = "x-access-token"
	}
	// A server may also echo the header as it was sent.
	encoded := base64.StdEncoding.EncodeToString([]byte(user + ":" + token))
	return credentials{
		method:  &githttp.BasicAuth{Username: user, Password: token},
		secrets: []string{token, encoded},
	}, nil
}

func (r *remote) token(ctx context.Context) (string, error) {
	if r.auth.Token != nil {
		token, err := r.auth.Token(ctx)
		if err != nil {
			return "", fmt.Errorf("obtain git token: %w", err)
		}
		return token, nil
	}
	data, err := os.ReadFile(r.auth.TokenFile)
	if err != nil {
		return "", fmt.Errorf("read git token: %w", err)
	}
	token := strings.TrimSpace(string(data))
	if token == "" {
		return "", fmt.Errorf("read git token: %s is empty", r.auth.TokenFile)
	}
	return token, nil
}

func (r *remote) sshCredentials() (credentials, error) {
	user := r.endpoint.User
	if user == "" {
		user = "git"
	}
	keys, err := gitssh.NewPublicKeysFromFile(user, r.auth.SSHKeyFile, "")
	if err != nil {
		return credentials{}, fmt.Errorf("read SSH key: %w", err)
	}
	hosts, err := gitssh.NewKnownHostsDb(r.auth.KnownHostsFile)
	if err != nil {
		return credentials{}, fmt.Errorf("read known hosts: %w", err)
	}
	keys.HostKeyCallback = hosts.HostKeyCallback()
	port := r.endpoint.Port
	if port == 0 {
		port = 22
	}
	algorithms := hosts.HostKeyAlgorithms(fmt.Sprintf("%s:%d", r.endpoint.Host, port))
	return credentials{method: &pinnedKeys{PublicKeys: keys, algorithms: algorithms}}, nil
}

// pinnedKeys asks the server for the kinds of host key that are pinned; it
// would otherwise offer another kind, which looks like an attack.
type pinnedKeys struct {
	*gitssh.PublicKeys
	algorithms []string
}

// ClientConfig implements go-git's ssh.AuthMethod.
func (k *pinnedKeys) ClientConfig() (*ssh.ClientConfig, error) {
	cfg, err := k.PublicKeys.ClientConfig()
	if err != nil {
		return nil, err
	}
	cfg.HostKeyAlgorithms = k.algorithms
	cfg.Timeout = connectTimeout
	return cfg, nil
}

// fetchSession copies the endpoint because go-git's sessions change it.
func (r *remote) fetchSession(ctx context.Context) (transport.UploadPackSession, credentials, error) {
	cred, err := r.credentials(ctx)
	if err != nil {
		return nil, cred, err
	}
	ep := *r.endpoint
	s, err := r.client.NewUploadPackSession(&ep, cred.method)
	return s, cred, cred.clean(ctx, err)
}

func (r *remote) pushSession(ctx context.Context) (transport.ReceivePackSession, credentials, error) {
	cred, err := r.credentials(ctx)
	if err != nil {
		return nil, cred, err
	}
	ep := *r.endpoint
	s, err := r.client.NewReceivePackSession(&ep, cred.method)
	return s, cred, cred.clean(ctx, err)
}

// remoteError carries a server's words, made harmless.
type remoteError struct {
	text string
	err  error
}

func (e *remoteError) Error() string { return e.text }
func (e *remoteError) Unwrap() error { return e.err }

// clean keeps secrets, control characters and long pages out of an error
// that may repeat what the server said.
func (c credentials) clean(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	for _, secret := range c.secrets {
		text = strings.ReplaceAll(text, secret, "***")
	}
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r)
	}), " ")
	if len(text) > maxErrorBytes {
		text = strings.ToValidUTF8(text[:maxErrorBytes], "") + "…"
	}
	return &remoteError{text: text, err: errors.Join(err, ctx.Err())} // go-git hides the latter
}
