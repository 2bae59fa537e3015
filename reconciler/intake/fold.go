package intake

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// A Step is what one commit brought to the branch.
type Step struct {
	From   string // the first parent
	Commit string
	At     time.Time
	// Releases has the state after the step of every release whose files the
	// step touched.
	Releases map[string]Snapshot
	// Policy is set when the step changed what the policy's owners own;
	// Control when it loosened a control file. Both were decided by asking who
	// approved; a question that could not be asked must not become a Step.
	Policy  *Decision
	Control *Decision
}

// A Decision is whether a change was allowed.
type Decision struct {
	Accepted bool
	Reason   string
}

// A Snapshot is one release's files at a commit.
type Snapshot struct {
	// Inputs is their identity, or Retired, or "" when the directory is gone.
	Inputs  string
	Control Control
	// Problem is why the files cannot be used; Inputs is then not known and
	// stays what it was, and Control can only add to what is in force.
	Problem string
}

// Begin is the record of a repository whose state at genesis an operator
// vouches for.
func Begin(genesis string, at time.Time, releases map[string]Snapshot) Repository {
	r := Repository{
		Schema: Schema, Genesis: genesis, Mark: genesis, Policy: genesis,
		Releases: make(map[string]Release, len(releases)),
	}
	for name, s := range releases {
		r.Releases[name] = Release{
			Inputs: s.Inputs, Commit: genesis, At: at,
			Control: s.Control.clipped(), Problem: clip(s.Problem), Genesis: true,
		}
	}
	return r
}

// Fold is the record after a step. r is not changed.
func Fold(r Repository, s Step) (Repository, error) {
	if r.Frozen != "" {
		return r, fmt.Errorf("fold %s: reading is frozen: %s", s.Commit, r.Frozen)
	}
	if s.From != r.Mark {
		return r, fmt.Errorf("fold %s: it follows %s and not the mark %s", s.Commit, s.From, r.Mark)
	}
	r.Mark, r.Waiting = s.Commit, ""
	r = r.govern(s)
	releases := maps.Clone(r.Releases)
	if releases == nil {
		releases = map[string]Release{}
	}
	count, leftOut := tally(releases), []string(nil)
	for _, name := range slices.Sorted(maps.Keys(s.Releases)) {
		before, known := releases[name]
		after := before.inherit(releases, name, known).follow(s, s.Releases[name])
		after.Control = after.Control.within(before.Control, maxHolds-count.holds+len(before.Control.Holds))
		count.move(before, after)
		switch {
		case !known && count.full():
			count.move(after, Release{})
			leftOut = append(leftOut, name)
		case after.isNothing():
			delete(releases, name)
		default:
			releases[name] = after
		}
	}
	r.Releases = releases
	return r.leave(s, leftOut), nil
}

// inherit gives a new release the freeze that is in force for its environment: the
// file may have been loosened without a review, and what comes later is not free of
// what the others still keep to.
func (r Release) inherit(releases map[string]Release, name string, known bool) Release {
	if known {
		return r
	}
	environment, _, _ := strings.Cut(name, "/")
	for other, of := range releases {
		if strings.HasPrefix(other, environment+"/") && of.Control.Frozen != "" {
			r.Control.Frozen = max(r.Control.Frozen, of.Control.Frozen)
		}
	}
	return r
}

// govern takes a new policy, or says why it does not.
func (r Repository) govern(s Step) Repository {
	switch {
	case s.Policy == nil:
	case s.Policy.Accepted:
		r.Policy, r.PolicyRefused = s.Commit, ""
	default:
		r.PolicyRefused = clip(fmt.Sprintf("the policy of %.12s is not in force: %s", s.Commit, s.Policy.Reason))
	}
	return r
}

