package gittest_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource/gittest"
)

func must(t *testing.T) func(sha string, err error) string {
	return func(sha string, err error) string {
		t.Helper()
		require.NoError(t, err)
		return sha
	}
}

// run runs the real git client.
func run(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Dir = dir
	cmd.Env = append(cmd.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_TERMINAL_PROMPT=0")
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func TestRealGitClonesAndPushes(t *testing.T) {
	s := gittest.New(t)
	must(t)(s.Commit("main", "first", "Ada <ada@example.com>", map[string]string{"a/b.txt": "hello\n"}))
	dir := filepath.Join(t.TempDir(), "clone")

	out, err := run(t, ".", "clone", "-q", s.URL, dir)
	require.NoError(t, err, out)
	out, err = run(t, dir, "-c", "user.name=x", "-c", "user.email=x@y", "commit", "-q", "--allow-empty", "-m", "second")
	require.NoError(t, err, out)
	out, err = run(t, dir, "push", "-q", "origin", "HEAD:main")
	require.NoError(t, err, out)

	log, err := s.Git("log", "--format=%s %an", "main")
	require.NoError(t, err)
	assert.Equal(t, "second x\nfirst Ada", log)
	assert.Equal(t, 1, s.Requests()[gittest.Push])
	s.ResetRequests()
	assert.Empty(t, s.Requests())
}

func TestHandlerIsMountableUnderAPrefix(t *testing.T) {
	s, err := gittest.Create(filepath.Join(t.TempDir(), "r.git"))
	require.NoError(t, err)
	sha := must(t)(s.Commit("main", "first", "", map[string]string{"a": "b"}))
	srv := httptest.NewServer(http.StripPrefix("/acme/env.git", s.Handler()))
	defer srv.Close()

	out, err := run(t, ".", "ls-remote", srv.URL+"/acme/env.git", "refs/heads/main")
	require.NoError(t, err, out)
	assert.True(t, strings.HasPrefix(out, sha), out)
}

func TestServeReopensAnExistingRepository(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "r.git")
	ctx, cancel := context.WithCancel(t.Context())
	s, err := gittest.Serve(ctx, dir)
	require.NoError(t, err)
	sha := must(t)(s.Commit("main", "first", "", map[string]string{"a": "b"}))
	cancel()

	again, err := gittest.Serve(t.Context(), dir)
	require.NoError(t, err)
	assert.Equal(t, sha, must(t)(again.SHA("main")))
}

func TestMergeMethodsShapeHistoryAsForgesDo(t *testing.T) {
	for method, want := range map[gittest.Method]struct{ parents, commits int }{
		gittest.MergeCommit: {parents: 2, commits: 5}, // base, other, two of the branch, the merge
		gittest.Squash:      {parents: 1, commits: 3},
		gittest.Rebase:      {parents: 1, commits: 4},
	} {
		t.Run(string(method), func(t *testing.T) {
			s := gittest.New(t)
			must(t)(s.Commit("main", "base", "", map[string]string{"a": "1", "b": "1"}))
			require.NoError(t, s.Branch("feature", "main"))
			must(t)(s.Commit("feature", "one", "Ada <a@example.com>", map[string]string{"a": "2"}))
			head := must(t)(s.Commit("feature", "two", "Ada <a@example.com>", map[string]string{"c": "1"}))
			must(t)(s.Commit("main", "other", "", map[string]string{"b": "2"}))
			require.NoError(t, s.SetRef("refs/pull/1/head", head))

			sha := must(t)(s.Merge("main", "refs/pull/1/head", method, "merged", "Bob <b@example.com>"))

			assert.Equal(t, sha, must(t)(s.SHA("main")))
			files, err := s.Git("ls-tree", "-r", "--name-only", "main")
			require.NoError(t, err)
			assert.Equal(t, "a\nb\nc", files)
			parents, err := s.Git("rev-list", "--parents", "-1", "main")
			require.NoError(t, err)
			assert.Len(t, strings.Fields(parents), want.parents+1)
			all, err := s.Git("rev-list", "main")
			require.NoError(t, err)
			assert.Len(t, strings.Fields(all), want.commits)
			committer, err := s.Git("log", "-1", "--format=%cn", "main")
			require.NoError(t, err)
			assert.Equal(t, "Bob", committer)
		})
	}
}

func TestMergeRefusesConflicts(t *testing.T) {
	for _, method := range []gittest.Method{gittest.MergeCommit, gittest.Squash, gittest.Rebase} {
		s := gittest.New(t)
		must(t)(s.Commit("main", "base", "", map[string]string{"a": "1"}))
		require.NoError(t, s.Branch("feature", "main"))
		must(t)(s.Commit("feature", "one", "", map[string]string{"a": "2"}))
		before := must(t)(s.Commit("main", "other", "", map[string]string{"a": "3"}))

		_, err := s.Merge("main", "feature", method, "merged", "")

		require.ErrorIs(t, err, gittest.ErrConflict, method)
		assert.Equal(t, before, must(t)(s.SHA("main")))
	}
}

func TestForcePushDeleteAndEmpty(t *testing.T) {
	s := gittest.New(t)
	first := must(t)(s.Commit("main", "one", "", map[string]string{"a": "1"}))
	must(t)(s.Commit("main", "two", "", map[string]string{"a": "2"}))
	require.NoError(t, s.Branch("main", first))
	assert.Equal(t, first, must(t)(s.SHA("main")))

	must(t)(s.Commit("other", "one", "", map[string]string{"a": "1"}))
	require.NoError(t, s.DeleteBranch("other"))
	_, err := s.SHA("refs/heads/other")
	require.Error(t, err)

	require.NoError(t, s.Empty())
	out, err := run(t, ".", "ls-remote", s.URL)
	require.NoError(t, err)
	assert.Empty(t, out)
}

func TestModesAndOddNamesAreStoredAsGiven(t *testing.T) {
	s := gittest.New(t)
	sub := strings.Repeat("1", 40)
	must(t)(s.CommitFiles("main", "odd", "", map[string]gittest.File{
		"run":       {Mode: "100755", Content: "#!/bin/sh\n"},
		"link":      {Mode: "120000", Content: "../../etc/passwd"},
		"sub":       {Mode: "160000", Content: sub},
		"new\nline": {Content: "x"},
	}))
	must(t)(s.CommitFiles("main", "less", "", map[string]gittest.File{"run": {Delete: true}}))

	out, err := s.Git("ls-tree", "-r", "--format=%(objectmode) %(path)", "main")
	require.NoError(t, err)
	assert.Equal(t, "120000 link\n100644 \"new\\nline\"\n160000 sub", out)
}

func TestFaultsApplyToTheirEndpointAndRunOut(t *testing.T) {
	s := gittest.New(t)
	must(t)(s.Commit("main", "one", "", map[string]string{"a": "1"}))
	ls := func() error { _, err := run(t, ".", "ls-remote", s.URL); return err }

	s.Inject(gittest.Fault{On: gittest.Refs, Times: 1, Status: http.StatusServiceUnavailable})
	require.Error(t, ls())
	require.NoError(t, ls())

	for _, f := range []gittest.Fault{{CutBefore: true}, {CutAfter: true}, {Half: true}} {
		s.Inject(f)
		require.Error(t, ls(), "%+v", f)
		s.ClearFaults()
	}
	s.Inject(gittest.Fault{Answer: http.RedirectHandler("http://127.0.0.1:1/", http.StatusFound)})
	require.Error(t, ls())
	s.ClearFaults()
	s.Inject(gittest.Fault{On: gittest.PushRefs, Status: http.StatusInternalServerError})
	require.NoError(t, ls())
}

func TestHeldRequestsGoOnWhenReleased(t *testing.T) {
	s := gittest.New(t)
	must(t)(s.Commit("main", "one", "", map[string]string{"a": "1"}))
	hold := make(chan struct{})
	s.Inject(gittest.Fault{On: gittest.Refs, Times: 1, Hold: hold})
	done := make(chan error, 1)
	go func() {
		_, err := run(t, ".", "ls-remote", s.URL)
		done <- err
	}()
	close(hold)
	require.NoError(t, <-done)
}

func TestCutAfterHasAlreadyMovedTheReference(t *testing.T) {
	s := gittest.New(t)
	first := must(t)(s.Commit("main", "one", "", map[string]string{"a": "1"}))
	dir := filepath.Join(t.TempDir(), "clone")
	_, err := run(t, ".", "clone", "-q", s.URL, dir)
	require.NoError(t, err)
	_, err = run(t, dir, "-c", "user.name=x", "-c", "user.email=x@y", "commit", "-q", "--allow-empty", "-m", "two")
	require.NoError(t, err)
	s.Inject(gittest.Fault{On: gittest.Push, Times: 1, CutAfter: true})

	_, err = run(t, dir, "push", "-q", "origin", "HEAD:main")

	require.Error(t, err)
	assert.NotEqual(t, first, must(t)(s.SHA("main")))
}

func TestCredentialsAreRequired(t *testing.T) {
	s := gittest.New(t)
	s.RequireBasicAuth("bot", "s3cret")
	_, err := run(t, ".", "ls-remote", s.URL)
	require.Error(t, err)
	_, err = run(t, ".", "ls-remote", strings.Replace(s.URL, "http://", "http://bot:s3cret@", 1))
	require.NoError(t, err)
}
