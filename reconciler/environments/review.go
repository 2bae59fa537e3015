package environments

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sluice-cd/sluice/gitsource"
	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/reconciler/gate"
)

// change finds the pull request of a commit on the branch and its review. All
// commits of one pull request give the same answer, named by its last commit.
func (q *inquiry) change(ctx context.Context, commit string, teams []string) gate.Change {
	g, _ := q.trace(ctx, commit, teams)
	return g
}

// trace is change together with the commit before the pull request's first one
// on the branch, where the content is proven.
func (q *inquiry) trace(ctx context.Context, commit string, teams []string) (g gate.Change, from string) {
	pr, err := q.ask.MergedPullRequest(ctx, commit, q.branch)
	switch {
	case errors.Is(err, forge.ErrNoPullRequest) && q.recently("link "+commit):
		return gate.Change{Commit: commit, Unknown: "the forge may still be linking the commit to its pull request"}, ""
	case errors.Is(err, forge.ErrNoPullRequest):
		return gate.Change{Commit: commit}, ""
	case err != nil:
		return gate.Change{Commit: commit, Unknown: err.Error()}, ""
	}
	g = gate.Change{Commit: commit, PullRequest: &pr}
	landed, err := q.landed(ctx, pr, commit)
	switch {
	case errors.Is(err, forge.ErrTooManyCommits):
		g.Content.Reason = tooManyCommits
	case err != nil:
		g.Content.Unknown = err.Error()
	case landed.inside:
		g.Commit = pr.MergeCommit
		g.Content, g.Owned, g.Paths = landed.content, ownedPaths(landed.changes), pathsThat(anyPath, landed.changes)
		g.Weakens = q.weakens(landed.from, pr.MergeCommit, g.Owned)
	default: // gates compare Commit with the merge commit and refuse
		g.Content = landed.content
	}
	onto := ""
	if g.Content.Yes {
		onto = landed.from
	}
	q.review(ctx, &g, teams, onto)
	return g, landed.from
}

// recently: the question has not been asked for long enough to believe that
// there is nothing to be found. When a commit was made is its writer's word
// alone, so the time counts from when the question was first asked.
func (q *inquiry) recently(question string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	first, known := q.missing[question]
	if !known {
		if len(q.missing) >= maxMissing {
			clear(q.missing)
		}
		first = q.now
		q.missing[question] = first
	}
	return q.now.Before(first.Add(q.linking))
}

// A landing is what a merged pull request put on the branch.
type landing struct {
	content gate.Answer
	changes []gitsource.Change
	from    string // the commit before it
	// inside: the commit that was asked about is part of it.
	inside bool
}

func (l landing) proven() bool { return l.content.Yes && l.inside }

// landed finds the range of commits of a merged pull request and whether what
// it brought is what was reviewed. A merge and a squash are one commit; a rebase
// puts each commit of the pull request on the branch, without merges.
func (q *inquiry) landed(ctx context.Context, pr forge.PullRequest, commit string) (landing, error) {
	if _, err := q.git.Fetch(ctx, pr.Head.Commit, pr.MergeCommit); err != nil {
		return landing{}, err
	}
	end, err := q.git.Commit(pr.MergeCommit)
	if err != nil {
		return landing{}, err
	}
	one, err := q.landing(end, 1, pr.Head.Commit, commit)
	if err != nil || one.proven() || len(end.Parents) != 1 {
		return one, err
	}
	n, err := q.replayed(ctx, pr)
	if err != nil || n < 2 {
		return one, err
	}
	all, err := q.landing(end, n, pr.Head.Commit, commit)
	if err != nil || all.proven() {
		return all, err
	}
	return q.likelier(one, all, end, pr.Head.Commit)
}

// replayed is how many commits a rebase of the pull request makes.
func (q *inquiry) replayed(ctx context.Context, pr forge.PullRequest) (int, error) {
	commits, err := q.ask.Commits(ctx, pr.Number)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, c := range commits {
		own, err := q.git.Commit(c.Commit)
		if err != nil {
			return 0, err
		}
		if len(own.Parents) < 2 {
			n++
		}
	}
	return n, nil
}

// likelier picks the failure that explains more: a rebase keeps message and
// time of the commit that it replays, a squash does not. Neither is a proof.
func (q *inquiry) likelier(one, all landing, end gitsource.Commit, head string) (landing, error) {
	if one.inside != all.inside {
		return all, nil
	}
	h, err := q.git.Commit(head)
	if err == nil && h.Message == end.Message && h.AuthorTime.Equal(end.AuthorTime) {
		return all, nil
	}
	return one, err
}

// landing compares the last n first-parent commits up to end with the review.
func (q *inquiry) landing(end gitsource.Commit, n int, head, commit string) (landing, error) {
	var out landing
	from := end
	for range n {
		out.inside = out.inside || from.SHA == commit
		if len(from.Parents) == 0 {
			out.content.Reason = "there is no commit before it"
			return out, nil
		}
		var err error
		if from, err = q.git.Commit(from.Parents[0]); err != nil {
			return landing{}, err
		}
	}
	out.from = from.SHA
	changes, err := q.git.Changes(from.SHA, end.SHA)
	if err != nil {
		return landing{}, err
	}
	out.changes = changes
	base, reason, err := q.git.OnlyMergeBase(from.SHA, head)
	if err != nil || reason != "" {
		out.content.Reason = reason
		return out, err
	}
	out.content.Yes, out.content.Reason, err = q.git.SameContent(from.SHA, end.SHA, base, head)
	return out, err
}

