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
)

// rebase makes the pull request's branch again on top of main.
func (p pull) rebase(by string, files map[string]string) pull {
	p.w.t.Helper()
	require.NoError(p.w.t, p.w.repo.Branch(by, "two", "main"))
	p.head = p.w.must(p.w.repo.PushAs(by, "alice <alice@example.com>", "two", "rebased", files))
	return p
}

// approvals polls until nothing is asked about for the first time any more.
func (w *world) approvals() gate.Result {
	w.t.Helper()
	w.verdicts()
	w.wait(time.Minute)
	return w.verdicts()[gate.Approvals]
}

func (w *world) lastChange() gate.Change {
	w.t.Helper()
	changes := w.facts(w.candidate(production)).Changes
	return changes[len(changes)-1]
}

func TestWhatAnotherBaseHeldWasNotReviewed(t *testing.T) {
	t.Parallel()
	for _, again := range []bool{false, true} {
		w := newWorld(t)
		require.NoError(t, w.repo.Branch("alice", "aside", "main"))
		w.push("aside", w.promotion("evil"))
		require.NoError(t, w.repo.Branch("alice", "two", "aside"))
		w.push("two", map[string]string{"docs/note.md": "a typo\n"})
		number, err := w.repo.OpenPR("alice", "Correct a typo", "two", "aside")
		require.NoError(t, err)
		p := pull{w: w, number: number}.approve("bob")
		require.NoError(t, w.repo.Retarget("alice", number, "main"))
		if again {
			p.approve("erin")
		}
		p.merge(gittest.Squash)

		r := w.verdicts()
		assert.Equal(t, gate.Pass, r[gate.Integrity].Verdict, r[gate.Integrity].Reason)
		if again {
			assert.Equal(t, gate.Pass, r[gate.Approvals].Verdict, r[gate.Approvals].Reason)
			continue
		}
		assert.Equal(t, gate.Fail, r[gate.Approvals].Verdict, "bob was shown a typo")
		assert.Contains(t, evidence(r[gate.Approvals]), "its base was changed since")
	}
}

func TestBaseThatWentAwayVoidsApprovals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	lower := w.propose("lower", map[string]string{"docs/note.md": "lower\n"})
	require.NoError(t, w.repo.Branch("alice", "two", "lower"))
	w.push("two", w.promotion("two"))
	number, err := w.repo.OpenPR("alice", "Promote", "two", "lower")
	require.NoError(t, err)
	p := pull{w: w, number: number}.approve("bob")
	lower.merge(gittest.MergeCommit)
	require.NoError(t, w.repo.DeleteBranch("alice", "lower"))
	p.merge(gittest.Squash)

	r := w.verdicts()[gate.Approvals]
	assert.Equal(t, gate.Fail, r.Verdict, r.Reason)
	assert.Contains(t, evidence(r), "its base was changed since")
}

func TestBaseThatWasRewrittenForTheReviewVoidsApprovals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	main := w.must(w.repo.Git().SHA("main"))
	p := w.propose("two", w.promotion("evil"), map[string]string{"docs/note.md": "a typo\n"})
	require.NoError(t, w.repo.Branch("mallory", "main", p.head+"~1")) // the review shows the typo alone
	p.approve("bob")
	require.NoError(t, w.repo.Branch("mallory", "main", main))
	p.merge(gittest.Squash)

	r := w.verdicts()[gate.Approvals]
	assert.Equal(t, gate.Fail, r.Verdict, r.Reason)
	assert.Contains(t, evidence(r), "its base was changed since")
}

func evidence(r gate.Result) string {
	text := ""
	for _, e := range r.Evidence {
		text += e.Text + "\n"
	}
	return text
}

func TestForkThatWentAwayHidesWhoPushedLast(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	fork := w.forge.Repository("mallory/environments")
	_, err := fork.Git().Git("fetch", "--quiet", w.repo.Git().Dir, "+refs/heads/main:refs/heads/main")
	require.NoError(t, err)
	w.must(fork.PushAs("bob", "mallory <mallory@example.com>", "main", "promote", w.promotion("two")))
	number, err := w.repo.OpenPR("mallory", "Promote", "mallory:main", "main")
	require.NoError(t, err)
	p := pull{w: w, number: number}.approve("bob")
	fork.Delete()
	p.merge(gittest.Squash)
	r := w.verdicts()[gate.Approvals]
	assert.True(t, r.Unknown, "the forge may still be recording it")
	r = w.approvals()
	assert.Equal(t, gate.Fail, r.Verdict, "bob approved what he had pushed himself")
	assert.Equal(t, "1 of 2 approvals, one of them because nobody can tell who pushed last", r.Reason)
}

func TestOneMoreApprovalMakesUpForAnUnknownPusher(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	fork := w.forge.Repository("mallory/environments")
	_, err := fork.Git().Git("fetch", "--quiet", w.repo.Git().Dir, "+refs/heads/main:refs/heads/main")
	require.NoError(t, err)
	w.must(fork.Push("mallory", "main", "promote", w.promotion("two")))
	number, err := w.repo.OpenPR("mallory", "Promote", "mallory:main", "main")
	require.NoError(t, err)
	p := pull{w: w, number: number}.approve("bob", "erin")
	fork.Delete()
	p.merge(gittest.Squash)

	r := w.approvals()
	assert.Equal(t, gate.Pass, r.Verdict, r.Reason)
	assert.Contains(t, evidence(r), "cannot be found out")
}

