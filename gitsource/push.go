package gitsource

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
	"github.com/go-git/go-git/v5/storage/memory"
)

var (
	// ErrMoved says that the branch is not at the draft's parent any more and
	// that nothing was changed: decide again.
	ErrMoved = errors.New("branch has moved")
	// ErrUnclear says that the push may or may not have happened: look before
	// doing anything.
	ErrUnclear = errors.New("outcome of the push is unclear")
	// ErrRefused says that the server will not take the push, for instance
	// because the branch is protected. Trying again does not help.
	ErrRefused = errors.New("push was refused")
)

// Identity is who commits.
type Identity struct {
	Name  string
	Email string
}

// Pusher turns a draft into the branch's next commit, with its parent as the
// compare-and-swap.
type Pusher interface {
	// Push returns the commit's SHA once it is on the server. On ErrUnclear it
	// returns the SHA that may be there, if it is known. Further sentinels are
	// ErrMoved and ErrRefused; any other error means that nothing changed.
	Push(ctx context.Context, d Draft, now time.Time) (sha string, err error)
}

// gitPusher pushes with git's own protocol.
type gitPusher struct {
	remote   *remote
	identity Identity
	signer   Signer // nil: commits are not signed
}

// Push implements Pusher.
func (p *gitPusher) Push(ctx context.Context, d Draft, now time.Time) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, PushTimeout)
	defer cancel()
	commit, err := p.commit(d, now)
	if err != nil {
		return "", err
	}
	hash := plumbing.ComputeHash(plumbing.CommitObject, commit)
	pack, err := encodePack(d.objects, hash, commit)
	if err != nil {
		return "", err
	}
	s, cred, err := p.remote.pushSession(ctx)
	if err != nil {
		return "", err
	}
	defer func() { _ = s.Close() }()
	adv, err := s.AdvertisedReferencesContext(ctx)
	if err != nil {
		return "", final(cred.clean(ctx, err))
	}
	old := plumbing.ZeroHash
	if !d.New {
		old = plumbing.NewHash(d.Parent)
	}
	ref := branchRef(d.Branch)
	if adv.References[ref] != old {
		return "", ErrMoved
	}
	req := packp.NewReferenceUpdateRequestFromCapabilities(adv.Capabilities)
	req.Commands = []*packp.Command{{Name: plumbing.ReferenceName(ref), Old: old, New: hash}}
	req.Packfile = io.NopCloser(bytes.NewReader(pack))
	if adv.Capabilities.Supports(capability.Sideband64k) {
		if err := req.Capabilities.Set(capability.Sideband64k); err != nil {
			return "", err
		}
	}
	report, err := s.ReceivePack(ctx, req)
	return hash.String(), outcome(report, err, func(err error) error { return cred.clean(ctx, err) })
}

// outcome sorts what came of a push that was sent.
func outcome(report *packp.ReportStatus, err error, clean func(error) error) error {
	switch {
	case report != nil && report.Error() != nil: // the server decided, and said so
		if lostRace(report.Error().Error()) {
			return fmt.Errorf("%w: %w", ErrMoved, clean(report.Error()))
		}
		return fmt.Errorf("%w: %w", ErrRefused, clean(report.Error()))
	case err != nil:
		err = clean(err)
		if refused := final(err); errors.Is(refused, ErrRefused) {
			return refused
		}
		return fmt.Errorf("%w: %w", ErrUnclear, err)
	case report == nil: // an empty reply, or a server without status reports
		return fmt.Errorf("%w: the server did not report", ErrUnclear)
	}
	return nil
}

// lostRace recognises what git and go-git say when somebody else was faster.
func lostRace(text string) bool {
	return slices.ContainsFunc([]string{
		"non-fast-forward", "fetch first", "failed to update ref", "cannot lock ref", "failed to lock",
		"stale info", "incorrect old value provided", "already exists", "remote ref updated since checkout",
		"but expected", "reference has changed",
	}, func(s string) bool { return strings.Contains(text, s) })
}

// final marks answers that stay the same however often one asks.
func final(err error) error {
	var status *githttp.Err
	var unexpected *plumbing.UnexpectedError
	if errors.As(err, &unexpected) {
		errors.As(unexpected.Err, &status)
	}
	client := status != nil && status.StatusCode() >= 400 && status.StatusCode() < 500 &&
		status.StatusCode() != http.StatusTooManyRequests && status.StatusCode() != http.StatusRequestTimeout
	if client || errors.Is(err, transport.ErrAuthenticationRequired) ||
		errors.Is(err, transport.ErrAuthorizationFailed) || errors.Is(err, transport.ErrRepositoryNotFound) {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return err
}

// commit writes the commit object and signs it.
func (p *gitPusher) commit(d Draft, now time.Time) ([]byte, error) {
	var head bytes.Buffer
	fmt.Fprintf(&head, "tree %s\n", d.Tree)
	if d.Parent != "" {
		fmt.Fprintf(&head, "parent %s\n", d.Parent)
	}
	who := fmt.Sprintf("%s <%s> %d +0000", identityPart(p.identity.Name), identityPart(p.identity.Email), now.Unix())
	fmt.Fprintf(&head, "author %s\ncommitter %s\n", who, who)
	message := "\n" + d.Message
	if p.signer == nil {
		return append(head.Bytes(), message...), nil
	}
	sig, err := p.signer.Sign(append(bytes.Clone(head.Bytes()), message...))
	if err != nil {
		return nil, err
	}
	lines := strings.Split(strings.TrimSpace(string(sig)), "\n")
	fmt.Fprintf(&head, "gpgsig %s\n", strings.Join(lines, "\n "))
	return append(head.Bytes(), message...), nil
}

// identityPart drops what would end the name or the address early.
func identityPart(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r == '<' || r == '>' {
			return -1
		}
		return r
	}, oneLine(s)))
}

// encodePack packs the draft's new objects and the commit.
func encodePack(objects map[plumbing.Hash]object, commitHash plumbing.Hash, commit []byte) ([]byte, error) {
	store := memory.NewStorage()
	hashes := make([]plumbing.Hash, 0, len(objects)+1)
	for hash, o := range objects {
		if err := storeObject(store, o); err != nil {
			return nil, err
		}
		hashes = append(hashes, hash)
	}
	if err := storeObject(store, object{plumbing.CommitObject, commit}); err != nil {
		return nil, err
	}
	hashes = append(hashes, commitHash)
	var buf bytes.Buffer
	if _, err := packfile.NewEncoder(&buf, store, false).Encode(hashes, 0); err != nil {
		return nil, fmt.Errorf("encode pack: %w", err)
	}
	return buf.Bytes(), nil
}

func storeObject(store storer.EncodedObjectStorer, o object) error {
	obj := &plumbing.MemoryObject{}
	obj.SetType(o.kind)
	if _, err := obj.Write(o.data); err != nil {
		return err
	}
	_, err := store.SetEncodedObject(obj)
	return err
}
