package schemas

import (
	"regexp"
	"strings"
)

const (
	// MaxServiceName leaves room for the revision in a name of 63 characters and for suffixes that controllers add.
	MaxServiceName = 37
	maxNameLength  = 63
)

var (
	namePattern       = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)
	digestPattern     = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
	commitPattern     = regexp.MustCompile(`^[0-9a-f]{40}$`)
	revisionPattern   = regexp.MustCompile(`^[0-9a-f]{8,64}$`)
	repositoryPattern = regexp.MustCompile(`^[A-Za-z0-9][-A-Za-z0-9_.]*(/[A-Za-z0-9][-A-Za-z0-9_.]*)+$`)
	imagePattern      = regexp.MustCompile(`^[a-z0-9]+([-._a-z0-9]*[a-z0-9])?(:[0-9]+)?(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$`)
)

// IsServiceName says whether s can be the name of a service: a DNS-1123 label of at most MaxServiceName characters.
func IsServiceName(s string) bool { return isName(s, MaxServiceName) }

// IsEnvironmentName says whether s can be the name of an environment: a DNS-1123 label that is not a directory of its own meaning.
func IsEnvironmentName(s string) bool { return isName(s, maxNameLength) && s != "services" }

// IsDigest says whether s is sha256: and 64 lower-case hexadecimal digits that are not all zero.
func IsDigest(s string) bool {
	return digestPattern.MatchString(s) && !isZero(strings.TrimPrefix(s, "sha256:"))
}

// IsCommit says whether s is 40 lower-case hexadecimal digits that are not all zero.
func IsCommit(s string) bool { return commitPattern.MatchString(s) && !isZero(s) }

// isZero finds the placeholder that tools and people write for "not known yet".
func isZero(s string) bool { return strings.Trim(s, "0") == "" }

func isName(s string, limit int) bool { return len(s) <= limit && namePattern.MatchString(s) }

func isRepository(s string) bool { return len(s) <= 255 && repositoryPattern.MatchString(s) }

func isImage(s string) bool { return len(s) <= 255 && imagePattern.MatchString(s) }
