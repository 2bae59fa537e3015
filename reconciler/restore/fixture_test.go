package restore_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/analysis"
	"github.com/sluice-cd/sluice/gitsource"
	"github.com/sluice-cd/sluice/gitsource/gittest"
	"github.com/sluice-cd/sluice/reconciler/environments"
	"github.com/sluice-cd/sluice/reconciler/intake"
	"github.com/sluice-cd/sluice/reconciler/release"
	"github.com/sluice-cd/sluice/reconciler/restore"
)

var update = flag.Bool("update", false, "write the golden files anew")

const (
	policy = `apiVersion: sluice.dev/v1alpha1
kind: Policy
owners: [acme/platform]
environments:
  - name: dev
    namespace: "{service}-dev"
  - name: production
    namespace: "{service}-production"
`
	// overlay and releaseOf have what an editor of YAML would lose.
	overlay = "# who reads this?\r\nresources: [../../services/checkout/base]   # the base\r\n\r\n"
)

var (
	key       = release.Key{Environment: "production", Service: "checkout"}
	firstKey  = release.Key{Environment: "dev", Service: "checkout"}
	goodImage = digest("a")
	badImage  = digest("b")
	at        = time.Date(2026, 3, 2, 9, 30, 0, 123456789, time.UTC)
)

func digest(c string) string { return "sha256:" + strings.Repeat(c, 64) }

func releaseOf(base, version string, digests ...string) string {
	var b strings.Builder
	b.WriteString("# checkout in production\r\napiVersion: sluice.dev/v1alpha1\r\nkind: Release\r\nartifacts:\r\n")
	for i, d := range digests {
		fmt.Fprintf(&b, "  - image: registry.example.com/shop/part%d\r\n    digest:   %s # moved by promotions\r\n", i, d)
		fmt.Fprintf(&b, "    version: %q\r\n    source: {repository: acme/checkout, commit: %s}\r\n", version, strings.Repeat("9", 40))
	}
	if base != "" {
		b.WriteString("base: " + base + "\r\n")
	}
	return b.String() + "change: standard\r\n\r\n"
}

// A world is a real repository with a release that was promoted from good to
// bad.
type world struct {
	*gittest.Server
	t          *testing.T
	mirror     *gitsource.Mirror
	repository *environments.Repository
	committer  *restore.Committer

	base, good, bad string // commits
}

func newWorld(t *testing.T) *world {
	t.Helper()
	server := gittest.New(t)
	return worldOn(t, server, server.URL)
}

