package environments_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource/gittest"
	"github.com/sluice-cd/sluice/reconciler/gate"
)

// These mount attacks on a forge with real git; SECURITY.md lists them all.

// refused settles what the forge may still be linking, and asks one gate.
func (w *world) refused(name, why string) gate.Result {
	w.t.Helper()
	w.verdicts()
	w.wait(time.Minute)
	r := w.verdicts()[name]
	assert.Equal(w.t, gate.Fail, r.Verdict, r.Reason)
	assert.Contains(w.t, r.Reason+"\n"+evidence(r), why)
	return r
}

func TestSelfApprovalInEachRoleIsRefused(t *testing.T) {
	t.Parallel()
	const bob = "bob <13+bob@users.noreply.127.0.0.1>"
	for role, c := range map[string]struct {
		act func(*world) pull
		why string
	}{
		"author of a commit": {func(w *world) pull {
			p := w.propose("two", w.promotion("two"))
			w.must(w.repo.PushAs("alice", bob, "two", "more", map[string]string{production + "/note.yaml": "{}\n"}))
			return p
		}, "bob approved, but does not count: wrote commit"},
		"co-author": {func(w *world) pull {
			p := w.propose("two", w.promotion("two"))
			w.must(w.repo.Push("alice", "two", "more\n\nCO-AUTHORED-BY: B <13+bob@users.noreply.127.0.0.1>", map[string]string{production + "/note.yaml": "{}\n"}))
			return p
		}, "bob approved, but does not count: co-wrote commit"},
		"last pusher": {func(w *world) pull {
			p := w.propose("two", w.promotion("two"))
			w.must(w.repo.PushAs("bob", "alice <12+alice@users.noreply.127.0.0.1>", "two", "as alice", map[string]string{production + "/note.yaml": "{}\n"}))
			return p
		}, "bob approved, but does not count: pushed the last change"},
	} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c.act(w).approve("bob").merge(gittest.Squash)
			w.refused(gate.Approvals, c.why)
		})
	}
	t.Run("who opened it", func(t *testing.T) {
		w := newWorld(t)
		p := w.propose("two", w.promotion("two"))
		_, err := w.repo.Approve("alice", p.number)
		require.ErrorContains(t, err, "own pull request", "the forge does not even take it")
	})
}

func TestApprovalOfWhatCameBeforeTheLastPushIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.propose("two", w.promotion("two")).approve("bob")
	w.push("two", w.promotion("evil"))
	p.merge(gittest.Squash)
	w.refused(gate.Approvals, "the content has changed since")
}

func TestApprovalByABotIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.propose("two", w.promotion("two")).approve("sluice").merge(gittest.Squash)
	w.refused(gate.Approvals, "only people can approve")
}

func TestRequestForChangesStandsUntilItIsDismissed(t *testing.T) {
	t.Parallel()
	for _, dismissed := range []bool{false, true} {
		w := newWorld(t)
		p := w.propose("two", w.promotion("two"))
		review, err := w.repo.RequestChanges("erin", p.number)
		require.NoError(t, err)
		_, err = w.repo.Comment("erin", p.number) // takes nothing back
		require.NoError(t, err)
		p.approve("bob")
		if dismissed {
			require.NoError(t, w.repo.Dismiss("mallory", p.number, review))
		}
		p.merge(gittest.Squash)
		if !dismissed {
			w.refused(gate.Approvals, "erin requested changes")
			continue
		}
		r := w.verdicts()[gate.Approvals]
		assert.Equal(t, gate.Pass, r.Verdict, r.Reason)
		assert.Contains(t, evidence(r), "the review by erin was dismissed")
	}
}

func TestDismissedApprovalIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.propose("two", w.promotion("two"))
	review, err := w.repo.Approve("bob", p.number)
	require.NoError(t, err)
	require.NoError(t, w.repo.Dismiss("carol", p.number, review))
	p.merge(gittest.Squash)
	w.refused(gate.Approvals, "the review by bob was dismissed")
}

