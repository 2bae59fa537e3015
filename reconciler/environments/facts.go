package environments

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sluice-cd/sluice/gitsource"
	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/reconciler/gate"
	"github.com/sluice-cd/sluice/reconciler/intake"
	"github.com/sluice-cd/sluice/reconciler/release"
	"github.com/sluice-cd/sluice/schemas"
)

// A Candidate is what gates are asked about.
type Candidate struct {
	Key  release.Key
	Want release.Want
	// Retired: git asks for the release to go.
	Retired bool
	// Changes have to be proven.
	Changes []intake.Change
	// PullRequest is set for the preview of one that is not merged.
	PullRequest *forge.PullRequest
}

// Facts gathers what git and the forge know about a candidate. What could not
// be asked is unknown in the facts; the error is git's alone. Whoever asks adds
// what is known of the cluster and of other environments.
func (r *Repository) Facts(ctx context.Context, rules Rules, c Candidate, now time.Time) (gate.Facts, error) {
	environment, ok := rules.Policy.Environment(c.Key.Environment)
	if !ok {
		return gate.Facts{}, fmt.Errorf("gather facts of %s: the policy has no environment %s", c.Key, c.Key.Environment)
	}
	file, err := r.readFiles(rules, c.Key, c.Want.Promotion.Commit)
	if err != nil {
		return gate.Facts{}, err
	}
	f := gate.Facts{
		Environment: environment, First: rules.First(c.Key.Environment),
		Merged: c.PullRequest == nil, Retired: c.Retired,
		Repository: r.name, Branch: r.branch,
		Class: gate.Class(environment.Approvals, file.release.Change), Incident: file.release.Incident,
		Inputs: c.Want.Revision.Inputs, Revision: c.Want.Revision.ID,
		Artifacts: artifacts(file.release), BaseTree: c.Want.Revision.BaseTree,
	}
	f.Changes = r.changes(ctx, c, environment.Approvals.Teams, now)
	if !c.Retired {
		f.Checks = r.checks(ctx, environment.Checks, file.release, f.Changes, c)
	}
	return f, nil
}

func artifacts(file schemas.Release) []gate.Artifact {
	var out []gate.Artifact
	for _, a := range file.List() {
		out = append(out, gate.Artifact{
			Image: a.Image, Digest: a.Digest, Repository: a.Source.Repository, SourceCommit: a.Source.Commit,
		})
	}
	return out
}

// changes gathers the review of every change, one entry for each pull request.
func (r *Repository) changes(ctx context.Context, c Candidate, teams []string, now time.Time) []gate.Change {
	if c.PullRequest != nil {
		return []gate.Change{r.proposed(ctx, *c.PullRequest, teams)}
	}
	var out []gate.Change
	for _, change := range c.Changes {
		g := r.change(ctx, change, teams, now)
		if !slices.ContainsFunc(out, func(o gate.Change) bool { return o.Commit == g.Commit }) {
			out = append(out, g)
		}
	}
	return out
}

// change finds the pull request of a commit on the branch and its review. All
// commits of one pull request give the same answer, named by its last commit.
func (r *Repository) change(ctx context.Context, c intake.Change, teams []string, now time.Time) gate.Change {
	pr, err := r.forge.MergedPullRequest(ctx, c.Commit, r.branch)
	if errors.Is(err, forge.ErrNoPullRequest) {
		if wait := c.At.Add(r.linking); now.Before(wait) {
			return gate.Change{Commit: c.Commit, Unknown: "the forge may still be linking the commit to its pull request"}
		}
		return gate.Change{Commit: c.Commit}
	}
	if err != nil {
		return gate.Change{Commit: c.Commit, Unknown: err.Error()}
	}
	g := gate.Change{Commit: c.Commit, PullRequest: &pr}
	begin, err := r.begin(ctx, pr, c.Commit)
	if err != nil {
		g.Content.Unknown = err.Error()
		return g
	}
	if begin.outside {
		return g // gates compare Commit with the merge commit and refuse
	}
	g.Commit, g.Content = pr.MergeCommit, begin.content
	g.Owned = begin.owned
	return r.review(ctx, g, teams)
}

// proposed is the change of a pull request that is still open.
func (r *Repository) proposed(ctx context.Context, pr forge.PullRequest, teams []string) gate.Change {
	g := gate.Change{Commit: pr.Head.Commit, PullRequest: &pr}
	tip, err := r.git.Last(ctx)
	if err != nil {
		g.Unknown = err.Error()
		return g
	}
	base, reason, err := r.git.OnlyMergeBase(tip, pr.Head.Commit)
	switch {
	case err != nil:
		g.Unknown = err.Error()
		return g
	case reason != "":
		g.Content = gate.Answer{Reason: reason}
		return r.review(ctx, g, teams)
	}
	changes, err := r.git.Changes(base, pr.Head.Commit)
	if err != nil {
		g.Unknown = err.Error()
		return g
	}
	g.Content, g.Owned = gate.Answer{Yes: true}, ownedPaths(changes)
	return r.review(ctx, g, teams)
}

