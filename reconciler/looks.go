package reconciler

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/reconciler/environments"
	"github.com/sluice-cd/sluice/reconciler/gate"
	"github.com/sluice-cd/sluice/reconciler/intake"
	"github.com/sluice-cd/sluice/reconciler/release"
	"github.com/sluice-cd/sluice/reconciler/report"
)

// A look is what is remembered of an open pull request, so that the forge is asked
// about it only when the answer may be another one.
type look struct {
	basis   string
	content string
	// changed is when its content was last seen to be another one, due when to look
	// again although nothing is known to have changed.
	changed, due time.Time
}

// How long a pull request is left alone. What changes is usually followed by more,
// so that the pause grows with the time since. Checks are no part of what a forge
// counts as an update, which is why one that is waited for is asked about sooner.
const (
	expectantPause = 2 * time.Minute
	quietPause     = 10 * time.Minute
	pauseGrowth    = 5
	// settling is how long an update is too young to be believed to be the last:
	// forges tell it in whole seconds, and by other clocks.
	settling = time.Minute
)

// basis is what a preview is made of besides the answers of the forge.
func (c *Reconciler) basis(git intake.Repository, rules environments.Rules, p environments.Proposal) string {
	state := []any{p.PullRequest, p.Problems, p.Owned, git.Policy}
	for _, candidate := range p.Candidates {
		key := candidate.Key
		state = append(state, candidate.Want.Revision.Inputs, git.Releases[key.String()], c.standing(key))
		if before, ok := rules.Policy.Predecessor(key.Environment); ok {
			state = append(state, c.standing(release.Key{Environment: before.Name, Service: key.Service}))
		}
	}
	data, err := json.Marshal(state)
	if err != nil {
		return "" // is never equal to what is remembered, so that it is looked at
	}
	return string(data)
}

// standing is what matters of a record to the previews of others.
func (c *Reconciler) standing(key release.Key) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.records[key].record
	inputs, wants := "", ""
	if r.Stable != nil {
		inputs = r.Stable.Inputs
	}
	if r.Candidate != nil {
		wants = r.Candidate.Promotion.Commit
	}
	return fmt.Sprint(r.Phase, inputs, wants, len(r.Holds), len(r.Proven))
}

func (c *Reconciler) isDue(number int, basis string, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	l, ok := c.looks[number]
	return !ok || basis == "" || l.basis != basis || !now.Before(l.due)
}

// looked remembers a look and decides when the next one is due.
func (c *Reconciler) looked(pr forge.PullRequest, basis string, shown report.Preview, err error, now time.Time) {
	content, _ := digestOf(shown) // "" is as good as another content
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.looks[pr.Number]
	if l.content != content || l.basis != basis {
		l.changed = now
	}
	l.basis, l.content = basis, content
	l.due = c.nextLook(pr, l.changed, shown, err, now)
	c.looks[pr.Number] = l
}

func (c *Reconciler) nextLook(pr forge.PullRequest, changed time.Time, shown report.Preview, err error, now time.Time) time.Time {
	var rejected *forge.RejectedError
	switch {
	case errors.As(err, &rejected):
		return now.Add(expectantPause) // only a person can change that, and it costs a request
	case err != nil, pr.UpdatedAt.IsZero(), now.Sub(pr.UpdatedAt) < settling:
		return now
	}
	most, at := quietPause, time.Time{}
	for _, r := range shown.Releases {
		for _, g := range r.Results {
			if expected(g) {
				most = expectantPause
			}
			at = earlier(at, g.NextCheck)
		}
	}
	pause := min(max(now.Sub(changed)/pauseGrowth, c.Poll), most)
	if at.After(now) {
		return earlier(at, now.Add(pause))
	}
	return now.Add(pause)
}

// expected reports whether a gate waits for something of which an open pull request
// itself shows no sign.
func expected(g gate.Result) bool {
	switch g.Cause {
	case gate.Missing, gate.Concluded, gate.Unknown:
		return true
	case gate.Met, gate.Refused, gate.Short, gate.Later:
	}
	return false
}

// keepLooks forgets the pull requests that are not open any more.
func (c *Reconciler) keepLooks(open []environments.Proposal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for number := range c.looks {
		if !slices.ContainsFunc(open, func(p environments.Proposal) bool { return p.PullRequest.Number == number }) {
			delete(c.looks, number)
		}
	}
}
