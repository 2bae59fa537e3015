package schemas

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Severity says whether a Problem blocks.
type Severity string

// The severities: an error blocks what the file describes; a warning does not.
const (
	SeverityError   Severity = "error"
	SeverityWarning Severity = "warning"
)

// Problem is one thing that is wrong in a file, and what to do about it.
type Problem struct {
	File     string   `json:"file"`
	Line     int      `json:"line,omitempty"`   // from 1; 0 when the problem is about the file as a whole
	Column   int      `json:"column,omitempty"` // from 1, in characters
	Path     string   `json:"path,omitempty"`   // for example environments[1].rollout.steps[2]
	Message  string   `json:"message"`
	Remedy   string   `json:"remedy,omitempty"`
	Severity Severity `json:"severity"`
}

// String returns file:line:column: message; remedy. It is one line whatever the
// file contains, since messages quote what they cite.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
	}
	b.WriteString(": ")
	if p.Severity == SeverityWarning {
		b.WriteString("warning: ")
	}
	b.WriteString(p.Message)
	if p.Remedy != "" {
		b.WriteString("; " + p.Remedy)
	}
	return b.String()
}

// Problems is every problem that was found, in the order of Sort.
type Problems []Problem

// Error returns one problem per line.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Errors returns the problems that block.
func (ps Problems) Errors() Problems {
	var errs Problems
	for _, p := range ps {
		if p.Severity != SeverityWarning {
			errs = append(errs, p)
		}
	}
	return errs
}

// Sort orders by file, line, column and message.
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

// asError keeps an empty list from becoming a non-nil error.
func (ps Problems) asError() error {
	if len(ps) == 0 {
		return nil
	}
	return ps
}

// add records an error at path. Remedy says what the author should do.
func (ps *Problems) add(path, remedy, format string, args ...any) {
	*ps = append(*ps, Problem{
		Path:     path,
		Message:  fmt.Sprintf(format, args...),
		Remedy:   remedy,
		Severity: SeverityError,
	})
}
