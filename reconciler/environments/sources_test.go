package environments_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/gitsource/gittest"
	"github.com/sluice-cd/sluice/reconciler/environments"
	"github.com/sluice-cd/sluice/reconciler/gate"
	"github.com/sluice-cd/sluice/reconciler/release"
)

// build merges a change of the source as a labelled pull request and returns
// what it was merged as.
func (w *world) build(name string, labels ...string) string {
	w.t.Helper()
	require.NoError(w.t, w.source.Branch("alice", name, "main"))
	w.must(w.source.PushAs("alice", "dave <15+dave@users.noreply.127.0.0.1>", name, "change "+name, map[string]string{name + ".go": "package main\n"}))
	number, err := w.source.OpenPR("alice", "Change "+name, name, "main")
	require.NoError(w.t, err)
	require.NoError(w.t, w.source.Label(number, labels...))
	sha := w.must(w.source.Merge("alice", number, gittest.MergeCommit))
	for _, check := range []string{"test", "sast"} {
		w.check(w.source, sha, check, "success")
	}
	return sha
}

// stable is what production has now, as if it had been proven.
func (w *world) stable() *release.Revision {
	w.t.Helper()
	revision := w.candidate(production).Want.Revision
	return &revision
}

// listen is a restart with another source of answers about source repositories.
func (w *world) listen(history environments.History) {
	w.reopen(func(f environments.Forge) environments.Forge { return f })
	w.envs = environments.New(environments.Config{Mirror: w.mirror, Forge: w.client, History: history, Name: repoName, Branch: "main"})
	_, err := w.mirror.Tip(w.t.Context())
	require.NoError(w.t, err)
}

// promote merges a promotion of a source commit that bob approved and judges it
// on top of what is stable.
func (w *world) promote(source string, more ...string) map[string]gate.Result {
	w.t.Helper()
	stable := w.stable()
	f := w.file("two")
	f.source = source
	w.propose("two", map[string]string{unproven: f.String()}).approve(append(more, "bob")...).merge(gittest.Squash)
	w.poll()
	c := w.candidate(production)
	c.Stable, c.Changes = stable, c.Changes[len(c.Changes)-1:]
	return w.judge(w.facts(c))
}

func TestLabelsOfSourcePullRequestsDecideTheClass(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.build("quiet")
	w.build("loud", "breaking")
	r := w.promote(w.build("last"))[gate.Approvals]
	assert.Equal(t, gate.Short, r.Cause, r.Reason)
	assert.Contains(t, r.Reason, "1 of 2 approvals")
	assert.Contains(t, evidence(r), "acme/checkout#2 “Change loud” has the label breaking")
}

func TestEnoughApprovalsForTheDerivedClassPass(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.promote(w.build("loud", "security"), "erin")[gate.Approvals]
	assert.Equal(t, gate.Met, r.Cause, r.Reason)
	assert.Contains(t, r.Reason, "2 of 2")
}

func TestOnlyWhatIsNewCountsForTheClass(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.built = w.build("loud", "breaking")
	w.push("main", map[string]string{unproven: w.file("zero").String()}) // what is stable
	w.poll()
	r := w.promote(w.build("quiet"))[gate.Approvals]
	assert.Equal(t, gate.Met, r.Cause, r.Reason)
}

func TestTakingAChangeBackIsOfItsClassToo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	older := w.built
	w.built = w.build("loud", "breaking")
	w.push("main", map[string]string{unproven: w.file("zero").String()})
	w.poll()
	r := w.promote(older)[gate.Approvals]
	assert.Equal(t, gate.Short, r.Cause, r.Reason)
}

func TestAnotherImageOfTheSameSourceIsComparedToo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	source := w.build("loud", "breaking")
	stable := w.stable()
	f := w.file("two")
	f.source = source
	text := replace(f.String(), image, image+"2")
	w.propose("two", map[string]string{unproven: text}).approve("bob").merge(gittest.Squash)
	w.poll()
	c := w.candidate(production)
	c.Stable = stable
	assert.Equal(t, gate.Short, w.judge(w.facts(c))[gate.Approvals].Cause)
}

// A silence is a forge that does not answer about source repositories.
type silence struct {
	environments.History
	err error
}

func (s silence) Compare(context.Context, string, string, string) (forge.Comparison, error) {
	return forge.Comparison{}, s.err
}

