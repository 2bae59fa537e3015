package gitsource

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
)

// ErrMalformed is returned for a commit or tree that git's own fsck refuses.
// Lenient readers disagree about what such objects say, so none is believed.
var ErrMalformed = errors.New("malformed object")

// The modes of tree entries.
const (
	modeDir        uint32 = 0o040000
	modeFile       uint32 = 0o100644
	modeGroupFile  uint32 = 0o100664 // written by very old git
	modeExecutable uint32 = 0o100755
	modeSymlink    uint32 = 0o120000
	modeSubmodule  uint32 = 0o160000
)

// entry is one line of a tree.
type entry struct {
	name string
	mode uint32
	hash plumbing.Hash
}

func (e entry) isDir() bool { return e.mode == modeDir }

// sortKey is the name as git sorts it: directories as if they ended in a slash.
func (e entry) sortKey() string {
	if e.isDir() {
		return e.name + "/"
	}
	return e.name
}

// parseTree is strict about everything that could make a path ambiguous.
func parseTree(data []byte) ([]entry, error) {
	var out []entry
	names := map[string]bool{}
	for len(data) > 0 {
		head, rest, ok := bytes.Cut(data, []byte{0})
		if !ok || len(rest) < len(plumbing.ZeroHash) {
			return nil, fmt.Errorf("%w: tree is cut short", ErrMalformed)
		}
		mode, name, ok := strings.Cut(string(head), " ")
		if !ok {
			return nil, fmt.Errorf("%w: tree entry without a mode", ErrMalformed)
		}
		e := entry{name: name}
		bits, err := strconv.ParseUint(mode, 8, 32)
		if err != nil || !knownMode(uint32(bits)) {
			return nil, fmt.Errorf("%w: mode %q of %q", ErrMalformed, mode, name)
		}
		e.mode = uint32(bits)
		copy(e.hash[:], rest)
		data = rest[len(e.hash):]
		if name == "" || name == "." || name == ".." || strings.Contains(name, "/") {
			return nil, fmt.Errorf("%w: tree entry named %q", ErrMalformed, name)
		}
		if names[name] {
			return nil, fmt.Errorf("%w: tree names %q twice", ErrMalformed, name)
		}
		names[name] = true
		if n := len(out); n > 0 && out[n-1].sortKey() >= e.sortKey() {
			return nil, fmt.Errorf("%w: tree is not sorted at %q", ErrMalformed, name)
		}
		out = append(out, e)
	}
	return out, nil
}

func knownMode(mode uint32) bool {
	return slices.Contains([]uint32{modeDir, modeFile, modeGroupFile, modeExecutable, modeSymlink, modeSubmodule}, mode)
}

// encodeTree writes entries as git stores them, sorting them first.
func encodeTree(entries []entry) []byte {
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.sortKey(), b.sortKey()) })
	var b bytes.Buffer
	for _, e := range entries {
		fmt.Fprintf(&b, "%o %s\x00", e.mode, e.name)
		b.Write(e.hash[:])
	}
	return b.Bytes()
}

// person is an author or committer line.
type person struct {
	name  string
	email string
	when  time.Time
}

// commitData is a parsed commit.
type commitData struct {
	tree      plumbing.Hash
	parents   []plumbing.Hash
	author    person
	committer person
	message   string
	signature []byte // armoured; nil when unsigned
	payload   []byte // what the signature is over
}

// parseCommit wants the headers in git's order and each of them once: a commit
// that says two things must not be verified as one and read as the other.
func parseCommit(data []byte) (commitData, error) {
	var c commitData
	head, message, ok := bytes.Cut(data, []byte("\n\n"))
	if !ok {
		// An empty message leaves the separator as the last byte.
		head, ok = bytes.CutSuffix(data, []byte("\n"))
	}
	if !ok || bytes.IndexByte(head, 0) >= 0 {
		return c, fmt.Errorf("%w: commit headers", ErrMalformed)
	}
	c.message = string(message)
	lines := headerLines(string(head))
	var err error
	if lines, err = c.parseLinks(lines); err != nil {
		return c, err
	}
	if len(lines) < 2 {
		return c, fmt.Errorf("%w: commit without author and committer", ErrMalformed)
	}
	if c.author, err = parsePerson(lines[0], "author "); err != nil {
		return c, err
	}
	if c.committer, err = parsePerson(lines[1], "committer "); err != nil {
		return c, err
	}
	return c, c.parseSignature(lines[2:], data)
}

// headerLines joins continuation lines, which begin with a space.
func headerLines(head string) []string {
	var out []string
	for line := range strings.SplitSeq(head, "\n") {
		if strings.HasPrefix(line, " ") && len(out) > 0 {
			out[len(out)-1] += "\n" + line[1:]
			continue
		}
		out = append(out, line)
	}
	return out
}

func (c *commitData) parseLinks(lines []string) (rest []string, err error) {
	tree, ok := strings.CutPrefix(lines[0], "tree ")
	if !ok || !plumbing.IsHash(tree) {
		return nil, fmt.Errorf("%w: commit without a tree", ErrMalformed)
	}
	c.tree = plumbing.NewHash(tree)
	lines = lines[1:]
	for len(lines) > 0 {
		parent, ok := strings.CutPrefix(lines[0], "parent ")
		if !ok {
			break
		}
		if !plumbing.IsHash(parent) {
			return nil, fmt.Errorf("%w: parent %q", ErrMalformed, parent)
		}
		c.parents = append(c.parents, plumbing.NewHash(parent))
		lines = lines[1:]
	}
	return lines, nil
}

func parsePerson(line, prefix string) (person, error) {
	text, ok := strings.CutPrefix(line, prefix)
	name, rest, opened := strings.Cut(text, "<")
	email, when, closed := strings.Cut(rest, ">")
	fields := strings.Fields(when)
	if !ok || !opened || !closed || len(fields) != 2 || strings.ContainsAny(email, "<\n") || strings.ContainsAny(when, "<>") {
		return person{}, fmt.Errorf("%w: %sline", ErrMalformed, prefix)
	}
	seconds, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil {
		return person{}, fmt.Errorf("%w: time of %sline", ErrMalformed, prefix)
	}
	return person{name: strings.TrimSpace(name), email: email, when: time.Unix(seconds, 0).UTC()}, nil
}

// parseSignature finds the one signature and cuts it out of the payload.
func (c *commitData) parseSignature(extra []string, data []byte) error {
	for _, line := range extra {
		switch {
		case strings.HasPrefix(line, "tree "), strings.HasPrefix(line, "parent "),
			strings.HasPrefix(line, "author "), strings.HasPrefix(line, "committer "):
			return fmt.Errorf("%w: commit header twice or out of place", ErrMalformed)
		case strings.HasPrefix(line, "gpgsig "):
			if c.signature != nil {
				return fmt.Errorf("%w: two signatures", ErrMalformed)
			}
			c.signature = []byte(strings.TrimPrefix(line, "gpgsig "))
			raw := []byte(strings.ReplaceAll(line, "\n", "\n ") + "\n")
			before, after, ok := bytes.Cut(data, append([]byte{'\n'}, raw...))
			if !ok {
				return fmt.Errorf("%w: signature", ErrMalformed)
			}
			c.payload = slices.Concat(before, []byte{'\n'}, after)
		}
	}
	return nil
}
