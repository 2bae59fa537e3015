package github_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource/forge"
)

func TestTeamMembershipIsActiveAndVisible(t *testing.T) {
	w := newWorld(t)
	for login, c := range map[string]struct {
		id   int64
		want bool
	}{"bob": {13, true}, "carol": {14, false}, "mallory": {15, false}} {
		member, err := w.client.TeamMember(t.Context(), "acme/payments", forge.User{ID: c.id, Login: login})
		require.NoError(t, err, login)
		assert.Equal(t, c.want, member, login)
	}
}

func TestATeamThatCannotBeSeenIsUnknown(t *testing.T) {
	w := newWorld(t)
	for _, team := range []string{"acme/secret", "other/payments", "payments", "acme/payments/x", "../payments"} {
		member, err := w.client.TeamMember(t.Context(), team, forge.User{ID: 13, Login: "bob"})
		var rejected *forge.RejectedError
		assert.ErrorAs(t, err, &rejected, team)
		assert.False(t, member)
		assert.ErrorAs(t, w.client.FindTeam(t.Context(), team), &rejected, team)
	}
	require.NoError(t, w.client.FindTeam(t.Context(), "acme/payments"))
	assert.ErrorIs(t, w.client.FindTeam(t.Context(), "acme/secret"), forge.ErrNotFound)
}

func TestPeopleAreFollowedByIDNotByLogin(t *testing.T) {
	w := newWorld(t)
	bob := forge.User{ID: 13, Login: "bob"}
	require.NoError(t, w.forge.Rename("bob", "robert"))
	require.NoError(t, w.forge.Rename("mallory", "bob"))

	member, err := w.client.TeamMember(t.Context(), "acme/payments", bob)
	require.NoError(t, err)
	assert.True(t, member)
	permission, err := w.client.Permission(t.Context(), bob)
	require.NoError(t, err)
	assert.True(t, permission.MayWrite())

	impostor := forge.User{ID: 15, Login: "bob"}
	member, err = w.client.TeamMember(t.Context(), "acme/payments", impostor)
	require.NoError(t, err)
	assert.False(t, member)
	permission, err = w.client.Permission(t.Context(), impostor)
	require.NoError(t, err)
	assert.False(t, permission.MayWrite())
}

func TestUnknownPeopleAreAnError(t *testing.T) {
	w := newWorld(t)
	for _, user := range []forge.User{{}, {Login: "bob"}, {ID: 4711, Login: "bob"}} {
		_, err := w.client.TeamMember(t.Context(), "acme/payments", user)
		assert.Error(t, err)
		_, err = w.client.Permission(t.Context(), user)
		assert.Error(t, err)
	}
}

func TestPermission(t *testing.T) {
	w := newWorld(t)
	for login, c := range map[string]struct {
		id   int64
		want forge.Permission
	}{"sluice": {11, "admin"}, "alice": {12, "write"}, "carol": {14, "read"}} {
		got, err := w.client.Permission(t.Context(), forge.User{ID: c.id, Login: login})
		require.NoError(t, err)
		assert.Equal(t, c.want, got)
	}
}

func TestSourceCommitMustBeInTheProtectedDefaultBranch(t *testing.T) {
	w := newWorld(t)
	source := w.forge.Repository(sourceName)
	first := must(t)(source.Push("alice", "main", "first", map[string]string{"x": "1"}))
	tip := must(t)(source.Push("alice", "main", "second", map[string]string{"x": "2"}))
	require.NoError(t, source.Branch("alice", "feature/x", first))
	stray := must(t)(source.Push("alice", "feature/x", "not merged", map[string]string{"x": "3"}))
	ahead := must(t)(source.Git().Git("-c", "user.name=a", "-c", "user.email=a@b", "commit-tree", tip+"^{tree}", "-p", tip, "-m", "x"))

	branch, err := w.client.Branch(t.Context(), sourceName, "")
	require.NoError(t, err)
	assert.Equal(t, forge.BranchState{Repository: sourceName, Name: "main", Commit: tip, Protected: true}, branch)
	for commit, want := range map[string]bool{
		tip: true, first: true, stray: false, ahead: false, strings.Repeat("c", 40): false, w.main: false,
	} {
		contained, err := w.client.Contains(t.Context(), branch, commit)
		require.NoError(t, err)
		assert.Equal(t, want, contained, commit)
	}

	branch, err = w.client.Branch(t.Context(), sourceName, "feature/x")
	require.NoError(t, err)
	assert.False(t, branch.Protected)
	assert.Equal(t, stray, branch.Commit)
}

func TestARepositoryOutOfSightContainsNothingKnown(t *testing.T) {
	w := newWorld(t)
	source := w.forge.Repository(sourceName)
	tip := must(t)(source.Push("alice", "main", "first", map[string]string{"x": "1"}))
	branch, err := w.client.Branch(t.Context(), sourceName, "main")
	require.NoError(t, err)
	source.Delete()

	_, err = w.client.Contains(t.Context(), branch, tip)
	assert.ErrorIs(t, err, forge.ErrNotFound)
	_, err = w.client.Branch(t.Context(), sourceName, "main")
	assert.ErrorIs(t, err, forge.ErrNotFound)
	_, err = w.client.Branch(t.Context(), sourceName, "")
	assert.ErrorIs(t, err, forge.ErrNotFound)
}

func TestOddNamesNeverReachTheServer(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"../../user", "a b", "a\nb", "x?y=1", "re:fs", "a..b"} {
		_, err := w.client.Branch(t.Context(), repoName, name)
		assert.Error(t, err, name)
		_, err = w.client.OpenPullRequests(t.Context(), name)
		assert.Error(t, err, name)
	}
	for _, name := range []string{"acme", "acme/../x", "a/b/c", "acme/x?y"} {
		_, err := w.client.Branch(t.Context(), name, "main")
		assert.Error(t, err, name)
		_, err = w.client.Checks(t.Context(), name, w.main)
		assert.Error(t, err, name)
	}
	assert.Empty(t, w.forge.Requests())
}
