package request_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource/forge/forgetest"
	"github.com/sluice-cd/sluice/reconciler/release"
	"github.com/sluice-cd/sluice/reconciler/request"
	"github.com/sluice-cd/sluice/schemas"
)

const controlPath = "production/checkout/control.yaml"

var (
	production = release.Key{Environment: "production", Service: "checkout"}
	at         = time.Date(2026, 3, 2, 9, 30, 0, 0, time.UTC)
)

func (w *world) control() schemas.Control {
	w.t.Helper()
	c, err := schemas.DecodeControl(controlPath, []byte(w.at("main", controlPath)))
	require.NoError(w.t, err)
	return c
}

func TestAHoldIsCommittedAtOnceAndLiftedByReview(t *testing.T) {
	w := newWorld(t)
	w.push(map[string]string{controlPath: "# ours\napiVersion: sluice.dev/v1alpha1\nkind: Control\nholds:\n  # old\n  - revision: 0a1b2c3d\n    reason: wrong\n"})
	hold := request.Hold{Digest: digest("b"), Reason: "leaks memory", By: "alice", At: at}
	filed, err := w.clerk.Hold(t.Context(), production, hold, false)
	require.NoError(t, err)
	assert.Nil(t, filed.PullRequest)
	assert.Equal(t, w.git("rev-parse", "main"), filed.Commit)
	assert.Equal(t, "M\t"+controlPath, w.git("diff", "--name-status", "main^", "main"))
	require.Len(t, w.control().Holds, 2)
	assert.Equal(t, "alice", w.control().Holds[1].By)
	assert.Contains(t, w.at("main", controlPath), "# ours\n")

	_, err = w.clerk.Hold(t.Context(), production, hold, false)
	assert.ErrorContains(t, err, "it is on hold already: leaks memory")
	_, err = w.clerk.Promote(t.Context(), toProduction, false)
	assert.ErrorContains(t, err, "is on hold in production/checkout: leaks memory")

	filed, err = w.clerk.Lift(t.Context(), production, digest("b"), "", false)
	require.NoError(t, err)
	require.NotNil(t, filed.PullRequest)
	assert.Len(t, w.control().Holds, 2, "not before the merge")
	w.merge(filed.PullRequest.Number)
	require.Len(t, w.control().Holds, 1)
	assert.Equal(t, "0a1b2c3d", w.control().Holds[0].Revision)
	assert.Contains(t, w.at("main", controlPath), "# old\n")

	filed, err = w.clerk.Lift(t.Context(), production, "", "", false)
	require.NoError(t, err)
	w.merge(filed.PullRequest.Number)
	assert.Equal(t, "D\t"+controlPath, w.git("diff", "--name-status", "main^", "main"), "nothing is left to say")
	_, err = w.clerk.Lift(t.Context(), production, "", "", false)
	assert.ErrorContains(t, err, "nothing of that is on hold")
}

func TestAPauseKeepsEveryOtherByteAndIsResumedByReview(t *testing.T) {
	w := newWorld(t)
	before := "# ours   \napiVersion:  sluice.dev/v1alpha1\nkind: 'Control'\nholds: # kept\n    - revision: 0a1b2c3d\n      reason: wrong"
	w.push(map[string]string{controlPath: before + "\n"})
	filed, err := w.clerk.Pause(t.Context(), production, "looking: INC-1 # really", false)
	require.NoError(t, err)
	assert.Equal(t, w.git("rev-parse", "main"), filed.Commit)
	assert.Equal(t, before+"\npaused: true\nreason: 'looking: INC-1 # really'", w.at("main", controlPath))
	_, err = w.clerk.Pause(t.Context(), production, "again", false)
	assert.ErrorContains(t, err, "is paused already: looking: INC-1 # really")

	filed, err = w.clerk.Resume(t.Context(), production, false)
	require.NoError(t, err)
	require.NotNil(t, filed.PullRequest)
	w.merge(filed.PullRequest.Number)
	assert.Equal(t, before, w.at("main", controlPath))
	_, err = w.clerk.Resume(t.Context(), production, false)
	assert.ErrorContains(t, err, "production/checkout is not paused")
}

func TestWhereTheBranchTakesNoPushesAHoldIsAPullRequest(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.repo.Protect("main", forgetest.Protection{}))
	before := w.git("rev-parse", "main")
	filed, err := w.clerk.Pause(t.Context(), production, "looking", false)
	require.NoError(t, err)
	require.NotNil(t, filed.PullRequest)
	assert.Equal(t, before, w.git("rev-parse", "main"))
	assert.Contains(t, filed.Notes[0], "it is in force once the pull request is merged")
	assert.Equal(t, "A\t"+controlPath, w.git("diff", "--name-status", "main", filed.Branch))
}

func TestAReleaseThatIsNotThereCannotBeStopped(t *testing.T) {
	w := newWorld(t)
	_, err := w.clerk.Pause(t.Context(), release.Key{Environment: "production", Service: "cart"}, "typo", false)
	assert.ErrorContains(t, err, "there is no release production/cart")
}
