package forgetest_test

import (
	"testing"

	"github.com/google/go-github/v88/github"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAPullRequestIsGivenAnotherBaseByREST(t *testing.T) {
	s, repo := newForge(t)
	ctx := t.Context()
	for _, branch := range []string{"staging", "one"} {
		require.NoError(t, repo.Branch("alice", branch, "main"))
	}
	_, err := repo.Push("alice", "one", "change", map[string]string{"a": "2\n"})
	require.NoError(t, err)
	number, err := repo.OpenPR("alice", "Promote", "one", "staging")
	require.NoError(t, err)
	to := func(token, base string) (*github.PullRequest, *github.Response, error) {
		return as(t, s, token).PullRequests.Edit(ctx, "acme", "environments", number, &github.PullRequest{Base: &github.PullRequestBranch{Ref: &base}})
	}

	_, resp, err := to("t-mallory", "main")
	assert.Equal(t, 403, code(t, resp, err))
	_, resp, err = to("t-alice", "nowhere")
	assert.Equal(t, 422, code(t, resp, err))
	pr, _, err := to("t-alice", "main")
	require.NoError(t, err)
	assert.Equal(t, "main", pr.GetBase().GetRef())
	_, _, err = to("t-alice", "main")
	require.NoError(t, err)
	other, err := repo.OpenPR("alice", "again", "one", "staging")
	require.NoError(t, err)
	assert.ErrorContains(t, repo.Retarget("alice", other, "main"), "already exists")

	events, _, err := as(t, s, "t-bob").Issues.ListIssueEvents(ctx, "acme", "environments", number, nil)
	require.NoError(t, err)
	require.Len(t, events, 1, "what changes nothing is no event")
	assert.Equal(t, "base_ref_changed", events[0].GetEvent())
	assert.Equal(t, "alice", events[0].GetActor().GetLogin())
}

func TestAPullRequestWhoseBaseIsDeletedIsClosed(t *testing.T) {
	s, repo := newForge(t)
	for _, branch := range []string{"staging", "one"} {
		require.NoError(t, repo.Branch("alice", branch, "main"))
	}
	_, err := repo.Push("alice", "one", "change", map[string]string{"a": "2\n"})
	require.NoError(t, err)
	number, err := repo.OpenPR("alice", "Promote", "one", "staging")
	require.NoError(t, err)
	require.NoError(t, repo.DeleteBranch("alice", "staging"))

	pr, _, err := as(t, s, "t-alice").PullRequests.Get(t.Context(), "acme", "environments", number)
	require.NoError(t, err)
	assert.Equal(t, "closed", pr.GetState())
	assert.Error(t, repo.Retarget("alice", number, "main"))
}
