package github_test

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource"
	"github.com/sluice-cd/sluice/gitsource/forge/forgetest"
	"github.com/sluice-cd/sluice/gitsource/forge/github"
	"github.com/sluice-cd/sluice/gitsource/gittest"
)

const (
	treesRoute  = "POST /repos/{owner}/{repo}/git/trees"
	commitRoute = "POST /repos/{owner}/{repo}/git/commits"
	refRoute    = "PATCH /repos/{owner}/{repo}/git/refs/{ref...}"
	newRefRoute = "POST /repos/{owner}/{repo}/git/refs"
)

func mirror(t *testing.T, w *world) *gitsource.Mirror {
	t.Helper()
	m, err := gitsource.Open(t.Context(), gitsource.Config{URL: w.forge.CloneURL(repoName), Branch: "main", Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(m.Close)
	return m
}

// restWriter commits through the API and does not wait between its tries.
func restWriter(t *testing.T, w *world) *gitsource.Writer {
	t.Helper()
	return writerWith(mirror(t, w), newClient(t, w, func(cfg *github.Config) { cfg.Observe = nil }))
}

func writerWith(m *gitsource.Mirror, pusher gitsource.Pusher) *gitsource.Writer {
	return gitsource.NewWriter(m, gitsource.WriterConfig{
		Pusher: pusher, Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
	})
}

// always proposes the same edits whatever is there.
func always(branch string, edits ...gitsource.Edit) gitsource.Proposal {
	return gitsource.Proposal{
		Branch: branch, Create: branch != "main",
		Decide: func(gitsource.TipView) (gitsource.Plan, error) {
			return gitsource.Plan{Message: "change", Trailers: []gitsource.Trailer{{Key: "Release", Value: "x"}}, Edits: edits}, nil
		},
	}
}

func (w *world) git(t *testing.T, args ...string) string {
	t.Helper()
	return must(t)(w.repo.Git().Git(args...))
}

// raw is a file at main to the last byte.
func (w *world) raw(t *testing.T, path string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "git", "-C", w.repo.Git().Dir, "cat-file", "blob", "main:"+path).Output()
	require.NoError(t, err)
	return string(out)
}

func TestACommitThroughTheAPIIsTheDraftToTheLastByte(t *testing.T) {
	w := newWorld(t)
	good := must(t)(w.repo.Git().CommitFiles("main", "good", "", map[string]gittest.File{
		"prod/a/release.yaml": {Content: "digest: good\r\n\r\n"},
		"prod/a/run":          {Mode: "100755", Content: "#!/bin/sh\n"},
		"prod/a/sub/binary":   {Content: "\x00\xff\xfe<&>"},
		"prod/b/release.yaml": {Content: "b"},
	}))
	must(t)(w.repo.Git().CommitFiles("main", "bad", "", map[string]gittest.File{
		"prod/a/release.yaml": {Content: "digest: bad\n"}, "prod/a/run": {Delete: true}, "prod/a/sub/binary": {Delete: true}, "prod/a/extra": {Content: "x"},
	}))
	texts := map[string]string{
		"crlf": "a\r\nb\r\n\r\n", "markup": "<a> & \u2028 \u0001 \"x\" ünïcödé 🚀", "empty": "", "binary": "\x00\x01\xff\xfe", "latin": "caf\xe9\n",
	}
	edits := []gitsource.Edit{gitsource.RestoreDir{Dir: "prod/a", Commit: good}}
	for name, content := range texts {
		edits = append(edits, gitsource.SetFile{Path: "prod/new/" + name, Content: []byte(content)})
	}

	sha, err := restWriter(t, w).Write(t.Context(), always("main", edits...))
	require.NoError(t, err)
	assert.Equal(t, sha, w.git(t, "rev-parse", "main"))
	assert.Equal(t, w.git(t, "rev-parse", good+":prod/a"), w.git(t, "rev-parse", "main:prod/a"), "contents, modes and deletions")
	assert.Equal(t, "b", w.git(t, "show", "main:prod/b/release.yaml"))
	for name, content := range texts {
		assert.Equal(t, content, w.raw(t, "prod/new/"+name), name)
	}
	assert.Equal(t, "sluice GitHub", w.git(t, "log", "-1", "--format=%an %cn", "main"), "nobody is named, so the server says who it was")
	assert.Equal(t, "Release: x", w.git(t, "log", "-1", "--format=%(trailers)", "main"))
	assert.Equal(t, 2, w.forge.Requests()["POST /repos/{owner}/{repo}/git/blobs"], "only what is no text; what git knows already is not sent again")
	w.git(t, "fsck", "--strict")

	_, err = restWriter(t, w).Write(t.Context(), always("main", edits...))
	assert.ErrorIs(t, err, gitsource.ErrNothingToDo)
}

func TestABranchBeginsThroughTheAPI(t *testing.T) {
	w := newWorld(t)
	writer := restWriter(t, w)
	first, err := writer.Write(t.Context(), always("sluice/audit", gitsource.SetFile{Path: "evidence/one.json", Content: []byte("{}")}))
	require.NoError(t, err)
	second, err := writer.Write(t.Context(), always("sluice/audit", gitsource.SetFile{Path: "evidence/two.json", Content: []byte("{}")}))
	require.NoError(t, err)
	assert.Equal(t, second+"\n"+first, w.git(t, "rev-list", "sluice/audit"), "without a parent in main")
	assert.Equal(t, "evidence/one.json\nevidence/two.json", w.git(t, "ls-tree", "-r", "--name-only", "sluice/audit"))
}

func TestACommitIsByWhoeverAsksForIt(t *testing.T) {
	w, key := appWorld(t)
	for name, c := range map[string]struct {
		client *github.Client
		author string
	}{
		"app":   {newClient(t, w, asApp(t, key)), "sluice-app[bot]"},
		"token": {newClient(t, w, nil), "sluice"},
	} {
		_, err := writerWith(mirror(t, w), c.client).Write(t.Context(), always("main", gitsource.SetFile{Path: name, Content: []byte(name)}))
		require.NoError(t, err)
		assert.Equal(t, c.author, w.git(t, "log", "-1", "--format=%an", "main"))
	}
}

func TestEightRacingWritersLoseAndRepeatNothing(t *testing.T) {
	w := newWorld(t)
	var all sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		writer := restWriter(t, w)
		all.Go(func() {
			_, errs[i] = writer.Write(t.Context(), gitsource.Proposal{Branch: "main", Decide: func(tip gitsource.TipView) (gitsource.Plan, error) {
				log, err := tip.ReadFile("a")
				return gitsource.Plan{Message: fmt.Sprintf("writer %d", i), Edits: []gitsource.Edit{
					gitsource.SetFile{Path: "a", Content: fmt.Appendf(log, "\nwriter %d", i)},
				}}, err
			}})
		})
	}
	all.Wait()
	require.NoError(t, errors.Join(errs...))
	assert.Equal(t, "9", w.git(t, "rev-list", "--count", "main"))
	lines := strings.Split(w.git(t, "show", "main:a"), "\n")
	for i := range errs {
		assert.Contains(t, lines, fmt.Sprintf("writer %d", i))
	}
	assert.Len(t, lines, 9)
}

