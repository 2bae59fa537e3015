package github_test

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/gitsource/forge/forgetest"
	"github.com/sluice-cd/sluice/gitsource/forge/forgetest/contract"
	"github.com/sluice-cd/sluice/gitsource/forge/github"
	"github.com/sluice-cd/sluice/gitsource/forge/transport"
	"github.com/sluice-cd/sluice/gitsource/gittest"
)

const (
	repoName   = "acme/environments"
	sourceName = "acme/checkout"
	token      = "ghp_canary0123456789canary0123456789"
)

// people of the tests; ids far apart from everything the fake numbers itself.
func options() forgetest.Options {
	return forgetest.Options{
		Users: []forgetest.User{
			{Login: "sluice", ID: 11, Token: token, Kind: "Bot"},
			{Login: "alice", ID: 12, Token: "t-alice"}, {Login: "bob", ID: 13, Token: "t-bob"},
			{Login: "carol", ID: 14, Token: "t-carol"}, {Login: "mallory", ID: 15, Token: "t-mallory"},
		},
		Apps:  []forgetest.App{{Slug: "github-actions", ID: 15368}, {Slug: "evil-ci", ID: 666}},
		Teams: []forgetest.Team{{Org: "acme", Slug: "payments", Members: []string{"bob"}, Pending: []string{"carol"}}},
		Repositories: []forgetest.RepositoryOptions{
			{FullName: repoName, Protected: []string{"main"}, Permissions: map[string]string{"sluice": "admin", "alice": "write", "bob": "write"}},
			{FullName: sourceName, Protected: []string{"main"}, Permissions: map[string]string{"alice": "write"}},
			{FullName: "mallory/environments", ForkOf: repoName},
		},
	}
}

type world struct {
	forge  *forgetest.Server
	repo   *forgetest.Repository
	client *github.Client
	main   string // first commit of main
	seen   []transport.Exchange
}

func (w *world) observe(e transport.Exchange) { w.seen = append(w.seen, e) }

func newWorld(t *testing.T) *world {
	t.Helper()
	return worldOf(t, options())
}

func worldOf(t *testing.T, opts forgetest.Options) *world {
	t.Helper()
	w := &world{forge: forgetest.New(t, opts)}
	w.repo = w.forge.Repository(repoName)
	w.main = must(t)(w.repo.Push("alice", "main", "first", map[string]string{"a": "1", "b": "1"}))
	w.client = newClient(t, w, nil)
	return w
}

// newClient checks every exchange against GitHub's description.
func newClient(t *testing.T, w *world, change func(*github.Config)) *github.Client {
	t.Helper()
	cfg := github.Config{
		BaseURL: w.forge.APIURL(), Repository: repoName, TokenFile: writeFile(t, token+"\n"),
		Transport: contract.Transport(t, http.DefaultTransport, "/api/v3"), Observe: w.observe,
		WriteInterval: time.Microsecond, RetryBackoff: time.Microsecond,
	}
	if change != nil {
		change(&cfg)
	}
	client, err := github.New(cfg)
	require.NoError(t, err)
	return client
}

func writeFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

func must(t *testing.T) func(string, error) string {
	t.Helper()
	return func(s string, err error) string {
		t.Helper()
		require.NoError(t, err)
		return s
	}
}

// propose pushes a change to a branch as alice and opens a pull request.
func (w *world) propose(t *testing.T, branch string, files map[string]string) (number int, head string) {
	t.Helper()
	require.NoError(t, w.repo.Branch("alice", branch, "main"))
	head = must(t)(w.repo.Push("alice", branch, "change "+branch, files))
	number, err := w.repo.OpenPR("alice", "Promote "+branch, branch, "main")
	require.NoError(t, err)
	return number, head
}

func TestPullRequestFromOpenToMerged(t *testing.T) {
	w := newWorld(t)
	number, head := w.propose(t, "feature/one", map[string]string{"a": "2"})

	open, err := w.client.OpenPullRequests(t.Context(), "main")
	require.NoError(t, err)
	require.Len(t, open, 1)
	assert.Equal(t, forge.Branch{Repository: repoName, Name: "feature/one", Commit: head}, open[0].Head)

	pr, err := w.client.PullRequest(t.Context(), number)
	require.NoError(t, err)
	assert.True(t, pr.Open)
	assert.Empty(t, pr.MergeCommit, "a test merge is not a merge")
	assert.Equal(t, forge.User{ID: 12, Login: "alice", Kind: "User"}, pr.Author)

	sha := must(t)(w.repo.Merge("bob", number, gittest.MergeCommit))
	pr, err = w.client.MergedPullRequest(t.Context(), sha, "main")
	require.NoError(t, err)
	assert.True(t, pr.Merged)
	assert.False(t, pr.Open)
	assert.Equal(t, sha, pr.MergeCommit)
	assert.Equal(t, int64(13), pr.MergedBy.ID)
	assert.False(t, pr.MergedAt.IsZero())

	open, err = w.client.OpenPullRequests(t.Context(), "main")
	require.NoError(t, err)
	assert.Empty(t, open)
}
