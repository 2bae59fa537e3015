package render

import (
	"fmt"
	"strings"
)

// Refusal says that the input itself is at fault: rendering the same input
// again gives the same answer.
type Refusal struct {
	File   string `json:"file"`           // path inside the repository; a directory when no single file is to blame
	Line   int    `json:"line,omitempty"` // 1-based; 0 when unknown
	What   string `json:"what"`           // what was found
	Remedy string `json:"remedy"`         // what its author can do
}

// Error gives place, finding and remedy on one line.
func (r *Refusal) Error() string {
	place := r.File
	if r.Line > 0 {
		place = fmt.Sprintf("%s:%d", r.File, r.Line)
	}
	return fmt.Sprintf("%s: %s: %s", place, r.What, r.Remedy)
}

// refuse builds a Refusal. Text that comes from the repository is cleaned:
// it reaches logs, terminals and pull requests.
func refuse(file string, line int, remedy, format string, args ...any) *Refusal {
	return &Refusal{File: oneLine(file), Line: line, What: oneLine(fmt.Sprintf(format, args...)), Remedy: oneLine(remedy)}
}

// maxMessage bounds what a hostile file can put into a message, in bytes.
const maxMessage = 400

// oneLine replaces control characters and invalid UTF-8 and bounds the length.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0) || r == 0x2028 || r == 0x2029 {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > maxMessage {
		s = strings.ToValidUTF8(s[:maxMessage], "") + "…"
	}
	return s
}
