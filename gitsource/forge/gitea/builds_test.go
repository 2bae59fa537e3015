package gitea_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/gitsource/forge/gitea"
)

func TestGiteaKeepsNeitherAttestationsNorAlerts(t *testing.T) {
	client, err := gitea.New(gitea.Config{BaseURL: "https://gitea.example/git", Repository: "acme/environments", TokenFile: "/etc/sluice/token"})
	require.NoError(t, err)
	found, err := client.Attestations(t.Context(), "acme/checkout", "sha256:00")
	assert.ErrorIs(t, err, forge.ErrNoRecord)
	assert.Empty(t, found)
	branch := forge.BranchState{Repository: "acme/checkout", Name: "main"}
	_, err = client.Analyses(t.Context(), branch, "")
	assert.ErrorIs(t, err, forge.ErrNoRecord)
	_, err = client.Alerts(t.Context(), branch, time.Time{})
	assert.ErrorIs(t, err, forge.ErrNoRecord)
	assert.Equal(t, "https://gitea.example/git/acme/checkout", client.Home("acme/checkout"))
}
