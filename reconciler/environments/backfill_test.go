package environments_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource/gittest"
	"github.com/sluice-cd/sluice/reconciler/release"
)

func built(commits ...string) []release.Source {
	var out []release.Source
	for _, c := range commits {
		out = append(out, release.Source{Repository: sourceName, Commit: c})
	}
	return out
}

func TestAHotfixIsBackfilledOnceItIsOnTheDefaultBranchAndInWhatIsPromoted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.source.Branch("alice", "hotfix", "main"))
	fix := w.must(w.source.Push("alice", "hotfix", "fix", map[string]string{"fix.go": "package main\n"}))
	later := w.must(w.source.Push("alice", "main", "later", map[string]string{"later.go": "package main\n"}))

	answer := func(promoted ...string) string {
		a := w.envs.Backfilled(t.Context(), built(promoted...), built(fix))
		require.Empty(t, a.Unknown)
		if a.Yes {
			return "yes"
		}
		return a.Reason
	}
	assert.Contains(t, answer(fix), "is not in branch main of acme/checkout", "on a branch of its own it is not in the normal flow")
	number, err := w.source.OpenPR("alice", "Bring the fix back", "hotfix", "main")
	require.NoError(t, err)
	merged := w.must(w.source.Merge("alice", number, gittest.MergeCommit))

	assert.Contains(t, answer(later), "which it is built from", "what was built before the merge")
	assert.Equal(t, "yes", answer(merged))
	assert.Equal(t, "yes", answer(fix), "the very commit may be promoted again")
	assert.Contains(t, answer(merged, later), "which it is built from", "every artifact has to contain it")
	assert.Contains(t, answer(), "nothing of it is built from acme/checkout")

	elsewhere := []release.Source{{Repository: "mallory/checkout", Commit: merged}}
	assert.False(t, w.envs.Backfilled(t.Context(), elsewhere, built(fix)).Yes, "another repository may call anything its commit")
	assert.False(t, w.envs.Backfilled(t.Context(), built(merged), nil).Yes, "what nobody knows is never paid")
}

func TestAForgeThatIsAwayPaysNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.away("GET /repos/{owner}/{repo}/compare/{basehead}")
	a := w.envs.Backfilled(t.Context(), built(w.built), built(w.built))
	assert.False(t, a.Yes)
	assert.NotEmpty(t, a.Unknown)
	w.forge.ClearFaults()
	assert.True(t, w.envs.Backfilled(t.Context(), built(w.built), built(w.built)).Yes)
}
