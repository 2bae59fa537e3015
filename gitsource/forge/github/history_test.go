package github_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/gitsource/gittest"
)

func TestComparisonHasTheCommitsOfTheOneSideAndTheirPeople(t *testing.T) {
	w := newWorld(t)
	source := w.forge.Repository(sourceName)
	from := must(t)(source.Push("alice", "main", "first", map[string]string{"a": "1"}))
	second := must(t)(source.Push("alice", "main", "second\n\nCo-authored-by: Bob <13+bob@users.noreply.127.0.0.1>", map[string]string{"a": "2"}))
	to := must(t)(source.PushAs("alice", "Somebody <x@example.org>", "main", "third", map[string]string{"a": "3"}))

	ahead, err := w.client.Compare(t.Context(), sourceName, from, to)
	require.NoError(t, err)
	require.Len(t, ahead.Commits, 2)
	assert.Zero(t, ahead.Behind)
	assert.Equal(t, second, ahead.Commits[0].Commit)
	assert.Equal(t, int64(12), ahead.Commits[0].Author.ID)
	assert.Len(t, ahead.Commits[0].CoAuthors, 1)
	assert.False(t, ahead.Commits[1].Author.Known(), "an address of nobody")

	behind, err := w.client.Compare(t.Context(), sourceName, to, from)
	require.NoError(t, err)
	assert.Empty(t, behind.Commits)
	assert.Equal(t, 2, behind.Behind)
}

func TestComparisonOfMoreThanOnePageIsComplete(t *testing.T) {
	w := newWorld(t)
	source := w.forge.Repository(sourceName)
	from := must(t)(source.Push("alice", "main", "first", map[string]string{"a": "0"}))
	grow(t, w, from, 250)
	to := must(t)(source.Git().SHA("main"))

	compared, err := w.client.Compare(t.Context(), sourceName, from, to)
	require.NoError(t, err)
	assert.Len(t, compared.Commits, 250)

	grow(t, w, to, 1)
	_, err = w.client.Compare(t.Context(), sourceName, from, must(t)(source.Git().SHA("main")))
	assert.ErrorIs(t, err, forge.ErrTooManyCommits)
	var rejected *forge.RejectedError
	assert.ErrorAs(t, err, &rejected, "asking again is useless")
}

// grow puts empty commits on the source's main without a process for each.
func grow(t *testing.T, w *world, from string, n int) {
	t.Helper()
	git := w.forge.Repository(sourceName).Git()
	var stream strings.Builder
	for i := range n {
		_, _ = fmt.Fprintf(&stream, "commit refs/heads/main\ncommitter alice <alice@example.com> %d +0000\ndata 1\nx\n", 1_700_000_000+i)
		if i == 0 {
			_, _ = fmt.Fprintf(&stream, "from %s\n", from)
		}
		stream.WriteString("\n")
	}
	_, err := git.GitIn([]byte(stream.String()), nil, "fast-import", "--quiet")
	require.NoError(t, err)
}

func TestComparisonWithWhatIsNotThereIsAnError(t *testing.T) {
	w := newWorld(t)
	to := must(t)(w.forge.Repository(sourceName).Push("alice", "main", "first", map[string]string{"a": "1"}))
	for _, from := range []string{strings.Repeat("1", 40), "main", "", to + "..x"} {
		_, err := w.client.Compare(t.Context(), sourceName, from, to)
		assert.Error(t, err, from)
	}
	_, err := w.client.Compare(t.Context(), "acme/nowhere", to, to)
	assert.Error(t, err)
}

func TestNewestBeginsWithTheCommit(t *testing.T) {
	w := newWorld(t)
	source := w.forge.Repository(sourceName)
	must(t)(source.Push("alice", "main", "first", map[string]string{"a": "1"}))
	second := must(t)(source.Push("alice", "main", "second", map[string]string{"a": "2"}))
	must(t)(source.Push("alice", "main", "third", map[string]string{"a": "3"}))

	commits, err := w.client.Newest(t.Context(), sourceName, second)
	require.NoError(t, err)
	require.Len(t, commits, 2)
	assert.Equal(t, second, commits[0].Commit)

	_, err = w.client.Newest(t.Context(), sourceName, strings.Repeat("1", 40))
	assert.Error(t, err)
}

func TestMergedWithTellsLabelsAndLeavesOpenOnesOut(t *testing.T) {
	w := newWorld(t)
	number, head := w.propose(t, "one", map[string]string{"a": "2"})
	require.NoError(t, w.repo.Label(number, "breaking", "weird | label"))
	merged, err := w.client.MergedWith(t.Context(), repoName, head)
	require.NoError(t, err)
	assert.Empty(t, merged, "it is open")

	must(t)(w.repo.Merge("bob", number, gittest.MergeCommit))
	merged, err = w.client.MergedWith(t.Context(), repoName, head)
	require.NoError(t, err)
	require.Len(t, merged, 1)
	assert.Equal(t, []string{"breaking", "weird | label"}, merged[0].Labels)
}
