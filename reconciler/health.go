package reconciler

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// stuckAfter is how long a round of the loop may take. A pass gives up after
// passTimeout and a request long before; only what no longer listens to its
// context, or waits for itself, takes longer.
const stuckAfter = 10 * time.Minute

// Started reports whether the records of the last run, or the baseline, have
// been read.
func (c *Reconciler) Started() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.repositoryVersion != ""
}

// Stuck says which rounds of the loop have not come to an end for too long; ""
// when the loop is alive. A restart helps, and loses nothing. A forge or an API
// server that is away is no reason: it ends rounds with errors.
func (c *Reconciler) Stuck(now time.Time) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, round := range slices.Sorted(maps.Keys(c.rounds)) {
		if began := c.rounds[round]; now.Sub(began) > stuckAfter {
			return fmt.Sprintf("%s has been at work since %s", round, began.UTC().Format(time.RFC3339))
		}
	}
	return ""
}

// Unready says why nothing can be released; "" when it can. Where the branch is
// read less often than a rollout may begin after it, that alone is no reason.
func (c *Reconciler) Unready(now time.Time) string { return c.unread(now, max(maxUnread, 2*c.Poll)) }

// round notes that a part of the loop is at work until the answer is called.
func (c *Reconciler) round(name string) (done func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rounds[name] = time.Now()
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.rounds, name)
	}
}
