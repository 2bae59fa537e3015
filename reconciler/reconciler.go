package reconciler

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sluice-cd/sluice/reconciler/intake"
	"github.com/sluice-cd/sluice/reconciler/release"
)

// Config is everything the loop works with.
type Config struct {
	Store     Store
	Source    Source
	Releases  Releases
	Facts     Facts
	Renderer  Renderer
	Cluster   Cluster
	Meter     Meter
	Committer Committer
	Ledger    Ledger
	Announcer Announcer

	// Genesis is the baseline of the first start, or the tip that an operator
	// accepts after the history was rewritten.
	Genesis string
	// Environments limits the daemon to some; empty means all.
	Environments []string
	// Observe evaluates and reports and writes nothing.
	Observe bool
	// Poll is how often the branch and the open pull requests are looked at.
	Poll time.Duration
	Log  *slog.Logger
}

// A Reconciler runs the loop.
type Reconciler struct {
	Config
	queue *queue

	mu sync.Mutex // guards the following
	// repository is what was read of git, as it is stored.
	repository        intake.Repository
	repositoryVersion string
	// records is what was saved last, so that a quiet release costs no request.
	records map[release.Key]stored
	// announced is the last status shown, by commit and context.
	announced map[string]string
}

type stored struct {
	record  release.Record
	version string
}

// New returns a Reconciler. It does nothing before Run.
func New(cfg Config) *Reconciler {
	return &Reconciler{Config: cfg, queue: newQueue(), records: map[release.Key]stored{}, announced: map[string]string{}}
}

// workers is how many releases are worked on at the same time. A pass waits for
// the API server, the forge and git, hardly ever for the processor.
const workers = 8

// passTimeout bounds a pass, so that no release holds a worker for good. Its
// longest part is a push against many other writers.
const passTimeout = 3 * time.Minute

// Run works until the context ends or something happens that only a restart can
// mend.
func (c *Reconciler) Run(ctx context.Context) error {
	if err := c.recover(ctx); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return c.every(ctx, c.Poll, c.IntakeOnce) })
	group.Go(func() error { return c.every(ctx, c.Poll, c.PreviewOnce) })
	for range workers {
		group.Go(func() error { return c.work(ctx) })
	}
	err := group.Wait()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// every runs once, again and again. An error is a reason to try later.
func (c *Reconciler) every(ctx context.Context, pause time.Duration, once func(context.Context) error) error {
	for {
		if err := once(ctx); err != nil && ctx.Err() == nil {
			c.Log.Warn("will try again", "error", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

func (c *Reconciler) work(ctx context.Context) error {
	for {
		key, err := c.queue.next(ctx)
		if err != nil {
			return err
		}
		c.queue.add(key, c.one(ctx, key))
		c.queue.done(key)
	}
}

// one runs a pass and says when the next one is due.
func (c *Reconciler) one(ctx context.Context, key release.Key) time.Time {
	ctx, cancel := context.WithTimeout(ctx, passTimeout)
	defer cancel()
	wake, err := c.Once(ctx, key)
	switch {
	case errors.Is(err, release.ErrConflict):
		return time.Now()
	case err != nil && ctx.Err() == nil:
		c.Log.Warn("will try again", "release", key.String(), "error", err)
		return earlier(wake, time.Now().Add(retryAfterError))
	}
	return wake
}

// retryAfterError is short, because most errors are an API server or a forge
// that comes back, and bounded by the number of workers.
const retryAfterError = 2 * time.Second

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// Wake makes a release due at once. It is a hint: without it the release is
// looked at a little later.
func (c *Reconciler) Wake(key release.Key) { c.queue.add(key, time.Now()) }
