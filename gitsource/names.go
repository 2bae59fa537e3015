package gitsource

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ErrOddName is returned for a file name that tools and people disagree about.
var ErrOddName = errors.New("odd file name")

// maxNameBytes is what common filesystems take for one name.
const maxNameBytes = 255

// CheckName refuses, with ErrOddName, a file name that could be read as another
// one or hide in a listing: control and invisible characters, backslashes,
// invalid UTF-8, .git in any case, over-long names, names that are no name.
func CheckName(name string) error {
	var odd string
	switch {
	case name == "" || name == "." || name == ".." || strings.Contains(name, "/"):
		odd = "is not a name"
	case len(name) > maxNameBytes:
		odd = "is too long"
	case !utf8.ValidString(name):
		odd = "is not UTF-8"
	case strings.EqualFold(name, ".git"):
		odd = "is git's own"
	case strings.ContainsRune(name, '\\'):
		odd = "contains a backslash"
	case strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		odd = "contains invisible characters"
	default:
		return nil
	}
	return fmt.Errorf("%w: %q %s", ErrOddName, name, odd)
}

// checkPath is CheckName for each part of a path.
func checkPath(path string) error {
	for part := range strings.SplitSeq(path, "/") {
		if err := CheckName(part); err != nil {
			return fmt.Errorf("path %q: %w", path, err)
		}
	}
	return nil
}
