package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// A narrator tells people what happens, with the seconds since the start.
type narrator struct {
	out   io.Writer
	start time.Time
}

func newNarrator(out io.Writer) *narrator { return &narrator{out: out, start: time.Now()} }

func (n *narrator) chapter(title string) {
	fmt.Fprintf(n.out, "\n%s\n%s\n", title, strings.Repeat("─", len([]rune(title))))
}

func (n *narrator) say(format string, args ...any) {
	fmt.Fprintf(n.out, "%5.1fs  %s\n", time.Since(n.start).Seconds(), fmt.Sprintf(format, args...))
}

// quote shows what a program or a file says.
func (n *narrator) quote(text string) {
	for line := range strings.Lines(strings.TrimRight(text, "\n")) {
		fmt.Fprint(n.out, "        │ ", strings.TrimRight(line, "\n"), "\n")
	}
}
