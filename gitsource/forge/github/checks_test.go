package github_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource/forge"
)

func TestChecksNameTheirAppAndKeepEveryRerun(t *testing.T) {
	w := newWorld(t)
	source := w.forge.Repository(sourceName)
	sha := must(t)(source.Push("alice", "main", "first", map[string]string{"x": "1"}))
	first, err := source.Check("github-actions", sha, "test", "success")
	require.NoError(t, err)
	rerun, err := source.Check("github-actions", sha, "test", "failure")
	require.NoError(t, err)
	running, err := source.Check("github-actions", sha, "lint", "")
	require.NoError(t, err)
	spoofed, err := source.CheckRun("evil-ci", forge.Check{Commit: sha, Name: "test", Conclusion: "success", ExternalID: "sha256:abc"})
	require.NoError(t, err)

	runs, err := w.client.Checks(t.Context(), sourceName, sha)
	require.NoError(t, err)
	require.Len(t, runs, 4)
	byID := map[int64]forge.Check{}
	for _, run := range runs {
		byID[run.ID] = run
	}
	assert.Equal(t, "success", byID[first].Conclusion)
	assert.Equal(t, int64(15368), byID[rerun].AppID)
	assert.Equal(t, "github-actions", byID[rerun].App)
	assert.Equal(t, "in_progress", byID[running].Status)
	assert.Empty(t, byID[running].Conclusion)
	assert.True(t, byID[running].CompletedAt.IsZero())
	assert.Equal(t, int64(666), byID[spoofed].AppID)
	assert.Equal(t, "sha256:abc", byID[spoofed].ExternalID)

	latest := forge.LatestChecks(runs)
	require.Len(t, latest, 3)
	assert.Equal(t, rerun, latest[2].ID)
}

func TestChecksOfAnUnknownCommitAreUnknown(t *testing.T) {
	w := newWorld(t)
	runs, err := w.client.Checks(t.Context(), repoName, strings.Repeat("a", 40))
	var rejected *forge.RejectedError
	assert.ErrorAs(t, err, &rejected)
	assert.Nil(t, runs)
}

func TestStatusIsWrittenOnlyWhenItSaysSomethingNew(t *testing.T) {
	w := newWorld(t)
	route := "POST /repos/{owner}/{repo}/statuses/{ref}"
	waiting := forge.Status{Context: "sluice/production", State: forge.StatusPending, Description: "Waiting: 1 of 2 approvals", URL: "https://sluice.example/x"}
	require.NoError(t, w.client.SetStatus(t.Context(), w.main, waiting))
	require.NoError(t, w.client.SetStatus(t.Context(), w.main, waiting))
	assert.Equal(t, 1, w.forge.Requests()[route])

	other := forge.Status{Context: "sluice/staging", State: forge.StatusSuccess}
	require.NoError(t, w.client.SetStatus(t.Context(), w.main, other))
	require.NoError(t, w.client.SetStatus(t.Context(), w.main, other))
	ready := forge.Status{Context: "sluice/production", State: forge.StatusSuccess, Description: "ready"}
	require.NoError(t, w.client.SetStatus(t.Context(), w.main, ready))
	require.NoError(t, w.client.SetStatus(t.Context(), w.main, waiting), "an older status does not count")
	assert.Equal(t, 4, w.forge.Requests()[route])

	set := w.repo.Statuses(w.main)
	require.Len(t, set, 4)
	assert.Equal(t, waiting, set[0].Status)
	assert.Equal(t, "sluice", set[0].Creator)
}

func TestStatusDescriptionIsOneShortLine(t *testing.T) {
	w := newWorld(t)
	long := forge.Status{Context: "c", State: forge.StatusFailure, Description: "first\nsecond\t" + strings.Repeat("ü", 200)}
	require.NoError(t, w.client.SetStatus(t.Context(), w.main, long))
	require.NoError(t, w.client.SetStatus(t.Context(), w.main, long))

	set := w.repo.Statuses(w.main)
	require.Len(t, set, 1)
	assert.Len(t, []rune(set[0].Description), 140)
	assert.True(t, strings.HasPrefix(set[0].Description, "first second ü"))
}

func TestStatusThatWasWrittenWithoutAnAnswerIsNotWrittenTwice(t *testing.T) {
	w := newWorld(t)
	status := forge.Status{Context: "c", State: forge.StatusPending}
	dropPosts(w)

	var transient *forge.TransientError
	require.ErrorAs(t, w.client.SetStatus(t.Context(), w.main, status), &transient)
	require.NoError(t, w.client.SetStatus(t.Context(), w.main, status))
	assert.Len(t, w.repo.Statuses(w.main), 1)
}

func TestStatusOnAnUnknownCommitIsRejected(t *testing.T) {
	w := newWorld(t)
	var rejected *forge.RejectedError
	assert.ErrorAs(t, w.client.SetStatus(t.Context(), strings.Repeat("a", 40), forge.Status{Context: "c", State: forge.StatusPending}), &rejected)
	assert.ErrorAs(t, w.client.SetStatus(t.Context(), "main", forge.Status{Context: "c", State: forge.StatusPending}), &rejected)
}

func TestHundredsOfItemsAreReadToTheEnd(t *testing.T) {
	w := newWorld(t)
	number, head := w.propose(t, "one", map[string]string{"a": "2"})
	for i := range 200 {
		_, err := w.repo.Check("github-actions", head, fmt.Sprint("check ", i), "success")
		require.NoError(t, err)
		_, err = w.repo.Comment("bob", number)
		require.NoError(t, err)
		require.NoError(t, w.repo.SetStatus("alice", head, forge.Status{Context: fmt.Sprint("c", i), State: forge.StatusSuccess}))
	}
	_, err := w.repo.RequestChanges("carol", number)
	require.NoError(t, err)
	last := forge.Status{Context: "sluice/x", State: forge.StatusSuccess}
	require.NoError(t, w.repo.SetStatus("sluice", head, last))

	runs, err := w.client.Checks(t.Context(), repoName, head)
	require.NoError(t, err)
	assert.Len(t, runs, 200)
	reviews, err := w.client.Reviews(t.Context(), number)
	require.NoError(t, err)
	require.Len(t, reviews, 201)
	assert.Equal(t, forge.ChangesRequested, reviews[200].State)
	require.NoError(t, w.client.SetStatus(t.Context(), head, last))
	assert.Len(t, w.repo.Statuses(head), 201)
}
