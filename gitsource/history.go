package gitsource

import (
	"container/heap"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
)

// ErrRewritten is returned when a branch no longer contains a commit that it
// contained: somebody pushed with force, or an old state was replayed.
var ErrRewritten = errors.New("history was rewritten")

// Commit is what a commit says about itself. Names, addresses and times are
// whatever its writer put there: they prove nothing.
type Commit struct {
	SHA            string
	Tree           string
	Parents        []string
	Author         string
	Email          string // of the author
	Committer      string
	CommitterEmail string
	AuthorTime     time.Time // UTC
	Time           time.Time // of the committer, UTC
	Message        string
}

// Commit reads one commit. ErrUnknownCommit when it was never fetched.
func (m *Mirror) Commit(sha string) (Commit, error) {
	hash, err := parseSHA(sha)
	if err != nil {
		return Commit{}, err
	}
	c, err := m.fullCommit(hash)
	if err != nil {
		return Commit{}, err
	}
	return Commit{
		SHA: sha, Tree: c.tree.String(), Parents: hexes(c.parents),
		Author: c.author.name, Email: c.author.email, AuthorTime: c.author.when,
		Committer: c.committer.name, CommitterEmail: c.committer.email, Time: c.committer.when,
		Message: c.message,
	}, nil
}

// Range lists the commits after from up to and including to along first
// parents, oldest first. An empty from means from the beginning. ErrRewritten
// when from is not on that line.
func (m *Mirror) Range(from, to string) ([]Commit, error) {
	if from != "" {
		if _, err := parseSHA(from); err != nil {
			return nil, err
		}
	}
	var out []Commit
	for sha := to; sha != from; {
		c, err := m.Commit(sha)
		if err != nil {
			return nil, fmt.Errorf("list commits: %w", m.lost(err, sha, to))
		}
		out = append(out, c)
		if len(c.Parents) == 0 {
			if from == "" {
				break
			}
			return nil, fmt.Errorf("%w: %s is not a first-parent ancestor of %s", ErrRewritten, from, to)
		}
		sha = c.Parents[0]
	}
	slices.Reverse(out)
	return out, nil
}

// lost tells a commit that nobody fetched from one that must be there.
func (m *Mirror) lost(err error, sha, asked string) error {
	if sha != asked && errors.Is(err, ErrUnknownCommit) {
		return m.note(fmt.Errorf("%w: parent %s is missing", errDamaged, sha))
	}
	return err
}

// IsAncestor reports whether a is b or an ancestor of b, through any parent.
func (m *Mirror) IsAncestor(a, b string) (bool, error) {
	if a == b {
		_, err := m.Commit(a)
		return err == nil, err
	}
	bases, err := m.MergeBases(a, b)
	return slices.Equal(bases, []string{a}), err
}

// MergeBases lists the best common ancestors of two commits, sorted by SHA:
// those that are not ancestors of another one. Commit times only order the
// walk; wrong ones make it longer, never wrong.
func (m *Mirror) MergeBases(a, b string) ([]string, error) {
	left, err := parseSHA(a)
	if err != nil {
		return nil, err
	}
	right, err := parseSHA(b)
	if err != nil {
		return nil, err
	}
	found, err := m.commonAncestors(left, right)
	if err != nil {
		return nil, fmt.Errorf("find merge bases: %w", err)
	}
	var best []plumbing.Hash
	for _, x := range found {
		redundant, err := m.impliedByOthers(x, found)
		if err != nil {
			return nil, fmt.Errorf("find merge bases: %w", err)
		}
		if !redundant {
			best = append(best, x)
		}
	}
	out := hexes(best)
	slices.Sort(out)
	return out, nil
}

func (m *Mirror) impliedByOthers(x plumbing.Hash, all []plumbing.Hash) (bool, error) {
	for _, y := range all {
		if y == x {
			continue
		}
		common, err := m.commonAncestors(x, y)
		if err != nil {
			return false, err
		}
		if slices.Contains(common, x) {
			return true, nil
		}
	}
	return false, nil
}

