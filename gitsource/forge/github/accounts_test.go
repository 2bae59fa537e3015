package github_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource/forge"
)

func TestAccountsAreFoundByTheirLoginOfTheMoment(t *testing.T) {
	w := newWorld(t)
	bob, err := w.client.Account(t.Context(), "bob")
	require.NoError(t, err)
	assert.Equal(t, forge.User{ID: 13, Login: "bob", Kind: "User"}, bob)
	require.NoError(t, w.forge.Rename("bob", "robert"))
	for _, login := range []string{"bob", "nobody", "robert/repos", "../rate_limit", "robert?x", " "} {
		_, err := w.client.Account(t.Context(), login)
		assert.ErrorIs(t, err, forge.ErrNotFound, login)
	}
	self, err := w.client.Account(t.Context(), "")
	require.NoError(t, err)
	assert.NotZero(t, self.ID)
}
