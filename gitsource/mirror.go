package gitsource

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/transport"
)

var (
	// ErrNoBranch is returned when the branch or reference does not exist on
	// the server, also when the repository is empty. What was read before
	// remains readable.
	ErrNoBranch = errors.New("no such reference")
	// ErrUnknownCommit is returned for a commit that was never fetched.
	ErrUnknownCommit = errors.New("unknown commit")
)

// Mirror is a local copy of one repository; see the package documentation.
type Mirror struct {
	cfg    Config
	log    *slog.Logger
	remote *remote
	cache  *objectCache

	// network is a lock that a context can give up waiting for. Its holder
	// owns the following.
	network    chan struct{}
	generation int
	packs      []string
	tip        plumbing.Hash

	handle  atomic.Pointer[handle] // what readers use; nil before the first fetch
	damaged atomic.Bool            // set by readers too; the next Tip clones again
}

// Open prepares a mirror from what is in its directory and does not use the
// network: an absent or damaged copy is cloned by the first Tip.
func Open(ctx context.Context, cfg Config) (*Mirror, error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("open mirror: %w", err)
	}
	if cfg.MaxPackBytes == 0 {
		cfg.MaxPackBytes = DefaultMaxPackBytes
	}
	if cfg.MaxFileBytes == 0 {
		cfg.MaxFileBytes = DefaultMaxFileBytes
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	r, err := newRemote(cfg)
	if err != nil {
		return nil, fmt.Errorf("open mirror: %w", err)
	}
	if err := os.MkdirAll(cfg.Dir, 0o750); err != nil {
		return nil, fmt.Errorf("open mirror: %w", err)
	}
	m := &Mirror{
		cfg: cfg, log: cfg.Log, remote: r,
		cache:   newObjectCache(),
		network: make(chan struct{}, 1),
	}
	if err := m.restore(ctx); err != nil {
		return nil, fmt.Errorf("open mirror: %w", err)
	}
	return m, nil
}

// restore publishes the newest generation that checks out.
func (m *Mirror) restore(ctx context.Context) error {
	numbers, err := generations(m.cfg.Dir)
	if err != nil {
		return err
	}
	m.damaged.Store(true) // until a good generation is found
	for _, n := range numbers {
		if err := ctx.Err(); err != nil {
			return err
		}
		m.generation = max(m.generation, n)
		err := m.restoreGeneration(n)
		if err == nil {
			m.damaged.Store(false)
			return m.dropOthers(n)
		}
		m.log.Warn("mirror is damaged, it will be cloned again", "generation", n, "error", err)
	}
	return nil
}

func (m *Mirror) restoreGeneration(n int) error {
	dir := generationDir(m.cfg.Dir, n)
	packs, tip, err := load(dir, m.cfg.Branch)
	if err != nil {
		return err
	}
	h := openHandle(dir)
	if err := h.completeTip(tip); err != nil {
		h.close()
		return err
	}
	m.generation, m.packs, m.tip = n, packs, tip
	m.handle.Store(h)
	return nil
}

// Close releases the files. Reading afterwards fails.
func (m *Mirror) Close() {
	m.network <- struct{}{}
	defer func() { <-m.network }()
	if h := m.handle.Swap(nil); h != nil {
		h.close()
	}
}