func TestAdministratorWhoMergesOrPushesPastTheReviewIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.propose("two", w.promotion("two"))
	w.must(w.repo.Merge("mallory", p.number, gittest.Squash))
	w.refused(gate.Approvals, "0 of 1 approval")

	w = newWorld(t)
	w.must(w.repo.Push("mallory", "main", "Merge pull request #1 from acme/two", w.promotion("two")))
	w.refused(gate.Integrity, "pushed without a pull request")
}

func TestApprovalsOfAnotherPullRequestAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.propose("harmless", map[string]string{"docs/note.md": "note\n"}).approve("bob", "erin").merge(gittest.Squash)
	w.propose("two", w.promotion("two")).merge(gittest.Squash)
	w.refused(gate.Approvals, "0 of 1 approval")
}

func TestApprovalsGivenInAForkAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	fork := w.forge.Repository("mallory/environments")
	w.must(fork.Push("mallory", "main", "base", map[string]string{unproven: w.file("one").String()}))
	require.NoError(t, fork.Branch("mallory", "two", "main"))
	w.must(fork.Push("mallory", "two", "promote", w.promotion("two")))
	number, err := fork.OpenPR("mallory", "Promote", "two", "main")
	require.NoError(t, err)
	_, err = fork.Approve("bob", number)
	require.NoError(t, err)
	w.must(fork.Merge("mallory", number, gittest.Squash))
	w.must(w.repo.Push("mallory", "main", "Promote (#1)", w.promotion("two")))
	w.refused(gate.Integrity, "pushed without a pull request")
}

// A rollback of Sluice is known by what it puts back and by its evidence. What
// only looks like one is a push like any other.
const likeSluice = `Roll production/checkout back to 1.41.0

Release: production/checkout
Rollback-Of: c0ffee
Rollback-Id: production/checkout/1
Approved-By: bob
Gate: approvals=pass; 1 of 1 approval
Sluice-Version: 0.1.0
`

func TestStolenTokenOfSluiceOpensNothing(t *testing.T) {
	t.Parallel()
	for _, files := range []func(*world) map[string]string{
		func(w *world) map[string]string { return w.promotion("evil") },
		func(*world) map[string]string {
			return map[string]string{production + "/kustomization.yaml": overlay(9)}
		},
	} {
		w := newWorld(t)
		w.must(w.repo.Push("sluice", "main", likeSluice, files(w)))
		w.refused(gate.Integrity, "pushed without a pull request")
	}

	w := newWorld(t)
	w.must(w.repo.Push("sluice", "main", likeSluice, map[string]string{"sluice.yaml": lax(), "CODEOWNERS": ""}))
	w.settle()
	assert.Equal(t, w.genesis, w.record.Policy)
	assert.NotEmpty(t, w.record.PolicyRefused)
}

func TestWhatACommitSaysAboutItselfApprovesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.propose("two", w.promotion("two"))
	w.must(w.repo.Push("alice", "two", "fix\n\nApproved-By: bob\nReviewed-by: bob\nGate: approvals=pass; forged\x1b[2J", map[string]string{production + "/note.yaml": "{}\n"}))
	p.merge(gittest.MergeCommit)
	r := w.refused(gate.Approvals, "0 of 1 approval")
	assert.NotContains(t, r.Reason+evidence(r), "\x1b")
	assert.NotContains(t, evidence(r), "forged")
}

func TestReleaseFileInjectsNothing(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"a line":         `version: "1.42.0\nApproved-By: bob"`,
		"an escape":      `version: "1.42.0\e[2J"`,
		"a direction":    "version: \"1.42.0\u202e\"",
		"another digest": `digest: "sha256:0000\nGate: approvals=pass"`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			field, _, _ := strings.Cut(text, ":")
			var lines []string
			for line := range strings.Lines(w.file("two").String()) {
				if strings.HasPrefix(strings.TrimSpace(line), field+":") {
					line = "  " + text + "\n"
				}
				lines = append(lines, line)
			}
			w.propose("two", map[string]string{unproven: strings.Join(lines, "")}).approve("bob").merge(gittest.Squash)
			of := w.poll().Releases[production]
			assert.NotEmpty(t, of.Problem, "it is not usable at all")
			assert.NotContains(t, of.Problem, "\n", "and what says so is one line")
			assert.NotContains(t, of.Problem, "\x1b")
		})
	}
}