func TestApprovalOutlivesARebaseOfTheSameContent(t *testing.T) {
	t.Parallel()
	for _, method := range []gittest.Method{gittest.MergeCommit, gittest.Squash, gittest.Rebase} {
		t.Run(string(method), func(t *testing.T) {
			w := newWorld(t)
			p := w.propose("two", w.promotion("two")).approve("bob")
			reviewed := p.head
			w.push("main", map[string]string{"docs/note.md": "main moved on\n"})
			p.rebase("alice", w.promotion("two")).merge(method)
			w.poll()

			assert.Equal(t, []string{reviewed}, w.lastChange().EqualHeads)
			r := w.approvals()
			assert.Equal(t, gate.Pass, r.Verdict, r.Reason)
		})
	}
}

func TestApprovalDoesNotOutliveWhatARebaseBringsAlong(t *testing.T) {
	t.Parallel()
	for name, files := range map[string]func(*world) map[string]string{
		"another digest": func(w *world) map[string]string { return w.promotion("evil") },
		"one file more": func(w *world) map[string]string {
			return with(w.promotion("two"), map[string]string{production + "/kustomization.yaml": overlay(9)})
		},
		"another file of the base": func(w *world) map[string]string {
			return with(w.promotion("two"), map[string]string{"docs/note.md": "x\n"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			p := w.propose("two", w.promotion("two")).approve("bob")
			w.push("main", map[string]string{"docs/note.md": "main moved on\n"})
			p.rebase("alice", files(w)).merge(gittest.Squash)
			w.poll()

			assert.Empty(t, w.lastChange().EqualHeads)
			r := w.approvals()
			assert.Equal(t, gate.Fail, r.Verdict, r.Reason)
			assert.Contains(t, evidence(r), "the content has changed since")
		})
	}
}

// The head does and undoes something, which its review does not show. What was
// done comes to the branch by another pull request, and undoing it is left.
func TestApprovalDoesNotCoverWhatAnotherMergeTookOutOfTheDifference(t *testing.T) {
	t.Parallel()
	for _, again := range []bool{false, true} {
		w := newWorld(t)
		kustomization := production + "/kustomization.yaml"
		scaled := w.propose("scale", map[string]string{kustomization: overlay(9)})
		require.NoError(t, w.repo.Branch("alice", "two", "scale"))
		w.push("two", with(w.promotion("two"), map[string]string{kustomization: overlay(3)}))
		number, err := w.repo.OpenPR("alice", "Promote", "two", "main")
		require.NoError(t, err)
		p := pull{w: w, number: number}.approve("bob") // is shown the promotion alone
		scaled.approve("bob").merge(gittest.MergeCommit)
		for i := range 5 {
			w.push("main", map[string]string{"docs/note.md": overlay(i)})
		}
		if again {
			p.approve("erin")
		}
		p.merge(gittest.Squash)

		r := w.verdicts()
		assert.Equal(t, gate.Pass, r[gate.Integrity].Verdict, r[gate.Integrity].Reason)
		if again {
			assert.Equal(t, gate.Pass, r[gate.Approvals].Verdict, r[gate.Approvals].Reason)
			continue
		}
		assert.Equal(t, gate.Fail, r[gate.Approvals].Verdict, r[gate.Approvals].Reason)
		assert.Contains(t, evidence(r[gate.Approvals]), "its base was changed since")
	}
}

func TestPartThatWasMergedByHandLeavesTheReviewUnproven(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.repo.Branch("alice", "two", "main"))
	part := w.push("two", map[string]string{"docs/part.md": "part\n"})
	w.push("two", w.promotion("two"))
	number, err := w.repo.OpenPR("alice", "Promote", "two", "main")
	require.NoError(t, err)
	p := pull{w: w, number: number}.approve("bob")
	by := w.must(w.repo.Git().Merge("main", part, gittest.MergeCommit, "by hand", "alice <alice@example.com>"))
	p.approve("erin").merge(gittest.Squash)
	require.True(t, w.verdicts()[gate.Integrity].Unknown, "the forge may still be linking it")
	w.wait(time.Minute)

	r := w.verdicts()[gate.Integrity]
	assert.Equal(t, gate.Fail, r.Verdict, r.Reason)
	assert.Contains(t, r.Reason, by[:8])
}

