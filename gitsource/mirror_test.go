package gitsource_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource"
	"github.com/sluice-cd/sluice/gitsource/gittest"
)

// repo is a server whose helpers fail the test.
type repo struct {
	*gittest.Server
	t *testing.T
}

func newRepo(t *testing.T) repo {
	t.Helper()
	return repo{gittest.New(t), t}
}

func (r repo) commit(branch string, files map[string]string) string {
	r.t.Helper()
	sha, err := r.Commit(branch, "change "+branch, "", files)
	require.NoError(r.t, err)
	return sha
}

func (r repo) commitFiles(branch string, files map[string]gittest.File) string {
	r.t.Helper()
	sha, err := r.CommitFiles(branch, "change "+branch, "", files)
	require.NoError(r.t, err)
	return sha
}

func (r repo) branch(name, rev string) {
	r.t.Helper()
	require.NoError(r.t, r.Branch(name, rev))
}

func (r repo) merge(branch, head string, method gittest.Method) string {
	r.t.Helper()
	sha, err := r.Merge(branch, head, method, "merge "+head, "")
	require.NoError(r.t, err)
	return sha
}

func (r repo) config() gitsource.Config {
	return gitsource.Config{URL: r.URL, Branch: "main", Dir: r.t.TempDir()}
}

func (r repo) mirror() *gitsource.Mirror {
	r.t.Helper()
	return open(r.t, r.config())
}

func open(t *testing.T, cfg gitsource.Config) *gitsource.Mirror {
	t.Helper()
	m, err := gitsource.Open(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(m.Close)
	return m
}

func tip(t *testing.T, m *gitsource.Mirror) string {
	t.Helper()
	sha, err := m.Tip(t.Context())
	require.NoError(t, err)
	return sha
}

func readFile(t *testing.T, m *gitsource.Mirror, sha, name string) string {
	t.Helper()
	f, err := m.FS(sha)
	require.NoError(t, err)
	data, err := fs.ReadFile(f, name)
	require.NoError(t, err)
	return string(data)
}

func TestTipFollowsTheBranch(t *testing.T) {
	r := newRepo(t)
	first := r.commit("main", map[string]string{"a": "1"})
	m := r.mirror()
	assert.Equal(t, first, tip(t, m))
	second := r.commit("main", map[string]string{"a": "2"})
	assert.Equal(t, second, tip(t, m))
	assert.Equal(t, "2", readFile(t, m, second, "a"))
	assert.Equal(t, "1", readFile(t, m, first, "a"))
	last, err := m.Last(t.Context())
	require.NoError(t, err)
	assert.Equal(t, second, last)
}

func TestUnchangedTipCostsOneRequest(t *testing.T) {
	r := newRepo(t)
	r.commit("main", map[string]string{"a": "1"})
	m := r.mirror()
	tip(t, m)
	r.ResetRequests()
	for range 3 {
		tip(t, m)
	}
	assert.Equal(t, map[string]int{gittest.Refs: 3}, r.Requests())
	r.ResetRequests()
	r.commit("main", map[string]string{"a": "2"})
	tip(t, m)
	assert.Equal(t, map[string]int{gittest.Refs: 1, gittest.Pack: 1}, r.Requests())
}

func TestMirrorSurvivesARestartWithoutTheServer(t *testing.T) {
	r := newRepo(t)
	sha := r.commit("main", map[string]string{"a": "1"})
	cfg := r.config()
	m := open(t, cfg)
	tip(t, m)
	m.Close()
	r.Inject(gittest.Fault{CutBefore: true})

	again := open(t, cfg)
	last, err := again.Last(t.Context())
	require.NoError(t, err)
	assert.Equal(t, sha, last)
	assert.Equal(t, "1", readFile(t, again, sha, "a"))
	_, err = again.Tip(t.Context())
	require.Error(t, err)
	assert.Equal(t, "1", readFile(t, again, sha, "a"))
}

func TestManyFetchesAreCompacted(t *testing.T) {
	r := newRepo(t)
	first := r.commit("main", map[string]string{"a": "0"})
	cfg := r.config()
	m := open(t, cfg)
	tip(t, m)
	for i := range 28 {
		sha := r.commit("main", map[string]string{"a": fmt.Sprint(i), fmt.Sprintf("d/%d", i): "x"})
		require.Equal(t, sha, tip(t, m))
	}
	packs, err := filepath.Glob(filepath.Join(cfg.Dir, "*.git", "objects", "pack", "*.pack"))
	require.NoError(t, err)
	assert.Less(t, len(packs), 20)
	assert.Equal(t, "0", readFile(t, m, first, "a"))
	m.Close()
	runStdin(t, filepath.Join(cfg.Dir, "1.git"), "", "fsck", "--full", "--strict")
	again := open(t, cfg)
	commits, err := again.Range(first, tip(t, again))
	require.NoError(t, err)
	assert.Len(t, commits, 28)
}

func TestFetchBringsPullRequestHeadsAndSHAs(t *testing.T) {
	r := newRepo(t)
	base := r.commit("main", map[string]string{"a": "1"})
	m := r.mirror()
	tip(t, m)
	r.branch("feature", "main")
	head := r.commit("feature", map[string]string{"a": "2"})
	require.NoError(t, r.SetRef("refs/pull/1/head", head))
	loose := r.commit("feature", map[string]string{"a": "3"})
	require.NoError(t, r.DeleteBranch("feature"))

	_, err := m.Commit(head)
	require.ErrorIs(t, err, gitsource.ErrUnknownCommit)
	got, err := m.Fetch(t.Context(), "refs/pull/1/head", base)
	require.NoError(t, err)
	assert.Equal(t, []string{head, base}, got)
	assert.Equal(t, "2", readFile(t, m, head, "a"))

	got, err = m.Fetch(t.Context(), loose)
	require.NoError(t, err)
	assert.Equal(t, "3", readFile(t, m, got[0], "a"))

	r.ResetRequests()
	_, err = m.Fetch(t.Context(), loose, head)
	require.NoError(t, err)
	assert.Empty(t, r.Requests(), "commits that are there cost nothing")

	_, err = m.Fetch(t.Context(), "refs/pull/2/head")
	require.ErrorIs(t, err, gitsource.ErrNoBranch)
	_, err = m.Fetch(t.Context(), strings.Repeat("1", 40))
	require.Error(t, err)
	assert.Equal(t, base, tip(t, m))
}

func TestFetchWorksBeforeTheFirstTip(t *testing.T) {
	r := newRepo(t)
	sha := r.commit("main", map[string]string{"a": "1"})
	other := r.commit("other", map[string]string{"a": "2"})
	m := r.mirror()
	got, err := m.Fetch(t.Context(), "refs/heads/other")
	require.NoError(t, err)
	assert.Equal(t, "2", readFile(t, m, got[0], "a"))
	assert.Equal(t, other, got[0])
	assert.Equal(t, sha, tip(t, m))
}

func TestFileURLs(t *testing.T) {
	r := newRepo(t)
	sha := r.commit("main", map[string]string{"a": "1"})
	m := open(t, gitsource.Config{URL: "file://" + r.Dir, Branch: "main", Dir: t.TempDir()})
	assert.Equal(t, sha, tip(t, m))
	sha = r.commit("main", map[string]string{"a": "2"})
	assert.Equal(t, sha, tip(t, m))
	assert.Equal(t, "2", readFile(t, m, sha, "a"))
}

func TestReadersRunWhileTheMirrorFetches(t *testing.T) {
	r := newRepo(t)
	first := r.commit("main", map[string]string{"a/b": "1"})
	m := r.mirror()
	tip(t, m)
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for ctx.Err() == nil {
				f, err := m.FS(first)
				if !assert.NoError(t, err) {
					return
				}
				data, err := fs.ReadFile(f, "a/b")
				if !assert.NoError(t, err) || !assert.Equal(t, "1", string(data)) {
					return
				}
			}
		})
	}
	for i := range 8 {
		r.commit("main", map[string]string{"c": fmt.Sprint(i)})
		tip(t, m)
	}
	stop()
	wg.Wait()
}

