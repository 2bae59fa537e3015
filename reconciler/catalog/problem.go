package catalog

import (
	"cmp"
	"slices"
	"strings"

	"github.com/sluice-cd/sluice/schemas"
)

// Problem is something that is wrong in a file and what it concerns.
type Problem struct {
	schemas.Problem
	// Scope is the release; with an empty part a whole environment or service; empty for everything.
	Scope Key `json:"scope,omitzero"`
}

// Problems is ordered by file and position.
type Problems []Problem

// Error returns one problem per line.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Errors returns the problems that block something.
func (ps Problems) Errors() Problems {
	return ps.filter(func(p Problem) bool { return p.Severity != schemas.SeverityWarning })
}

// Of returns the problems that concern a release: its own, its service's, its
// environment's and those of the whole repository.
func (ps Problems) Of(key Key) Problems {
	return ps.filter(func(p Problem) bool { return p.Scope.concerns(key) })
}

func (ps Problems) filter(keep func(Problem) bool) Problems {
	var kept Problems
	for _, p := range ps {
		if keep(p) {
			kept = append(kept, p)
		}
	}
	return kept
}

// Sort orders by file, position and message.
func (ps Problems) Sort() {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(
			cmp.Compare(a.File, b.File),
			cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Column, b.Column),
			cmp.Compare(a.Message, b.Message),
		)
	})
}
