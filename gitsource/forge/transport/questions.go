package transport

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/sluice-cd/sluice/gitsource/forge"
)

// maxDescription is where forges cut a status description.
const maxDescription = 140

var shaPattern = regexp.MustCompile(`^[0-9a-f]{40}([0-9a-f]{24})?$`)

// IsSHA reports whether s is a full commit SHA.
func IsSHA(s string) bool { return shaPattern.MatchString(s) }

// FullSHA keeps a name that moves, or a path, from being asked about in place
// of a commit.
func FullSHA(subject, commit string) error {
	if !IsSHA(commit) {
		return &forge.RejectedError{Subject: subject, Err: fmt.Errorf("%q is not a full commit SHA", commit)}
	}
	return nil
}

// PlainRef keeps anything but a branch's name out of a URL.
func PlainRef(subject, branch string) error {
	if branch == "" || strings.Contains(branch, "..") || strings.ContainsFunc(branch, func(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune(`\^:?*[~`, r) }) {
		return &forge.RejectedError{Subject: subject, Err: fmt.Errorf("%q is not a branch name", branch)}
	}
	return nil
}

// OneLine makes a status description that no forge cuts.
func OneLine(s string) string {
	runes := []rune(strings.Join(strings.Fields(s), " "))
	if len(runes) > maxDescription {
		return string(runes[:maxDescription-1]) + "…"
	}
	return string(runes)
}
