package restore_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource/gittest"
	"github.com/sluice-cd/sluice/reconciler"
	"github.com/sluice-cd/sluice/reconciler/release"
	"github.com/sluice-cd/sluice/schemas"
)

func (w *world) holds() []schemas.Hold {
	w.t.Helper()
	control, err := schemas.DecodeControl("control.yaml", []byte(w.raw("production/checkout/control.yaml")))
	require.NoError(w.t, err)
	return control.Holds
}

func TestRollbackRestoresTheDirectoryByteForByte(t *testing.T) {
	w := newWorld(t)
	commit := w.rollback()
	require.NotEmpty(t, w.do(commit))
	w.git("fsck", "--strict", "--no-dangling")
	assert.Equal(t, w.tree(w.good, "production/checkout"), w.tree("main", "production/checkout"))
	assert.Equal(t, releaseOf(w.base, "1.42.0", goodImage), w.raw("production/checkout/release.yaml"))
	assert.Equal(t, strings.Join([]string{
		"A\tproduction/checkout/control.yaml", "D\tproduction/checkout/patch.yaml",
		"M\tproduction/checkout/release.yaml", "A\tproduction/checkout/run.sh",
	}, "\n"), w.changed())
	assert.Equal(t, commit.Previous.Inputs, w.want(key, w.git("rev-parse", "main")).Revision.Inputs)
	require.Len(t, w.holds(), 1)
	hold := w.holds()[0]
	assert.Equal(t, badImage, hold.Digest)
	assert.Equal(t, commit.Bad.Revision.Inputs, hold.Revision)
	assert.Equal(t, commit.Rollback.ID, hold.Rollback)
	golden(t, "rollback.txt", w.stable(commit, w.message()+"\n"))
	golden(t, "control.yaml", w.stable(commit, w.raw("production/checkout/control.yaml")))
}

func TestDoingItAgainDoesNothing(t *testing.T) {
	w := newWorld(t)
	commit := w.rollback()
	first := w.do(commit)
	assert.Empty(t, w.do(commit))
	w.committer = w.newCommitter() // after a crash
	assert.Empty(t, w.do(commit))
	assert.Equal(t, first, w.git("rev-parse", "main"))
}

func TestPushWhoseReplyWasLostIsNotRepeated(t *testing.T) {
	w := newWorld(t)
	for name, fault := range map[string]gittest.Fault{
		"lost":      {On: gittest.Push, Times: 1, CutAfter: true},
		"never got": {On: gittest.Push, Times: 1, CutBefore: true},
	} {
		t.Run(name, func(t *testing.T) {
			w.reset(t)
			commit := w.rollback()
			w.Inject(fault)
			assert.NotEmpty(t, w.do(commit))
			assert.Equal(t, "1", w.git("rev-list", "--count", w.bad+"..main"))
			assert.Empty(t, w.do(commit))
		})
	}
}

func TestUnreachableServerIsTriedAgain(t *testing.T) {
	w := newWorld(t)
	commit := w.rollback()
	w.Inject(gittest.Fault{On: gittest.Refs, Status: http.StatusBadGateway})
	_, err := w.committer.Commit(t.Context(), key, commit)
	require.Error(t, err)
	require.NotErrorIs(t, err, reconciler.ErrRefused)
	w.ClearFaults()
	assert.NotEmpty(t, w.do(commit))
}

func TestProtectedBranchIsRefused(t *testing.T) {
	w := newWorld(t)
	commit := w.rollback()
	hook := "#!/bin/sh\necho 'GH006: Protected branch update failed' >&2\nexit 1\n"
	require.NoError(t, os.WriteFile(filepath.Join(w.Dir, "hooks", "pre-receive"), []byte(hook), 0o755))
	_, err := w.committer.Commit(t.Context(), key, commit)
	require.ErrorIs(t, err, reconciler.ErrRefused)
	assert.Equal(t, w.bad, w.git("rev-parse", "main"))
}