func ownedPaths(changes []gitsource.Change) []string {
	var out []string
	for _, c := range changes {
		if owned(c.Path) {
			out = append(out, c.Path)
		}
	}
	return out
}

// landing is a pull request's range of commits on the branch.
type landing struct {
	content gate.Answer
	owned   []string
	// outside: the commit that was asked about is not in the range.
	outside bool
}

// begin finds where a merged pull request's range begins and whether what it
// brought is what was reviewed. A merge and a squash are one commit; a rebase
// puts as many commits on the branch as the pull request had.
func (r *Repository) begin(ctx context.Context, pr forge.PullRequest, commit string) (landing, error) {
	if _, err := r.git.Fetch(ctx, pr.Head.Commit, pr.MergeCommit); err != nil {
		return landing{}, err
	}
	end, err := r.git.Commit(pr.MergeCommit)
	if err != nil {
		return landing{}, err
	}
	lengths := []int{1}
	if len(end.Parents) == 1 {
		commits, err := r.forge.Commits(ctx, pr.Number)
		if err != nil {
			return landing{}, err
		}
		if n := len(commits); n > 1 {
			lengths = append(lengths, n)
		}
	}
	var out landing
	for _, n := range lengths {
		if out, err = r.landing(end, n, pr.Head.Commit, commit); err != nil || out.content.Yes {
			return out, err
		}
	}
	return out, nil
}

// landing compares the last n first-parent commits up to end with the review.
func (r *Repository) landing(end gitsource.Commit, n int, head, commit string) (landing, error) {
	from, inside := end, false
	for range n {
		inside = inside || from.SHA == commit
		if len(from.Parents) == 0 {
			return landing{outside: !inside, content: gate.Answer{Reason: "it has no commit before it"}}, nil
		}
		var err error
		if from, err = r.git.Commit(from.Parents[0]); err != nil {
			return landing{}, err
		}
	}
	base, reason, err := r.git.OnlyMergeBase(from.SHA, head)
	if err != nil || reason != "" {
		return landing{outside: !inside, content: gate.Answer{Reason: reason}}, err
	}
	same, reason, err := r.git.SameContent(from.SHA, end.SHA, base, head)
	if err != nil {
		return landing{}, err
	}
	changes, err := r.git.Changes(from.SHA, end.SHA)
	return landing{content: gate.Answer{Yes: same, Reason: reason}, owned: ownedPaths(changes), outside: !inside}, err
}

// review adds who had a hand in a pull request and what they said.
func (r *Repository) review(ctx context.Context, g gate.Change, teams []string) gate.Change {
	if err := r.readReview(ctx, &g, teams); err != nil {
		g.Unknown = err.Error()
	}
	return g
}

func (r *Repository) readReview(ctx context.Context, g *gate.Change, teams []string) error {
	pr := *g.PullRequest
	var err error
	if g.Reviews, err = r.forge.Reviews(ctx, pr.Number); err != nil {
		return err
	}
	if g.Commits, err = r.forge.Commits(ctx, pr.Number); err != nil {
		return err
	}
	g.Pushers, err = r.forge.LastPushers(ctx, pr)
	g.PushersKnown = err == nil
	if err != nil && !errors.Is(err, forge.ErrPusherUnknown) {
		return err
	}
	return r.readPeople(ctx, g, teams)
}

// readPeople asks what each reviewer may do. Nobody else's rights matter.
func (r *Repository) readPeople(ctx context.Context, g *gate.Change, teams []string) error {
	g.Members, g.Writers = map[string]map[int64]bool{}, map[int64]bool{}
	for _, team := range teams {
		g.Members[team] = map[int64]bool{}
	}
	for _, user := range reviewers(g.Reviews) {
		permission, err := r.forge.Permission(ctx, user)
		if err != nil {
			return err
		}
		g.Writers[user.ID] = permission.MayWrite()
		for _, team := range teams {
			if g.Members[team][user.ID], err = r.member(ctx, team, user); err != nil {
				return err
			}
		}
	}
	return nil
}

// member takes a team ("org/team") or the login of one person.
func (r *Repository) member(ctx context.Context, team string, user forge.User) (bool, error) {
	if !strings.Contains(team, "/") {
		return strings.EqualFold(team, user.Login), nil
	}
	return r.forge.TeamMember(ctx, team, user)
}

