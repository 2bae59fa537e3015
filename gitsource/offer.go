package gitsource

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// ErrTaken is returned when the branch that a draft was to be offered on exists
// and holds something else.
var ErrTaken = errors.New("branch holds something else")

// Draft is what Write would commit now, on a fresh tip, without its commit.
// Errors are those of Write.
func (w *Writer) Draft(ctx context.Context, p Proposal) (Draft, error) {
	d, err := w.outline(ctx, p)
	if err != nil {
		return Draft{}, fmt.Errorf("draft for branch %s: %w", p.Branch, err)
	}
	return d, nil
}

func (w *Writer) outline(ctx context.Context, p Proposal) (Draft, error) {
	tip, err := w.tip(ctx, p)
	if err != nil {
		return Draft{}, err
	}
	plan, err := p.Decide(TipView{SHA: tip, m: w.m})
	if err != nil {
		return Draft{}, fmt.Errorf("decide: %w", err)
	}
	return w.m.draft(p.Branch, tip, plan)
}

// Offer puts a draft onto a branch of its own, where a pull request can take it
// from, and returns the commit. It may be called again: one commit that makes
// exactly the draft's changes, on any state that led to the draft's parent, is
// what was to be done. Everything else on that branch is ErrTaken and is left
// alone, since whoever may push could have put it there. ErrMoved, ErrUnclear and
// ErrRefused are the pusher's.
func (w *Writer) Offer(ctx context.Context, d Draft, branch string, now time.Time) (string, error) {
	sha, err := w.offer(ctx, d, branch, now)
	if err != nil {
		return "", fmt.Errorf("offer on branch %s: %w", branch, err)
	}
	return sha, nil
}

func (w *Writer) offer(ctx context.Context, d Draft, branch string, now time.Time) (string, error) {
	there, err := w.m.Fetch(ctx, branchRef(branch))
	switch {
	case err == nil:
		return w.offered(d, there[0])
	case !errors.Is(err, ErrNoBranch):
		return "", err
	}
	d.Branch, d.New = branch, true
	return w.pusher.Push(ctx, d, now)
}

func (w *Writer) offered(d Draft, head string) (string, error) {
	there, err := w.m.Commit(head)
	if err != nil {
		return "", err
	}
	if len(there.Parents) != 1 {
		return "", fmt.Errorf("%w: %.12s has %d parents", ErrTaken, head, len(there.Parents))
	}
	on, err := w.m.IsAncestor(there.Parents[0], d.Parent)
	if err != nil {
		return "", err
	}
	changes, err := w.m.Changes(there.Parents[0], head)
	if err != nil {
		return "", err
	}
	if !on || !slices.Equal(changes, d.Changes) {
		return "", fmt.Errorf("%w: %.12s does not make the changes that were decided", ErrTaken, head)
	}
	return head, nil
}
