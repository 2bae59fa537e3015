package restore_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource"
	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/gitsource/forge/gitea"
	"github.com/sluice-cd/sluice/gitsource/forge/gitea/giteatest"
	"github.com/sluice-cd/sluice/reconciler"
	"github.com/sluice-cd/sluice/reconciler/environments"
	"github.com/sluice-cd/sluice/reconciler/release"
	"github.com/sluice-cd/sluice/reconciler/restore"
)

func TestOnARealGiteaARollbackReachesAProtectedBranch(t *testing.T) {
	server := giteatest.New(t)
	for _, login := range []string{"sluice", "bob"} {
		_, err := server.CreateUser(t.Context(), login, login+"@forge.example")
		require.NoError(t, err)
	}
	require.NoError(t, server.Do(t.Context(), "sluice", http.MethodPost, "/orgs", map[string]any{"username": "acme"}, nil))
	token, err := server.Token(t.Context(), "sluice", "read:user", "read:organization", "read:issue", "write:repository")
	require.NoError(t, err)
	for name, play := range map[string]func(*testing.T, *giteaWorld){
		"in a way that the repository allows":     allowedWaysOfMerging,
		"though answers get lost at every step":   lostAnswers,
		"and waits where a person has to approve": waitsForApproval,
	} {
		t.Run(name, func(t *testing.T) { play(t, &giteaWorld{server: server, token: token}) })
	}
}

// A giteaWorld is a world whose branch is on a Gitea that takes no pushes to it.
type giteaWorld struct {
	*world
	server *giteatest.Server
	token  string
	name   string
	client *gitea.Client
	lost   lossy
}

// lossy loses what is sent to one path, before or after it has arrived.
type lossy struct {
	suffix  string
	arrived bool
}

func (l *lossy) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method == http.MethodGet || l.suffix == "" || !strings.HasSuffix(req.URL.Path, l.suffix) {
		return http.DefaultTransport.RoundTrip(req)
	}
	l.suffix = ""
	if l.arrived {
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			return nil, err
		}
		_ = resp.Body.Close()
	}
	return nil, errors.New("the connection was lost")
}

// fresh is the same history in a new repository with other settings.
func (w *giteaWorld) fresh(t *testing.T, approvals int, settings map[string]any) *giteaWorld {
	t.Helper()
	made := &giteaWorld{world: newWorld(t), server: w.server, token: w.token}
	made.name = "acme/" + filepath.Base(filepath.Dir(t.TempDir()))
	made.as("sluice", http.MethodPost, "/orgs/acme/repos", map[string]any{"name": strings.TrimPrefix(made.name, "acme/")}, nil)
	made.as("sluice", http.MethodPut, "/repos/"+made.name+"/collaborators/bob", map[string]any{"permission": "write"}, nil)
	made.git("push", "--quiet", made.server.GitURL("sluice", made.name), "refs/heads/main")
	made.as("sluice", http.MethodPost, "/repos/"+made.name+"/branch_protections", map[string]any{
		"rule_name": "main", "enable_push": false, "required_approvals": approvals,
	}, nil)
	made.as("sluice", http.MethodPatch, "/repos/"+made.name, settings, nil)
	made.restart(t)
	return made
}

// restart forgets what is not in git or on the forge.
func (w *giteaWorld) restart(t *testing.T) {
	t.Helper()
	secret := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(secret, []byte(w.token), 0o600))
	var err error
	w.client, err = gitea.New(gitea.Config{
		BaseURL: w.server.URL, Repository: w.name, TokenFile: secret, WriteInterval: time.Microsecond, RetryBackoff: time.Microsecond, Transport: &w.lost,
	})
	require.NoError(t, err)
	w.mirror, err = gitsource.Open(t.Context(), gitsource.Config{
		URL: w.server.URL + "/" + w.name + ".git", Branch: "main", Dir: t.TempDir(), Auth: gitsource.Auth{TokenFile: secret},
	})
	require.NoError(t, err)
	t.Cleanup(w.mirror.Close)
	w.fetch()
	w.repository = environments.New(environments.Config{Mirror: w.mirror, Forge: w.client, Name: w.name, Branch: "main"})
	w.committer = w.newCommitter()
	w.committer.Proposer = w.client
}