// The reviewed commit does and undoes something, which its review does not show.
// What was done comes to the branch by another pull request, so that undoing it
// is all that is left of it, and equals what the head does.
func TestApprovalDoesNotCoverWhatTheBaseOfItsTimeHid(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	kustomization := production + "/kustomization.yaml"
	scaled := w.propose("scale", map[string]string{kustomization: overlay(9)})
	require.NoError(t, w.repo.Branch("alice", "two", "scale"))
	undone := with(w.promotion("two"), map[string]string{kustomization: overlay(3)})
	w.push("two", undone)
	number, err := w.repo.OpenPR("alice", "Promote", "two", "main")
	require.NoError(t, err)
	p := pull{w: w, number: number}.approve("bob") // is shown the promotion alone
	scaled.approve("bob").merge(gittest.MergeCommit)
	p.rebase("alice", undone).merge(gittest.Squash)
	w.poll()

	assert.Empty(t, w.lastChange().EqualHeads)
	r := w.approvals()
	assert.Equal(t, gate.Fail, r.Verdict, r.Reason)
	assert.Contains(t, evidence(r), "the content has changed since")
}

func TestApprovalOfACommitThatIsGoneIsStale(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.propose("two", w.promotion("two")).approve("bob")
	w.push("main", map[string]string{"docs/note.md": "main moved on\n"})
	p.rebase("alice", w.promotion("two")).merge(gittest.Squash)
	for _, args := range [][]string{{"reflog", "expire", "--expire=now", "--all"}, {"gc", "--quiet", "--prune=now"}} {
		_, err := w.repo.Git().Git(args...)
		require.NoError(t, err)
	}

	r := w.verdicts()[gate.Approvals]
	assert.True(t, r.Unknown, "it may be back in a moment: %s", r.Reason)
	r = w.approvals()
	assert.Equal(t, gate.Fail, r.Verdict, r.Reason)
	assert.Contains(t, evidence(r), "the content has changed since")
}

func TestWhoeverPushedAnEarlierHeadDoesNotApproveIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.propose("two", map[string]string{"docs/note.md": "first\n"})
	p.rebase("bob", w.promotion("evil")).approve("bob") // in the name of alice
	w.push("main", map[string]string{"docs/note.md": "main moved on\n"})
	p.rebase("alice", w.promotion("evil")).merge(gittest.Squash)

	r := w.approvals()
	assert.Equal(t, gate.Fail, r.Verdict, r.Reason)
	assert.Contains(t, evidence(r), "bob approved, but does not count: pushed the last change")
}

func TestBranchThatIsMovedAwayAndBackIsWhatWasApproved(t *testing.T) {
	t.Parallel()
	for by, want := range map[string]gate.Verdict{"mallory": gate.Pass, "bob": gate.Fail} {
		t.Run(by, func(t *testing.T) {
			w := newWorld(t)
			p := w.propose("two", w.promotion("two"))
			reviewed := p.head
			p.approve("bob").rebase("mallory", w.promotion("evil"))
			require.NoError(t, w.repo.Branch(by, "two", reviewed))
			p.merge(gittest.Squash)

			r := w.approvals()
			assert.Equal(t, want, r.Verdict, evidence(r))
		})
	}
	t.Run("and stays away", func(t *testing.T) {
		w := newWorld(t)
		p := w.propose("two", w.promotion("evil"))
		first := p.head
		p.rebase("alice", w.promotion("two")).approve("bob")
		require.NoError(t, w.repo.Branch("mallory", "two", first))
		p.merge(gittest.Squash)

		r := w.approvals()
		assert.Equal(t, gate.Fail, r.Verdict, r.Reason)
		assert.Contains(t, evidence(r), "the content has changed since")
	})
}

// A forgetful is a forge that answers from its records with an error.
type forgetful struct {
	environments.Forge
	pushes, bases error
}

func (f forgetful) LastPushers(ctx context.Context, pr forge.PullRequest) ([]forge.User, error) {
	if f.pushes != nil {
		return nil, f.pushes
	}
	return f.Forge.LastPushers(ctx, pr)
}

func (f forgetful) BaseChanges(ctx context.Context, number int) ([]time.Time, error) {
	if f.bases != nil {
		return nil, f.bases
	}
	return f.Forge.BaseChanges(ctx, number)
}

func TestForgeWithoutRecordsIsNamedAndOneThatDoesNotAnswerIsWaitedFor(t *testing.T) {
	t.Parallel()
	none := fmt.Errorf("ask: %w", forge.ErrNoRecord)
	silent := &forge.TransientError{Subject: "ask", Err: errors.New("502")}
	for name, c := range map[string]struct {
		records forgetful
		want    gate.Verdict
		text    string
	}{
		"no record of pushes": {forgetful{pushes: none}, gate.Pass, "who pushed last to #1 could not be checked"},
		"no record of bases":  {forgetful{bases: none}, gate.Pass, "another base branch when it was reviewed could not be checked"},
		"pushes unanswered":   {forgetful{pushes: silent}, gate.Wait, ""},
		"bases unanswered":    {forgetful{bases: silent}, gate.Wait, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.reopen(func(f environments.Forge) environments.Forge { c.records.Forge = f; return c.records })
			w.propose("two", w.promotion("two")).approve("bob").merge(gittest.Squash)

			r := w.approvals()
			assert.Equal(t, c.want, r.Verdict, r.Reason)
			assert.Equal(t, c.want == gate.Wait, r.Unknown)
			assert.Contains(t, evidence(r), c.text)
		})
	}
}