func TestOtherReleasesMayMoveMeanwhile(t *testing.T) {
	w := newWorld(t)
	commit := w.rollback()
	w.Inject(gittest.Fault{On: gittest.Push, Times: 1, Before: func() {
		w.commit(map[string]string{"production/cart/release.yaml": "moved: true\n", "production/checkout-2/patch.yaml": "x: 1\n"})
	}})
	assert.NotEmpty(t, w.do(commit))
	assert.Equal(t, w.tree(w.good, "production/checkout"), w.tree("main", "production/checkout"))
	assert.Equal(t, "moved: true\n", w.raw("production/cart/release.yaml"))
	assert.NotContains(t, w.changed(), "cart")
}

func TestWhatSomebodyWentBackFromIsHeldAndNothingElseIsWritten(t *testing.T) {
	w := newWorld(t)
	commit := w.rollback()
	left, now := commit.Bad.Revision, *commit.Previous
	returned := w.commitFiles(map[string]gittest.File{
		"production/checkout/release.yaml": {Content: releaseOf(w.base, "1.42.0", goodImage)},
		"production/checkout/run.sh":       {Content: "#!/bin/sh\n"},
		"production/checkout/patch.yaml":   {Delete: true},
	})
	w.fetch()
	commit = release.Commit{
		Bad:      release.Want{Revision: left, Promotion: release.Promotion{Commit: left.Commit, Policy: commit.Bad.Promotion.Policy}},
		Previous: &now, Hold: commit.Hold, Reason: "somebody went back to 1.42.0",
		Rollback: &release.Rollback{ID: commit.Rollback.ID, Cause: release.Returned, Measurement: "somebody went back to 1.42.0", Holds: true},
	}
	require.NotEmpty(t, w.do(commit))
	assert.Equal(t, "A\tproduction/checkout/control.yaml", w.git("diff", "--name-status", returned, "main"))
	require.Len(t, w.holds(), 1)
	assert.Equal(t, badImage, w.holds()[0].Digest)
	message := w.message()
	assert.Contains(t, message, "production/checkout: hold 1.43.0\n\nsomebody went back to 1.42.0")
	assert.Contains(t, message, "Rollback-Id: "+commit.Rollback.ID)
	assert.NotContains(t, message, "Analysis:")
	assert.Empty(t, w.do(commit))
}

func TestNewerPromotionStaysAndTheHoldIsWritten(t *testing.T) {
	w := newWorld(t)
	newer := func(w *world) {
		w.commit(map[string]string{"production/checkout/release.yaml": releaseOf(w.base, "1.44.0", digest("c"))})
	}
	for name, prepare := range map[string]func(w *world){
		"merged before":                 newer,
		"merged between look and push":  func(w *world) { w.Inject(gittest.Fault{On: gittest.Push, Times: 1, Before: func() { newer(w) }}) },
		"only configuration is changed": func(w *world) { w.commit(map[string]string{"production/checkout/patch.yaml": "newer: 1\n"}) },
	} {
		t.Run(name, func(t *testing.T) {
			w.reset(t)
			commit := w.rollback()
			prepare(w)
			assert.NotEmpty(t, w.do(commit))
			assert.Equal(t, "A\tproduction/checkout/control.yaml", w.changed())
			assert.Len(t, w.holds(), 1)
			assert.Equal(t, "production/checkout: hold 1.43.0, a newer promotion stays", w.git("log", "-1", "--format=%s", "main"))
			assert.NotContains(t, w.message(), "Artifact-Digest")
			assert.Empty(t, w.do(commit))
		})
	}
}

func TestEditThatChangesNoInputDoesNotProtectWhatFailed(t *testing.T) {
	w := newWorld(t)
	commit := w.rollback()
	w.commit(map[string]string{"production/checkout/release.yaml": "# a remark\n" + releaseOf(w.base, "1.43.0-renamed", badImage)})
	assert.NotEmpty(t, w.do(commit))
	assert.Equal(t, releaseOf(w.base, "1.42.0", goodImage), w.raw("production/checkout/release.yaml"))
}

