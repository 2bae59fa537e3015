package environments

import (
	"context"
	"fmt"
	"slices"

	"github.com/sluice-cd/sluice/reconciler/gate"
	"github.com/sluice-cd/sluice/reconciler/intake"
)

// A turn is a commit of the branch that changed a directory.
type turn struct {
	commit string
	tree   string // of the directory, after it
}

// A trail asks how a directory came to be what it is.
type trail struct {
	dir    string
	except []string
	// trusted is the content that was proven before, "" when none was.
	trusted string
	// genesis is the commit up to which an operator vouches for everything.
	genesis string
}

// turns lists what made the directory what it is at a commit of the branch,
// oldest first: back to what is trusted, to the baseline or to where there was
// nothing. What was taken back again left no trace and is not listed.
func (q *inquiry) turns(t trail, to string) ([]turn, error) {
	if t.genesis != "" {
		if vouched, err := q.line.contains(to, t.genesis); err != nil || vouched {
			return nil, err
		}
	}
	tree, err := q.git.TreeHashWithout(to, t.dir, t.except...)
	if err != nil {
		return nil, err
	}
	var back []turn
	for at := to; at != t.genesis && tree != "" && tree != t.trusted; {
		parent, err := q.line.parent(at)
		if err != nil {
			return nil, err
		}
		before := ""
		if parent != "" {
			if before, err = q.git.TreeHashWithout(parent, t.dir, t.except...); err != nil {
				return nil, err
			}
		}
		if before != tree {
			back = append(back, turn{commit: at, tree: tree})
		}
		at, tree = parent, before
	}
	slices.Reverse(back)
	return withoutDetours(tree, back), nil
}

// withoutDetours drops what leads from a content back to the same content.
func withoutDetours(start string, turns []turn) []turn {
	var out []turn
	for _, t := range turns {
		met := slices.IndexFunc(out, func(o turn) bool { return o.tree == t.tree })
		switch {
		case t.tree == start:
			out = nil
		case met >= 0:
			out = out[:met+1]
		default:
			out = append(out, t)
		}
	}
	return out
}

// origins gathers the review of what a candidate builds upon: of the base that
// it pins, which its own pull request shows as a mere name, and of the files
// that lay in its directory before there was a release.
func (q *inquiry) origins(ctx context.Context, c Candidate, listed []intake.Change, teams []string) ([]gate.Change, error) {
	if c.Retired || len(listed) == 0 && c.PullRequest == nil {
		return nil, nil
	}
	early, err := q.early(ctx, c, listed, teams)
	if err != nil {
		return nil, err
	}
	base, err := q.pinned(ctx, c, teams)
	return append(early, base...), err
}

// early is about the files that were there before the first release.
func (q *inquiry) early(ctx context.Context, c Candidate, listed []intake.Change, teams []string) ([]gate.Change, error) {
	if c.Stable != nil || len(listed) == 0 || listed[0].Before != "" {
		return nil, nil
	}
	t := trail{dir: c.Key.String(), except: []string{controlFile}, genesis: c.Genesis}
	return q.proofs(ctx, t, listed[0].From, teams)
}

// pinned is about the base. Where it is not pinned it is read from the commits
// of the release itself, whose changes are listed.
func (q *inquiry) pinned(ctx context.Context, c Candidate, teams []string) ([]gate.Change, error) {
	want := c.Want.Revision
	if want.Base == want.Commit {
		return nil, nil
	}
	t := trail{dir: baseDir(c.Key), genesis: c.Genesis}
	if c.Stable != nil {
		t.trusted = c.Stable.BaseTree
	}
	out, err := q.proofs(ctx, t, want.Base, teams)
	for i := range out {
		// Whether it changed the rules was decided when it was read.
		out[i].Base, out[i].Owned = true, nil
	}
	return out, err
}

// proofs gathers the review of a directory's turns, one entry for each pull
// request. A state inside of a rebased one was seen by nobody.
func (q *inquiry) proofs(ctx context.Context, t trail, to string, teams []string) ([]gate.Change, error) {
	turns, err := q.turns(t, to)
	if err != nil {
		return nil, err
	}
	var out []gate.Change
	for i, turn := range turns {
		g := q.change(ctx, turn.commit, teams)
		if n := len(out); n > 0 && out[n-1].Commit == g.Commit {
			out = out[:n-1] // its last turn decides
		}
		if g.Content.Yes && i == len(turns)-1 {
			end, err := q.git.TreeHashWithout(g.Commit, t.dir, t.except...)
			if err != nil {
				return nil, err
			}
			if end != turn.tree {
				g.Content = gate.Answer{Reason: fmt.Sprintf("%.12s is a state inside of it", to)}
			}
		}
		out = append(out, g)
	}
	return out, nil
}

// sinceTrusted drops the changes before the directory was again what it was
// before the first of them, or was empty: what it holds since then is all in the
// changes that follow. The last one stays.
func (q *inquiry) sinceTrusted(c Candidate) ([]intake.Change, error) {
	listed := c.Changes
	end := len(listed) - 1
	if c.PullRequest != nil {
		end++ // it is the last one
	}
	if end < 1 {
		return listed, nil
	}
	tree := func(commit string) (string, error) {
		return q.git.TreeHashWithout(commit, c.Key.String(), controlFile)
	}
	start, err := tree(listed[0].From)
	if err != nil {
		return nil, err
	}
	for i := end - 1; i >= 0; i-- {
		if listed[i].After != "" && listed[i].After != listed[0].Before {
			continue
		}
		now, err := tree(listed[i].Commit)
		if err != nil {
			return nil, err
		}
		if now == "" || now == start && listed[i].After == listed[0].Before {
			return listed[i+1:], nil
		}
	}
	return listed, nil
}
