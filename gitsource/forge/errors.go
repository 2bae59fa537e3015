package forge

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Sentinels that a caller branches on. Drivers wrap them.
var (
	// ErrNoPullRequest is a fact: the forge answered, and no merged pull
	// request of the repository and base branch accounts for the commit.
	ErrNoPullRequest = errors.New("no merged pull request")
	// ErrNotFound says that the forge does not know the thing, or hides it
	// from the credentials in use; forges do not tell the two apart.
	ErrNotFound = errors.New("not found")
	// ErrNoRecord is a fact about the forge: it keeps no record of what was asked,
	// of no pull request and of no repository.
	ErrNoRecord = errors.New("the forge keeps no record")
	// ErrPusherUnknown is a fact: the forge keeps a record of who pushes, but
	// it does not tell who pushed the head of this pull request.
	ErrPusherUnknown = errors.New("last pusher unknown")
	// ErrTooManyCommits is a fact: the pull request has more commits than the
	// forge ever lists, so who wrote all of them can never be said.
	ErrTooManyCommits = errors.New("too many commits to be listed")
)

// A TransientError says that the forge could not be asked or did not answer
// completely. The question stays open and may be asked again.
type TransientError struct {
	Subject string // what was asked, such as "list reviews of #12"
	// RetryAt is the earliest instant at which the forge permits another
	// request; zero leaves the pace to the caller.
	RetryAt time.Time
	Err     error
}

// Error names the subject, the cause and the permitted time.
func (e *TransientError) Error() string {
	if e.RetryAt.IsZero() {
		return fmt.Sprintf("%s: %v", e.Subject, e.Err)
	}
	return fmt.Sprintf("%s: %v; no request before %s", e.Subject, e.Err, e.RetryAt.UTC().Format(time.RFC3339))
}

// Unwrap returns the cause.
func (e *TransientError) Unwrap() error { return e.Err }

// A RejectedError says that the forge understood the question and refused it.
// Repeating it is useless until a person changes the credentials, the
// configuration or the thing asked about. It answers nothing: to a gate it is
// as unknown as a TransientError.
type RejectedError struct {
	Subject string
	Code    int // the forge's status code; 0 when the driver refused by itself
	Err     error
}

// Error names the subject and the refusal.
func (e *RejectedError) Error() string { return fmt.Sprintf("%s: %v", e.Subject, e.Err) }

// Unwrap returns the cause.
func (e *RejectedError) Unwrap() error { return e.Err }

// A Permission is what a user may do in a repository.
type Permission string

// The permissions, weakest first. A forge's finer roles are reported as the
// strongest of these that they include.
const (
	NoPermission    Permission = "none"
	ReadPermission  Permission = "read"
	WritePermission Permission = "write"
	AdminPermission Permission = "admin"
)

// MayWrite reports whether the permission allows pushing.
func (p Permission) MayWrite() bool { return p == WritePermission || p == AdminPermission }

// SplitRepository splits "owner/name" (or "org/team").
func SplitRepository(full string) (owner, name string, err error) {
	owner, name, found := strings.Cut(full, "/")
	if !found || !plainName(owner) || !plainName(name) {
		return "", "", fmt.Errorf("split %q: want owner/name", full)
	}
	return owner, name, nil
}

// plainName keeps anything out of a URL path that could change its meaning.
func plainName(s string) bool {
	if s == "" || s == "." || s == ".." {
		return false
	}
	for _, r := range s {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		if !letter && r != '-' && r != '_' && r != '.' {
			return false
		}
	}
	return true
}
