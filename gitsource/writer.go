package gitsource

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
)

// Retrying a push that lost a race: full jitter below a doubling bound. Without
// jitter eight writers collide most of the time.
const (
	retryFirst = 200 * time.Millisecond
	retryCap   = 5 * time.Second
	maxTries   = 20
)

var (
	// ErrNothingToDo is returned when the tip already is what the plan wants.
	ErrNothingToDo = errors.New("nothing to do")
	// ErrContended is returned when all tries lost their race: alert a person.
	ErrContended = errors.New("branch is contended")
)

// WriterConfig says how a Writer commits.
type WriterConfig struct {
	// Identity is author and committer of pushed commits.
	Identity Identity
	// Signer signs pushed commits; nil leaves them unsigned.
	Signer Signer
	// Pusher replaces git's own protocol, for a forge that makes the commit;
	// Identity and Signer are then not used.
	Pusher Pusher
	// Sleep waits; nil means a timer.
	Sleep func(ctx context.Context, d time.Duration) error
	// Log receives lost races; nil means none.
	Log *slog.Logger
}

// Writer commits to one repository. Writes to one branch wait for each other in
// the order of their calls, so they never race among themselves.
type Writer struct {
	m      *Mirror
	pusher Pusher
	sleep  func(ctx context.Context, d time.Duration) error
	log    *slog.Logger

	// mu guards the following.
	mu     sync.Mutex
	queues map[string]chan struct{}
}

// Proposal is one intended commit.
type Proposal struct {
	Branch string
	// Time is the commit's time, decided by the caller.
	Time time.Time
	// Create allows the branch to begin with this commit. Otherwise a branch
	// that does not exist is ErrNoBranch: a deleted one is not revived.
	Create bool
	// Decide makes the plan for a tip. It is called again for each new tip and
	// must decide by content: an empty plan when the tip already is as it
	// should be. An error ends the write.
	Decide func(tip TipView) (Plan, error)
}

// NewWriter writes to the repository of a mirror.
func NewWriter(m *Mirror, cfg WriterConfig) *Writer {
	w := &Writer{m: m, pusher: cfg.Pusher, sleep: cfg.Sleep, log: cfg.Log, queues: map[string]chan struct{}{}}
	if w.pusher == nil {
		w.pusher = &gitPusher{remote: m.remote, identity: cfg.Identity, signer: cfg.Signer}
	}
	if w.sleep == nil {
		w.sleep = sleep
	}
	if w.log == nil {
		w.log = slog.New(slog.DiscardHandler)
	}
	return w
}

// Write commits what Decide proposes on top of the branch's current tip and
// returns the commit's SHA once the server has it. ErrNothingToDo when there is
// nothing left to change: also when an earlier attempt, or anybody else, did it
// already. ErrRefused, ErrContended, ErrNoBranch and ErrBadPlan as documented.
// After any other error the write may have happened; calling again is safe,
// since Decide judges the content.
func (w *Writer) Write(ctx context.Context, p Proposal) (string, error) {
	sha, err := w.write(ctx, p)
	if err != nil {
		return "", fmt.Errorf("write to branch %s: %w", p.Branch, err)
	}
	return sha, nil
}

func (w *Writer) write(ctx context.Context, p Proposal) (string, error) {
	if err := plumbing.NewBranchReferenceName(p.Branch).Validate(); p.Branch == "" || err != nil {
		return "", fmt.Errorf("%w: %q is not a branch name", ErrBadPlan, p.Branch)
	}
	queue := w.queue(p.Branch)
	select {
	case queue <- struct{}{}:
		defer func() { <-queue }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	var unclear []string // commits that may be on the server
	var lost error
	for try := range maxTries {
		if try > 0 {
			if err := w.sleep(ctx, jitter(try)); err != nil {
				return "", errors.Join(err, lost)
			}
		}
		sha, err := w.attempt(ctx, p, unclear)
		if !errors.Is(err, ErrMoved) && !errors.Is(err, ErrUnclear) {
			return sha, err
		}
		w.log.Warn("push did not succeed, trying again", "branch", p.Branch, "try", try+1, "error", err)
		lost = err
		if errors.Is(err, ErrUnclear) && sha != "" {
			unclear = append(unclear, sha)
		}
	}
	return "", fmt.Errorf("%w: %d tries: %w", ErrContended, maxTries, lost)
}

func (w *Writer) queue(branch string) chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.queues[branch] == nil {
		w.queues[branch] = make(chan struct{}, 1)
	}
	return w.queues[branch]
}

// attempt looks at the tip, decides and pushes once. It looks before it pushes:
// an earlier attempt whose reply was lost may have succeeded.
func (w *Writer) attempt(ctx context.Context, p Proposal, unclear []string) (string, error) {
	tip, err := w.tip(ctx, p)
	if err != nil {
		return "", err
	}
	for _, sha := range unclear {
		if done, err := w.landed(sha, tip); err != nil || done {
			return sha, err
		}
	}
	plan, err := p.Decide(TipView{SHA: tip, m: w.m})
	if err != nil {
		return "", fmt.Errorf("decide: %w", err)
	}
	d, err := w.m.draft(p.Branch, tip, plan)
	if err != nil {
		return "", err
	}
	return w.pusher.Push(ctx, d, p.Time)
}

// tip fetches the branch; "" when it may be created.
func (w *Writer) tip(ctx context.Context, p Proposal) (string, error) {
	shas, err := w.m.Fetch(ctx, branchRef(p.Branch))
	if errors.Is(err, ErrNoBranch) && p.Create {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return shas[0], nil
}

// landed reports whether a commit is part of the branch.
func (w *Writer) landed(sha, tip string) (bool, error) {
	if tip == "" {
		return false, nil
	}
	ok, err := w.m.IsAncestor(sha, tip)
	if errors.Is(err, ErrUnknownCommit) {
		return false, nil // it would have come with the tip
	}
	return ok, err
}

// jitter is a random wait before the given retry, counted from 1.
func jitter(try int) time.Duration {
	bound := min(retryFirst<<(try-1), retryCap)
	return rand.N(bound + 1) // spreading load needs no secrecy
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
