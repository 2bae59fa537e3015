package main

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/schemas"
)

func TestAGitLabIsAskedWhereTheConfigurationSays(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "/api/v4/groups/acme%2Fpayments", r.URL.EscapedPath())
		assert.Equal(t, "Bearer glpat-1", r.Header.Get("Authorization"))
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"id": 70, "full_path": "acme/payments"}`))
	}))
	t.Cleanup(server.Close)
	token := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(token, []byte("glpat-1\n"), 0o600))
	hub, api, err := newForge(schemas.DaemonForge{
		Kind: schemas.ForgeGitLab, URL: server.URL, Repository: "acme/environments", TokenFile: token,
	}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	assert.Nil(t, api, "the daemon pushes its commits itself")
	assert.NoError(t, hub.FindTeam(t.Context(), "acme/payments"))
}
