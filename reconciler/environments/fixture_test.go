package environments_test

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource"
	"github.com/sluice-cd/sluice/gitsource/forge/forgetest"
	"github.com/sluice-cd/sluice/gitsource/forge/github"
	"github.com/sluice-cd/sluice/gitsource/forge/transport"
	"github.com/sluice-cd/sluice/gitsource/gittest"
	"github.com/sluice-cd/sluice/reconciler/environments"
	"github.com/sluice-cd/sluice/reconciler/gate"
	"github.com/sluice-cd/sluice/reconciler/intake"
	"github.com/sluice-cd/sluice/reconciler/release"
)

const (
	repoName   = "acme/environments"
	sourceName = "acme/checkout"
	image      = "registry.example.com/shop/checkout"
	production = "production/checkout"
	unproven   = production + "/release.yaml"
	control    = production + "/control.yaml"
)

const policy = `apiVersion: sluice.dev/v1alpha1
kind: Policy
owners: [acme/platform]
environments:
  - name: dev
  - name: staging
    approvals: {standard: 0, breaking: 1, security: 1, hotfix: 1}
    checks: []
  - name: production
    approvals: {standard: 1, breaking: 2, security: 2, hotfix: 2, teams: [acme/releasers]}
    checks:
      - {gate: tests, on: source, name: test, app: github-actions}
      - {gate: sast, on: source, name: sast, app: github-actions}
      - {gate: validate, on: merge, name: validate, app: github-actions}
`

const service = `apiVersion: sluice.dev/v1alpha1
kind: Service
source: {repository: acme/checkout}
environments: [dev, staging, production]
traffic: {kind: none}
`

const deployment = `apiVersion: apps/v1
kind: Deployment
metadata: {name: checkout}
spec:
  selector: {matchLabels: {app: checkout}}
  template:
    metadata: {labels: {app: checkout}}
    spec:
      containers: [{name: checkout, image: registry.example.com/shop/checkout}]
`

func overlay(replicas int) string {
	return fmt.Sprintf("apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [../../services/checkout/base]\nreplicas: [{name: checkout, count: %d}]\n", replicas)
}

func digest(name string) string { return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(name))) }

// A file is a release.yaml to be written.
type file struct {
	digest, source, base, version, extra string
}

func (f file) String() string {
	s := fmt.Sprintf("apiVersion: sluice.dev/v1alpha1\nkind: Release\nartifact:\n  image: %s\n  digest: %s\n  version: %q\n  source: {repository: %s, commit: %s}\n",
		image, digest(f.digest), f.version, sourceName, f.source)
	if f.base != "" {
		s += "base: " + f.base + "\n"
	}
	return s + f.extra
}

// A world is a forge with an environments repository, and what reads it.
type world struct {
	t      testing.TB
	forge  *forgetest.Server
	repo   *forgetest.Repository
	source *forgetest.Repository
	mirror *gitsource.Mirror
	envs   *environments.Repository
	client *github.Client
	record intake.Repository

	base    string // commit that the pinned bases name
	built   string // source commit of the artifacts
	genesis string

	mu   sync.Mutex
	now  time.Time
	seen []transport.Exchange
}

// clock advances with everything that happens on the forge.
func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(time.Second)
	return w.now
}

func (w *world) wait(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) observe(e transport.Exchange) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = append(w.seen, e)
}

// exchanges returns what was asked of the forge since the last call.
func (w *world) exchanges() []transport.Exchange {
	w.mu.Lock()
	defer w.mu.Unlock()
	seen := w.seen
	w.seen = nil
	return seen
}

const token = "ghp_canary0123456789canary0123456789"

func newWorld(t testing.TB) *world {
	t.Helper()
	seed.once.Do(func() {
		w := &world{t: t, now: time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)}
		w.serve(seed.dir)
		w.write()
		seed.base, seed.built, seed.genesis = w.base, w.built, w.genesis
	})
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS(seed.dir)))
	w := &world{t: t, now: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC), base: seed.base, built: seed.built, genesis: seed.genesis}
	w.serve(dir)
	for _, name := range []string{"test", "sast"} {
		w.check(w.source, w.built, name, "success")
	}
	w.open()
	var err error
	w.record, err = w.envs.Begin(t.Context(), w.genesis)
	require.NoError(t, err)
	return w
}

// seed is what every world begins with. It is made once, because that takes
// dozens of processes.
var seed struct {
	once                      sync.Once
	dir, base, built, genesis string
}

