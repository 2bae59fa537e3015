package gitsource

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
)

// treeReader reads trees of the mirror, or of the mirror and of a commit that
// is being built.
type treeReader func(hash plumbing.Hash) ([]entry, error)

// changes compares two trees, sorted by path.
func (read treeReader) changes(a, b plumbing.Hash) ([]Change, error) {
	out, err := read.diff(nil, "", a, b)
	slices.SortFunc(out, func(x, y Change) int { return strings.Compare(x.Path, y.Path) })
	return out, err
}

func (read treeReader) diff(out []Change, dir string, a, b plumbing.Hash) ([]Change, error) {
	if a == b {
		return out, nil
	}
	if len(dir) > maxPathBytes {
		return nil, fmt.Errorf("%w: tree %s is nested too deep", ErrMalformed, b)
	}
	old, err := read(a)
	if err != nil {
		return nil, err
	}
	now, err := read(b)
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
		if out, err = read.diffEntries(out, path.Join(dir, e.name), was, e); err != nil {
			return nil, err
		}
	}
	for name, was := range before {
		if out, err = read.diffEntries(out, path.Join(dir, name), was, entry{}); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// diffEntries compares what two trees have at one path.
func (read treeReader) diffEntries(out []Change, name string, was, is entry) ([]Change, error) {
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
	return read.diff(out, name, oldDir, newDir)
}
