package gitsource

import (
	"errors"
	"fmt"
	"sync"

	"github.com/go-git/go-git/v5/plumbing"
)

// cachedEntries bounds each half of the cache by tree entries and commits,
// around 100 bytes each.
const cachedEntries = 1 << 17

// object reads from the handle that is current, and learns about damage.
func (m *Mirror) object(typ plumbing.ObjectType, hash plumbing.Hash) ([]byte, error) {
	for {
		h := m.handle.Load()
		if h == nil {
			return nil, fmt.Errorf("%w: %s", errNotFound, hash)
		}
		data, err := h.read(typ, hash)
		if errors.Is(err, errClosed) {
			continue // a fetch published the next handle in between
		}
		return data, m.note(err)
	}
}

func (m *Mirror) objectSize(hash plumbing.Hash) (int64, error) {
	for {
		h := m.handle.Load()
		if h == nil {
			return 0, fmt.Errorf("%w: %s", errNotFound, hash)
		}
		n, err := h.size(hash)
		if errors.Is(err, errClosed) {
			continue
		}
		return n, m.note(missing(err))
	}
}

// note has the next Tip clone again when an error shows that the copy is bad.
func (m *Mirror) note(err error) error {
	if errors.Is(err, errDamaged) && m.damaged.CompareAndSwap(false, true) {
		m.log.Warn("mirror is damaged, it will be cloned again", "error", err)
	}
	return err
}

// node is the part of a commit that walking history needs.
type node struct {
	tree    plumbing.Hash
	parents []plumbing.Hash
	seconds int64
}

// commit returns ErrUnknownCommit for a commit that is not there.
func (m *Mirror) commit(hash plumbing.Hash) (node, error) {
	if n, ok := m.cache.commits.get(hash); ok {
		return n, nil
	}
	c, err := m.fullCommit(hash)
	if err != nil {
		return node{}, err
	}
	n := node{tree: c.tree, parents: c.parents, seconds: c.committer.when.Unix()}
	m.cache.commits.put(hash, n, 1)
	return n, nil
}

func (m *Mirror) fullCommit(hash plumbing.Hash) (commitData, error) {
	data, err := m.object(plumbing.CommitObject, hash)
	if errors.Is(err, errNotFound) {
		return commitData{}, fmt.Errorf("%w: %s", ErrUnknownCommit, hash)
	}
	if err != nil {
		return commitData{}, err
	}
	c, err := parseCommit(data)
	if err != nil {
		return commitData{}, fmt.Errorf("commit %s: %w", hash, err)
	}
	return c, nil
}

// ancestor reads a commit that another commit names: its absence is damage.
func (m *Mirror) ancestor(hash plumbing.Hash) (node, error) {
	n, err := m.commit(hash)
	if errors.Is(err, ErrUnknownCommit) {
		err = m.note(fmt.Errorf("%w: parent %s is missing", errDamaged, hash))
	}
	return n, err
}

// tree reads a tree that a commit or another tree names. The zero hash is the
// empty tree. The result is shared: callers must not change it.
func (m *Mirror) tree(hash plumbing.Hash) ([]entry, error) {
	if hash.IsZero() {
		return nil, nil
	}
	if t, ok := m.cache.trees.get(hash); ok {
		return t, nil
	}
	data, err := m.object(plumbing.TreeObject, hash)
	if err != nil {
		return nil, m.note(missing(err))
	}
	t, err := parseTree(data)
	if err != nil {
		return nil, fmt.Errorf("tree %s: %w", hash, err)
	}
	m.cache.trees.put(hash, t, len(t)+1)
	return t, nil
}

// blob reads a file's content, refusing it above the limit before it is
// unpacked.
func (m *Mirror) blob(hash plumbing.Hash) ([]byte, error) {
	size, err := m.objectSize(hash)
	if err != nil {
		return nil, err
	}
	if size > m.cfg.MaxFileBytes {
		return nil, fmt.Errorf("%w: %d bytes, limit %d", ErrFileTooLarge, size, m.cfg.MaxFileBytes)
	}
	data, err := m.object(plumbing.BlobObject, hash)
	return data, m.note(missing(err))
}

// objectCache keeps parsed objects. They are immutable, so it outlives handles,
// though not a generation.
type objectCache struct {
	trees   *halves[[]entry]
	commits *halves[node]
}

func newObjectCache() *objectCache {
	return &objectCache{trees: newHalves[[]entry](), commits: newHalves[node]()}
}

func (c *objectCache) reset() {
	c.trees.reset()
	c.commits.reset()
}

// halves is a cache that forgets what was not used for a whole half: nearly
// as good as least-recently-used, without a list to maintain.
type halves[V any] struct {
	// mu guards the following.
	mu       sync.Mutex
	young    map[plumbing.Hash]V
	old      map[plumbing.Hash]V
	weight   int // of young
	capacity int
}

func newHalves[V any]() *halves[V] {
	return &halves[V]{young: map[plumbing.Hash]V{}, capacity: cachedEntries}
}

func (c *halves[V]) get(hash plumbing.Hash) (V, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if v, ok := c.young[hash]; ok {
		return v, true
	}
	v, ok := c.old[hash]
	if ok {
		c.young[hash] = v // weighs nothing: it is in memory either way
	}
	return v, ok
}

func (c *halves[V]) put(hash plumbing.Hash, v V, weight int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.weight += weight; c.weight > c.capacity {
		c.old, c.young, c.weight = c.young, map[plumbing.Hash]V{}, weight
	}
	c.young[hash] = v
}

func (c *halves[V]) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.old, c.young, c.weight = nil, map[plumbing.Hash]V{}, 0
}