func TestAMoveWithoutAnAnswerIsLookedForBeforeItIsRepeated(t *testing.T) {
	for name, c := range map[string]struct {
		branch, on string
		fault      forgetest.Fault
	}{
		"done, and the connection cut":       {"main", refRoute, forgetest.Fault{Drop: true}},
		"done, and the answer cut":           {"main", refRoute, forgetest.Fault{Truncate: true}},
		"done, and the answer half":          {"main", refRoute, forgetest.Fault{Half: true}},
		"not done, and a gateway failed":     {"main", refRoute, forgetest.Fault{Status: 502}},
		"not done, and an unlikely conflict": {"main", refRoute, forgetest.Fault{Status: 409, Body: `{"message":"Conflict"}`}},
		"a branch begun without an answer":   {"sluice/audit", newRefRoute, forgetest.Fault{Drop: true}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c.fault.On, c.fault.Times = c.on, 1
			w.forge.Inject(c.fault)
			decided := 0
			p := always(c.branch, gitsource.SetFile{Path: "a", Content: []byte("2")})
			decide := p.Decide
			p.Decide = func(tip gitsource.TipView) (gitsource.Plan, error) { decided++; return decide(tip) }
			sha, err := restWriter(t, w).Write(t.Context(), p)
			require.NoError(t, err)
			assert.Equal(t, sha, w.git(t, "rev-parse", c.branch))
			assert.Equal(t, "1", w.git(t, "rev-list", "--count", "--author=sluice", c.branch), "one commit")
			done := c.fault.Status == 0
			assert.Equal(t, done, decided == 1)
		})
	}
}