// follow is the release after a step that touched its files.
func (r Release) follow(s Step, snapshot Snapshot) Release {
	snapshot.Control = snapshot.Control.clipped()
	r.Problem = clip(snapshot.Problem)
	if snapshot.Problem != "" {
		r.Control = r.Control.follow(snapshot.Control, nil)
		// What it holds besides the fault has to be proven too, once the fault is
		// mended.
		r.Changes = bounded(append(slices.Clone(r.Changes), Change{
			From: s.From, Commit: s.Commit, At: s.At, Before: r.Inputs, Broken: true,
		}))
		return r
	}
	r.Control = r.Control.follow(snapshot.Control, s.Control)
	if snapshot.Inputs == r.Inputs {
		r.Changes = mended(r.Changes)
		return r
	}
	r.Changes = bounded(append(slices.Clone(r.Changes), Change{
		From: s.From, Commit: s.Commit, At: s.At,
		Before: r.Inputs, After: snapshot.Inputs,
	}))
	r.Inputs, r.Commit, r.At, r.Genesis = snapshot.Inputs, s.Commit, s.At, false
	return r
}

// mended drops the broken states before what was wanted came back. One after a
// gap stays, since what the gap hid may be what is wanted.
func mended(changes []Change) []Change {
	n := len(changes)
	for n > 0 && changes[n-1].Broken && !changes[n-1].Lost {
		n--
	}
	if n == 0 {
		return nil
	}
	return slices.Clip(changes[:n])
}

func bounded(changes []Change) []Change {
	if len(changes) <= maxChanges {
		return changes
	}
	changes = slices.Delete(changes, 1, len(changes)-maxChanges+1)
	changes[1].Lost = true
	return changes
}

// follow is the control in force after a new file: what it adds counts at
// once, what it takes away only when that was allowed.
func (c Control) follow(file Control, loosened *Decision) Control {
	if loosened != nil && loosened.Accepted || !c.Looser(file) {
		return file
	}
	kept := file
	if c.Paused && !file.Paused {
		kept.Paused, kept.Reason = true, c.Reason
	}
	if file.Frozen == "" {
		kept.Frozen = c.Frozen
	}
	for _, h := range c.Holds {
		if !slices.ContainsFunc(kept.Holds, h.same) {
			kept.Holds = append(slices.Clone(kept.Holds), h)
		}
	}
	return kept
}

// Looser reports whether the file takes away something that is in force.
func (c Control) Looser(file Control) bool {
	if c.Paused && !file.Paused || c.Frozen != "" && file.Frozen == "" {
		return true
	}
	return slices.ContainsFunc(c.Holds, func(h Hold) bool { return !slices.ContainsFunc(file.Holds, h.same) })
}

// same compares what is refused; who wrote it and why is commentary.
func (h Hold) same(o Hold) bool {
	return h.Digest == o.Digest && h.Revision == o.Revision
}

// minRevision is the shortest abbreviation of a revision that is compared.
const minRevision = 8

// Refuses says whether the control keeps some of what a rollback put on hold from
// coming back, its inputs or one of its digests, and whether it does so for all
// of it. Digests that are held hold the inputs too.
func (c Control) Refuses(inputs string, digests []string) (some, all bool) {
	revision := slices.ContainsFunc(c.Holds, func(h Hold) bool {
		return h.Revision == inputs || len(h.Revision) >= minRevision && strings.HasPrefix(inputs, h.Revision)
	})
	held := 0
	for _, digest := range digests {
		if slices.ContainsFunc(c.Holds, func(h Hold) bool { return h.Digest == digest }) {
			held++
		}
	}
	return revision || held > 0, held == len(digests) && (revision || held > 0)
}

// Freeze stops reading until an operator decides.
func Freeze(r Repository, reason string) Repository {
	r.Frozen = reason
	return r
}

// Wait says why the commit after the mark cannot be read, which only a person can
// mend. Reading it is tried again all the same.
func Wait(r Repository, reason string) Repository {
	r.Waiting = clip(reason)
	return r
}

// Settle drops the changes that no longer have to be proven.
func Settle(r Repository, name string, verified func(inputs string) bool) Repository {
	release, ok := r.Releases[name]
	if !ok {
		return r
	}
	unproven := release.Unproven(verified)
	if len(unproven) == len(release.Changes) {
		return r
	}
	release.Changes = slices.Clone(unproven)
	r.Releases = maps.Clone(r.Releases)
	r.Releases[name] = release
	return r
}
