package intake

import (
	"errors"
	"fmt"
	"strings"
)

// Bounds of the record, which is one document of a store that takes no more than
// MaxEncoded bytes. Whoever may push can fill a repository; these keep that from
// stopping the releases that were there before.
const (
	// maxText is for what people read; where a file is wrong is said first.
	maxText = 500
	// maxReason is for what is written beside a hold, of which there may be many.
	maxReason = 120
	// maxReleaseHolds and maxHolds are for one release and for all of them.
	// Beyond either the release is paused instead, which refuses more.
	maxReleaseHolds = 100
	maxHolds        = 1000
	// maxNew is how many releases may wait for their first proof, enough for
	// another environment; maxUnusable how many of them have no usable files.
	maxNew      = 2000
	maxUnusable = 100
	// MaxEncoded is the size of an encoded record in bytes.
	MaxEncoded = 256 << 10
)

// ErrTooLarge is wrapped by the error of Encode for a record that the store
// would not take.
var ErrTooLarge = errors.New("the record of the repository is too large")

// clip shortens a text that a file may have made as long as it likes.
func clip(s string) string { return clipped(s, maxText) }

func clipped(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit-len("…")], "") + "…"
}

// clipped shortens what is commentary.
func (c Control) clipped() Control {
	c.Reason, c.Frozen = clip(c.Reason), clip(c.Frozen)
	holds := make([]Hold, len(c.Holds))
	for i, h := range c.Holds {
		h.Reason, h.By, h.Rollback = clipped(h.Reason, maxReason), clipped(h.By, maxReason), clipped(h.Rollback, maxReason)
		holds[i] = h
	}
	if c.Holds = holds; len(holds) == 0 {
		c.Holds = nil
	}
	return c
}

// within keeps the holds that are in force and pauses the release where there is
// no room for more.
func (c Control) within(inForce Control, room int) Control {
	if len(c.Holds) <= min(max(room, len(inForce.Holds)), maxReleaseHolds) {
		return c
	}
	c.Holds, c.Paused = inForce.Holds, true
	c.Reason = fmt.Sprintf("there are more holds than can be kept, at most %d for a release and %d for all: everything is held instead; remove those that are not needed in a reviewed pull request that also takes away `paused: true`", maxReleaseHolds, maxHolds)
	return c
}

// A count is what a record has of what is bounded.
type count struct{ holds, fresh, unusable int }

func tally(releases map[string]Release) count {
	var c count
	for _, r := range releases {
		c.move(Release{}, r)
	}
	return c
}

// move counts after instead of before.
func (c *count) move(before, after Release) {
	c.add(before, -1)
	c.add(after, 1)
}

func (c *count) add(r Release, n int) {
	c.holds += n * len(r.Control.Holds)
	if !r.fresh() {
		return
	}
	c.fresh += n
	if r.Inputs == "" {
		c.unusable += n
	}
}

func (c *count) full() bool { return c.fresh > maxNew || c.unusable > maxUnusable }

// fresh: nothing of it was ever proven or vouched for.
func (r Release) fresh() bool {
	return !r.isNothing() && !r.Genesis && (r.Commit == "" || len(r.Changes) > 0 && r.Changes[0].Before == "")
}

// isNothing: there is nothing to remember of it.
func (r Release) isNothing() bool {
	return r.Inputs == "" && r.Commit == "" && r.Problem == "" && len(r.Changes) == 0 && !r.Control.Looser(Control{})
}

// leave remembers that a step brought more than is followed. Only a new policy
// makes everything be read again.
func (r Repository) leave(s Step, names []string) Repository {
	if s.Policy != nil && s.Policy.Accepted {
		r.LeftOut = ""
	}
	if n := len(names); n > 0 {
		r.LeftOut = clip(fmt.Sprintf("commit %.12s brings %d new releases too many, such as %s, which are not followed: remove the directories that are none, then change these again",
			s.Commit, n, names[0]))
	}
	return r
}
