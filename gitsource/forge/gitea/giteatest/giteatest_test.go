package giteatest_test

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource/forge/gitea/giteatest"
)

func TestPeopleActInTheirOwnName(t *testing.T) {
	server := giteatest.New(t)
	id, err := server.CreateUser(t.Context(), "alice", "alice@forge.example")
	require.NoError(t, err)
	assert.Positive(t, id)
	var repository struct {
		FullName string `json:"full_name"`
	}
	require.NoError(t, server.Do(t.Context(), "alice", http.MethodPost, "/user/repos", map[string]any{"name": "env", "auto_init": true}, &repository))
	assert.Equal(t, "alice/env", repository.FullName)

	out, err := exec.CommandContext(t.Context(), "git", "ls-remote", server.GitURL("alice", "alice/env")).Output()
	require.NoError(t, err)
	assert.Contains(t, string(out), "refs/heads/main")
	token, err := server.Token(t.Context(), "alice", "read:user")
	require.NoError(t, err)
	assert.Len(t, token, 40)
	assert.ErrorContains(t, server.Do(t.Context(), "alice", http.MethodGet, "/repos/alice/none", nil, nil), "404")
}

// TestMissingBinary runs itself in a process of its own, because a skip ends
// the test.
func TestMissingBinary(t *testing.T) {
	if os.Getenv("GITEATEST_CHILD") != "" {
		giteatest.New(t)
		return
	}
	for variable, wantPass := range map[string]bool{"NOTHING": true, "CI": false, "SLUICE_REQUIRE_GITEA": false} {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestMissingBinary$", "-test.v")
		cmd.Env = []string{"GITEATEST_CHILD=1", variable + "=true", "SLUICE_GITEA=" + filepath.Join(t.TempDir(), "none")}
		out, err := cmd.CombinedOutput()
		assert.Equal(t, wantPass, err == nil, "%s: %s", variable, out)
		assert.Contains(t, string(out), "make bin/gitea")
	}
}
