package reconciler

import (
	"context"
	"strconv"
	"sync"

	"github.com/sluice-cd/sluice/reconciler/release"
)

// A Scratch is a Store whose writes stay in memory. A daemon that only observes
// reads what the real one decided and writes nothing.
type Scratch struct {
	Under Store

	mu   sync.Mutex // guards the following
	docs map[string]scratchDocument
}

type scratchDocument struct {
	data    []byte
	version int
}

// Load returns what was written here, or else what lies under it.
func (s *Scratch) Load(ctx context.Context, name string) ([]byte, string, error) {
	s.mu.Lock()
	doc, ok := s.docs[name]
	s.mu.Unlock()
	if ok {
		return doc.data, scratchVersion(doc.version), nil
	}
	return s.Under.Load(ctx, name)
}

// Save keeps the document in memory under the rules of a Store.
func (s *Scratch) Save(_ context.Context, name string, data []byte, version string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	doc, ok := s.docs[name]
	if ok && version != scratchVersion(doc.version) {
		return "", release.ErrConflict
	}
	if s.docs == nil {
		s.docs = map[string]scratchDocument{}
	}
	doc = scratchDocument{data: data, version: doc.version + 1}
	s.docs[name] = doc
	return scratchVersion(doc.version), nil
}

func scratchVersion(n int) string { return "scratch-" + strconv.Itoa(n) }
