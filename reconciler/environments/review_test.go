package environments_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/gitsource/gittest"
	"github.com/sluice-cd/sluice/reconciler/environments"
	"github.com/sluice-cd/sluice/reconciler/gate"
	"github.com/sluice-cd/sluice/reconciler/intake"
)

func TestMergedPromotionIsProvenForEachWayToMerge(t *testing.T) {
	t.Parallel()
	for _, method := range []gittest.Method{gittest.MergeCommit, gittest.Squash, gittest.Rebase} {
		t.Run(string(method), func(t *testing.T) {
			w := newWorld(t)
			p := w.propose("two", map[string]string{production + "/kustomization.yaml": overlay(5)}, w.promotion("two")).approve("bob")
			w.push("main", map[string]string{"docs/note.md": "main moved on\n"})
			sha := p.merge(method)
			w.check(w.repo, sha, "validate", "success")
			w.poll()

			c := w.candidate(production)
			assert.Len(t, c.Changes, map[gittest.Method]int{gittest.MergeCommit: 1, gittest.Squash: 1, gittest.Rebase: 2}[method])
			f := w.facts(c)
			require.Len(t, f.Changes, 1, "all commits of one pull request are one change")
			assert.Equal(t, sha, f.Changes[0].Commit)
			assert.Equal(t, gate.Answer{Yes: true}, f.Changes[0].Content)
			for name, r := range w.judge(f) {
				assert.Equal(t, gate.Pass, r.Verdict, "%s: %s", name, r.Reason)
			}
		})
	}
}

func TestRebaseOfABranchThatWasUpdatedByAMergeIsProven(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.propose("two", map[string]string{production + "/kustomization.yaml": overlay(5)})
	w.push("main", map[string]string{"docs/note.md": "main moved on\n"})
	w.must(w.repo.Git().Merge("two", "main", gittest.MergeCommit, "Merge main", "alice <alice@example.com>"))
	w.push("two", w.promotion("two")) // announces the merge as well
	p.approve("bob").merge(gittest.Rebase)

	r := w.verdicts()
	assert.Equal(t, gate.Pass, r[gate.Integrity].Verdict, r[gate.Integrity].Reason)
}

func TestDirectPushIsRefusedAfterTheForgeHadTimeToLinkIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.push("main", w.promotion("two"))
	r := w.verdicts()[gate.Integrity]
	assert.True(t, r.Unknown, "GitHub links a fresh merge commit a moment later")
	assert.Contains(t, r.Reason, "linking")

	w.wait(time.Minute)
	r = w.verdicts()[gate.Integrity]
	assert.Equal(t, gate.Fail, r.Verdict)
	assert.Contains(t, r.Reason, "pushed without a pull request")
}

func TestCommitFromTheFutureDoesNotWaitForEver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.wait(10 * 365 * 24 * time.Hour)
	w.push("main", w.promotion("two"))
	w.wait(-10 * 365 * 24 * time.Hour)
	assert.True(t, w.verdicts()[gate.Integrity].Unknown)
	w.wait(time.Minute)
	assert.Equal(t, gate.Fail, w.verdicts()[gate.Integrity].Verdict)
}

func TestReviewedChangeDoesNotCureADirectPushBeforeIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	pushed := w.must(w.repo.Push("mallory", "main", "quick fix", w.promotion("evil")))
	w.propose("harmless", map[string]string{production + "/kustomization.yaml": overlay(4)}).approve("bob").merge(gittest.Squash)
	w.verdicts()
	w.wait(time.Minute)

	r := w.verdicts()[gate.Integrity]
	assert.Equal(t, gate.Fail, r.Verdict)
	assert.Contains(t, r.Reason, pushed[:8])
	require.Len(t, w.candidate(production).Changes, 2)
}

