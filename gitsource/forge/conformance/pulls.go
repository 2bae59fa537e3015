package conformance

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource/forge"
)

func propose(w World, branch string) (number int, head string) {
	head = w.Push(Alice, Commit{Branch: branch, Author: Alice, Message: "Change " + branch, Files: map[string]string{branch: "1"}})
	return w.Open(Alice, "Promote "+branch, branch, "main"), head
}

func ids(users []forge.User) []int64 {
	var all []int64
	for _, user := range users {
		all = append(all, user.ID)
	}
	return all
}

func openPullRequests(t *testing.T, w World) {
	w.Reset(Bob, "release", w.Tip("main"))
	none, err := w.Driver().OpenPullRequests(t.Context(), "main")
	require.NoError(t, err)
	assert.Empty(t, none)

	first, head := propose(w, "one")
	second, _ := propose(w, "two")
	w.Push(Alice, Commit{Branch: "three", Author: Alice, Message: "Change", Files: map[string]string{"three": "1"}})
	w.Open(Bob, "Elsewhere", "three", "release")

	open, err := w.Driver().OpenPullRequests(t.Context(), "main")
	require.NoError(t, err)
	require.Len(t, open, 2, "of this base alone")
	assert.Equal(t, []int{first, second}, []int{open[0].Number, open[1].Number}, "oldest first")
	assert.Equal(t, forge.Branch{Repository: w.Repository(), Name: "one", Commit: head}, open[0].Head)
	assert.Equal(t, "main", open[0].Base.Name)
	assert.Equal(t, w.Account(Alice).ID, open[0].Author.ID)
	assert.Equal(t, "Promote one", open[0].Title)
	assert.True(t, open[0].Open)
	assert.False(t, open[0].Merged)
	assert.Empty(t, open[0].MergeCommit, "a test merge is not a merge")
}

func merged(method string) func(*testing.T, World) {
	return func(t *testing.T, w World) {
		number, head := propose(w, "one")
		landed := w.Merge(Bob, number, method)
		assert.Equal(t, w.Tip("main"), landed)

		pr, err := w.Driver().MergedPullRequest(t.Context(), landed, "main")
		require.NoError(t, err)
		assert.Equal(t, number, pr.Number)
		assert.Equal(t, landed, pr.MergeCommit)
		assert.Equal(t, head, pr.Head.Commit)
		assert.True(t, pr.Merged)
		assert.False(t, pr.Open)
		assert.False(t, pr.MergedAt.IsZero())
		assert.Equal(t, w.Account(Alice).ID, pr.Author.ID)
		assert.Equal(t, w.Account(Bob).ID, pr.MergedBy.ID)
		assert.Equal(t, w.Repository(), pr.Base.Repository)

		open, err := w.Driver().OpenPullRequests(t.Context(), "main")
		require.NoError(t, err)
		assert.Empty(t, open)
	}
}

func rebasedCommits(t *testing.T, w World) {
	direct := w.Push(Bob, Commit{Branch: "main", Author: Bob, Message: "Direct", Files: map[string]string{"b": "1"}})
	propose(w, "one")
	w.Push(Alice, Commit{Branch: "two", Author: Alice, Message: "First", Files: map[string]string{"c": "1"}})
	w.Push(Alice, Commit{Branch: "two", Author: Alice, Message: "Second", Files: map[string]string{"d": "1"}})
	number := w.Open(Alice, "Two commits", "two", "main")
	before := w.Push(Bob, Commit{Branch: "main", Author: Bob, Message: "Direct again", Files: map[string]string{"b": "2"}})
	last := w.Merge(Bob, number, Rebase)
	w.Push(Bob, Commit{Branch: "main", Author: Bob, Message: "Direct afterwards", Files: map[string]string{"b": "3"}})

	inner := parent(t, w, last, before)
	for _, commit := range []string{inner, last} {
		pr, err := w.Driver().MergedPullRequest(t.Context(), commit, "main")
		require.NoError(t, err)
		assert.Equal(t, number, pr.Number)
		assert.Equal(t, last, pr.MergeCommit, "the commit that ended the merge")
	}
	for _, commit := range []string{direct, before, w.Tip("main")} {
		_, err := w.Driver().MergedPullRequest(t.Context(), commit, "main")
		assert.ErrorIs(t, err, forge.ErrNoPullRequest)
	}
}

// parent is the only commit between before and last.
func parent(t *testing.T, w World, last, before string) string {
	t.Helper()
	inner := w.Tip(last + "^")
	require.Equal(t, before, w.Tip(inner+"^"))
	return inner
}

