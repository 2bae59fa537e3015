package cluster

import (
	"sync"
	"time"
)

// The budget of one object for corrections of drift. A person's change is
// undone at once; a controller that insists is not fought.
const (
	contestLimit  = 5
	contestWindow = 10 * time.Minute
)

// contests counts how often objects were put right.
type contests struct {
	mu        sync.Mutex // guards the following
	corrected map[identity][]time.Time
}

// spend takes one correction, which was made, out of the object's budget; false
// when there was none left.
func (c *contests) spend(id identity, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	recent := c.recentLocked(id, now)
	if len(recent) >= contestLimit {
		return false
	}
	c.corrected[id] = append(recent, now)
	return true
}

// exhausted reports whether the object has no budget left.
func (c *contests) exhausted(id identity, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.recentLocked(id, now)) >= contestLimit
}

func (c *contests) recentLocked(id identity, now time.Time) []time.Time {
	times := c.corrected[id]
	for len(times) > 0 && now.Sub(times[0]) >= contestWindow {
		times = times[1:]
	}
	if len(times) == 0 {
		delete(c.corrected, id)
		return nil
	}
	c.corrected[id] = times
	return times
}