func TestSilenceAboutTheSourceWaitsUnlessTheStrictestClassIsMet(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.listen(silence{err: &forge.TransientError{Subject: "compare", Err: errors.New("HTTP 503")}})
	r := w.promote(w.build("loud", "breaking"))[gate.Approvals]
	assert.Equal(t, gate.Wait, r.Verdict, r.Reason)
	assert.True(t, r.Unknown)
	assert.Contains(t, r.Reason, "HTTP 503")
}

func TestTooManySourceCommitsAreOfTheStrictestClass(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.listen(silence{err: fmt.Errorf("compare: %w", forge.ErrTooManyCommits)})
	r := w.promote(w.build("quiet"))[gate.Approvals]
	assert.Equal(t, gate.Short, r.Cause, r.Reason)
	assert.Contains(t, evidence(r), "promote in smaller steps")
}

func TestForgeThatCannotCompareIsSaidSo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.listen(nil)
	r := w.promote(w.build("loud", "breaking"))[gate.Approvals]
	assert.Equal(t, gate.Met, r.Cause, r.Reason)
	assert.Contains(t, evidence(r), "could not be checked")
}

func TestLabelsAreAskedAgainAfterAWhile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stable := w.stable()
	f := w.file("two")
	f.source = w.build("late")
	w.propose("two", map[string]string{unproven: f.String()}).approve("bob").merge(gittest.Squash)
	w.poll()
	c := w.candidate(production)
	c.Stable = stable
	require.Equal(t, gate.Met, w.judge(w.facts(c))[gate.Approvals].Cause)

	require.NoError(t, w.source.Label(1, "breaking"))
	w.exchanges()
	w.facts(c)
	asked := 0
	for _, e := range w.exchanges() {
		if e.API == "commit-pulls" {
			asked++
		}
	}
	assert.Equal(t, 1, asked, "of the promotion itself, not of its commits with every look")
	w.wait(6 * time.Minute)
	assert.Equal(t, gate.Short, w.judge(w.facts(c))[gate.Approvals].Cause)
}

const exclusive = "teams: [acme/releasers], excludeSourceAuthors: true}"

func TestAuthorsOfTheSourceDoNotApproveItsPromotion(t *testing.T) {
	t.Parallel()
	for author, want := range map[string]gate.Cause{"bob": gate.Short, "dave": gate.Met} {
		w := newWorld(t)
		w.propose("stricter", map[string]string{"sluice.yaml": replace(policy, "teams: [acme/releasers]}", exclusive)}).approve("carol").merge(gittest.Squash)
		w.poll()
		w.must(w.source.Push(author, "main", "work", map[string]string{"work.go": "package main\n"}))
		r := w.promote(w.build("quiet"))[gate.Approvals]
		assert.Equal(t, want, r.Cause, r.Reason)
		if want == gate.Short {
			assert.Contains(t, evidence(r), "bob approved, but does not count: wrote commit")
		}
	}
}

func TestCoAuthorsOfTheSourceDoNotApproveItsPromotion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.propose("stricter", map[string]string{"sluice.yaml": replace(policy, "teams: [acme/releasers]}", exclusive)}).approve("carol").merge(gittest.Squash)
	w.poll()
	w.must(w.source.Push("alice", "main", "work\n\nCo-authored-by: B <13+bob@users.noreply.127.0.0.1>", map[string]string{"work.go": "package main\n"}))
	r := w.promote(w.build("quiet"))[gate.Approvals]
	assert.Equal(t, gate.Short, r.Cause, evidence(r))
}

func TestFirstReleaseIsNotApprovedByItsNewestAuthors(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.propose("stricter", map[string]string{"sluice.yaml": replace(policy, "teams: [acme/releasers]}", exclusive)}).approve("carol").merge(gittest.Squash)
	w.poll()
	f := w.file("two")
	f.source = w.must(w.source.Push("bob", "main", "work", map[string]string{"work.go": "package main\n"}))
	w.propose("two", map[string]string{unproven: f.String()}).approve("bob").merge(gittest.Squash)
	r := w.verdicts()[gate.Approvals] // nothing is stable
	assert.Equal(t, gate.Short, r.Cause, r.Reason)
	assert.Contains(t, evidence(r), "it is the first release")
}
