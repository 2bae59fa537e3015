package github_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/gitsource/gittest"
)

func TestMergedPullRequestForEachMergeMethod(t *testing.T) {
	for _, method := range []gittest.Method{gittest.MergeCommit, gittest.Squash, gittest.Rebase} {
		t.Run(string(method), func(t *testing.T) {
			w := newWorld(t)
			number, _ := w.propose(t, "one", map[string]string{"a": "2"})
			must(t)(w.repo.Push("alice", "one", "second", map[string]string{"c": "1"}))
			sha := must(t)(w.repo.Merge("bob", number, method))

			pr, err := w.client.MergedPullRequest(t.Context(), sha, "main")
			require.NoError(t, err)
			assert.Equal(t, number, pr.Number)
			assert.Equal(t, sha, pr.MergeCommit)

			// What lies before the merge commit belongs to the same pull
			// request if it was rebased, and is not it.
			before := must(t)(w.repo.Git().SHA(sha + "^"))
			pr, err = w.client.MergedPullRequest(t.Context(), before, "main")
			if method == gittest.Rebase {
				require.NoError(t, err)
				assert.Equal(t, number, pr.Number)
				assert.NotEqual(t, before, pr.MergeCommit)
			} else {
				assert.ErrorIs(t, err, forge.ErrNoPullRequest)
			}
		})
	}
}

func TestDirectPushHasNoPullRequest(t *testing.T) {
	w := newWorld(t)
	sha := must(t)(w.repo.Push("mallory", "main", "Merge pull request #1 from acme/one", map[string]string{"a": "evil"}))

	_, err := w.client.MergedPullRequest(t.Context(), sha, "main")
	assert.ErrorIs(t, err, forge.ErrNoPullRequest)
}

func TestMergeIntoAnotherBranchDoesNotCount(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.repo.Branch("alice", "staging", "main"))
	require.NoError(t, w.repo.Branch("alice", "one", "main"))
	must(t)(w.repo.Push("alice", "one", "change", map[string]string{"a": "2"}))
	number, err := w.repo.OpenPR("alice", "sneak", "one", "staging")
	require.NoError(t, err)
	sha := must(t)(w.repo.Merge("alice", number, gittest.Squash))
	require.NoError(t, w.repo.Branch("alice", "main", "staging"))

	_, err = w.client.MergedPullRequest(t.Context(), sha, "main")
	assert.ErrorIs(t, err, forge.ErrNoPullRequest)
	pr, err := w.client.MergedPullRequest(t.Context(), sha, "staging")
	require.NoError(t, err)
	assert.Equal(t, number, pr.Number)
}

func TestAnOpenPullRequestThatContainsTheCommitDoesNotCount(t *testing.T) {
	w := newWorld(t)
	_, head := w.propose(t, "one", map[string]string{"a": "2"})

	_, err := w.client.MergedPullRequest(t.Context(), head, "main")
	assert.ErrorIs(t, err, forge.ErrNoPullRequest)
}

func TestTwoPullRequestsThatClaimACommitProveNothing(t *testing.T) {
	w := newWorld(t)
	first, _ := w.propose(t, "one", map[string]string{"a": "2"})
	require.NoError(t, w.repo.Branch("alice", "two", "one"))
	second, err := w.repo.OpenPR("alice", "again", "two", "main")
	require.NoError(t, err)
	base := must(t)(w.repo.Git().SHA("main"))
	must(t)(w.repo.Merge("bob", first, gittest.MergeCommit))
	require.NoError(t, w.repo.Branch("alice", "main", base))
	must(t)(w.repo.Merge("bob", second, gittest.MergeCommit))
	head := must(t)(w.repo.Git().SHA("two"))

	_, err = w.client.MergedPullRequest(t.Context(), head, "main")
	assert.ErrorIs(t, err, forge.ErrNoPullRequest)
	assert.ErrorContains(t, err, "#1, #2")
}

func TestMovingNamesAndUnknownCommitsAreRefused(t *testing.T) {
	w := newWorld(t)
	for _, commit := range []string{"", "main", "HEAD", strings.Repeat("a", 39), strings.Repeat("a", 40) + "/../../user"} {
		_, err := w.client.MergedPullRequest(t.Context(), commit, "main")
		var rejected *forge.RejectedError
		assert.ErrorAs(t, err, &rejected, commit)
	}
	assert.Empty(t, w.forge.Requests())

	_, err := w.client.MergedPullRequest(t.Context(), strings.Repeat("a", 40), "main")
	var rejected *forge.RejectedError
	require.ErrorAs(t, err, &rejected)
	assert.Equal(t, 422, rejected.Code)
	assert.NotErrorIs(t, err, forge.ErrNoPullRequest, "a commit the forge does not know is not a direct push")
}

