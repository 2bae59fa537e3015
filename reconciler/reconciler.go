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
	// readAt is when the last reading of the branch began that reached its end.
	readAt time.Time
	// readErr is why the last one did not reach it.
	readErr error
	// records is what was saved or loaded last.
	records map[release.Key]stored
	// failures counts the passes in a row that were not complete.
	failures map[release.Key]int
	asks     map[release.Key]ask
	// unpaid is when to try again, during a rollout, what is owed and failed.
	unpaid map[release.Key]time.Time
	// repays is when to ask again whether a hotfix was backfilled, by its id.
	repays  map[string]time.Time
	watches map[release.Key]watch
	// rounds has when each part of the loop that is at work now began.
	rounds map[string]time.Time
	// announced identifies what was posted last, by where.
	announced map[string]string
	// looks has what is remembered of each open pull request.
	looks map[int]look
	// denied is when to try again to comment where that was refused.
	denied map[int]time.Time

	telling sync.Mutex // guards the following, also while they are saved
	// told is what there is to say on merged pull requests, as it is stored, and
	// nil when it has to be loaded.
	told        *told
	toldVersion string
}

// New returns a Reconciler. It does nothing before Run.
func New(cfg Config) *Reconciler {
	if cfg.Observe {
		cfg.Store = &Scratch{Under: cfg.Store}
	}
	return &Reconciler{
		Config: cfg, queue: newQueue(), records: map[release.Key]stored{},
		failures: map[release.Key]int{}, asks: map[release.Key]ask{}, unpaid: map[release.Key]time.Time{}, repays: map[string]time.Time{},
		watches: map[release.Key]watch{}, announced: map[string]string{}, looks: map[int]look{}, denied: map[int]time.Time{}, rounds: map[string]time.Time{},
	}
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
	if err := c.Recover(ctx); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return c.every(ctx, c.Poll, "reading the branch", c.IntakeOnce) })
	group.Go(func() error { return c.every(ctx, c.Poll, "looking at open pull requests", c.PreviewOnce) })
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
func (c *Reconciler) every(ctx context.Context, pause time.Duration, name string, once func(context.Context) error) error {
	for {
		done := c.round(name)
		err := once(ctx)
		done()
		if err != nil && ctx.Err() == nil {
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
	bounded, cancel := context.WithTimeout(ctx, passTimeout)
	defer cancel()
	defer c.round("a pass over " + key.String())()
	wake, err := c.Once(bounded, key)
	switch {
	case err == nil:
		return wake
	case errors.Is(err, release.ErrConflict):
		c.Log.Info("decided by somebody else, loading again", "release", key.String())
		return time.Now().Add(afterConflict)
	case ctx.Err() == nil:
		c.Log.Warn("will try again", "release", key.String(), "error", err)
	}
	return earlier(wake, time.Now().Add(c.patience(key)))
}

const (
	// afterConflict lets the other one finish its pass.
	afterConflict = 100 * time.Millisecond
	// retryAfterError is short, because most errors are an API server or a forge
	// that comes back. It doubles up to maxRetry, within which everything resumes
	// once the fault is over, except that what has traffic in two places is never
	// left alone for long.
	retryAfterError = 2 * time.Second
	maxRetry        = 30 * time.Second
)

// patience is how long to wait after a pass that failed.
func (c *Reconciler) patience(key release.Key) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s, ok := c.records[key]; ok && release.Looking(s.record) {
		return retryAfterError
	}
	pause := retryAfterError
	for range c.failures[key] - 1 {
		if pause = min(2*pause, maxRetry); pause == maxRetry {
			break
		}
	}
	return pause
}

// failed counts the passes in a row that were not complete.
func (c *Reconciler) failed(key release.Key, err error) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		delete(c.failures, key)
		return 0
	}
	c.failures[key]++
	return c.failures[key]
}

// earlier is the first of two instants; zero is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// Wake makes a release due at once. It is a hint: without it the release is
// looked at a little later.
func (c *Reconciler) Wake(key release.Key) {
	if c.ours(key) {
		c.queue.add(key, time.Now())
	}
}
