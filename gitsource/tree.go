package gitsource

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
)

// Change is one path that differs between two commits. A file that becomes a
// directory is a removal and additions; there is no rename detection.
type Change struct {
	// Path as git has it. It may hold any byte but NUL: see CheckName.
	Path string
	// OldMode and NewMode are git's modes, such as 0o100644; 0 for absent.
	OldMode, NewMode uint32
	// OldBlob and NewBlob are SHAs; "" for absent. For a submodule it is the
	// commit.
	OldBlob, NewBlob string
}

// Changes compares the trees of two commits, sorted by path. An empty from
// compares with nothing. Equal subtrees are not opened, so the cost follows the
// size of the difference.
func (m *Mirror) Changes(from, to string) ([]Change, error) {
	a, err := m.rootTree(from)
	if err != nil {
		return nil, fmt.Errorf("compare commits: %w", err)
	}
	b, err := m.rootTree(to)
	if err != nil {
		return nil, fmt.Errorf("compare commits: %w", err)
	}
	out, err := m.diffTrees(nil, "", a, b)
	if err != nil {
		return nil, fmt.Errorf("compare commits: %w", err)
	}
	slices.SortFunc(out, func(x, y Change) int { return strings.Compare(x.Path, y.Path) })
	return out, nil
}

// rootTree is the tree of a commit; the zero hash for "".
func (m *Mirror) rootTree(sha string) (plumbing.Hash, error) {
	if sha == "" {
		return plumbing.ZeroHash, nil
	}
	hash, err := parseSHA(sha)
	if err != nil {
		return plumbing.ZeroHash, err
	}
	n, err := m.commit(hash)
	return n.tree, err
}

func (m *Mirror) diffTrees(out []Change, dir string, a, b plumbing.Hash) ([]Change, error) {
	if a == b {
		return out, nil
	}
	old, err := m.tree(a)
	if err != nil {
		return nil, err
	}
	now, err := m.tree(b)
	if err != nil {
		return nil, err
	}
	before := make(map[string]entry, len(old))
	for _, e := range old {
		before[e.name] = e
	}
	for _, e := range now {
		was := before[e.name] // zero when absent
		delete(before, e.name)
		if was == e {
			continue
		}
		if out, err = m.diffEntries(out, path.Join(dir, e.name), was, e); err != nil {
			return nil, err
		}
	}
	for name, was := range before {
		if out, err = m.diffEntries(out, path.Join(dir, name), was, entry{}); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// diffEntries compares what two trees have at one path.
func (m *Mirror) diffEntries(out []Change, name string, was, is entry) ([]Change, error) {
	var oldDir, newDir plumbing.Hash
	c := Change{Path: name}
	if was.isDir() {
		oldDir = was.hash
	} else if was.mode != 0 {
		c.OldMode, c.OldBlob = was.mode, was.hash.String()
	}
	if is.isDir() {
		newDir = is.hash
	} else if is.mode != 0 {
		c.NewMode, c.NewBlob = is.mode, is.hash.String()
	}
	if c.OldMode != 0 || c.NewMode != 0 {
		out = append(out, c)
	}
	return m.diffTrees(out, name, oldDir, newDir)
}

// SubtreeHash is the hash of a directory's tree object in a commit: equal
// hashes mean equal content, byte for byte. "" when there is no such directory;
// "." is the root.
func (m *Mirror) SubtreeHash(commit, dir string) (string, error) {
	tree, err := m.subtree(commit, dir)
	if err != nil || tree.IsZero() {
		return "", err
	}
	return tree.String(), nil
}

// TreeHashWithout is SubtreeHash with the named entries of the directory left
// out, if they are there. "" when there is no such directory or nothing is left
// in it.
func (m *Mirror) TreeHashWithout(commit, dir string, except ...string) (string, error) {
	tree, err := m.subtree(commit, dir)
	if err != nil || tree.IsZero() {
		return "", err
	}
	entries, err := m.tree(tree)
	if err != nil {
		return "", err
	}
	kept := without(entries, except)
	if len(kept) == 0 {
		return "", nil
	}
	return plumbing.ComputeHash(plumbing.TreeObject, encodeTree(kept)).String(), nil
}

// without copies entries except the named ones.
func without(entries []entry, except []string) []entry {
	return slices.DeleteFunc(slices.Clone(entries), func(e entry) bool { return slices.Contains(except, e.name) })
}

// subtree is the tree of a directory, the zero hash when there is none.
func (m *Mirror) subtree(commit, dir string) (plumbing.Hash, error) {
	tree, err := m.rootTree(commit)
	if err != nil {
		return tree, fmt.Errorf("find directory %s: %w", dir, err)
	}
	if dir == "." || dir == "" {
		return tree, nil
	}
	e, err := m.find(tree, dir)
	if err != nil || !e.isDir() {
		return plumbing.ZeroHash, err
	}
	return e.hash, nil
}

// find is the entry at a path below a tree, the zero entry when there is none.
// It goes through directories only, so no symlink is followed.
func (m *Mirror) find(tree plumbing.Hash, name string) (entry, error) {
	e := entry{mode: modeDir, hash: tree}
	for part := range strings.SplitSeq(name, "/") {
		if !e.isDir() {
			return entry{}, nil
		}
		entries, err := m.tree(e.hash)
		if err != nil {
			return entry{}, err
		}
		i := slices.IndexFunc(entries, func(e entry) bool { return e.name == part })
		if i < 0 {
			return entry{}, nil
		}
		e = entries[i]
	}
	return e, nil
}