func reviewers(reviews []forge.Review) []forge.User {
	var out []forge.User
	for _, review := range reviews {
		known := slices.ContainsFunc(out, func(u forge.User) bool { return u.ID == review.User.ID })
		if review.User.Known() && !known {
			out = append(out, review.User)
		}
	}
	return out
}

// checks gathers the runs of every check that the policy names.
func (r *Repository) checks(ctx context.Context, wanted []schemas.Check, file schemas.Release, changes []gate.Change, c Candidate) map[string]gate.CheckFacts {
	out := map[string]gate.CheckFacts{}
	ask := r.asker()
	for _, check := range wanted {
		switch check.On {
		case schemas.OnSource:
			out[check.Gate] = sourceFacts(ctx, ask, file)
		case schemas.OnMerge:
			out[check.Gate] = r.mergeFacts(ctx, ask, changes, c)
		}
	}
	return out
}

// sourceFacts asks about the commits that the artifacts were built from.
func sourceFacts(ctx context.Context, ask *asker, file schemas.Release) gate.CheckFacts {
	var facts gate.CheckFacts
	for _, a := range file.List() {
		subject := gate.Subject{Repository: a.Source.Repository, Commits: []string{a.Source.Commit}}
		subject.Runs, subject.Unknown = ask.runs(ctx, a.Source.Repository, a.Source.Commit)
		subject.Contained = ask.contained(ctx, a.Source.Repository, a.Source.Commit)
		facts.Subjects = append(facts.Subjects, subject)
	}
	return facts
}

// mergeFacts asks about the merge of the promotion: its commit, and the
// reviewed head where the release's directory is the same there.
func (r *Repository) mergeFacts(ctx context.Context, ask *asker, changes []gate.Change, c Candidate) gate.CheckFacts {
	if len(changes) == 0 {
		return gate.CheckFacts{Unknown: "which changes led to these inputs is not known"}
	}
	last := changes[len(changes)-1]
	commits := []string{last.Commit}
	if pr := last.PullRequest; pr != nil && c.PullRequest == nil && last.Content.Yes && r.sameDirectory(c.Key, last.Commit, pr.Head.Commit) {
		commits = append(commits, pr.Head.Commit)
	}
	subject := gate.Subject{Repository: r.name, Commits: commits}
	for _, commit := range commits {
		runs, unknown := ask.runs(ctx, r.name, commit)
		if unknown != "" {
			subject.Unknown = unknown
		}
		subject.Runs = append(subject.Runs, runs...)
	}
	return gate.CheckFacts{Subjects: []gate.Subject{subject}}
}

func (r *Repository) sameDirectory(key release.Key, a, b string) bool {
	inA, errA := r.git.SubtreeHash(a, key.String())
	inB, errB := r.git.SubtreeHash(b, key.String())
	return errA == nil && errB == nil && inA == inB
}

// An asker asks each question once, however many checks need the answer.
type asker struct {
	forge    Checks
	answered map[string][]forge.Check
	refused  map[string]string
	within   map[string]gate.Answer
}

func (r *Repository) asker() *asker {
	return &asker{forge: r.forge, answered: map[string][]forge.Check{}, refused: map[string]string{}, within: map[string]gate.Answer{}}
}

func (a *asker) runs(ctx context.Context, repository, commit string) ([]forge.Check, string) {
	key := repository + "@" + commit
	if runs, ok := a.answered[key]; ok {
		return runs, a.refused[key]
	}
	runs, err := a.forge.Checks(ctx, repository, commit)
	if err != nil {
		a.refused[key] = err.Error()
	}
	a.answered[key] = runs
	return runs, a.refused[key]
}

func (a *asker) contained(ctx context.Context, repository, commit string) gate.Answer {
	key := repository + "@" + commit
	if answer, ok := a.within[key]; ok {
		return answer
	}
	a.within[key] = a.contains(ctx, repository, commit)
	return a.within[key]
}

func (a *asker) contains(ctx context.Context, repository, commit string) gate.Answer {
	branch, err := a.forge.Branch(ctx, repository, "")
	if err != nil {
		return gate.Answer{Unknown: err.Error()}
	}
	if !branch.Protected {
		return gate.Answer{Reason: fmt.Sprintf("branch %s of %s is not protected", branch.Name, repository)}
	}
	yes, err := a.forge.Contains(ctx, branch, commit)
	if err != nil {
		return gate.Answer{Unknown: err.Error()}
	}
	if !yes {
		return gate.Answer{Reason: fmt.Sprintf("commit %.12s is not in branch %s of %s", commit, branch.Name, repository)}
	}
	return gate.Answer{Yes: true}
}
