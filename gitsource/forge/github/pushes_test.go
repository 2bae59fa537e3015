package github_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/gitsource/forge/forgetest"
	"github.com/sluice-cd/sluice/gitsource/gittest"
)

func TestLastPusherIsWhoeverPutTheHeadThere(t *testing.T) {
	w := newWorld(t)
	number, _ := w.propose(t, "one", map[string]string{"a": "2"})
	must(t)(w.repo.PushAs("bob", "alice <alice@example.com>", "one", "claims to be by alice", map[string]string{"a": "3"}))
	pr, err := w.client.PullRequest(t.Context(), number)
	require.NoError(t, err)

	pushers, err := w.client.LastPushers(t.Context(), pr)
	require.NoError(t, err)
	assert.Equal(t, []forge.User{{ID: 13, Login: "bob", Kind: "User"}}, pushers)

	// Carol moves the branch away and back: she has pushed that head as well.
	require.NoError(t, w.repo.Branch("carol", "one", "main"))
	require.NoError(t, w.repo.Branch("carol", "one", pr.Head.Commit))
	pushers, err = w.client.LastPushers(t.Context(), pr)
	require.NoError(t, err)
	require.Len(t, pushers, 2)
	assert.Equal(t, []int64{14, 13}, []int64{pushers[0].ID, pushers[1].ID})

	require.NoError(t, w.repo.DeleteBranch("mallory", "one"))
	pushers, err = w.client.LastPushers(t.Context(), pr)
	require.NoError(t, err)
	assert.Len(t, pushers, 2, "deleting a branch is not pushing its head")
}

func TestLastPusherIsFoundOnALaterPage(t *testing.T) {
	opts := options()
	opts.MaxPerPage = 2
	w := worldOf(t, opts)
	number, head := w.propose(t, "one", map[string]string{"a": "2"})
	pr, err := w.client.PullRequest(t.Context(), number)
	require.NoError(t, err)
	for range 3 {
		must(t)(w.repo.Push("carol", "one", "noise", map[string]string{"n": "1"}))
	}
	pr.Head.Commit = head

	pushers, err := w.client.LastPushers(t.Context(), pr)
	require.NoError(t, err)
	assert.Equal(t, int64(12), pushers[0].ID)
	assert.Equal(t, 2, w.forge.Requests()["GET /repos/{owner}/{repo}/activity"])
}

func TestPusherOfAHeadThatTheRecordDoesNotMentionIsUnknown(t *testing.T) {
	w := newWorld(t)
	number, _ := w.propose(t, "one", map[string]string{"a": "2"})
	pr, err := w.client.PullRequest(t.Context(), number)
	require.NoError(t, err)
	pr.Head.Commit = strings.Repeat("b", 40)

	_, err = w.client.LastPushers(t.Context(), pr)
	assert.ErrorIs(t, err, forge.ErrPusherUnknown)
}

const activityRoute = "GET /repos/{owner}/{repo}/activity"

func TestRepositoryOutOfSightIsNotAServerWithoutARecord(t *testing.T) {
	w := newWorld(t)
	number, _ := w.propose(t, "one", map[string]string{"a": "2"})
	pr, err := w.client.PullRequest(t.Context(), number)
	require.NoError(t, err)
	hidden := pr
	hidden.Head.Repository = "mallory/private"

	_, err = w.client.LastPushers(t.Context(), hidden)
	assert.ErrorIs(t, err, forge.ErrPusherUnknown)
	assert.NotErrorIs(t, err, forge.ErrNoRecord, "the server keeps one of our own repository")

	w.forge.Inject(forgetest.Fault{On: activityRoute, Status: 404})
	for _, pr := range []forge.PullRequest{pr, hidden} {
		_, err = w.client.LastPushers(t.Context(), pr)
		assert.ErrorIs(t, err, forge.ErrNoRecord)
		assert.NotErrorIs(t, err, forge.ErrPusherUnknown)
	}

	w.forge.Inject(forgetest.Fault{On: "GET /repos/{owner}/{repo}", Status: 404})
	_, err = w.client.LastPushers(t.Context(), pr)
	assert.ErrorIs(t, err, forge.ErrNotFound, "neither is known while nothing can be seen")
	assert.NotErrorIs(t, err, forge.ErrNoRecord)

	w.forge.ClearFaults()
	w.forge.Inject(forgetest.Fault{On: activityRoute, Times: 1, Status: 404})
	w.forge.Inject(forgetest.Fault{On: activityRoute, Status: 403})
	_, err = w.client.LastPushers(t.Context(), hidden)
	var rejected *forge.RejectedError
	require.ErrorAs(t, err, &rejected)
	assert.Equal(t, 403, rejected.Code)
}

