package conformance

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource/forge"
)

const series = "sluice/restore/production/checkout/"

// offer pushes a branch with a change and returns the proposal to merge it.
func offer(w World, name string) (p forge.Proposal, head string) {
	head = w.Push(Alice, Commit{Branch: series + name, Author: Alice, Message: "Restore " + name, Files: map[string]string{name: "1"}})
	return forge.Proposal{Head: series + name, Base: "main", Title: "Roll back", Body: "why", Series: series}, head
}

func heads(open []forge.PullRequest) []string {
	var names []string
	for _, pr := range open {
		names = append(names, pr.Head.Name)
	}
	return names
}

func proposals(t *testing.T, w World) {
	open := func() []string {
		t.Helper()
		found, err := w.Driver().OpenPullRequests(t.Context(), "main")
		require.NoError(t, err)
		return heads(found)
	}
	propose(w, "one")
	first, head := offer(w, "first")
	made, err := w.Driver().Propose(t.Context(), first)
	require.NoError(t, err)
	assert.True(t, made.Open)
	assert.NotEmpty(t, made.URL)
	assert.Equal(t, head, made.Head.Commit)
	again, err := w.Driver().Propose(t.Context(), first)
	require.NoError(t, err)
	assert.Equal(t, made.Number, again.Number, "opened once")

	second, _ := offer(w, "second")
	next, err := w.Driver().Propose(t.Context(), second)
	require.NoError(t, err)
	assert.NotEqual(t, made.Number, next.Number)
	assert.Equal(t, []string{"one", second.Head}, open(), "what it replaces is closed, a person's is not")

	again, err = w.Driver().Propose(t.Context(), first)
	require.NoError(t, err)
	assert.Equal(t, made.Number, again.Number)
	assert.False(t, again.Open, "what was closed stays closed")
	for range 2 {
		require.NoError(t, w.Driver().Withdraw(t.Context(), "main", series))
		assert.Equal(t, []string{"one"}, open())
	}
}

func proposedMerge(t *testing.T, w World) {
	w.Protect("main", 0)
	before := w.Tip("main")
	p, head := offer(w, "first")
	made, err := w.Driver().Propose(t.Context(), p)
	require.NoError(t, err)
	w.Ready(made.Number)

	_, err = w.Driver().Merge(t.Context(), forge.Merge{Number: made.Number, Head: before, Title: "Roll back", Message: "Release: x"})
	var transient *forge.TransientError
	require.ErrorAs(t, err, &transient, "another head: decide again")
	assert.Equal(t, before, w.Tip("main"))
	w.Ready(made.Number)

	landed, err := w.Driver().Merge(t.Context(), forge.Merge{Number: made.Number, Head: head, Title: "Roll back", Message: "Release: x"})
	require.NoError(t, err, "though nobody may push there")
	assert.Equal(t, w.Tip("main"), landed)
	pr, err := w.Driver().MergedPullRequest(t.Context(), landed, "main")
	require.NoError(t, err)
	assert.Equal(t, made.Number, pr.Number)
	again, err := w.Driver().Propose(t.Context(), p)
	require.NoError(t, err)
	assert.True(t, again.Merged, "a repetition finds what came of it")
}

func refusedMerge(t *testing.T, w World) {
	w.Protect("main", 1)
	before := w.Tip("main")
	p, head := offer(w, "first")
	made, err := w.Driver().Propose(t.Context(), p)
	require.NoError(t, err)
	w.Ready(made.Number)
	m := forge.Merge{Number: made.Number, Head: head, Title: "Roll back", Message: "Release: x"}
	for range 2 {
		_, err = w.Driver().Merge(t.Context(), m)
		var rejected *forge.RejectedError
		require.ErrorAs(t, err, &rejected, "only a person can approve")
		assert.Equal(t, before, w.Tip("main"))
	}
	w.Review(Bob, made.Number, forge.Approved)
	w.Ready(made.Number)
	landed, err := w.Driver().Merge(t.Context(), m)
	require.NoError(t, err)
	assert.Equal(t, w.Tip("main"), landed)
}