func TestWhatLandedDiffersFromTheReview(t *testing.T) {
	t.Parallel()
	t.Run("a file changed on the base branch too", func(t *testing.T) {
		w := newWorld(t)
		kustomization := production + "/kustomization.yaml"
		p := w.propose("two", with(w.promotion("two"), map[string]string{kustomization: overlay(3) + "namePrefix: \"\"\n"})).approve("bob")
		w.push("main", map[string]string{kustomization: "# on main\n" + overlay(3)})
		p.merge(gittest.Squash)
		w.verdicts()
		w.wait(time.Minute)
		changes := w.facts(w.candidate(production)).Changes
		require.Len(t, changes, 2)
		assert.False(t, changes[1].Content.Yes)
		assert.Contains(t, changes[1].Content.Reason, kustomization)
		assert.Contains(t, changes[1].Content.Reason, "also changed on the base branch")
	})
	t.Run("several merge bases", func(t *testing.T) {
		w := newWorld(t)
		git, who := w.repo.Git(), "alice <alice@example.com>"
		p := w.propose("two", w.promotion("two"))
		w.push("main", map[string]string{"docs/note.md": "main\n"})
		main, head := w.must(git.SHA("main")), p.head
		w.must(git.Merge("main", head, gittest.MergeCommit, "one way", who))
		require.NoError(t, w.repo.Branch("alice", "two", head))
		w.must(git.Merge("two", main, gittest.MergeCommit, "other way", who))
		w.push("two", map[string]string{production + "/kustomization.yaml": overlay(9)})
		p.approve("bob").merge(gittest.MergeCommit)
		w.poll()
		changes := w.facts(w.candidate(production)).Changes
		last := changes[len(changes)-1]
		assert.False(t, last.Content.Yes)
		assert.Contains(t, last.Content.Reason, "2 merge bases")
	})
}

// An editedMerge is a forge where somebody merged by hand: GitHub takes the
// commit that was pushed for the merge commit of the pull request.
type editedMerge struct {
	environments.Forge
	merged, edited string
}

func (e editedMerge) MergedPullRequest(ctx context.Context, commit, base string) (forge.PullRequest, error) {
	if commit == e.edited {
		commit = e.merged
	}
	pr, err := e.Forge.MergedPullRequest(ctx, commit, base)
	if pr.MergeCommit == e.merged {
		pr.MergeCommit = e.edited
	}
	return pr, err
}

func TestMergeThatWasEditedIsNotProven(t *testing.T) {
	t.Parallel()
	for _, method := range []gittest.Method{gittest.MergeCommit, gittest.Squash, gittest.Rebase} {
		t.Run(string(method), func(t *testing.T) {
			w := newWorld(t)
			sha := w.propose("two", w.promotion("two"), map[string]string{"staging/checkout/kustomization.yaml": overlay(5)}).approve("bob").merge(method)
			git := w.repo.Git()
			require.NoError(t, git.Branch("scratch", sha))
			tree := w.must(git.Commit("scratch", "edit", "", map[string]string{production + "/patch.yaml": "evil: true\n"})) + "^{tree}"
			args := []string{"-c", "user.name=Bob", "-c", "user.email=bob@example.com", "commit-tree", tree, "-m", "merged by hand"}
			parents, err := git.Git("log", "-1", "--format=%P", sha)
			require.NoError(t, err)
			for _, parent := range strings.Fields(parents) {
				args = append(args, "-p", parent)
			}
			edited := w.must(git.Git(args...))
			require.NoError(t, git.Branch("main", edited))
			w.reopen(func(f environments.Forge) environments.Forge { return editedMerge{f, sha, edited} })

			r := w.verdicts()[gate.Integrity]
			assert.Equal(t, gate.Fail, r.Verdict)
			assert.Contains(t, r.Reason, "not proven to be what was reviewed")
			assert.Contains(t, r.Reason, "patch.yaml")
		})
	}
}