func TestMain(m *testing.M) {
	var err error
	if seed.dir, err = os.MkdirTemp("", "environments-"); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(seed.dir)
	os.Exit(code)
}

// serve starts the forge over the repositories in dir.
func (w *world) serve(dir string) {
	w.t.Helper()
	var err error
	w.forge, err = forgetest.Start(w.t.Context(), dir, forgetest.Options{
		Now: w.clock,
		Users: []forgetest.User{
			{Login: "sluice", ID: 11, Token: token, Kind: "Bot"},
			{Login: "alice", ID: 12}, {Login: "bob", ID: 13}, {Login: "carol", ID: 14},
			{Login: "dave", ID: 15}, {Login: "mallory", ID: 16}, {Login: "erin", ID: 17},
		},
		Apps: []forgetest.App{{Slug: "github-actions", ID: 15368}, {Slug: "evil-ci", ID: 666}},
		Teams: []forgetest.Team{
			{Org: "acme", Slug: "releasers", Members: []string{"bob", "erin"}},
			{Org: "acme", Slug: "platform", Members: []string{"carol"}},
			{Org: "acme", Slug: "auditors", Members: []string{"dave"}},
		},
		Repositories: []forgetest.RepositoryOptions{
			{FullName: repoName, Protected: []string{"main"}, Permissions: map[string]string{
				"sluice": "admin", "alice": "write", "bob": "write", "carol": "write", "dave": "write", "erin": "write", "mallory": "admin",
			}},
			{FullName: sourceName, Protected: []string{"main"}, Permissions: map[string]string{"alice": "write"}},
			{FullName: "mallory/environments", ForkOf: repoName},
			{FullName: "acme/open", Permissions: map[string]string{"alice": "write"}},
			{FullName: "mallory/checkout", Protected: []string{"main"}, Permissions: map[string]string{"mallory": "admin"}},
		},
	})
	require.NoError(w.t, err)
	w.repo, w.source = w.forge.Repository(repoName), w.forge.Repository(sourceName)
}

// write makes the first commits of both repositories.
func (w *world) write() {
	w.built = w.must(w.source.Push("alice", "main", "build", map[string]string{"main.go": "package main\n"}))
	w.base = w.push("main", map[string]string{
		"sluice.yaml":                                policy,
		"services/checkout/service.yaml":             service,
		"services/checkout/base/kustomization.yaml":  "resources: [deployment.yaml]\n",
		"services/checkout/base/deployment.yaml":     deployment,
		"dev/checkout/release.yaml":                  file{digest: "one", source: w.built}.String(),
		"dev/checkout/kustomization.yaml":            overlay(1),
		"docs/note.md":                               "note\n",
		"services/checkout/base/.placeholder":        "",
		"services/library/base/placeholder.yaml":     "{}\n",
		".github/workflows/validate.yml":             "on: push\n",
		"services/checkout/base/extra/readme.md":     "extra\n",
		"services/checkout/base/extra/deep/notes.md": "deep\n",
	})
	w.genesis = w.push("main", map[string]string{
		"staging/checkout/release.yaml":          w.file("one").String(),
		"staging/checkout/kustomization.yaml":    overlay(2),
		"production/checkout/release.yaml":       w.file("one").String(),
		"production/checkout/kustomization.yaml": overlay(3),
	})
}

// open makes a fresh mirror, forge client and repository: a restart.
func (w *world) open() {
	w.t.Helper()
	w.reopen(func(f environments.Forge) environments.Forge { return f })
}

// reopen is open with something between the client and who uses it.
func (w *world) reopen(between func(environments.Forge) environments.Forge) {
	w.t.Helper()
	secret := filepath.Join(w.t.TempDir(), "token")
	require.NoError(w.t, os.WriteFile(secret, []byte(token), 0o600))
	client, err := github.New(github.Config{
		BaseURL: w.forge.APIURL(), Repository: repoName, TokenFile: secret, Observe: w.observe,
		WriteInterval: time.Microsecond, RetryBackoff: time.Microsecond,
	})
	require.NoError(w.t, err)
	w.client = client
	w.mirror, err = gitsource.Open(w.t.Context(), gitsource.Config{
		URL: w.forge.CloneURL(repoName), Branch: "main", Dir: w.t.TempDir(), MaxFileBytes: 1 << 20,
	})
	require.NoError(w.t, err)
	w.t.Cleanup(w.mirror.Close)
	w.envs = environments.New(environments.Config{Mirror: w.mirror, Forge: between(client), History: client, Name: repoName, Branch: "main"})
}

