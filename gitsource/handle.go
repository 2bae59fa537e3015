package gitsource

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// objectCacheBytes bounds go-git's cache of delta bases; its default of 96 MiB
// would be half of the whole process.
const objectCacheBytes = 16 << 20

var (
	errClosed   = errors.New("handle is closed")
	errNotFound = errors.New("object not found")
)

// handle reads one generation as it was when the handle was opened. go-git's
// storage fills maps without a lock even when it only reads, hence the mutex;
// a fetch goes to files that this handle does not look at, and a new handle is
// opened for them.
type handle struct {
	// mu guards the following.
	mu      sync.Mutex
	storage *filesystem.Storage
	closed  bool
}

// openHandle does not ask for exclusive access, with which go-git looks for
// loose objects only and misses packed ones.
func openHandle(dir string) *handle {
	return &handle{storage: filesystem.NewStorageWithOptions(
		osfs.New(dir), cache.NewObjectLRU(objectCacheBytes),
		filesystem.Options{KeepDescriptors: true},
	)}
}

func (h *handle) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	_ = h.storage.Close() // files that were only read
}

// read returns an object's content and checks it against its name.
func (h *handle) read(typ plumbing.ObjectType, hash plumbing.Hash) ([]byte, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, errClosed
	}
	obj, err := h.storage.EncodedObject(typ, hash)
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return nil, fmt.Errorf("%w: %s %s", errNotFound, typ, hash)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: read %s %s: %w", errDamaged, typ, hash, err)
	}
	r, err := obj.Reader()
	if err != nil {
		return nil, fmt.Errorf("%w: read %s %s: %w", errDamaged, typ, hash, err)
	}
	defer func() { _ = r.Close() }()
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("%w: read %s %s: %w", errDamaged, typ, hash, err)
	}
	if plumbing.ComputeHash(obj.Type(), data) != hash {
		return nil, fmt.Errorf("%w: content of %s %s does not match its name", errDamaged, typ, hash)
	}
	return data, nil
}

// size is the length of an object's content.
func (h *handle) size(hash plumbing.Hash) (int64, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return 0, errClosed
	}
	n, err := h.storage.EncodedObjectSize(hash)
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return 0, fmt.Errorf("%w: %s", errNotFound, hash)
	}
	if err != nil {
		return 0, fmt.Errorf("%w: size of %s: %w", errDamaged, hash, err)
	}
	return n, nil
}

func (h *handle) has(hash plumbing.Hash) (bool, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return false, errClosed
	}
	err := h.storage.HasEncodedObject(hash)
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("%w: look for %s: %w", errDamaged, hash, err)
	}
	return true, nil
}

// complete proves that a commit can be read: its history down to commits that
// known already has, and the trees and files of what is new. Known may be nil.
func (h *handle) complete(tip plumbing.Hash, known *handle) error {
	seen := map[plumbing.Hash]bool{}
	stack := []plumbing.Hash{tip}
	for len(stack) > 0 {
		hash := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if seen[hash] {
			continue
		}
		seen[hash] = true
		if old, err := known.knows(hash); err != nil || old {
			if err != nil {
				return err
			}
			continue
		}
		data, err := h.read(plumbing.CommitObject, hash)
		if err != nil {
			return missing(err)
		}
		c, err := parseCommit(data)
		if err != nil {
			return fmt.Errorf("commit %s: %w", hash, err)
		}
		stack = append(stack, c.parents...)
		// A first clone looks at the tip's files only; older trees are checked
		// when they are read, and walking all of them would take minutes.
		if known == nil && hash != tip {
			continue
		}
		if err := h.completeTree(c.tree, 0, known, seen); err != nil {
			return err
		}
	}
	return nil
}

// completeTip is complete for a generation whose packs were checked byte by
// byte: only the tip's own files are looked at.
func (h *handle) completeTip(tip plumbing.Hash) error {
	data, err := h.read(plumbing.CommitObject, tip)
	if err != nil {
		return missing(err)
	}
	c, err := parseCommit(data)
	if err != nil {
		return err
	}
	return h.completeTree(c.tree, 0, nil, map[plumbing.Hash]bool{})
}

func (h *handle) knows(hash plumbing.Hash) (bool, error) {
	if h == nil {
		return false, nil
	}
	return h.has(hash)
}

// completeTree walks a tree at a path of so many bytes.
func (h *handle) completeTree(tree plumbing.Hash, pathBytes int, known *handle, seen map[plumbing.Hash]bool) error {
	if seen[tree] {
		return nil
	}
	if pathBytes > maxPathBytes {
		return fmt.Errorf("%w: tree %s is nested too deep", ErrMalformed, tree)
	}
	seen[tree] = true
	if old, err := known.knows(tree); err != nil || old {
		return err
	}
	data, err := h.read(plumbing.TreeObject, tree)
	if err != nil {
		return missing(err)
	}
	entries, err := parseTree(data)
	if err != nil {
		return fmt.Errorf("tree %s: %w", tree, err)
	}
	for _, e := range entries {
		switch {
		case e.isDir():
			err = h.completeTree(e.hash, pathBytes+len(e.name)+1, known, seen)
		case e.mode == modeSubmodule:
			continue // lives in another repository
		default:
			err = h.present(e.hash)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (h *handle) present(blob plumbing.Hash) error {
	ok, err := h.has(blob)
	if err == nil && !ok {
		err = fmt.Errorf("%w: blob %s is missing", errDamaged, blob)
	}
	return err
}

// missing turns the absence of an object that must be there into damage.
func missing(err error) error {
	if errors.Is(err, errNotFound) {
		return fmt.Errorf("%w: %w", errDamaged, err)
	}
	return err
}