func TestConfigurationIsChecked(t *testing.T) {
	dir := t.TempDir()
	for name, cfg := range map[string]gitsource.Config{
		"no branch":            {URL: "https://example.com/r.git", Dir: dir},
		"odd branch":           {URL: "https://example.com/r.git", Dir: dir, Branch: "a..b"},
		"no directory":         {URL: "https://example.com/r.git", Branch: "main"},
		"password in URL":      {URL: "https://bot:s3cret@example.com/r.git", Branch: "main", Dir: dir},
		"token in URL":         {URL: "https://s3cret@example.com/r.git", Branch: "main", Dir: dir},
		"unknown scheme":       {URL: "git://example.com/r.git", Branch: "main", Dir: dir},
		"malformed":            {URL: "https://s3cret@exa mple.com:x/r.git", Branch: "main", Dir: dir},
		"token over plain":     {URL: "http://example.com/r.git", Branch: "main", Dir: dir, Auth: gitsource.Auth{TokenFile: "x"}},
		"ssh without keys":     {URL: "git@example.com:r.git", Branch: "main", Dir: dir},
		"missing certificates": {URL: "https://example.com/r.git", Branch: "main", Dir: dir, CAFile: "/nowhere"},
	} {
		_, err := gitsource.Open(t.Context(), cfg)
		require.Error(t, err, name)
		assert.NotContains(t, err.Error(), "s3cret", name)
	}
}

func TestTokenIsReadForEachOperationAndNeverShown(t *testing.T) {
	r := newRepo(t)
	r.commit("main", map[string]string{"a": "1"})
	r.RequireBasicAuth("x-access-token", "s3cret-one")
	file := filepath.Join(t.TempDir(), "token")
	cfg := r.config()
	cfg.Auth.TokenFile = file
	m := open(t, cfg)

	_, err := m.Tip(t.Context())
	require.ErrorContains(t, err, "read git token")
	require.NoError(t, os.WriteFile(file, []byte("s3cret-one\n"), 0o600))
	tip(t, m)
	r.RequireBasicAuth("x-access-token", "s3cret-two")
	_, err = m.Tip(t.Context())
	require.Error(t, err)
	assert.NotContains(t, err.Error(), "s3cret")
	require.NoError(t, os.WriteFile(file, []byte("s3cret-two\n"), 0o600))
	tip(t, m)
}

func TestTokenFunctionAuthenticates(t *testing.T) {
	r := newRepo(t)
	r.commit("main", map[string]string{"a": "1"})
	r.RequireBasicAuth("bot", "fresh")
	cfg := r.config()
	cfg.Auth = gitsource.Auth{User: "bot", Token: func(context.Context) (string, error) { return "fresh", nil }}
	tip(t, open(t, cfg))
}