func TestPersonWasFaster(t *testing.T) {
	w := newWorld(t)
	commit := w.rollback()
	w.commitFiles(map[string]gittest.File{
		"production/checkout/release.yaml": {Content: releaseOf(w.base, "1.42.0", goodImage)},
		"production/checkout/run.sh":       {Content: "#!/bin/sh\n"},
		"production/checkout/patch.yaml":   {Delete: true},
	})
	assert.NotEmpty(t, w.do(commit))
	assert.Equal(t, "A\tproduction/checkout/control.yaml", w.changed())
	assert.Contains(t, w.message(), "Somebody had already put the directory back.")

	commit.Hold = nil
	assert.Empty(t, w.do(commit), "without a hold there is nothing left to say")
}

func TestDirectoryThatIsGoneIsNotBroughtBack(t *testing.T) {
	w := newWorld(t)
	commit := w.rollback()
	w.commitFiles(map[string]gittest.File{
		"production/checkout/release.yaml":       {Delete: true},
		"production/checkout/patch.yaml":         {Delete: true},
		"production/checkout/kustomization.yaml": {Delete: true},
	})
	assert.NotEmpty(t, w.do(commit))
	assert.Equal(t, "production/checkout/control.yaml", w.git("ls-tree", "-r", "--name-only", "main", "production/checkout/"))
	assert.Contains(t, w.message(), "is not there any more")
}

func TestReleaseFileThatCannotBeReadIsLeftAlone(t *testing.T) {
	w := newWorld(t)
	commit := w.rollback()
	w.commit(map[string]string{"production/checkout/release.yaml": "half an edit: ["})
	assert.NotEmpty(t, w.do(commit))
	assert.Equal(t, "A\tproduction/checkout/control.yaml", w.changed())
	assert.Contains(t, w.message(), "cannot be read and is left alone")
}

func TestFirstDeploymentIsTakenBack(t *testing.T) {
	w := newWorld(t)
	commit := w.rollback()
	commit.Previous, commit.Good = nil, w.base
	assert.NotEmpty(t, w.do(commit))
	assert.Equal(t, "production/checkout/control.yaml", w.git("ls-tree", "-r", "--name-only", "main", "production/checkout/"))
	assert.Len(t, w.holds(), 1)
	golden(t, "first.txt", w.stable(commit, w.message()+"\n"))
	assert.Empty(t, w.do(commit))

	t.Run("refused without a hold, the directory goes away", func(t *testing.T) {
		w.reset(t)
		commit := w.rollback()
		commit.Previous, commit.Good, commit.Hold, commit.Rollback = nil, w.base, nil, nil
		assert.NotEmpty(t, w.do(commit))
		assert.Empty(t, w.git("ls-tree", "-r", "--name-only", "main", "production/checkout/"))
		assert.Empty(t, w.do(commit))
	})
	t.Run("with nothing to go back to, the hold alone is written", func(t *testing.T) {
		w.reset(t)
		commit := w.rollback()
		commit.Previous, commit.Good = nil, ""
		assert.NotEmpty(t, w.do(commit))
		assert.Equal(t, "A\tproduction/checkout/control.yaml", w.changed())
		assert.Contains(t, w.message(), "There is no earlier state to go back to")
		assert.Empty(t, w.do(commit))
	})
}

func TestRefusedPromotionIsReverted(t *testing.T) {
	w := newWorld(t)
	commit := w.rollback()
	commit.Rollback, commit.Hold = nil, nil
	commit.Reason = "approvals: 0 of 1"
	commit.Gates = []release.Gate{
		{Name: "integrity", Verdict: "pass", Reason: "reviewed"},
		{Name: "approvals", Verdict: "fail", Reason: "0 of 1; mallory wrote the change"},
		{Name: "tests", Verdict: "wait", Reason: "running"},
	}
	assert.NotEmpty(t, w.do(commit))
	assert.Equal(t, w.tree(w.good, "production/checkout"), w.tree("main", "production/checkout"))
	assert.NotContains(t, w.changed(), "control.yaml")
	golden(t, "reject.txt", w.stable(commit, w.message()+"\n"))

	t.Run("a newer promotion needs no commit", func(t *testing.T) {
		w.reset(t)
		commit := w.rollback()
		commit.Rollback, commit.Hold = nil, nil
		tip := w.commit(map[string]string{"production/checkout/release.yaml": releaseOf(w.base, "1.44.0", digest("c"))})
		assert.Empty(t, w.do(commit))
		assert.Equal(t, tip, w.git("rev-parse", "main"))
	})
}

