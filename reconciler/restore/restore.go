package restore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sluice-cd/sluice/gitsource"
	"github.com/sluice-cd/sluice/reconciler"
	"github.com/sluice-cd/sluice/reconciler/environments"
	"github.com/sluice-cd/sluice/reconciler/release"
)

// Writer commits to a branch; see gitsource.Writer.
type Writer interface {
	Write(ctx context.Context, p gitsource.Proposal) (sha string, err error)
	Draft(ctx context.Context, p gitsource.Proposal) (gitsource.Draft, error)
	Offer(ctx context.Context, d gitsource.Draft, branch string, now time.Time) (sha string, err error)
}

// Inputs says what a commit asks for of a release, as its identity; "" when
// that cannot be used.
type Inputs interface {
	Rules(commit string) (environments.Rules, error)
	Inputs(rules environments.Rules, key release.Key, commit string) (string, error)
}

// Trees identifies directories by content; see gitsource.Mirror.
type Trees interface {
	TreeHashWithout(commit, dir string, except ...string) (string, error)
}

// A Committer writes to the followed branch.
type Committer struct {
	Writer Writer
	Inputs Inputs
	// Trees recognises what failed where its inputs cannot be computed, because
	// somebody broke the control file. Without it such a directory waits until
	// the file is mended.
	Trees  Trees
	Branch string
	// Proposer goes the way of a pull request where the branch takes no pushes or
	// the policy wants a person to decide. Without it, that is refused.
	Proposer Proposer
	// Version of Sluice, for the trailers.
	Version string

	// mu guards the following.
	mu sync.Mutex
	// closedUntil is how long the branch is taken to refuse pushes.
	closedUntil time.Time
}

// Commit implements reconciler.Committer. A hold that cannot be written is
// ErrRefused also after the directory was restored: the next call only has the
// hold left to do.
func (c *Committer) Commit(ctx context.Context, key release.Key, commit release.Commit) (string, error) {
	switch {
	case commit.Propose && c.Proposer == nil:
		return "", refuse(errors.New("the policy wants a pull request, and this forge is not asked for any"))
	case commit.Propose:
		return c.propose(ctx, key, commit, errors.New("the policy leaves it to a person to revert what was refused"))
	case c.closed(time.Now()):
		return c.propose(ctx, key, commit, fmt.Errorf("branch %s takes no pushes", c.Branch))
	}
	return c.push(ctx, key, commit)
}

func (c *Committer) push(ctx context.Context, key release.Key, commit release.Commit) (string, error) {
	var unwritten error
	sha, err := c.Writer.Write(ctx, c.proposal(key, commit, &unwritten))
	switch {
	case errors.Is(err, gitsource.ErrRefused) && c.Proposer != nil:
		c.close(time.Now())
		return c.propose(ctx, key, commit, err)
	case errors.Is(err, gitsource.ErrNothingToDo):
		return "", refuse(unwritten)
	case errors.Is(err, gitsource.ErrRefused), errors.Is(err, gitsource.ErrBadPlan), errors.Is(err, gitsource.ErrBadMessage):
		return "", refuse(errors.Join(err, unwritten))
	case err != nil:
		return "", err
	case unwritten != nil:
		return "", refuse(fmt.Errorf("%.12s restored %s, but %w", sha, key, unwritten))
	}
	return sha, nil
}

// proposal decides on whatever the newest tip is; unwritten is then why it goes
// without the hold.
func (c *Committer) proposal(key release.Key, commit release.Commit, unwritten *error) gitsource.Proposal {
	return gitsource.Proposal{
		Branch: c.Branch,
		Time:   time.Now(),
		Decide: func(tip gitsource.TipView) (plan gitsource.Plan, err error) {
			plan, *unwritten, err = c.decide(key, commit, tip)
			return plan, err
		},
	}
}

func refuse(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", reconciler.ErrRefused, err)
}

// decide plans the commit for one tip. unwritten says why the plan goes without
// the hold.
func (c *Committer) decide(key release.Key, commit release.Commit, tip gitsource.TipView) (p gitsource.Plan, unwritten, err error) {
	found, err := c.find(key, commit, tip)
	if err != nil {
		return p, nil, err
	}
	if found == failed && commit.Good != "" {
		p.Edits = append(p.Edits, gitsource.RestoreDir{Dir: key.String(), Commit: commit.Good, Except: []string{controlFile}})
	}
	if commit.Hold != nil {
		var edits []gitsource.Edit
		if edits, unwritten, err = holdEdits(key, *commit.Hold, tip); err != nil {
			return p, nil, err
		}
		p.Edits = append(p.Edits, edits...)
	}
	t := text{key: key, Commit: commit, found: found, unwritten: unwritten, sluice: c.Version}
	p.Message, p.Trailers = t.message(), t.trailers()
	return p, unwritten, nil
}
