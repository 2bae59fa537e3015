package reconciler

import (
	"context"
	"sync"
	"time"

	"github.com/sluice-cd/sluice/reconciler/release"
)

// A queue hands out releases when they are due, each to one worker at a time.
type queue struct {
	// wake is a hint that something became due earlier than anybody waits for.
	wake chan struct{}

	mu   sync.Mutex // guards the following
	due  map[release.Key]time.Time
	busy map[release.Key]bool
}

func newQueue() *queue {
	return &queue{wake: make(chan struct{}, 1), due: map[release.Key]time.Time{}, busy: map[release.Key]bool{}}
}

// add makes a release due at an instant, or keeps it due earlier.
func (q *queue) add(key release.Key, at time.Time) {
	q.mu.Lock()
	if known, ok := q.due[key]; !ok || at.Before(known) {
		q.due[key] = at
	}
	q.mu.Unlock()
	q.hint()
}

func (q *queue) hint() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// next waits for the release that is due first. Whoever gets it calls done.
func (q *queue) next(ctx context.Context) (release.Key, error) {
	for {
		if ctx.Err() != nil {
			return release.Key{}, ctx.Err() // also when there is always something due
		}
		key, wait, ok := q.take(time.Now())
		if ok {
			q.hint() // another worker may find something due as well
			return key, nil
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return key, ctx.Err()
		case <-q.wake:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// idle is how long a worker sleeps when nothing at all is due.
const idle = time.Hour

func (q *queue) take(now time.Time) (first release.Key, wait time.Duration, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	at := now.Add(idle)
	for key, due := range q.due {
		if !q.busy[key] && due.Before(at) {
			first, at = key, due
		}
	}
	if at.After(now) {
		return first, at.Sub(now), false
	}
	delete(q.due, first)
	q.busy[first] = true
	return first, 0, true
}

// done gives a release back.
func (q *queue) done(key release.Key) {
	q.mu.Lock()
	delete(q.busy, key)
	q.mu.Unlock()
	q.hint()
}
