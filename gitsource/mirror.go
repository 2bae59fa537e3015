package gitsource

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"
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

// compactAbove is the number of packs, one for each fetch, above which the
// small ones are joined: every lookup asks each of them.
const compactAbove = 24

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

// obtain makes tip and wants readable and tip the branch's recorded tip; a zero
// tip leaves that alone. When the local copy is at fault it is cloned again.
func (m *Mirror) obtain(ctx context.Context, adv *advertised, tip plumbing.Hash, wants []plumbing.Hash) error {
	if !m.damaged.Load() {
		err := m.extend(ctx, adv, cmp.Or(tip, m.tip), wants)
		if !errors.Is(err, errDamaged) {
			return err
		}
		m.log.Warn("mirror is damaged, cloning it again", "error", err)
		m.damaged.Store(true)
	}
	return m.reclone(ctx, tip, wants)
}

// extend adds what is missing to the current generation.
func (m *Mirror) extend(ctx context.Context, adv *advertised, tip plumbing.Hash, wants []plumbing.Hash) error {
	var lacking []plumbing.Hash
	for _, want := range withTip(tip, wants) {
		if !m.present(want.String()) {
			lacking = append(lacking, want)
		}
	}
	dir := generationDir(m.cfg.Dir, m.generation)
	if len(lacking) == 0 { // for instance a branch that was set back
		if err := record(dir, m.cfg.Branch, m.packs, tip); err != nil {
			return err
		}
		m.tip = tip
		return nil
	}
	name, err := m.download(ctx, adv, dir, lacking, m.haves())
	if err != nil {
		return err
	}
	h := openHandle(dir)
	for _, want := range lacking {
		if err := h.complete(want, m.handle.Load()); err != nil {
			h.close()
			return errors.Join(err, dropStrangers(dir, m.packs))
		}
	}
	packs := m.packs
	if !slices.Contains(packs, name) {
		packs = append(slices.Clone(packs), name)
	}
	if err := record(dir, m.cfg.Branch, packs, tip); err != nil {
		h.close()
		return err
	}
	m.publish(h, packs, tip)
	if err := m.compact(dir); err != nil {
		m.log.Warn("compact mirror", "error", err) // it works, only slower
	}
	return nil
}

// reclone builds the next generation beside the current one, which goes on
// being read, and swaps them when it is complete.
func (m *Mirror) reclone(ctx context.Context, tip plumbing.Hash, wants []plumbing.Hash) error {
	adv, err := m.list(ctx) // a session of its own: some serve one pack each
	if err != nil {
		return err
	}
	defer adv.close()
	if tip.IsZero() {
		// The tip that was lost with the copy may be gone from the server too.
		tip = adv.refs[branchRef(m.cfg.Branch)]
	}
	number := m.generation + 1
	dir := generationDir(m.cfg.Dir, number)
	if err := createGeneration(dir, m.cfg.Branch); err != nil {
		return err
	}
	all := withTip(tip, wants)
	name, err := m.download(ctx, adv, dir, all, nil)
	if err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	h := openHandle(dir)
	for _, want := range all {
		if err := h.complete(want, nil); err != nil {
			h.close()
			return errors.Join(err, os.RemoveAll(dir))
		}
	}
	if err := record(dir, m.cfg.Branch, []string{name}, tip); err != nil {
		h.close()
		return err
	}
	m.generation = number
	m.publish(h, []string{name}, tip)
	m.cache.reset() // what only the old copy had is unknown again
	m.damaged.Store(false)
	m.log.Info("mirror cloned", "generation", number, "tip", tip.String())
	return m.dropOthers(number)
}

// withTip lists each commit to obtain once. The tip is zero when references are
// fetched of a repository that does not have the branch.
func withTip(tip plumbing.Hash, wants []plumbing.Hash) []plumbing.Hash {
	var out []plumbing.Hash
	for _, want := range append([]plumbing.Hash{tip}, wants...) {
		if !want.IsZero() && !slices.Contains(out, want) {
			out = append(out, want)
		}
	}
	return out
}

// publish hands readers the new handle before the old one is closed; a reader
// that was about to use the old one is told and takes the new one.
func (m *Mirror) publish(h *handle, packs []string, tip plumbing.Hash) {
	m.packs, m.tip = packs, tip
	if old := m.handle.Swap(h); old != nil {
		old.close()
	}
}

func (m *Mirror) dropOthers(keep int) error {
	numbers, err := generations(m.cfg.Dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, n := range numbers {
		if n != keep {
			errs = append(errs, os.RemoveAll(generationDir(m.cfg.Dir, n)))
		}
	}
	return errors.Join(errs...)
}

// haves names commits that the server need not send again: the tip and, since
// it may have been rewritten, some of its first-parent ancestors at growing
// distances.
func (m *Mirror) haves() []plumbing.Hash {
	var out []plumbing.Hash
	hash := m.tip
	for distance, next := 0, 0; distance <= 1024 && !hash.IsZero(); distance++ {
		c, err := m.commit(hash)
		if err != nil {
			break // then the server sends more
		}
		if distance == next {
			out = append(out, hash)
			next = max(distance+1, distance*2)
		}
		hash = plumbing.ZeroHash
		if len(c.parents) > 0 {
			hash = c.parents[0]
		}
	}
	return out
}

// download receives one pack with the wanted commits into a generation.
func (m *Mirror) download(ctx context.Context, adv *advertised, dir string, wants, haves []plumbing.Hash) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, FetchTimeout)
	defer cancel()
	req := packp.NewUploadPackRequestFromCapabilities(adv.caps)
	if adv.caps.Supports(capability.NoProgress) {
		if err := req.Capabilities.Set(capability.NoProgress); err != nil {
			return "", err
		}
	}
	req.Wants, req.Haves = wants, haves
	res, err := adv.session.UploadPack(ctx, req)
	if err != nil {
		return "", adv.cred.clean(ctx, err)
	}
	defer func() { _ = res.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = res.Close() }) // reads do not follow the context
	defer stop()
	name, err := addPack(dir, demultiplex(req.Capabilities, res), m.cfg.MaxPackBytes)
	return name, adv.cred.clean(ctx, err)
}

func demultiplex(caps *capability.List, r io.Reader) io.Reader {
	switch {
	case caps.Supports(capability.Sideband64k):
		return sideband.NewDemuxer(sideband.Sideband64k, r)
	case caps.Supports(capability.Sideband):
		return sideband.NewDemuxer(sideband.Sideband, r)
	default:
		return r
	}
}

// compact joins all packs but the largest when there are too many.
func (m *Mirror) compact(dir string) error {
	if len(m.packs) <= compactAbove {
		return nil
	}
	largest, size := "", int64(-1)
	for _, name := range m.packs {
		info, err := os.Stat(filepath.Join(dir, "objects", "pack", name+".pack"))
		if err != nil {
			return fmt.Errorf("%w: %w", errDamaged, err)
		}
		if info.Size() > size {
			largest, size = name, info.Size()
		}
	}
	small := slices.DeleteFunc(slices.Clone(m.packs), func(name string) bool { return name == largest })
	joined, err := joinPacks(dir, small)
	if err != nil {
		return fmt.Errorf("compact mirror: %w", err)
	}
	packs := []string{largest, joined}
	if err := record(dir, m.cfg.Branch, packs, m.tip); err != nil {
		return err
	}
	m.publish(openHandle(dir), packs, m.tip)
	return dropStrangers(dir, packs)
}

func branchRef(branch string) string { return "refs/heads/" + branch }
