package report

import (
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"
)

// markup is what means something to markdown in the middle of a line. The pipe
// would end a table's cell even behind a backslash in some places.
var markup = strings.NewReplacer(
	`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "<", "&lt;", ">", "&gt;",
	"|", "&#124;", "~", `\~`, "$", `\$`, "&", "&amp;", "!", `\!`,
)

// nothing is a character without width. Between the parts of what a forge would
// turn into a mention, a reference or a link it leaves the text as it looks.
const nothing = "\u200b"

var (
	// calls matches what a forge reacts to although it is no markup: a mention, a
	// reference to an issue, an address.
	calls = regexp.MustCompile(`(?i)@|#|www\.|\bgh-`)
	// emoji matches the name of one, and not the numbers in a time or a position.
	emoji = regexp.MustCompile(`(?i):([a-z0-9_+-]*[a-z_+-][a-z0-9_+-]*:)`)
)

// inert makes one line of markdown that shows a text and does nothing else.
func inert(s string) string {
	s = strings.ReplaceAll(visible(s), "://", ":"+nothing+"//")
	s = calls.ReplaceAllString(s, "${0}"+nothing)
	for emoji.MatchString(s) {
		s = emoji.ReplaceAllString(s, ":"+nothing+"${1}")
	}
	return strings.ReplaceAll(markup.Replace(s), nothing, "&#8203;")
}

// visible is one line without anything that is not seen. Line breaks become
// spaces, and what would hide or turn text around is dropped.
func visible(s string) string {
	return strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsGraphic(r):
			return r
		}
		return -1
	}, strings.ToValidUTF8(s, ""))), " ")
}

// verbatim is a line for a block of code. There what is not seen is the very
// thing that a reader has to know of, so it is spelled out.
func verbatim(s string) string {
	var out strings.Builder
	for _, r := range s {
		switch {
		case r == '\t':
			out.WriteString("    ")
		case r == ' ' || unicode.IsGraphic(r) && !unicode.IsSpace(r) && r != unicode.ReplacementChar:
			out.WriteRune(r)
		default:
			fmt.Fprintf(&out, "‹U+%04X›", r)
		}
	}
	return out.String()
}

// fenced is a block of code that no content can end.
func fenced(language string, lines []string) string {
	fence := "```"
	for _, line := range lines {
		for strings.Contains(line, fence) {
			fence += "`"
		}
	}
	return fence + language + "\n" + strings.Join(lines, "\n") + "\n" + fence + "\n"
}

// Bounds of what others name and say, in characters.
const (
	maxName    = 120
	maxProblem = 1000
)

func cut(s string, most int) string {
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return s
}

// code is a name between backquotes.
func code(s string) string {
	return "`" + strings.ReplaceAll(cut(visible(s), maxName), "`", "'") + "`"
}

// link leads to an address of the web that somebody else may have chosen.
func link(text, url string) string {
	if url == "" {
		return inert(text)
	}
	return "[" + inert(text) + "](<" + address.Replace(url) + ">)"
}

// address keeps an address from ending its link, or the cell that it stands in.
var address = strings.NewReplacer("<", "%3C", ">", "%3E", "|", "%7C", " ", "%20", "\n", "%0A", "\r", "%0D", `\`, "%5C", "`", "%60")

func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04 UTC")
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
