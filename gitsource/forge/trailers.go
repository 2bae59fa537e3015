package forge

import "strings"

// An Identity is a name and an e-mail as a commit states them: a claim that
// nobody has checked.
type Identity struct {
	Name  string
	Email string // lower case; empty when the trailer has none
}

// CoAuthors returns the identities of the Co-authored-by lines of a commit
// message, each once, in order. Every such line counts, in whatever case and
// wherever it stands: an identity too many costs an approval, one too few lets
// somebody approve their own work. A line without a usable e-mail yields an
// Identity with an empty Email.
func CoAuthors(message string) []Identity {
	var found []Identity
	seen := map[Identity]bool{}
	for line := range strings.FieldsFuncSeq(message, isLineBreak) {
		key, value, _ := strings.Cut(line, ":")
		if !strings.EqualFold(strings.TrimSpace(key), "co-authored-by") {
			continue
		}
		if who := parseIdentity(value); !seen[who] {
			seen[who] = true
			found = append(found, who)
		}
	}
	return found
}

// isLineBreak includes the breaks that editors and web pages show as such, so
// that a line cannot hide behind one.
func isLineBreak(r rune) bool {
	return strings.ContainsRune("\n\r\v\f\u0085\u2028\u2029", r)
}

func parseIdentity(s string) Identity {
	open := strings.LastIndexByte(s, '<')
	if open < 0 {
		return Identity{Name: strings.TrimSpace(s)}
	}
	name := strings.TrimSpace(s[:open])
	email, _, closed := strings.Cut(s[open+1:], ">")
	email = strings.ToLower(strings.TrimSpace(email))
	if !closed || strings.ContainsAny(email, " \t") || !strings.Contains(email, "@") {
		return Identity{Name: name}
	}
	return Identity{Name: name, Email: email}
}