// Marks of the walk below.
const (
	fromLeft uint8 = 1 << iota
	fromRight
	stale // an ancestor of a common ancestor
)

// commonAncestors paints history from both ends, newest first, until all that
// is left to visit lies below commits that both ends have reached. Every best
// common ancestor is among the result, since the way to it from either end is
// never stale.
func (m *Mirror) commonAncestors(left, right plumbing.Hash) ([]plumbing.Hash, error) {
	w := walk{marks: map[plumbing.Hash]uint8{}, queued: map[plumbing.Hash]bool{}}
	for hash, mark := range map[plumbing.Hash]uint8{left: fromLeft, right: fromRight} {
		n, err := m.commit(hash)
		if err != nil {
			return nil, err
		}
		w.paint(hash, n.seconds, mark)
	}
	if left == right {
		return []plumbing.Hash{left}, nil
	}
	var found []plumbing.Hash
	for w.fresh > 0 {
		hash := w.pop()
		n, err := m.ancestor(hash)
		if err != nil {
			return nil, err
		}
		mark := w.marks[hash]
		if mark == fromLeft|fromRight {
			found = append(found, hash)
			mark |= stale
		}
		for _, p := range n.parents {
			if w.marks[p]&mark == mark {
				continue
			}
			parent, err := m.ancestor(p)
			if err != nil {
				return nil, err
			}
			w.paint(p, parent.seconds, mark)
		}
	}
	found = slices.DeleteFunc(found, func(h plumbing.Hash) bool { return w.marks[h]&stale != 0 })
	slices.SortFunc(found, func(a, b plumbing.Hash) int { return slices.Compare(a[:], b[:]) })
	return slices.Compact(found), nil
}

// walk is a queue of commits by time with their marks.
type walk struct {
	marks  map[plumbing.Hash]uint8
	queued map[plumbing.Hash]bool
	queue  dated
	fresh  int // queued commits that are not stale
}

func (w *walk) paint(hash plumbing.Hash, seconds int64, mark uint8) {
	before := w.marks[hash]
	w.marks[hash] = before | mark
	switch {
	case !w.queued[hash]:
		w.queued[hash] = true
		heap.Push(&w.queue, datedCommit{hash, seconds})
		if w.marks[hash]&stale == 0 {
			w.fresh++
		}
	case before&stale == 0 && mark&stale != 0:
		w.fresh--
	}
}

func (w *walk) pop() plumbing.Hash {
	hash := heap.Pop(&w.queue).(datedCommit).hash // only these are pushed
	w.queued[hash] = false
	if w.marks[hash]&stale == 0 {
		w.fresh--
	}
	return hash
}

type datedCommit struct {
	hash    plumbing.Hash
	seconds int64
}

// dated is a heap, newest first.
type dated []datedCommit

func (d dated) Len() int           { return len(d) }
func (d dated) Less(i, j int) bool { return d[i].seconds > d[j].seconds }
func (d dated) Swap(i, j int)      { d[i], d[j] = d[j], d[i] }
func (d *dated) Push(x any)        { *d = append(*d, x.(datedCommit)) }
func (d *dated) Pop() any {
	last := (*d)[len(*d)-1]
	*d = (*d)[:len(*d)-1]
	return last
}

func parseSHA(sha string) (plumbing.Hash, error) {
	hash := plumbing.NewHash(sha)
	if hash.String() != sha { // one spelling, since SHAs are compared as strings
		return plumbing.ZeroHash, fmt.Errorf("%w: %q is not a full SHA", ErrUnknownCommit, sha)
	}
	return hash, nil
}

func hexes(hashes []plumbing.Hash) []string {
	var out []string
	for _, h := range hashes {
		out = append(out, h.String())
	}
	return out
}
