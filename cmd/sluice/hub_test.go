package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource/forge/forgetest"
)

// A fakeHub is a forge with the example environments repository, where
// production may be promoted to what staging asks for.
type fakeHub struct {
	t     *testing.T
	forge *forgetest.Server
	repo  *forgetest.Repository
	token string // file
}

const fakeRepository = "acme/environments"

func newFakeHub(t *testing.T) *fakeHub {
	t.Helper()
	server := forgetest.New(t, forgetest.Options{
		Users: []forgetest.User{
			{Login: "alice", ID: 12, Token: "t-alice"}, {Login: "bob", ID: 13}, {Login: "mallory", ID: 16},
		},
		Apps:  []forgetest.App{{Slug: "github-actions", ID: 15368}},
		Teams: []forgetest.Team{{Org: "acme", Slug: "releasers", Members: []string{"bob"}}, {Org: "acme", Slug: "platform", Members: []string{"bob"}}},
		Repositories: []forgetest.RepositoryOptions{
			{FullName: fakeRepository, Protected: []string{"main"}, Permissions: map[string]string{"alice": "write", "bob": "write"}},
			{FullName: "acme/checkout", Protected: []string{"main"}, Permissions: map[string]string{"alice": "write"}},
		},
	})
	h := &fakeHub{t: t, forge: server, repo: server.Repository(fakeRepository), token: filepath.Join(t.TempDir(), "token")}
	require.NoError(t, os.WriteFile(h.token, []byte("t-alice"), 0o600))
	built, err := server.Repository("acme/checkout").Push("alice", "main", "build", map[string]string{"main.go": "package main\n"})
	require.NoError(t, err)
	files := exampleFiles(t)
	base := h.push(files)
	releases := map[string]string{}
	for _, environment := range []string{"staging", "production"} {
		path := environment + "/checkout/release.yaml"
		releases[path] = replaced(files[path], "base: ", base)
	}
	releases["staging/checkout/release.yaml"] = replaced(replaced(replaced(releases["staging/checkout/release.yaml"],
		"digest: ", "sha256:"+strings.Repeat("b", 64)), "version: ", "1.42.0"), "commit: ", built)
	h.push(releases)
	return h
}

// replaced gives the value behind a key another text.
func replaced(file, key, value string) string {
	before, after, _ := strings.Cut(file, key)
	_, rest, _ := strings.Cut(after, "\n")
	return before + key + value + "\n" + rest
}

func (h *fakeHub) push(files map[string]string) string {
	h.t.Helper()
	sha, err := h.repo.Push("bob", "main", "change", files)
	require.NoError(h.t, err)
	return sha
}

func (h *fakeHub) git(args ...string) string {
	h.t.Helper()
	out, err := h.repo.Git().Git(args...)
	require.NoError(h.t, err, "git %v", args)
	return out
}

// at says where the hub is.
func (h *fakeHub) at() []string {
	return []string{"--repository", fakeRepository, "--forge-url", h.forge.APIURL(), "--token-file", h.token}
}

// sluice runs a command line on the hub.
func (h *fakeHub) sluice(args ...string) (code int, stdout, stderr string) {
	h.t.Helper()
	return command(h.t, append(args, h.at()...)...)
}

func command(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}
