package gitsource

import (
	"fmt"
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
	out, err := treeReader(m.tree).changes(a, b)
	if err != nil {
		return nil, fmt.Errorf("compare commits: %w", err)
	}
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
