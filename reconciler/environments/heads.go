package environments

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/sluice-cd/sluice/gitsource"
	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/reconciler/gate"
)

// readPushers asks who pushed the head. That the record does not tell is
// believed only after a while: GitHub writes it after the push.
func (q *inquiry) readPushers(ctx context.Context, pr forge.PullRequest) ([]forge.User, gate.Record, error) {
	pushers, err := q.ask.LastPushers(ctx, pr)
	switch {
	case errors.Is(err, forge.ErrNoRecord):
		return nil, gate.NoRecord, nil
	case errors.Is(err, forge.ErrPusherUnknown) && q.recently("who pushed "+pr.Head.Commit):
		return nil, gate.RecordSilent, fmt.Errorf("the forge may still be recording it: %w", err)
	case errors.Is(err, forge.ErrPusherUnknown):
		return nil, gate.RecordSilent, nil
	case err != nil:
		return nil, gate.RecordSilent, err
	}
	return pushers, gate.RecordTold, nil
}

// readBases asks when the difference that reviewers see was made another one.
func (q *inquiry) readBases(ctx context.Context, g *gate.Change) error {
	var err error
	g.BaseChanges, err = q.ask.BaseChanges(ctx, g.PullRequest.Number)
	switch {
	case errors.Is(err, forge.ErrNoRecord):
		g.BaseRecord = gate.NoRecord
		return nil
	case err != nil:
		return err
	}
	g.BaseRecord = gate.RecordTold
	return nil
}

// maxEarlier bounds how many commits that somebody reviewed are fetched for one
// pull request. An approval of an older one has to be given again.
const maxEarlier = 20

// readEarlier finds the commits that were approved before the branch was rebased
// onto what it is merged into, and whose approvals hold for the head as well.
// Whatever is in doubt is left out.
func (q *inquiry) readEarlier(ctx context.Context, g *gate.Change, onto string) error {
	pr := *g.PullRequest
	earlier := approved(g.Reviews, pr.Head.Commit)
	if onto == "" || len(earlier) == 0 {
		return nil
	}
	base, err := q.shownFrom(onto, pr.Head.Commit)
	if err != nil || base == "" {
		return err
	}
	for _, commit := range earlier {
		if here, err := q.obtained(ctx, commit); err != nil {
			return err
		} else if !here {
			continue
		}
		same, err := q.sameDifference(onto, commit, base, pr.Head.Commit)
		if err != nil {
			return err
		}
		if !same {
			continue
		}
		if err := q.count(ctx, g, commit); err != nil {
			return err
		}
	}
	return nil
}

// count lets the reviews of an earlier head count, but not those by whoever
// pushed it: that they did is in no commit.
func (q *inquiry) count(ctx context.Context, g *gate.Change, commit string) error {
	pr := *g.PullRequest
	pr.Head.Commit = commit
	pushers, record, err := q.readPushers(ctx, pr)
	if err != nil {
		return err
	}
	if record == gate.RecordSilent {
		return nil
	}
	g.EqualHeads = append(g.EqualHeads, commit)
	g.Pushers = append(slices.Clone(g.Pushers), pushers...) // the answer belongs to whoever asks again
	return nil
}

// approved lists the commits other than the head that somebody approved, the
// latest first.
func approved(reviews []forge.Review, head string) []string {
	var out []string
	for _, review := range slices.Backward(reviews) {
		fits := review.State == forge.Approved && review.User.Known() && review.Commit != "" && review.Commit != head
		if fits && !slices.Contains(out, review.Commit) && len(out) < maxEarlier {
			out = append(out, review.Commit)
		}
	}
	return out
}

// obtained fetches a commit that no branch may contain any more. Git's servers
// refuse one that is gone in the same words as one that they do not have at the
// moment, so the refusal is believed only after a while.
func (q *inquiry) obtained(ctx context.Context, commit string) (bool, error) {
	got, err := q.git.Fetch(ctx, commit)
	if err != nil {
		if ctx.Err() != nil || q.recently("obtain "+commit) {
			return false, err
		}
		return false, nil
	}
	return slices.Equal(got, []string{commit}), nil
}

// sameDifference reports whether reviewers of an earlier head were shown what
// the head adds to its base.
func (q *inquiry) sameDifference(onto, earlier, base, head string) (bool, error) {
	from, err := q.shownFrom(onto, earlier)
	if err != nil || from == "" {
		return false, err
	}
	same, _, err := q.git.SameContent(from, earlier, base, head)
	if errors.Is(err, gitsource.ErrMalformed) || errors.Is(err, gitsource.ErrOddName) {
		return false, nil // it was pushed by anybody, and must not stop everybody
	}
	return same, err
}
