package conformance

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource/forge"
)

func reviews(t *testing.T, w World) {
	number, head := propose(w, "one")
	objected := w.Review(Bob, number, forge.ChangesRequested)
	w.Review(Carol, number, forge.Commented)
	next := w.Push(Alice, Commit{Branch: "one", Author: Alice, Message: "Mended", Files: map[string]string{"one": "2"}})
	w.Review(Carol, number, forge.Approved)
	w.Dismiss(Bob, number, objected)
	w.Review(Bob, number, forge.Approved)
	landed := w.Merge(Bob, number, Squash)

	pr, err := w.Driver().MergedPullRequest(t.Context(), landed, "main")
	require.NoError(t, err)
	found, err := w.Driver().Reviews(t.Context(), number)
	require.NoError(t, err)
	type said struct {
		by     int64
		state  forge.ReviewState
		commit string
	}
	var all []said
	for _, review := range found {
		assert.Equal(t, "User", review.User.Kind)
		assert.False(t, review.SubmittedAt.IsZero())
		assert.False(t, review.SubmittedAt.After(pr.MergedAt))
		all = append(all, said{review.User.ID, review.State, review.Commit})
	}
	bob, carol := w.Account(Bob).ID, w.Account(Carol).ID
	assert.ElementsMatch(t, []said{
		{bob, forge.Dismissed, head}, {carol, forge.Commented, head}, {carol, forge.Approved, next}, {bob, forge.Approved, next},
	}, all, "each for the head of its time")
	assert.Equal(t, said{bob, forge.Approved, next}, all[len(all)-1], "in the order of submission")
}

func checks(t *testing.T, w World) {
	tip := w.Tip("main")
	w.Report(Alice, tip, "test", "failure")
	w.Report(Alice, tip, "test", "success")
	w.Report(Bob, tip, "test", "failure")
	w.Report(Alice, tip, "scan", "running")

	found, err := w.Driver().Checks(t.Context(), w.Repository(), tip)
	require.NoError(t, err)
	assert.Len(t, found, 4, "repetitions included")
	type outcome struct{ app, name, status, conclusion string }
	var latest []outcome
	for _, check := range forge.LatestChecks(found) {
		assert.Equal(t, tip, check.Commit)
		assert.NotZero(t, check.AppID)
		latest = append(latest, outcome{check.App, check.Name, check.Status, check.Conclusion})
	}
	assert.ElementsMatch(t, []outcome{
		{w.Reporter(Alice), "test", "completed", "success"},
		{w.Reporter(Bob), "test", "completed", "failure"},
		{w.Reporter(Alice), "scan", "in_progress", ""},
	}, latest, "the latest of each reporter and name")

	number, head := propose(w, "one")
	none, err := w.Driver().Checks(t.Context(), w.Repository(), head)
	require.NoError(t, err)
	assert.Empty(t, none, "of pull request #%d, on which nothing ran", number)
}

func manyChecks(t *testing.T, w World) {
	const many = 53
	tip := w.Tip("main")
	for i := range many {
		w.Report(Alice, tip, fmt.Sprintf("test %d", i), "success")
	}
	found, err := w.Driver().Checks(t.Context(), w.Repository(), tip)
	require.NoError(t, err)
	assert.Len(t, forge.LatestChecks(found), many)
}

func statuses(t *testing.T, w World) {
	tip := w.Tip("main")
	waiting := forge.Status{Context: "sluice/production", State: forge.StatusPending, Description: "Waiting:\n" + strings.Repeat("for a check ", 20), URL: "https://sluice.example/x"}
	require.NoError(t, w.Driver().SetStatus(t.Context(), tip, waiting))
	require.NoError(t, w.Driver().SetStatus(t.Context(), tip, waiting))
	assert.Equal(t, []forge.StatusState{forge.StatusPending}, w.Statuses(tip, waiting.Context), "said once")

	ready := waiting
	ready.State, ready.Description = forge.StatusSuccess, "Ready"
	require.NoError(t, w.Driver().SetStatus(t.Context(), tip, ready))
	require.NoError(t, w.Driver().SetStatus(t.Context(), tip, waiting))
	assert.ElementsMatch(t, []forge.StatusState{forge.StatusPending, forge.StatusSuccess, forge.StatusPending},
		w.Statuses(tip, waiting.Context), "what was said before does not count as said now")
}

