package gitsource

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

// ErrBadMessage is returned for a commit message that cannot be written.
var ErrBadMessage = errors.New("bad commit message")

// maxLineBytes bounds one line that was made from somebody else's text.
const maxLineBytes = 2000

// Trailer is one "Key: value" line at the end of a commit message. Trailers are
// for people: anybody can write one, so nothing is decided by them.
type Trailer struct {
	Key   string
	Value string
}

var (
	trailerKey = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]*$`)
	// likeTrailer is what git might take for a trailer.
	likeTrailer = regexp.MustCompile(`^([A-Za-z0-9-]+\s*[:=#]|\(cherry picked)`)
)

// FormatMessage joins a message and its trailers. Text is made harmless rather
// than refused: each trailer stays one line, control and invisible characters
// become spaces, and a line of the message that looks like a trailer is
// indented, so that git finds the given trailers and no others.
func FormatMessage(message string, trailers []Trailer) (string, error) {
	subject, body, _ := strings.Cut(strings.TrimSpace(message), "\n")
	subject = oneLine(subject)
	if subject == "" {
		return "", fmt.Errorf("%w: no subject", ErrBadMessage)
	}
	var b strings.Builder
	b.WriteString(quoteLine(subject) + "\n")
	if body = formatBody(body); body != "" {
		b.WriteString("\n" + body + "\n")
	}
	if len(trailers) > 0 {
		b.WriteString("\n")
	}
	for _, t := range trailers {
		if !trailerKey.MatchString(t.Key) {
			return "", fmt.Errorf("%w: trailer key %q", ErrBadMessage, t.Key)
		}
		value := oneLine(t.Value)
		if value == "" {
			value = "-"
		}
		b.WriteString(t.Key + ": " + value + "\n")
	}
	return b.String(), nil
}

func formatBody(body string) string {
	var lines []string
	for line := range strings.SplitSeq(body, "\n") {
		indent := line[:len(line)-len(strings.TrimLeft(line, " "))]
		text := oneLine(line)
		if text != "" && len(indent) < maxLineBytes {
			text = indent + text
		}
		lines = append(lines, quoteLine(text))
	}
	return strings.Trim(strings.Join(lines, "\n"), "\n")
}

func quoteLine(line string) string {
	if likeTrailer.MatchString(line) {
		return " " + line
	}
	return line
}

// oneLine keeps printable characters and single spaces.
func oneLine(text string) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, text)
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > maxLineBytes {
		text = strings.TrimSpace(strings.ToValidUTF8(text[:maxLineBytes], "")) + "…"
	}
	return text
}

// ParseTrailers reads the trailers at the end of a message: the last paragraph,
// when there is one before it and each of its lines is a trailer.
func ParseTrailers(message string) []Trailer {
	text := strings.TrimRight(message, "\n")
	i := strings.LastIndex(text, "\n\n")
	if i < 0 {
		return nil
	}
	var out []Trailer
	for line := range strings.SplitSeq(text[i+2:], "\n") {
		key, value, ok := strings.Cut(line, ": ")
		if !ok || !trailerKey.MatchString(key) {
			return nil
		}
		out = append(out, Trailer{Key: key, Value: value})
	}
	return out
}