func worldOn(t *testing.T, server *gittest.Server, url string) *world {
	t.Helper()
	w := &world{Server: server, t: t}
	w.base = w.commit(map[string]string{
		"sluice.yaml":                              policy,
		"services/checkout/base/deployment.yaml":   "kind: Deployment\n",
		"production/cart/release.yaml":             "untouched: true\n",
		"dev/checkout/kustomization.yaml":          overlay,
		"production/checkout-2/kustomization.yaml": overlay,
	})
	w.good = w.commit(map[string]string{
		"production/checkout/release.yaml":       releaseOf(w.base, "1.42.0", goodImage),
		"production/checkout/kustomization.yaml": overlay,
		"production/checkout/run.sh":             "#!/bin/sh\n",
	})
	w.bad = w.commitFiles(map[string]gittest.File{
		"production/checkout/release.yaml": {Content: releaseOf(w.base, "1.43.0", badImage)},
		"production/checkout/run.sh":       {Delete: true},
		"production/checkout/patch.yaml":   {Content: "added: true\n"},
	})
	var err error
	w.mirror, err = gitsource.Open(t.Context(), gitsource.Config{URL: url, Branch: "main", Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { w.mirror.Close() })
	w.fetch()
	w.repository = environments.New(environments.Config{Mirror: w.mirror, Name: "acme/environments", Branch: "main"})
	w.committer = w.newCommitter()
	return w
}

func (w *world) newCommitter() *restore.Committer {
	writer := gitsource.NewWriter(w.mirror, gitsource.WriterConfig{
		Identity: gitsource.Identity{Name: "Sluice", Email: "sluice@example.com"},
		Sleep:    func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
	})
	return &restore.Committer{Writer: writer, Inputs: w.repository, Trees: w.mirror, Branch: "main", Version: "v0.1.0"}
}

func (w *world) fetch() {
	w.t.Helper()
	_, err := w.mirror.Fetch(w.t.Context(), "refs/heads/main")
	require.NoError(w.t, err)
}

func (w *world) commit(files map[string]string) string {
	w.t.Helper()
	sha, err := w.Commit("main", "change", "", files)
	require.NoError(w.t, err)
	return sha
}

func (w *world) commitFiles(files map[string]gittest.File) string {
	w.t.Helper()
	sha, err := w.CommitFiles("main", "change", "", files)
	require.NoError(w.t, err)
	return sha
}

func (w *world) git(args ...string) string {
	w.t.Helper()
	out, err := w.Git(args...)
	require.NoError(w.t, err, "git %v", args)
	return out
}

// raw is a file at main, byte for byte.
func (w *world) raw(path string) string {
	w.t.Helper()
	cmd := exec.CommandContext(w.t.Context(), "git", "-C", w.Dir, "cat-file", "blob", "main:"+path)
	out, err := cmd.Output()
	require.NoError(w.t, err, "read %s", path)
	return string(out)
}

func (w *world) changed() string { return w.git("diff", "--name-status", "main^", "main") }

func (w *world) message() string { return w.git("log", "-1", "--format=%B", "main") }

// trailers is what git itself takes for trailers.
func (w *world) trailers() []string {
	w.t.Helper()
	cmd := exec.CommandContext(w.t.Context(), "git", "interpret-trailers", "--parse")
	cmd.Dir, cmd.Stdin = w.Dir, strings.NewReader(w.message())
	out, err := cmd.Output()
	require.NoError(w.t, err)
	return strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
}

func (w *world) want(key release.Key, commit string) release.Want {
	w.t.Helper()
	w.fetch()
	rules, err := w.repository.Rules(w.base)
	require.NoError(w.t, err)
	want, err := w.repository.Want(rules, key, intake.Release{Commit: commit, At: at})
	require.NoError(w.t, err)
	return want
}

// rollback is what the loop owes after the release was rolled back.
func (w *world) rollback() release.Commit {
	w.t.Helper()
	bad := w.want(key, w.bad)
	good := w.want(key, w.good).Revision
	bad.Promotion.PullRequest, bad.Promotion.URL = 17, "https://github.com/acme/environments/pull/17"
	bad.Promotion.ApprovedBy = []string{"alice", "bob"}
	b := release.Rollback{
		ID: "production-checkout-1234abcd-3", Cause: release.AnalysisFailed,
		Measurement: "error rate 4.10 % against 0.08 %, limit +0.50 points",
		DetectedAt:  at, TrafficBackAt: at.Add(2 * time.Second), Holds: true,
	}
	hold := release.Hold{ID: b.ID, Inputs: bad.Revision.Inputs, Digests: []string{badImage}, Reason: b.Measurement, At: at}
	return release.Commit{
		Bad: bad, Good: w.good, Previous: &good, Rollback: &b, Hold: &hold, Reason: b.Measurement,
		Verdict: analysis.Verdict{
			Metric: analysis.ErrorRate, Outcome: analysis.Fail, Evidence: 812.4, Needed: 20,
			Candidate: analysis.Arm{Requests: 1200, Errors: 49}, StableRate: 0.0008, CandidateRate: 0.041, Threshold: 0.005,
		},
		Gates: []release.Gate{{Name: "approvals", Verdict: "pass", Reason: "2 of 1"}},
	}
}

// do runs the commit and returns what is new on main; "" when nothing is.
func (w *world) do(commit release.Commit) string {
	w.t.Helper()
	sha, err := w.committer.Commit(w.t.Context(), key, commit)
	require.NoError(w.t, err)
	if sha != "" {
		assert.Equal(w.t, w.git("rev-parse", "main"), sha)
	}
	return sha
}

// reset forgets what was done to the branch, as if another test began.
func (w *world) reset(t *testing.T) {
	t.Helper()
	w.t = t
	require.NoError(t, w.Branch("main", w.bad))
	w.ClearFaults()
}

// tree identifies the release's directory at a revision without control.yaml.
func (w *world) tree(rev, dir string) string {
	w.t.Helper()
	w.fetch()
	hash, err := w.mirror.TreeHashWithout(w.git("rev-parse", rev), dir, "control.yaml")
	require.NoError(w.t, err)
	return hash
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(want), got)
}

// stable replaces what differs from run to run.
func (w *world) stable(commit release.Commit, text string) string {
	return strings.NewReplacer(
		w.base, "<base>", w.good, "<good>", w.bad, "<bad>",
		commit.Bad.Revision.Inputs, "<inputs>", commit.Bad.Revision.ID, "<revision>",
	).Replace(text)
}