func TestAnErrorBeforeTheBranchIsTouchedChangesNothing(t *testing.T) {
	for name, c := range map[string]struct {
		fault forgetest.Fault
		is    error // nil: may be tried again
	}{
		"gateway at the tree":          {forgetest.Fault{On: treesRoute, Status: 502}, nil},
		"cut at the commit":            {forgetest.Fault{On: commitRoute, Drop: true}, nil},
		"rate limit at the move":       {forgetest.Fault{On: refRoute, Status: 429, Header: map[string]string{"Retry-After": "60"}}, nil},
		"forbidden at the tree":        {forgetest.Fault{On: treesRoute, Status: 403, Body: `{"message":"Resource not accessible by integration"}`}, gitsource.ErrRefused},
		"forbidden at the move":        {forgetest.Fault{On: refRoute, Status: 403, Body: `{"message":"Resource not accessible by integration"}`}, gitsource.ErrRefused},
		"protected, in other words":    {forgetest.Fault{On: refRoute, Status: 422, Body: `{"message":"Required status check is expected."}`}, gitsource.ErrRefused},
		"another tree than was wanted": {forgetest.Fault{On: treesRoute, Status: 201, Body: `{"sha":"4b825dc642cb6eb9a060e54bf8d69288fbee4904","tree":[],"truncated":false}`}, gitsource.ErrRefused},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c.fault.Times = 1
			w.forge.Inject(c.fault)
			_, err := restWriter(t, w).Write(t.Context(), always("main", gitsource.SetFile{Path: "a", Content: []byte("2")}))
			require.Error(t, err)
			if c.is != nil {
				assert.ErrorIs(t, err, c.is)
			} else {
				assert.NotErrorIs(t, err, gitsource.ErrRefused)
				assert.NotErrorIs(t, err, gitsource.ErrContended)
			}
			assert.NotContains(t, err.Error(), token)
			assert.Equal(t, w.main, w.git(t, "rev-parse", "main"))
		})
	}
}

func TestAProtectedBranchRefusesTheAPIAndGit(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.repo.Protect("main", forgetest.Protection{}))
	p := always("main", gitsource.SetFile{Path: "a", Content: []byte("2")})
	_, err := restWriter(t, w).Write(t.Context(), p)
	assert.ErrorIs(t, err, gitsource.ErrRefused)
	assert.ErrorContains(t, err, "Changes must be made through a pull request")

	m, err := gitsource.Open(t.Context(), gitsource.Config{
		URL: w.forge.CloneURL(repoName), Branch: "main", Dir: t.TempDir(), Auth: gitsource.Auth{TokenFile: writeFile(t, token)},
	})
	require.NoError(t, err)
	defer m.Close()
	_, err = writerWith(m, nil).Write(t.Context(), p)
	assert.ErrorIs(t, err, gitsource.ErrRefused)
	assert.Equal(t, w.main, w.git(t, "rev-parse", "main"))

	require.NoError(t, w.repo.Unprotect("main"))
	_, err = restWriter(t, w).Write(t.Context(), p)
	assert.NoError(t, err)
}

func TestABranchThatWasResetIsNotForwardedOverWhatWasTakenAway(t *testing.T) {
	w := newWorld(t)
	must(t)(w.repo.Push("alice", "main", "withdrawn", map[string]string{"secret": "x"}))
	w.forge.Inject(forgetest.Fault{On: treesRoute, Times: 1, Before: func() { _ = w.repo.Branch("alice", "main", w.main) }})
	_, err := restWriter(t, w).Write(t.Context(), always("main", gitsource.SetFile{Path: "a", Content: []byte("2")}))
	require.NoError(t, err)
	assert.Equal(t, w.main, w.git(t, "rev-parse", "main^"), "decided again on what the branch was reset to")
}

func TestSomebodyFasterAtTheLastMomentIsNoticed(t *testing.T) {
	for name, words := range map[string]string{
		"GitHub's usual words": "", "other words for it": "Reference cannot be updated",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			fault := forgetest.Fault{On: refRoute, Times: 1, Before: func() { _, _ = w.repo.Push("alice", "main", "faster", map[string]string{"b": "2"}) }}
			if words != "" {
				fault.Status, fault.Body = 422, fmt.Sprintf(`{"message":%q}`, words)
			}
			w.forge.Inject(fault)
			_, err := restWriter(t, w).Write(t.Context(), always("main", gitsource.SetFile{Path: "a", Content: []byte("2")}))
			require.NoError(t, err)
			assert.Equal(t, "change\nfaster\nfirst", w.git(t, "log", "--format=%s", "main"))
		})
	}
}
