package main

import (
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/gitsource/forge/gitea/giteatest"
	"github.com/sluice-cd/sluice/gitsource/gittest"
	"github.com/sluice-cd/sluice/reconciler/environments"
)

// files are the example's, by path.
func exampleFiles(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	example := os.DirFS("../../examples/environments")
	require.NoError(t, fs.WalkDir(example, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(example, path)
		files[path] = string(content)
		return err
	}))
	return files
}

// TestTheDaemonsWiringFollowsARealGitea goes from the configuration file to what
// the first polls find out and say; it stops short of the cluster.
func TestTheDaemonsWiringFollowsARealGitea(t *testing.T) {
	server := giteatest.New(t)
	for _, login := range []string{"sluice", "alice"} {
		_, err := server.CreateUser(t.Context(), login, login+"@forge.example")
		require.NoError(t, err)
	}
	do := func(method, path string, body, into any) {
		t.Helper()
		require.NoError(t, server.Do(t.Context(), "sluice", method, path, body, into))
	}
	do(http.MethodPost, "/orgs", map[string]any{"username": "acme"}, nil)
	do(http.MethodPost, "/orgs/acme/repos", map[string]any{"name": "environments"}, nil)
	for _, team := range []string{"platform", "releasers"} {
		do(http.MethodPost, "/orgs/acme/teams", map[string]any{"name": team, "permission": "read", "units": []string{"repo.code"}}, nil)
	}
	clone, err := gittest.Create(filepath.Join(t.TempDir(), "clone.git"))
	require.NoError(t, err)
	genesis, err := clone.Commit("main", "The example", "alice <alice@forge.example>", exampleFiles(t))
	require.NoError(t, err)
	remote := server.GitURL("sluice", "acme/environments")
	_, err = clone.Git("push", "--quiet", remote, "refs/heads/main")
	require.NoError(t, err)

	dir := t.TempDir()
	token, err := server.Token(t.Context(), "sluice", "read:user", "read:organization", "write:issue", "write:repository")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "token"), []byte(token), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "daemon.yaml"), []byte(strings.NewReplacer("URL", server.URL, "DIR", dir).Replace(`
apiVersion: sluice.dev/v1alpha1
kind: Daemon
repository: {url: "URL/acme/environments.git"}
forge: {kind: gitea, url: "URL", repository: acme/environments, tokenFile: DIR/token, writeInterval: 1ms}
dataDir: DIR
`)), 0o600))
	cfg, err := readConfig(filepath.Join(dir, "daemon.yaml"))
	require.NoError(t, err)
	log := slog.New(slog.DiscardHandler)
	hub, api, err := newForge(cfg.Forge, log)
	require.NoError(t, err)
	assert.Nil(t, api, "the daemon pushes its commits itself")
	mirror, err := openMirror(t.Context(), cfg, hub, log)
	require.NoError(t, err)
	defer mirror.Close()
	repository := environments.New(environments.Config{Mirror: mirror, Forge: hub, Name: cfg.Forge.Repository, Branch: cfg.Repository.Branch})

	record, err := repository.Begin(t.Context(), genesis)
	require.NoError(t, err)
	assert.Equal(t, []string{"dev/checkout", "production/checkout", "staging/checkout"}, record.Names())

	// A promotion is proposed, and hears what is missing.
	edited := strings.Replace(exampleFiles(t)["production/checkout/release.yaml"], "sha256:", "sha256:0", 1)
	require.NoError(t, clone.Branch("promote", "main"))
	head, err := clone.Commit("promote", "Promote", "alice <alice@forge.example>", map[string]string{"production/checkout/release.yaml": edited})
	require.NoError(t, err)
	_, err = clone.Git("push", "--quiet", remote, "refs/heads/promote")
	require.NoError(t, err)
	do(http.MethodPost, "/repos/acme/environments/pulls", map[string]any{"title": "Promote", "head": "promote", "base": "main"}, nil)
	rules, err := repository.Rules(genesis)
	require.NoError(t, err)
	proposals, err := repository.Proposals(t.Context(), rules)
	require.NoError(t, err)
	require.Len(t, proposals, 1)
	assert.Equal(t, head, proposals[0].PullRequest.Head.Commit)
	require.NoError(t, hub.Report(t.Context(), head, forge.Report{Status: forge.Status{Context: "sluice/production", State: forge.StatusPending, Description: "Waiting"}}))
	var combined struct{ State string }
	do(http.MethodGet, "/repos/acme/environments/commits/"+head+"/status", nil, &combined)
	assert.Equal(t, "pending", combined.State)

	// A push to the branch is noticed.
	tip, err := clone.Commit("main", "A word more", "alice <alice@forge.example>", map[string]string{"README.md": "# Ours\n"})
	require.NoError(t, err)
	_, err = clone.Git("push", "--quiet", remote, "refs/heads/main")
	require.NoError(t, err)
	record, err = repository.Poll(t.Context(), record, time.Now())
	require.NoError(t, err)
	assert.Equal(t, tip, record.Mark)
}