func TestPusherWhoseAccountIsGoneIsUnknown(t *testing.T) {
	w := newWorld(t)
	number, head := w.propose(t, "one", map[string]string{"a": "2"})
	pr, err := w.client.PullRequest(t.Context(), number)
	require.NoError(t, err)
	w.forge.Inject(forgetest.Fault{On: activityRoute, Status: 200, Header: map[string]string{"Content-Type": "application/json"}, Body: `[{"id":1,"node_id":"x","before":"` + strings.Repeat("0", 40) +
		`","after":"` + head + `","ref":"refs/heads/one","timestamp":"2026-03-02T09:00:00Z","activity_type":"push","actor":null}]`})

	_, err = w.client.LastPushers(t.Context(), pr)
	assert.ErrorIs(t, err, forge.ErrPusherUnknown)
}

func TestChangesOfTheBaseAreListed(t *testing.T) {
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	opts := options()
	opts.Now, opts.MaxPerPage = func() time.Time { return at }, 2
	w := worldOf(t, opts)
	number, _ := w.propose(t, "one", map[string]string{"a": "2"})
	changes, err := w.client.BaseChanges(t.Context(), number)
	require.NoError(t, err)
	assert.Empty(t, changes)

	var want []time.Time
	next := func() { at = at.Add(time.Minute); want = append(want, at) }
	require.NoError(t, w.repo.Branch("alice", "staging", "main"))
	next()
	require.NoError(t, w.repo.Retarget("alice", number, "staging"))
	next()
	must(t)(w.repo.Push("alice", "aside", "other", map[string]string{"z": "1"}))
	require.NoError(t, w.repo.Branch("alice", "staging", "aside")) // a force push
	next()
	require.NoError(t, w.repo.Retarget("alice", number, "main"))
	at = at.Add(time.Minute)
	must(t)(w.repo.Merge("bob", number, gittest.Squash))

	changes, err = w.client.BaseChanges(t.Context(), number)
	require.NoError(t, err)
	assert.Equal(t, want, changes, "merging and closing are events of another kind")
	pr, err := w.client.PullRequest(t.Context(), number)
	require.NoError(t, err)
	assert.Equal(t, "main", pr.Base.Name)
}

func TestBaseThatWentAwayChangesIt(t *testing.T) {
	w := newWorld(t)
	lower, _ := w.propose(t, "lower", map[string]string{"a": "2"})
	require.NoError(t, w.repo.Branch("alice", "upper", "lower"))
	must(t)(w.repo.Push("alice", "upper", "upper", map[string]string{"b": "2"}))
	upper, err := w.repo.OpenPR("alice", "stacked", "upper", "lower")
	require.NoError(t, err)
	must(t)(w.repo.Merge("bob", lower, gittest.MergeCommit))
	require.NoError(t, w.repo.DeleteBranch("bob", "lower"))

	changes, err := w.client.BaseChanges(t.Context(), upper)
	require.NoError(t, err)
	assert.Len(t, changes, 1)
	pr, err := w.client.PullRequest(t.Context(), upper)
	require.NoError(t, err)
	assert.Equal(t, "main", pr.Base.Name)
	assert.True(t, pr.Open)
}

func TestChangesOfTheBaseOfNothingAreNotFound(t *testing.T) {
	w := newWorld(t)
	_, err := w.client.BaseChanges(t.Context(), 7)
	assert.ErrorIs(t, err, forge.ErrNotFound)
}

func TestEventWithoutKindOrTimeIsAnIncompleteAnswer(t *testing.T) {
	w := newWorld(t)
	number, _ := w.propose(t, "one", map[string]string{"a": "2"})
	for _, body := range []string{`[{"id":1,"created_at":"2026-03-02T09:00:00Z"}]`, `[{"id":1,"event":"base_ref_changed"}]`} {
		w.forge.ClearFaults()
		w.forge.Inject(forgetest.Fault{Status: 200, Header: map[string]string{"Content-Type": "application/json"}, Body: body})
		_, err := w.client.BaseChanges(t.Context(), number)
		var transient *forge.TransientError
		assert.ErrorAs(t, err, &transient)
	}
}
