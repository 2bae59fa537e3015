package environments

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/reconciler/gate"
)

// shownFrom is the commit that reviewers of a head were shown the difference to,
// "" where that cannot be told. The branch has to have been there before the head
// was made: a commit that came to it inside of another merge was not on it when
// somebody reviewed the head, who then was shown the difference to an older one,
// in which what was done and undone since does not appear.
func (q *inquiry) shownFrom(onto, head string) (string, error) {
	base, reason, err := q.git.OnlyMergeBase(onto, head)
	if err != nil || reason != "" {
		return "", err
	}
	if on, err := q.line.contains(base, onto); err != nil || !on {
		return "", err
	}
	return base, nil
}

// readShift adds when a part of the pull request came to the branch by another
// one: from then on reviewers are shown the difference to that part.
func (q *inquiry) readShift(ctx context.Context, g *gate.Change, onto string) error {
	if onto == "" {
		return nil
	}
	base, reason, err := q.git.OnlyMergeBase(onto, g.PullRequest.Head.Commit)
	if err != nil || reason != "" {
		return err // the reason is already that of the content
	}
	if on, err := q.line.contains(base, onto); err != nil || on {
		return err
	}
	with, err := q.broughtBy(base, onto)
	if err != nil {
		return err
	}
	other, err := q.ask.MergedPullRequest(ctx, with, q.branch)
	switch {
	case errors.Is(err, forge.ErrNoPullRequest) && q.recently("link "+with):
		return fmt.Errorf("the forge may still be linking commit %.12s to its pull request", with)
	case errors.Is(err, forge.ErrNoPullRequest), err == nil && other.MergeCommit != with:
		g.Content = gate.Answer{Reason: fmt.Sprintf(
			"a part of it came to the branch with commit %.12s, and nobody can tell when: update the branch and have it reviewed again", with)}
		return nil
	case err != nil:
		return err
	}
	g.BaseChanges = append(slices.Clone(g.BaseChanges), other.MergedAt) // the answer belongs to whoever asks again
	return nil
}

// broughtBy is the commit of the branch, up to onto, with which another one came
// to it. Once it is there it stays, so halving the line finds it.
func (q *inquiry) broughtBy(commit, onto string) (string, error) {
	line := []string{onto} // newest first, to one without the commit or to the root
	for has := true; has; {
		last := line[len(line)-1]
		for range len(line) {
			var err error
			if last, err = q.line.parent(last); err != nil {
				return "", err
			}
			if last == "" {
				break
			}
			line = append(line, last)
		}
		if last == "" {
			break
		}
		var err error
		if has, err = q.git.IsAncestor(commit, last); err != nil {
			return "", err
		}
	}
	var failed error
	before := sort.Search(len(line), func(i int) bool {
		has, err := q.git.IsAncestor(commit, line[i])
		failed = errors.Join(failed, err)
		return !has
	})
	return line[max(before-1, 0)], failed
}
