package report

import (
	"fmt"
	"strings"
)

// limit is how long a text may be, in bytes. Forges count up to 65 536
// characters, of which none has less than a byte.
const limit = 65_000

// A page takes sections as long as there is room for them.
type page struct {
	text strings.Builder
	// reserved is kept free for what comes later.
	reserved int
}

func (p *page) room() int { return limit - p.reserved - p.text.Len() }

// add takes a short section, for which there is always room.
func (p *page) add(section string) { p.text.WriteString(section) }

// addAll takes as many sections as there is room for, in order, and says how many
// it leaves out.
func (p *page) addAll(sections []string, leftOut func(n int) string) {
	for i, section := range sections {
		note := leftOut(len(sections) - i)
		if len(section)+len(note) > p.room() && (i < len(sections)-1 || len(section) > p.room()) {
			p.text.WriteString(note)
			return
		}
		p.text.WriteString(section)
	}
}

// more says how many of something there is no room for.
func more(what, where string) func(int) string {
	return func(n int) string { return fmt.Sprintf("\n_%d more %s left out here%s._\n", n, what, where) }
}

func (p *page) String() string { return strings.TrimSpace(p.text.String()) + "\n" }
