package gitsource

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"
)

// compactAbove is the number of packs, one for each fetch, above which the
// small ones are joined: every lookup asks each of them.
const compactAbove = 24

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