func (w *giteaWorld) as(user, method, path string, body, into any) {
	w.t.Helper()
	require.NoError(w.t, w.server.Do(w.t.Context(), user, method, path, body, into))
}

// settled commits until it is done or refused: a Gitea that still looks for
// conflicts asks to come back.
func (w *giteaWorld) settled(commit release.Commit) (sha string, err error) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	var final error
	require.NoError(w.t, giteatest.Eventually(ctx, func() error {
		sha, err = w.committer.Commit(ctx, key, commit)
		if errors.Is(err, reconciler.ErrRefused) {
			final = err
			return nil
		}
		return err
	}))
	return sha, final
}

// restored expects that main says what runs, through one pull request.
func (w *giteaWorld) restored() {
	w.t.Helper()
	w.git("fetch", "--quiet", w.server.GitURL("sluice", w.name), "+refs/heads/main:refs/heads/main")
	assert.Equal(w.t, w.tree(w.good, "production/checkout"), w.tree("main", "production/checkout"))
	assert.Equal(w.t, "A\tproduction/checkout/control.yaml", w.git("diff", "--name-status", w.good, "main"))
	pr, err := w.client.PullRequest(w.t.Context(), 1)
	require.NoError(w.t, err)
	assert.True(w.t, pr.Merged)
	assert.Equal(w.t, w.git("rev-parse", "main"), pr.MergeCommit)
	_, err = w.client.PullRequest(w.t.Context(), 2)
	assert.ErrorIs(w.t, err, forge.ErrNotFound, "one is enough")
}

func allowedWaysOfMerging(t *testing.T, server *giteaWorld) {
	ways := []string{"allow_merge_commits", "allow_squash_merge", "allow_rebase", "allow_fast_forward_only_merge"}
	for _, way := range ways {
		t.Run(way, func(t *testing.T) {
			settings := map[string]any{"allow_rebase_explicit": false, "default_merge_style": strings.NewReplacer(
				"allow_", "", "_commits", "", "_merge", "", "_", "-").Replace(way)}
			for _, name := range ways {
				settings[name] = name == way
			}
			w := server.fresh(t, 0, settings)
			commit := w.rollback()
			sha, err := w.settled(commit)
			require.NoError(t, err)
			assert.NotEmpty(t, sha)
			w.restored()
			assert.Contains(t, w.message(), "Rollback-Id: "+commit.Rollback.ID, "whoever reads main finds what happened")
			sha, err = w.settled(commit)
			require.NoError(t, err)
			assert.Empty(t, sha, "nothing is left to do")
		})
	}
}

func lostAnswers(t *testing.T, server *giteaWorld) {
	for _, suffix := range []string{"/pulls", "/merge"} {
		for _, arrived := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, arrived %v", suffix, arrived), func(t *testing.T) {
				w := server.fresh(t, 0, map[string]any{})
				commit := w.rollback()
				w.lost = lossy{suffix: suffix, arrived: arrived}
				_, err := w.committer.Commit(t.Context(), key, commit)
				require.Error(t, err)
				require.NotErrorIs(t, err, reconciler.ErrRefused)
				w.restart(t)
				_, err = w.settled(commit)
				require.NoError(t, err)
				assert.Empty(t, w.lost.suffix, "it was lost")
				w.restored()
			})
		}
	}
}

func waitsForApproval(t *testing.T, server *giteaWorld) {
	w := server.fresh(t, 1, map[string]any{})
	commit := w.rollback()
	for range 2 {
		_, err := w.settled(commit)
		var proposed *reconciler.ProposedError
		require.ErrorAs(t, err, &proposed)
		assert.Equal(t, 1, proposed.PullRequest.Number)
		assert.ErrorContains(t, err, fmt.Sprintf("merge #1, %s/%s/pulls/1", w.server.URL, w.name))
		assert.ErrorContains(t, err, "approvals")
		w.restart(t)
	}
	w.as("bob", http.MethodPost, "/repos/"+w.name+"/pulls/1/reviews", map[string]any{"event": "APPROVED", "body": "good"}, nil)
	sha, err := w.settled(commit)
	require.NoError(t, err)
	assert.NotEmpty(t, sha)
	w.restored()
}

var _ restore.Proposer = (*gitea.Client)(nil)