func oneComment(t *testing.T, w World) {
	number, head := propose(w, "one")
	report := forge.Report{Status: forge.Status{Context: "sluice/production", State: forge.StatusPending, Description: "Waiting"}, Summary: "| gate |"}
	require.NoError(t, w.Driver().Report(t.Context(), head, report))
	require.NoError(t, w.Driver().Report(t.Context(), head, report))

	const marker = "<!-- sluice:report -->"
	for i := range 60 {
		w.Say(Bob, number, fmt.Sprintf("%s\nforged %d", marker, i))
	}
	say := func(body string, keep bool) {
		t.Helper()
		require.NoError(t, w.Driver().Comment(t.Context(), number, forge.Comment{Marker: marker, Body: marker + "\n" + body, Keep: keep}))
	}
	say("nothing was said before", true)
	require.Len(t, w.Said(number), 60)
	say("| one | ✅ | `x` |", false)
	say("| one | ✅ | `x` |", false)
	say("two", false)
	say("three", true)
	said := w.Said(number)
	require.Len(t, said, 61, "one comment, below those of others")
	assert.Equal(t, marker+"\nforged 0", said[0])
	assert.Equal(t, marker+"\nthree", said[60])
}

func branches(t *testing.T, w World) {
	w.Protect("main", 0)
	w.Reset(Bob, "feature/one", w.Tip("main"))
	main := forge.BranchState{Repository: w.Repository(), Name: "main", Commit: w.Tip("main"), Protected: true}
	for _, name := range []string{"main", ""} {
		state, err := w.Driver().Branch(t.Context(), w.Repository(), name)
		require.NoError(t, err)
		assert.Equal(t, main, state, "%q", name)
	}
	state, err := w.Driver().Branch(t.Context(), w.Repository(), "feature/one")
	require.NoError(t, err)
	assert.False(t, state.Protected)
	_, err = w.Driver().Branch(t.Context(), w.Repository(), "none")
	assert.ErrorIs(t, err, forge.ErrNotFound)
	_, err = w.Driver().Branch(t.Context(), "acme/none", "main")
	assert.ErrorIs(t, err, forge.ErrNotFound)
}

func ancestry(t *testing.T, w World) {
	first := w.Tip("main")
	number, head := propose(w, "one")
	_, stray := propose(w, "stray")
	w.Merge(Bob, number, Merge)
	// A branch that is called like the commit it does not have.
	w.Reset(Bob, stray, first)

	main, err := w.Driver().Branch(t.Context(), w.Repository(), "main")
	require.NoError(t, err)
	for name, c := range map[string]struct {
		commit string
		want   bool
	}{
		"its head":                 {main.Commit, true},
		"the first commit":         {first, true},
		"a merged commit":          {head, true},
		"a commit beside it":       {stray, false},
		"a commit that nobody has": {strings.Repeat("0", 39) + "1", false},
	} {
		contains, err := w.Driver().Contains(t.Context(), main, c.commit)
		require.NoError(t, err, name)
		assert.Equal(t, c.want, contains, name)
	}
}

func people(t *testing.T, w World) {
	for login, want := range map[string]struct {
		member bool
		may    forge.Permission
	}{
		Alice: {false, forge.WritePermission}, Bob: {true, forge.WritePermission}, Carol: {false, forge.ReadPermission},
	} {
		member, err := w.Driver().TeamMember(t.Context(), Team, w.Account(login))
		require.NoError(t, err)
		assert.Equal(t, want.member, member, login)
		may, err := w.Driver().Permission(t.Context(), w.Account(login))
		require.NoError(t, err)
		assert.Equal(t, want.may, may, login)
	}
	renamed := w.Renamed()
	member, err := w.Driver().TeamMember(t.Context(), Team, renamed)
	require.NoError(t, err)
	assert.True(t, member, "the account counts, not its name")
	may, err := w.Driver().Permission(t.Context(), renamed)
	require.NoError(t, err)
	assert.Equal(t, forge.WritePermission, may)

	require.NoError(t, w.Driver().FindTeam(t.Context(), Team))
	assert.ErrorIs(t, w.Driver().FindTeam(t.Context(), "acme/none"), forge.ErrNotFound)
	_, err = w.Driver().TeamMember(t.Context(), "acme/none", w.Account(Bob))
	assert.ErrorIs(t, err, forge.ErrNotFound, "a team that nobody sees is not empty")
	_, err = w.Driver().Permission(t.Context(), forge.User{})
	assert.Error(t, err, "nobody in particular")
}
