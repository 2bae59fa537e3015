package gitsource

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/transport"
)

// Limits against a slow, broken or hostile server.
const (
	// PollTimeout bounds one listing of references.
	PollTimeout = 30 * time.Second
	// FetchTimeout bounds one transfer of objects; a first clone is the longest.
	FetchTimeout = 10 * time.Minute
	// PushTimeout bounds one push; its pack holds one small commit.
	PushTimeout = time.Minute
	// connectTimeout bounds the handshake of an SSH connection, which does not
	// follow the context.
	connectTimeout = 15 * time.Second

	// DefaultMaxPackBytes bounds what one fetch may send.
	DefaultMaxPackBytes = 1 << 30
	// DefaultMaxFileBytes bounds what is read of one file.
	DefaultMaxFileBytes = 8 << 20
	// maxRefsBytes bounds the reference listing: about half a million names.
	maxRefsBytes = 64 << 20
	// maxPackObjects bounds the index that go-git allocates from the count in
	// a pack's header.
	maxPackObjects = 5_000_000
	// maxObjectBytes bounds one object, which is held in memory.
	maxObjectBytes = 256 << 20
	// maxPathBytes bounds a path and with it how deep trees may be nested, since
	// they are walked recursively; it is what operating systems take.
	maxPathBytes = 4096
	// maxInflation bounds how much a pack may grow when it is unpacked, as a
	// multiple of MaxPackBytes: text shrinks to a fifth, a bomb to a thousandth.
	maxInflation = 16
)

// Config says what a Mirror follows and where it keeps it.
type Config struct {
	// URL of the repository: https, ssh (also git@host:path) or file. It must
	// not contain a password.
	URL string
	// Branch is the branch that Tip follows, without refs/heads/.
	Branch string
	// Dir belongs to the mirror alone and is created when missing. Its content
	// can be deleted at any time while no process uses it.
	Dir string
	// Auth proves who asks.
	Auth Auth
	// CAFile is a PEM file of certificate authorities for https; empty means
	// the system's.
	CAFile string
	// MaxPackBytes bounds one fetch; 0 means DefaultMaxPackBytes.
	MaxPackBytes int64
	// MaxFileBytes bounds one file's content; 0 means DefaultMaxFileBytes.
	MaxFileBytes int64
	// Log receives transitions; nil means none.
	Log *slog.Logger
}

// Auth holds where credentials are, never what they are: each operation reads
// them again, so a rotated file needs no restart. The zero value is anonymous.
type Auth struct {
	// User is the user name for https; empty means "x-access-token", which the
	// forges take for tokens.
	User string
	// TokenFile holds a password or token for https.
	TokenFile string
	// Token returns a short-lived token for https and is called once for each
	// operation. It excludes TokenFile.
	Token func(ctx context.Context) (string, error)
	// SSHKeyFile is an unencrypted private key.
	SSHKeyFile string
	// KnownHostsFile pins the server's host keys. SSH requires it.
	KnownHostsFile string
}

// validate joins everything that is wrong.
func (c Config) validate() error {
	var errs []error
	if c.Dir == "" {
		errs = append(errs, errors.New("mirror directory is empty"))
	}
	if err := plumbing.NewBranchReferenceName(c.Branch).Validate(); c.Branch == "" || err != nil {
		errs = append(errs, fmt.Errorf("branch %q is not a branch name", c.Branch))
	}
	if c.Auth.Token != nil && c.Auth.TokenFile != "" {
		errs = append(errs, errors.New("token and token file exclude each other"))
	}
	ep, err := transport.NewEndpoint(c.URL)
	if err != nil {
		// The parser's error would repeat the URL, and with it a password.
		return errors.Join(append(errs, errors.New("repository URL is malformed"))...)
	}
	return errors.Join(append(errs, c.Auth.validate(ep))...)
}

func (a Auth) validate(ep *transport.Endpoint) error {
	var errs []error
	web := ep.Protocol == "http" || ep.Protocol == "https"
	if ep.Password != "" || (web && ep.User != "") {
		errs = append(errs, errors.New("repository URL contains credentials: put them into a file"))
	}
	switch ep.Protocol {
	case "https", "file":
	case "http":
		if a.hasToken() && !loopback(ep.Host) {
			errs = append(errs, errors.New("repository URL is plain http: a token would be readable on the way"))
		}
	case "ssh":
		if a.SSHKeyFile == "" || a.KnownHostsFile == "" {
			errs = append(errs, errors.New("ssh needs a key file and a known hosts file"))
		}
	default:
		errs = append(errs, fmt.Errorf("repository URL scheme %q is not supported", ep.Protocol))
	}
	return errors.Join(errs...)
}

func (a Auth) hasToken() bool { return a.Token != nil || a.TokenFile != "" }

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}