func TestMissingPullRequestIsNotFound(t *testing.T) {
	w := newWorld(t)
	_, err := w.client.PullRequest(t.Context(), 7)
	assert.ErrorIs(t, err, forge.ErrNotFound)
	_, err = w.client.Reviews(t.Context(), 7)
	assert.ErrorIs(t, err, forge.ErrNotFound)
	_, err = w.client.Commits(t.Context(), 7)
	assert.ErrorIs(t, err, forge.ErrNotFound)
}

func TestReviewsSayWhoSaidWhatAboutWhichHead(t *testing.T) {
	w := newWorld(t)
	number, head := w.propose(t, "one", map[string]string{"a": "2"})
	approval, err := w.repo.Approve("bob", number)
	require.NoError(t, err)
	next := must(t)(w.repo.Push("alice", "one", "more", map[string]string{"a": "3"}))
	_, err = w.repo.RequestChanges("carol", number)
	require.NoError(t, err)
	_, err = w.repo.Comment("alice", number)
	require.NoError(t, err)
	require.NoError(t, w.repo.Dismiss("alice", number, approval))

	reviews, err := w.client.Reviews(t.Context(), number)
	require.NoError(t, err)
	require.Len(t, reviews, 3)
	assert.Equal(t, forge.Dismissed, reviews[0].State)
	assert.Equal(t, head, reviews[0].Commit)
	assert.Equal(t, forge.User{ID: 13, Login: "bob", Kind: "User"}, reviews[0].User)
	assert.Equal(t, forge.ChangesRequested, reviews[1].State)
	assert.Equal(t, next, reviews[1].Commit)
	assert.Equal(t, forge.Commented, reviews[2].State)
	assert.False(t, reviews[2].SubmittedAt.IsZero())
}

func TestCommitsNameEverybodyWhoHadAHandInThem(t *testing.T) {
	w := newWorld(t)
	number, head := w.propose(t, "one", map[string]string{"a": "2"})
	message := "pair\n\nCo-authored-by: Bob <bob@example.com>\nCo-authored-by: C <14+carol@users.noreply.127.0.0.1>\n" +
		"co-authored-by: D <x+dave@users.noreply.127.0.0.1>\nCo-authored-by: E <eve@nowhere.test>\nCo-authored-by: F"
	paired := must(t)(w.repo.PushAs("alice", "Bob <bob@example.com>", "one", message, map[string]string{"a": "3"}))
	strange := must(t)(w.repo.PushAs("alice", "Nobody <nobody@nowhere.test>", "one", "unlinked", map[string]string{"a": "4"}))

	commits, err := w.client.Commits(t.Context(), number)
	require.NoError(t, err)
	alice, bob := forge.User{ID: 12, Login: "alice", Kind: "User"}, forge.User{ID: 13, Login: "bob", Kind: "User"}
	assert.Equal(t, []forge.PullRequestCommit{
		{Commit: head, Author: alice, Committer: alice},
		{Commit: paired, Author: bob, Committer: bob, CoAuthors: []forge.User{bob, {ID: 14, Login: "carol"}, {}, {}, {}}},
		{Commit: strange},
	}, commits)
}

func TestCommitsBeyondTheForgesLimitAreAnError(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.repo.Branch("alice", "long", "main"))
	tip := w.main
	for range 251 {
		tip = must(t)(w.repo.Git().Git("-c", "user.name=a", "-c", "user.email=a@b", "commit-tree", tip+"^{tree}", "-p", tip, "-m", "x"))
	}
	require.NoError(t, w.repo.Branch("alice", "long", tip))
	number, err := w.repo.OpenPR("alice", "long", "long", "main")
	require.NoError(t, err)

	_, err = w.client.Commits(t.Context(), number)
	var rejected *forge.RejectedError
	require.ErrorAs(t, err, &rejected, "asking again is useless")
	assert.ErrorIs(t, err, forge.ErrTooManyCommits)
}

func TestForkPullRequestNamesItsRepository(t *testing.T) {
	w := newWorld(t)
	fork := w.forge.Repository("mallory/environments")
	head := must(t)(fork.Push("mallory", "main", "unrelated", map[string]string{"a": "2"}))
	number, err := w.repo.OpenPR("mallory", "from a fork", "mallory:main", "main")
	require.NoError(t, err)

	pr, err := w.client.PullRequest(t.Context(), number)
	require.NoError(t, err)
	assert.Equal(t, forge.Branch{Repository: "mallory/environments", Name: "main", Commit: head}, pr.Head)
	assert.Equal(t, head, must(t)(w.repo.Git().SHA("refs/pull/1/head")))
	pushers, err := w.client.LastPushers(t.Context(), pr)
	require.NoError(t, err)
	assert.Equal(t, int64(15), pushers[0].ID)

	fork.Delete()
	_, err = w.client.LastPushers(t.Context(), pr)
	assert.ErrorIs(t, err, forge.ErrPusherUnknown)
	pr.Head.Repository = ""
	_, err = w.client.LastPushers(t.Context(), pr)
	assert.ErrorIs(t, err, forge.ErrPusherUnknown)
}
