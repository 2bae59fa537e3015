package github_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/gitsource/forge/forgetest"
	"github.com/sluice-cd/sluice/gitsource/gittest"
)

const restores = "sluice/restore/production/checkout/"

// offered is a branch with a change, and the proposal to merge it.
func (w *world) offered(t *testing.T, name string) (forge.Proposal, string) {
	t.Helper()
	require.NoError(t, w.repo.Branch("sluice", restores+name, "main"))
	head := must(t)(w.repo.Push("sluice", restores+name, "restore "+name, map[string]string{"a": name}))
	return forge.Proposal{Head: restores + name, Base: "main", Title: "roll back", Body: "why", Series: restores}, head
}

func TestAProposalIsOpenedOnceAndReplacesTheOthersOfItsSeries(t *testing.T) {
	w := newWorld(t)
	number, _ := w.propose(t, "promote", map[string]string{"b": "2"})
	first, _ := w.offered(t, "one")
	for range 2 {
		pr, err := w.client.Propose(t.Context(), first)
		require.NoError(t, err)
		assert.Equal(t, number+1, pr.Number)
		assert.True(t, pr.Open)
	}
	second, _ := w.offered(t, "two")
	pr, err := w.client.Propose(t.Context(), second)
	require.NoError(t, err)
	assert.Equal(t, number+2, pr.Number)
	open, err := w.client.OpenPullRequests(t.Context(), "main")
	require.NoError(t, err)
	require.Len(t, open, 2)
	assert.Equal(t, []string{"promote", second.Head}, []string{open[0].Head.Name, open[1].Head.Name}, "a person's is left alone")

	pr, err = w.client.Propose(t.Context(), first)
	require.NoError(t, err)
	assert.Equal(t, number+1, pr.Number)
	assert.False(t, pr.Open, "what was closed stays closed")

	require.NoError(t, w.client.Withdraw(t.Context(), "main", restores))
	open, err = w.client.OpenPullRequests(t.Context(), "main")
	require.NoError(t, err)
	assert.Len(t, open, 1)
}

func TestAForksBranchOfTheSameNameIsNobodysProposal(t *testing.T) {
	w := newWorld(t)
	p, _ := w.offered(t, "one")
	fork := w.forge.Repository("mallory/environments")
	must(t)(fork.Push("mallory", p.Head, "mine", map[string]string{"a": "evil"}))
	number, err := w.repo.OpenPR("mallory", "roll back", "mallory:"+p.Head, "main")
	require.NoError(t, err)
	pr, err := w.client.Propose(t.Context(), p)
	require.NoError(t, err)
	assert.NotEqual(t, number, pr.Number)
	require.NoError(t, w.client.Withdraw(t.Context(), "main", restores))
	open, err := w.client.OpenPullRequests(t.Context(), "main")
	require.NoError(t, err)
	require.Len(t, open, 1)
	assert.Equal(t, number, open[0].Number, "nor is it closed")
}

func TestAMergeIsOfTheExpectedHeadOrNotAtAll(t *testing.T) {
	w := newWorld(t)
	p, head := w.offered(t, "one")
	pr, err := w.client.Propose(t.Context(), p)
	require.NoError(t, err)
	m := forge.Merge{Number: pr.Number, Head: w.main, Title: "roll back (#1)", Message: "Release: x"}
	_, err = w.client.Merge(t.Context(), m)
	var transient *forge.TransientError
	require.ErrorAs(t, err, &transient, "the head has moved: decide again")

	require.NoError(t, w.repo.Protect("main", forgetest.Protection{Approvals: 1}))
	m.Head = head
	_, err = w.client.Merge(t.Context(), m)
	var rejected *forge.RejectedError
	require.ErrorAs(t, err, &rejected)
	assert.Equal(t, 405, rejected.Code)

	require.NoError(t, w.repo.Protect("main", forgetest.Protection{Methods: []gittest.Method{gittest.Squash}}))
	merged, err := w.client.Merge(t.Context(), m)
	require.NoError(t, err)
	assert.Equal(t, merged, w.git(t, "rev-parse", "main"))
	assert.Equal(t, "roll back (#1)\n\nRelease: x", w.git(t, "log", "-1", "--format=%B", "main"))

	for name, fault := range map[string]forgetest.Fault{
		"answer cut": {Truncate: true}, "not merged": {Status: 200, Body: `{"merged":false,"message":"","sha":""}`},
	} {
		fault.On, fault.Times = "PUT /repos/{owner}/{repo}/pulls/{number}/merge", 1
		w.forge.Inject(fault)
		_, err = w.client.Merge(t.Context(), m)
		assert.ErrorAs(t, err, &transient, name)
	}
}