func TestPullRequestFromAForkIsProvenLikeAnyOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	fork := w.forge.Repository("mallory/environments")
	_, err := fork.Git().Git("fetch", "--quiet", w.repo.Git().Dir, "+refs/heads/main:refs/heads/main")
	require.NoError(t, err)
	_, err = fork.Push("mallory", "main", "promote", w.promotion("two"))
	require.NoError(t, err)
	number, err := w.repo.OpenPR("mallory", "Promote", "mallory:main", "main")
	require.NoError(t, err)
	pull{w: w, number: number}.approve("bob").merge(gittest.Squash)

	r := w.verdicts()
	assert.Equal(t, gate.Pass, r[gate.Integrity].Verdict, r[gate.Integrity].Reason)
	assert.Equal(t, gate.Pass, r[gate.Approvals].Verdict, r[gate.Approvals].Reason)
}

func TestPullRequestAgainstAnotherBranchProvesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.repo.Branch("alice", "release", "main"))
	require.NoError(t, w.repo.Branch("alice", "two", "main"))
	w.push("two", w.promotion("two"))
	number, err := w.repo.OpenPR("alice", "Promote", "two", "release")
	require.NoError(t, err)
	sha := pull{w: w, number: number}.approve("bob").merge(gittest.MergeCommit)
	require.NoError(t, w.repo.Branch("mallory", "main", sha)) // a fast-forward
	w.verdicts()
	w.wait(time.Minute)
	r := w.verdicts()[gate.Integrity]
	assert.Equal(t, gate.Fail, r.Verdict)
	assert.Contains(t, r.Reason, "pushed without a pull request")
}

func TestStateInsideOfARebaseIsNotWhatWasReviewed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.propose("two", w.promotion("evil"), w.promotion("two")).approve("bob").merge(gittest.Rebase)
	tip := w.poll().Mark
	c := w.candidate(production)
	require.Len(t, c.Changes, 2)
	assert.Equal(t, gate.Pass, w.judge(w.facts(c))[gate.Integrity].Verdict)

	of := w.record.Releases[production]
	of.Commit, of.Changes = of.Changes[0].Commit, of.Changes[:1]
	want, err := w.envs.Want(w.rules(), key(production), of)
	require.NoError(t, err)
	r := w.judge(w.facts(environments.Candidate{Key: key(production), Want: want, Changes: of.Changes}))[gate.Integrity]
	assert.Equal(t, gate.Wait, r.Verdict)
	assert.Contains(t, r.Reason, tip[:8])
}

func TestCandidateInsideOfARebaseIsFoundAtItsEndToo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	last := w.file("two")
	last.version, last.extra = "2.0.0", "change: breaking\n"
	w.propose("two", w.promotion("two"), map[string]string{unproven: last.String()}).approve("bob").merge(gittest.Rebase)
	w.poll()
	c := w.candidate(production)
	changes := w.facts(c).Changes
	require.Len(t, changes, 1)
	end := changes[0].Commit
	assert.Equal(t, w.record.Mark, end)
	assert.NotEqual(t, c.Want.Revision.Commit, end)

	reviewed, err := w.envs.Want(w.rules(), key(production), intake.Release{Commit: end})
	require.NoError(t, err)
	assert.Equal(t, c.Want.Revision.Inputs, reviewed.Revision.Inputs)
	assert.Equal(t, end, reviewed.Revision.Commit)
	assert.Equal(t, "2.0.0", reviewed.Revision.Version)
}

func TestOnlyWhoApprovedOrObjectedIsAskedAbout(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.propose("two", w.promotion("two")).approve("bob")
	_, err := w.repo.Comment("dave", p.number)
	require.NoError(t, err)
	_, err = w.repo.RequestChanges("carol", p.number)
	require.NoError(t, err)
	p.merge(gittest.Squash)
	w.poll()
	change := w.facts(w.candidate(production)).Changes[0]
	assert.Equal(t, map[int64]bool{13: true, 14: true}, change.Writers)
	assert.Equal(t, map[string]map[int64]bool{"acme/releasers": {13: true, 14: false}}, change.Members)
	assert.Len(t, change.Reviews, 3)
	assert.Equal(t, gate.RecordTold, change.PushRecord)
	assert.Equal(t, gate.RecordTold, change.BaseRecord)
	assert.Equal(t, int64(12), change.Pushers[0].ID)
}