func (m *Mirror) lock(ctx context.Context) (release func(), err error) {
	select {
	case m.network <- struct{}{}:
		return func() { <-m.network }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Last returns the tip of the last successful poll, or "" before the first.
// After a restart it is the tip that was last saved.
func (m *Mirror) Last(ctx context.Context) (string, error) {
	release, err := m.lock(ctx)
	if err != nil {
		return "", err
	}
	defer release()
	if m.tip.IsZero() {
		return "", nil
	}
	return m.tip.String(), nil
}

// Tip asks the server for the branch's tip: one request when it did not move.
// When it did, the new commits are readable once Tip returns; whether the
// history was rewritten is for Range to say. ErrNoBranch when the branch was
// deleted or the repository emptied. After an error the previous tip goes on
// being readable. It may be called again at any time.
func (m *Mirror) Tip(ctx context.Context) (string, error) {
	release, err := m.lock(ctx)
	if err != nil {
		return "", err
	}
	defer release()
	tip, err := m.poll(ctx)
	if err != nil {
		return "", fmt.Errorf("poll branch %s: %w", m.cfg.Branch, err)
	}
	return tip.String(), nil
}

func (m *Mirror) poll(ctx context.Context) (plumbing.Hash, error) {
	adv, err := m.list(ctx)
	if err != nil {
		return plumbing.ZeroHash, err
	}
	defer adv.close()
	tip, ok := adv.refs[branchRef(m.cfg.Branch)]
	if !ok {
		return plumbing.ZeroHash, ErrNoBranch
	}
	if tip == m.tip && !m.damaged.Load() {
		return tip, nil
	}
	return tip, m.obtain(ctx, adv, tip, nil)
}

// Fetch makes commits readable that the branch may not contain: references by
// their full name (refs/pull/7/head) or commits by SHA. It returns their SHAs
// in the order asked. Commits that are there already cost no request.
func (m *Mirror) Fetch(ctx context.Context, refs ...string) ([]string, error) {
	release, err := m.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	out, err := m.fetch(ctx, refs)
	if err != nil {
		return nil, fmt.Errorf("fetch %s: %w", strings.Join(refs, " "), err)
	}
	return out, nil
}

func (m *Mirror) fetch(ctx context.Context, refs []string) ([]string, error) {
	if !slices.ContainsFunc(refs, func(r string) bool { return !m.present(r) }) {
		return slices.Clone(refs), nil
	}
	adv, err := m.list(ctx)
	if err != nil {
		return nil, err
	}
	defer adv.close()
	out := make([]string, len(refs))
	var wants []plumbing.Hash
	for i, ref := range refs {
		hash, ok := adv.refs[ref]
		if plumbing.IsHash(ref) {
			hash, ok = plumbing.NewHash(ref), true
		}
		if !ok {
			return nil, fmt.Errorf("%w: %s", ErrNoBranch, ref)
		}
		out[i] = hash.String()
		if !m.present(out[i]) {
			wants = append(wants, hash)
		}
	}
	if len(wants) == 0 {
		return out, nil
	}
	return out, m.obtain(ctx, adv, plumbing.ZeroHash, wants)
}

// present reports whether the object of a SHA is there.
func (m *Mirror) present(sha string) bool {
	if !plumbing.IsHash(sha) || m.damaged.Load() {
		return false
	}
	h := m.handle.Load() // not the cache: it may know what a lost copy had
	if h == nil {
		return false
	}
	ok, err := h.has(plumbing.NewHash(sha))
	return err == nil && ok
}

// advertised is a session with the server and the references it listed.
type advertised struct {
	session transport.UploadPackSession
	cred    credentials
	refs    map[string]plumbing.Hash
	caps    *capability.List
}

func (a *advertised) close() { _ = a.session.Close() } // nothing was written

func (m *Mirror) list(ctx context.Context) (*advertised, error) {
	ctx, cancel := context.WithTimeout(ctx, PollTimeout)
	defer cancel()
	s, cred, err := m.remote.fetchSession(ctx)
	if err != nil {
		return nil, err
	}
	ar, err := s.AdvertisedReferencesContext(ctx)
	if err != nil {
		_ = s.Close()
		if errors.Is(err, transport.ErrEmptyRemoteRepository) {
			return nil, fmt.Errorf("%w: the repository is empty", ErrNoBranch)
		}
		return nil, cred.clean(ctx, err)
	}
	return &advertised{session: s, cred: cred, refs: ar.References, caps: ar.Capabilities}, nil
}

func branchRef(branch string) string { return "refs/heads/" + branch }