func TestSeveralArtifactsAreAllHeld(t *testing.T) {
	w := newWorld(t)
	commit := w.rollback()
	commit.Hold.Digests = []string{badImage, digest("c")}
	assert.NotEmpty(t, w.do(commit))
	holds := w.holds()
	require.Len(t, holds, 2)
	assert.Equal(t, []string{badImage, digest("c")}, []string{holds[0].Digest, holds[1].Digest})
	assert.NotEqual(t, holds[0].Rollback, holds[1].Rollback)
	assert.Empty(t, w.do(commit))
}

func TestFaultInTheConfigurationHoldsTheRevisionAlone(t *testing.T) {
	w := newWorld(t)
	commit := w.rollback()
	commit.Hold.Digests = nil // stable runs the same ones
	assert.NotEmpty(t, w.do(commit))
	require.Len(t, w.holds(), 1)
	assert.Empty(t, w.holds()[0].Digest)
	assert.Equal(t, commit.Bad.Revision.Inputs, w.holds()[0].Revision)
}

func TestBaseOfTheFirstEnvironmentCountsAsPartOfWhatFailed(t *testing.T) {
	w := newWorld(t)
	good := w.commit(map[string]string{"dev/checkout/release.yaml": releaseOf("", "1.42.0", goodImage)})
	bad := w.commit(map[string]string{"dev/checkout/release.yaml": releaseOf("", "1.43.0", badImage)})
	previous := w.want(firstKey, good).Revision
	commit := release.Commit{Bad: w.want(firstKey, bad), Good: good, Previous: &previous, Reason: "refused"}
	commit.Bad.Promotion.Policy = w.base

	newer := w.commit(map[string]string{"services/checkout/base/deployment.yaml": "kind: Deployment # newer\n", "dev/checkout/control.yaml": "broken: ["})
	sha, err := w.committer.Commit(t.Context(), firstKey, commit)
	require.NoError(t, err)
	assert.Empty(t, sha, "a newer base is something newer")

	w.commit(map[string]string{"services/checkout/base/deployment.yaml": "kind: Deployment\n"})
	sha, err = w.committer.Commit(t.Context(), firstKey, commit)
	require.NoError(t, err)
	assert.NotEmpty(t, sha)
	assert.NotEqual(t, newer, sha)
	assert.Equal(t, "M\tdev/checkout/release.yaml", w.changed())
}

func TestFaultInTheSharedBaseLeavesTheDirectoryAlone(t *testing.T) {
	w := newWorld(t)
	good := w.commit(map[string]string{"dev/checkout/release.yaml": releaseOf("", "1.42.0", goodImage)})
	bad := w.commit(map[string]string{"services/checkout/base/deployment.yaml": "kind: Deployment # broken\n"})
	commit := w.rollback()
	previous := w.want(firstKey, good).Revision
	commit.Bad, commit.Good, commit.Previous = w.want(firstKey, bad), good, &previous
	commit.Hold.Inputs, commit.Hold.Digests = commit.Bad.Revision.Inputs, nil

	sha, err := w.committer.Commit(t.Context(), firstKey, commit)
	require.NoError(t, err)
	assert.NotEmpty(t, sha)
	assert.Equal(t, "A\tdev/checkout/control.yaml", w.changed())
	assert.Equal(t, "dev/checkout: hold 1.42.0", w.git("log", "-1", "--format=%s", "main"))
	assert.Contains(t, w.message(), "What failed came with services/checkout/")
}