func headAfterMerge(t *testing.T, w World) {
	number, head := propose(w, "one")
	landed := w.Merge(Bob, number, Squash)
	w.Push(Alice, Commit{Branch: "one", Author: Alice, Message: "Afterwards", Files: map[string]string{"one": "2"}})

	pr, err := w.Driver().MergedPullRequest(t.Context(), landed, "main")
	require.NoError(t, err)
	assert.Equal(t, head, pr.Head.Commit, "what was merged, not where the branch is now")
}

func noPullRequest(t *testing.T, w World) {
	direct := w.Push(Bob, Commit{Branch: "main", Author: Bob, Message: "Direct", Files: map[string]string{"b": "1"}})
	number, _ := propose(w, "one")
	w.Reset(Bob, "release", w.Tip("main"))
	landed := w.Merge(Bob, number, Merge)
	for name, question := range map[string][2]string{
		"a direct push": {direct, "main"},
		"another base":  {landed, "release"},
	} {
		_, err := w.Driver().MergedPullRequest(t.Context(), question[0], question[1])
		assert.ErrorIs(t, err, forge.ErrNoPullRequest, name)
	}
}

func retargeted(t *testing.T, w World) {
	w.Reset(Bob, "release", w.Tip("main"))
	number, _ := propose(w, "one")
	changes, err := w.Driver().BaseChanges(t.Context(), number)
	require.NoError(t, err)
	assert.Empty(t, changes)

	w.Retarget(Bob, number, "release")
	landed := w.Merge(Bob, number, Squash)
	changes, err = w.Driver().BaseChanges(t.Context(), number)
	require.NoError(t, err)
	require.Len(t, changes, 1)
	pr, err := w.Driver().MergedPullRequest(t.Context(), landed, "release")
	require.NoError(t, err)
	assert.False(t, changes[0].IsZero())
	assert.False(t, changes[0].After(pr.MergedAt))
	_, err = w.Driver().MergedPullRequest(t.Context(), landed, "main")
	assert.ErrorIs(t, err, forge.ErrNoPullRequest)
}

func authors(t *testing.T, w World) {
	w.Push(Alice, Commit{Branch: "one", Author: Bob, Message: "First", Files: map[string]string{"a": "2"}})
	w.Push(Alice, Commit{
		Branch: "one", Author: "Eve <eve@nowhere.example>", Files: map[string]string{"a": "3"},
		Message: "Second\n\nCo-authored-by: Bob <" + w.Email(Bob) + ">\nCo-authored-by: Nobody <nobody@nowhere.example>",
	})
	number := w.Open(Alice, "Two authors", "one", "main")

	commits, err := w.Driver().Commits(t.Context(), number)
	require.NoError(t, err)
	require.Len(t, commits, 2)
	bob := w.Account(Bob).ID
	assert.Equal(t, bob, commits[0].Author.ID, "oldest first, by whom git names, not by who pushed")
	assert.Equal(t, bob, commits[0].Committer.ID)
	assert.Empty(t, commits[0].CoAuthors)
	assert.Equal(t, w.Tip("one"), commits[1].Commit)
	assert.False(t, commits[1].Author.Known(), "no account has the address")
	assert.False(t, commits[1].Committer.Known())
	assert.Equal(t, []int64{bob, 0}, ids(commits[1].CoAuthors))
}

func pushers(t *testing.T, w World) {
	w.Push(Bob, Commit{Branch: "one", Author: Alice, Message: "By alice, pushed by bob", Files: map[string]string{"a": "2"}})
	w.Open(Alice, "Promote", "one", "main")
	last := func() []int64 {
		t.Helper()
		open, err := w.Driver().OpenPullRequests(t.Context(), "main")
		require.NoError(t, err)
		require.Len(t, open, 1)
		users, err := w.Driver().LastPushers(t.Context(), open[0])
		require.NoError(t, err)
		return ids(users)
	}
	assert.Equal(t, []int64{w.Account(Bob).ID}, last(), "before it was opened")
	first := w.Tip("one")
	w.Push(Alice, Commit{Branch: "one", Author: Bob, Message: "By bob, pushed by alice", Files: map[string]string{"a": "3"}})
	assert.Equal(t, []int64{w.Account(Alice).ID}, last(), "afterwards")
	w.Reset(Alice, "one", first)
	assert.ElementsMatch(t, []int64{w.Account(Alice).ID, w.Account(Bob).ID}, last(), "both have put the branch there")

	_, err := w.Driver().LastPushers(t.Context(), forge.PullRequest{Number: 1, Head: forge.Branch{Name: "one", Commit: first}})
	assert.ErrorIs(t, err, forge.ErrPusherUnknown, "a head repository that was deleted")
}
