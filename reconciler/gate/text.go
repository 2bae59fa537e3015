package gate

import (
	"net/url"
	"regexp"
	"strings"
	"unicode"
)

// Limits in characters. A status of a forge holds 140 of them.
const (
	maxTitle    = 140
	maxReason   = 240
	maxEvidence = 300
	maxForeign  = 80
	// maxRead bounds the work in bytes; what comes after it would be cut anyway.
	maxRead = 4096
)

// escapes matches terminal control sequences; what a control character alone
// would leave behind ("[31m") is part of them.
var escapes = regexp.MustCompile(`\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b]*(\x07|\x1b\\)?|\x1b.?|\x{9b}[0-?]*[ -/]*[@-~]`)

// line makes one line of printable text of at most limit characters.
func line(s string, limit int) string {
	if isPlain(s) {
		return cut(s, limit)
	}
	s = s[:min(len(s), maxRead)]
	s = escapes.ReplaceAllString(strings.ToValidUTF8(s, ""), "")
	s = strings.Join(strings.Fields(strings.Map(printable, s)), " ")
	return cut(s, limit)
}

// isPlain spares the usual text the cleaning: printable ASCII, single spaces.
func isPlain(s string) bool {
	before := byte(' ')
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' || s[i] == ' ' && before == ' ' {
			return false
		}
		before = s[i]
	}
	return before != ' ' || s == ""
}

// printable drops what is not seen: control and format characters, among them
// those that turn the direction of text around or hide it.
func printable(r rune) rune {
	switch {
	case unicode.IsSpace(r):
		return ' '
	case unicode.IsGraphic(r):
		return r
	}
	return -1
}

func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	runes := []rune(s)
	if len(runes) <= limit {
		return s
	}
	return strings.TrimSpace(string(runes[:limit-1])) + "…"
}

// inert replaces what a forge would turn into a link, an image, a mention, a
// table cell or markup by something that looks alike.
var inert = strings.NewReplacer("`", "'", "<", "‹", ">", "›", "|", "¦", "](", "] (", "@", "(at)")

// foreign makes text that somebody else wrote safe to stand in a sentence.
func foreign(s string) string {
	return cut(inert.Replace(line(s, maxForeign)), maxForeign)
}

// clean makes evidence printable and drops links that are not web addresses.
func clean(evidence []Evidence) []Evidence {
	var out []Evidence
	for _, e := range evidence {
		out = append(out, Evidence{Text: line(e.Text, maxEvidence), URL: webAddress(e.URL), ID: e.ID})
	}
	return out
}

// webAddress returns s if a page may link to it. An app chooses the address of
// its check, so it can be anything.
func webAddress(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil || (u.Scheme != "http" && u.Scheme != "https") {
		return ""
	}
	return u.String()
}

// short abbreviates a commit as people know it.
func short(commit string) string {
	if commit == "" {
		return "an unnamed commit"
	}
	return cut(foreign(commit), 12)
}