// file is a release.yaml with what the tests leave alone.
func (w *world) file(digest string) file { return file{digest: digest, source: w.built, base: w.base} }

func (w *world) must(sha string, err error) string {
	w.t.Helper()
	require.NoError(w.t, err)
	return sha
}

func (w *world) push(branch string, files map[string]string) string {
	w.t.Helper()
	return w.must(w.repo.Push("alice", branch, "change "+branch, files))
}

// raw commits entries with modes and deletions.
func (w *world) raw(branch string, files map[string]gittest.File) string {
	w.t.Helper()
	return w.must(w.repo.Git().CommitFiles(branch, "raw", "alice <alice@example.com>", files))
}

func (w *world) check(repo *forgetest.Repository, commit, name, conclusion string) {
	w.t.Helper()
	_, err := repo.Check("github-actions", commit, name, conclusion)
	require.NoError(w.t, err)
}

// A pull is a pull request of alice.
type pull struct {
	w      *world
	number int
	head   string
}

// propose opens a pull request with one commit for each set of files.
func (w *world) propose(branch string, commits ...map[string]string) pull {
	w.t.Helper()
	require.NoError(w.t, w.repo.Branch("alice", branch, "main"))
	p := pull{w: w}
	for i, files := range commits {
		p.head = w.must(w.repo.Push("alice", branch, fmt.Sprintf("%s %d", branch, i+1), files))
	}
	var err error
	p.number, err = w.repo.OpenPR("alice", "Promote "+branch, branch, "main")
	require.NoError(w.t, err)
	return p
}

func (p pull) approve(by ...string) pull {
	p.w.t.Helper()
	for _, login := range by {
		_, err := p.w.repo.Approve(login, p.number)
		require.NoError(p.w.t, err)
	}
	return p
}

func (p pull) merge(method gittest.Method) string {
	p.w.t.Helper()
	return p.w.must(p.w.repo.Merge("bob", p.number, method))
}

// promotion moves production to another artifact, whose build attested it.
func (w *world) promotion(of string) map[string]string {
	w.source.AttestBuild(digest(of), w.built)
	return map[string]string{unproven: w.file(of).String()}
}

// poll reads on and has to succeed.
func (w *world) poll() intake.Repository {
	w.t.Helper()
	var err error
	w.record, err = w.envs.Poll(w.t.Context(), w.record, w.clock())
	require.NoError(w.t, err)
	return w.record
}

func (w *world) rules() environments.Rules {
	w.t.Helper()
	rules, err := w.envs.Rules(w.record.Policy)
	require.NoError(w.t, err)
	return rules
}

func key(name string) release.Key {
	k, err := release.ParseKey(name)
	if err != nil {
		panic(err)
	}
	return k
}

// candidate is what the record asks for.
func (w *world) candidate(name string) environments.Candidate {
	w.t.Helper()
	of := w.record.Releases[name]
	want, err := w.envs.Want(w.rules(), key(name), of)
	require.NoError(w.t, err)
	return environments.Candidate{Key: key(name), Want: want, Retired: of.Inputs == intake.Retired, Changes: of.Changes}
}

func (w *world) facts(c environments.Candidate) gate.Facts {
	w.t.Helper()
	c.Genesis = w.record.Genesis
	f, err := w.envs.Facts(w.t.Context(), w.rules(), c, w.clock())
	require.NoError(w.t, err)
	return f
}

// judge answers what is not asked of git or forge in the candidate's favour.
func (w *world) judge(f gate.Facts) map[string]gate.Result {
	f.Rendered = true
	f.Upstream = gate.Upstream{Environment: "staging", Proven: []gate.Proof{{Artifacts: f.Artifacts, BaseTree: f.BaseTree, Since: w.now}}}
	results := map[string]gate.Result{}
	for _, r := range gate.Evaluate(f, w.clock()) {
		results[r.Gate] = r
	}
	return results
}

// verdicts polls and judges production.
func (w *world) verdicts() map[string]gate.Result {
	w.t.Helper()
	w.poll()
	return w.judge(w.facts(w.candidate(production)))
}

func with(files map[string]string, more map[string]string) map[string]string {
	out := maps.Clone(files)
	maps.Copy(out, more)
	return out
}