// proposed is the change of a pull request that is still open.
func (q *inquiry) proposed(ctx context.Context, pr forge.PullRequest, teams []string) gate.Change {
	g := gate.Change{Commit: pr.Head.Commit, PullRequest: &pr}
	tip, err := q.foresee(ctx, pr, &g)
	if err != nil {
		g.Content = gate.Answer{Unknown: err.Error()}
	}
	q.review(ctx, &g, teams, tip)
	return g
}

// foresee says whether a merge could be proven: not if the branch has changed
// one of the pull request's files since. It returns the tip that a merge would
// come on top of, if one could.
func (q *inquiry) foresee(ctx context.Context, pr forge.PullRequest, g *gate.Change) (onto string, err error) {
	if _, err := q.git.Fetch(ctx, pr.Head.Commit); err != nil {
		return "", err
	}
	tip, err := q.git.Last(ctx)
	if err != nil {
		return "", err
	}
	base, reason, err := q.git.OnlyMergeBase(tip, pr.Head.Commit)
	if err != nil || reason != "" {
		g.Content.Reason = reason
		return "", err
	}
	proposed, err := q.git.Changes(base, pr.Head.Commit)
	if err != nil {
		return "", err
	}
	since, err := q.git.Changes(base, tip)
	if err != nil {
		return "", err
	}
	g.Owned, g.Paths = ownedPaths(proposed), pathsThat(anyPath, proposed)
	g.Weakens = q.weakens(base, pr.Head.Commit, g.Owned)
	if p := overlap(proposed, since); p != "" {
		g.Content.Reason = fmt.Sprintf("%q was also changed on the base branch: update the branch and have it reviewed again", p)
		return "", nil
	}
	g.Content.Yes = true
	return tip, nil
}

// overlap is the first path that is in both, "" when there is none.
func overlap(a, b []gitsource.Change) string {
	in := make(map[string]bool, len(b))
	for _, c := range b {
		in[c.Path] = true
	}
	for _, c := range a {
		if in[c.Path] {
			return c.Path
		}
	}
	return ""
}

// review adds who had a hand in a pull request and what they said. Onto is the
// commit of the branch that it comes on top of, "" where nothing is proven anyway.
func (q *inquiry) review(ctx context.Context, g *gate.Change, teams []string, onto string) {
	if err := q.readReview(ctx, g, onto); err != nil {
		g.Unknown = err.Error()
		return
	}
	if err := q.readPeople(ctx, g, teams); err != nil {
		g.Unknown = err.Error()
	}
}

// tooManyCommits is refused instead of waited for: the answer never comes, and
// while it is waited for nothing after it is read.
const tooManyCommits = "it has more commits than the forge lists, so nobody can say who wrote all of them"

func (q *inquiry) readReview(ctx context.Context, g *gate.Change, onto string) error {
	pr := *g.PullRequest
	var err error
	if g.Reviews, err = q.ask.Reviews(ctx, pr.Number); err != nil {
		return err
	}
	switch g.Commits, err = q.ask.Commits(ctx, pr.Number); {
	case errors.Is(err, forge.ErrTooManyCommits):
		g.Content = gate.Answer{Reason: tooManyCommits}
		return nil
	case err != nil:
		return err
	}
	if err := q.readBases(ctx, g); err != nil {
		return err
	}
	if err := q.readShift(ctx, g, onto); err != nil {
		return err
	}
	if g.Pushers, g.PushRecord, err = q.readPushers(ctx, pr); err != nil {
		return err
	}
	return q.readEarlier(ctx, g, onto)
}

// readPeople asks what each reviewer may do. Nobody else's rights matter.
func (q *inquiry) readPeople(ctx context.Context, g *gate.Change, teams []string) error {
	g.Members, g.Writers = map[string]map[int64]bool{}, map[int64]bool{}
	users := reviewers(g.Reviews)
	for _, user := range users {
		permission, err := q.ask.Permission(ctx, user)
		if err != nil {
			return err
		}
		g.Writers[user.ID] = permission.MayWrite()
	}
	var unread error
	for _, team := range teams {
		members, err := q.members(ctx, team, users)
		if err != nil {
			unread = err
			continue
		}
		g.Members[team] = members
	}
	if unread != nil && len(g.Members) == 0 {
		return unread
	}
	return nil // a team that is absent leaves open what the others do not settle
}

// members are those of the users who are in the team.
func (q *inquiry) members(ctx context.Context, team string, users []forge.User) (map[int64]bool, error) {
	members := map[int64]bool{}
	for _, user := range users {
		yes, err := q.member(ctx, team, user)
		if err != nil {
			return nil, err
		}
		members[user.ID] = yes
	}
	return members, nil
}

// member takes a team ("org/team") or the login of one person. A login is
// whoever has it at the moment: the forge lets people change theirs, and others
// take one that became free. A team is safer and is what the documentation
// recommends.
func (q *inquiry) member(ctx context.Context, team string, user forge.User) (bool, error) {
	if !strings.Contains(team, "/") {
		return strings.EqualFold(team, user.Login), nil
	}
	return q.ask.TeamMember(ctx, team, user)
}

// reviewers are those who approved or objected, each once.
func reviewers(reviews []forge.Review) []forge.User {
	var out []forge.User
	for _, review := range reviews {
		if review.State != forge.Approved && review.State != forge.ChangesRequested || !review.User.Known() {
			continue
		}
		if !slices.ContainsFunc(out, func(u forge.User) bool { return u.ID == review.User.ID }) {
			out = append(out, review.User)
		}
	}
	return out
}
