package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/sluice-cd/sluice/gitsource/gittest"
	"github.com/sluice-cd/sluice/reconciler/audit"
	"github.com/sluice-cd/sluice/reconciler/release"
)

const binaries = "../../bin"

// TestMain brings the binary under test up to date, where there is a cluster to
// use it on. Go does nothing when it is.
func TestMain(m *testing.M) {
	log.SetLogger(logr.Discard()) // or it complains that nobody did
	if os.Getenv("SLUICE_DEVCLUSTER") != "" {
		build := exec.Command("go", "build", "-o", filepath.Join(binaries, "sluice"), "../sluice")
		build.Stdout, build.Stderr = os.Stderr, os.Stderr
		if err := build.Run(); err != nil {
			fmt.Fprintln(os.Stderr, "build sluice:", err)
			os.Exit(1)
		}
	}
	// Before the flags are parsed, so that a flag has the last word.
	if err := flag.Set("test.parallel", strconv.Itoa(max(scenes, runtime.GOMAXPROCS(0)))); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// scenes is how many are played at the same time: they wait more than they work.
const scenes = 4

// A scene is a world on the shared cluster that no other test touches: names of
// its own for services, namespaces and records, a forge and a daemon of its own.
type scene struct {
	*world
	*witness
	t      testing.TB
	daemon *process // nil while it is dead
	// metrics stands between the daemon and Prometheus.
	metrics *valve
}

// The artifacts of the tests. What is bad fails half of production's requests.
var (
	first = artifactOf("1.0.0", 0)
	good  = artifactOf("1.1.0", 0)
	bad   = artifactOf("1.2.0", 0.5)
	fixed = artifactOf("1.3.0", 0)
)

// worse are as bad as bad, for whoever needs many.
func worse() []artifact {
	out := make([]artifact, 10)
	for i := range out {
		out[i] = artifactOf(fmt.Sprintf("2.%d.0", i), bad.ErrorRate)
	}
	return out
}

func artifactOf(version string, errorRate float64) artifact {
	sum := sha256.Sum256([]byte(version))
	return artifact{
		Digest: "sha256:" + hex.EncodeToString(sum[:]), Version: version,
		ErrorRate: errorRate, Environments: []string{"production"},
	}
}

// A change of the estate before it is put into the repository.
type change func(files map[string]string, services []string)

// newScene makes the world. The daemon is not started yet.
func newScene(t testing.TB, services []string, changes ...change) *scene {
	t.Helper()
	w := &world{
		opts: options{bin: binaries}, dir: t.TempDir(), say: newNarrator(t.Output()), stop: func() {},
		environments: []string{"dev", "production"},
	}
	readFacts(t, &w.cluster)
	mark := hex.EncodeToString(randomBytes(t, 3))
	for _, service := range services {
		w.services = append(w.services, service+"-"+mark)
	}
	w.records = "sluice-" + w.services[0]
	w.artifacts = map[string]artifact{}
	for _, a := range append(worse(), first, good, bad, fixed) {
		w.artifacts[a.Version] = a
	}
	s := &scene{world: w, t: t}
	background, stop := context.WithCancel(context.Background())
	w.stop = stop
	t.Cleanup(s.end)
	require.NoError(t, os.Mkdir(w.path("logs"), 0o755))
	require.NoError(t, w.enter(background))
	require.NoError(t, w.startTraffic(background))
	e := s.estate()
	for _, change := range changes {
		change(e.files, w.services)
	}
	var err error
	w.forge, err = startForge(background, w.path("forge"), e)
	require.NoError(t, err)
	s.metrics = newValve(t, w.cluster.Prometheus)
	w.cluster.Prometheus = s.metrics.url
	require.NoError(t, w.configure())
	s.witness = observe(t, background, w.kube, w.records, w.services[0]+"-production")
	return s
}

// readFacts finds the cluster that the tests share.
func readFacts(t testing.TB, into *clusterFacts) {
	t.Helper()
	file := os.Getenv("SLUICE_DEVCLUSTER")
	if file == "" {
		t.Skip("needs a cluster: run make test")
	}
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, into))
}

func randomBytes(t testing.TB, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	_, err := rand.Read(b)
	require.NoError(t, err)
	return b
}

// estate is the example under the names of the scene, without staging and with
// the policy of the tests.
func (s *scene) estate() estate {
	example, err := readTree("../../examples/environments")
	require.NoError(s.t, err)
	policy, err := os.ReadFile("testdata/sluice.yaml")
	require.NoError(s.t, err)
	files := map[string]string{"sluice.yaml": string(policy)}
	for path, content := range example {
		if !strings.Contains(path, "/checkout/") || strings.HasPrefix(path, "staging/") {
			continue
		}
		content = strings.ReplaceAll(content, "[dev, staging, production]", "[dev, production]")
		for _, service := range s.services {
			files[strings.ReplaceAll(path, "checkout", service)] = strings.ReplaceAll(content, "checkout", service)
		}
	}
	return estate{files: files, environments: s.environments, services: s.services, first: first}
}

// end puts the scene away. What a failed test left in the log is shown. Whatever
// happened, no daemon may have taken another one's releases for its own.
func (s *scene) end() {
	s.tearDown()
	if s.witness != nil {
		for _, name := range s.witness.names() {
			_, service, _ := strings.Cut(name, "/")
			assert.Contains(s.t, s.services, service, "a record of a release of somebody else")
		}
	}
	if s.t.Failed() {
		lines, err := os.ReadFile(s.path("logs/sluice.log"))
		s.t.Logf("the log of sluice (%v):\n%s", err, lines)
	}
	if s.kube == nil {
		return
	}
	for _, namespace := range s.namespaces() {
		err := s.kube.objects.Delete(context.Background(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
		if client.IgnoreNotFound(err) != nil {
			s.t.Log(err)
		}
	}
}

// start starts the daemon, the first time with --genesis.
func (s *scene) start(args ...string) {
	s.t.Helper()
	var err error
	s.daemon, err = s.serve(args...)
	require.NoError(s.t, err)
}

// kill ends the daemon as a power cut would.
func (s *scene) kill() {
	if s.daemon == nil {
		return
	}
	_ = s.daemon.cmd.Process.Kill() // it is a child that was not waited for, so it is there
	<-s.daemon.done
	s.daemon = nil
}

// begin starts the daemon and waits until the first artifact runs everywhere.
func (s *scene) begin() {
	s.t.Helper()
	s.start("--genesis", s.forge.genesis)
	for _, service := range s.services {
		for _, environment := range s.environments {
			s.awaitStable(environment+"/"+service, first)
		}
	}
}

// until waits for something outside of the records.
func (s *scene) until(what string, look func(context.Context) (bool, string, error)) {
	s.t.Helper()
	require.NoError(s.t, until(s.t.Context(), what, func(ctx context.Context) (bool, string, error) {
		if s.daemon != nil {
			if err := s.daemon.ended(); err != nil {
				return false, "", fmt.Errorf("%w: %w", errBroken, err)
			}
		}
		return look(ctx)
	}))
}

// await waits until a record is as it should be.
func (s *scene) await(name, what string, is func(release.Record) bool) release.Record {
	s.t.Helper()
	var found release.Record
	s.until(name+": "+what, func(context.Context) (bool, string, error) {
		r, ok := s.record(name)
		if ok && is(r) {
			found = r
			return true, "", nil
		}
		return false, fmt.Sprintf("%s, %s", r.Phase, release.Explain(r, r.Since).Title), nil
	})
	return found
}

func (s *scene) awaitStable(name string, a artifact) release.Record {
	s.t.Helper()
	return s.await(name, a.Version+" is stable", func(r release.Record) bool {
		return r.Phase == release.Stable && runs(r.Stable, a)
	})
}

// awaitSettled waits until the record owes nothing more.
func (s *scene) awaitSettled(name string, a artifact) release.Record {
	s.t.Helper()
	return s.await(name, a.Version+" is stable and everything is written", func(r release.Record) bool {
		return r.Phase == release.Stable && runs(r.Stable, a) && len(r.Owed) == 0
	})
}

func runs(r *release.Revision, a artifact) bool {
	return r != nil && len(r.Artifacts) == 1 && r.Artifacts[0].Digest == a.Digest
}

// production is the name of the release that most tests are about.
func (s *scene) production() string { return "production/" + s.services[0] }

// deploy brings an artifact to dev, where it is stable afterwards, and returns
// what a promotion has to name.
func (s *scene) deploy(h *hub, a artifact) (source, base string) {
	s.t.Helper()
	source, err := h.build(a)
	require.NoError(s.t, err)
	require.NoError(s.t, h.deployToDev(a, source))
	base, err = h.git("rev-parse", "main")
	require.NoError(s.t, err)
	s.awaitStable("dev/"+h.service, a)
	return source, base
}

// propose opens a promotion of what runs in dev, with its check.
func (s *scene) propose(h *hub, a artifact) (pr int) {
	s.t.Helper()
	source, base := s.deploy(h, a)
	pr, head, err := h.propose("production", a, source, base)
	require.NoError(s.t, err)
	require.NoError(s.t, check(h.environments, head, "validate"))
	return pr
}

// promote is a promotion as it should be. It returns the merge commit.
func (s *scene) promote(h *hub, a artifact) string {
	s.t.Helper()
	return s.approveAndMerge(h, s.propose(h, a))
}

func (s *scene) approveAndMerge(h *hub, pr int) string {
	s.t.Helper()
	_, err := h.environments.Approve(releaser, pr)
	require.NoError(s.t, err)
	return s.mergeUnread(h, pr)
}

func (s *scene) mergeUnread(h *hub, pr int) string {
	s.t.Helper()
	sha, err := h.environments.Merge(developer, pr, gittest.MergeCommit)
	require.NoError(s.t, err)
	return sha
}

// change opens a pull request with any files ("" deletes nothing; see remove).
func (s *scene) change(h *hub, branch string, files map[string]string) (pr int) {
	s.t.Helper()
	require.NoError(s.t, h.environments.Branch(developer, branch, "main"))
	head, err := h.environments.Push(developer, branch, branch, files)
	require.NoError(s.t, err)
	require.NoError(s.t, check(h.environments, head, "validate"))
	pr, err = h.environments.OpenPR(developer, branch, branch, "main")
	require.NoError(s.t, err)
	return pr
}

func (s *scene) file(h *hub, path string) string {
	s.t.Helper()
	content, err := h.file("main", path)
	require.NoError(s.t, err)
	return content
}

func (s *scene) git(args ...string) string {
	s.t.Helper()
	out, err := s.forge.git(args...)
	require.NoError(s.t, err)
	return out
}

// ownCommits are the commits on main that Sluice wrote, oldest first.
func (s *scene) ownCommits() []string {
	s.t.Helper()
	return strings.Fields(s.git("log", "--first-parent", "--reverse", "--author=sluice@example.com", "--format=%H", "main"))
}

// evidence is what the audit branch says of a release, as "kind: outcome".
func (s *scene) evidence(name string) []string {
	s.t.Helper()
	var out []string
	for _, file := range strings.Fields(s.git("ls-tree", "-r", "--name-only", "sluice/audit", "evidence/"+name+"/")) {
		var record audit.Record
		require.NoError(s.t, json.Unmarshal([]byte(s.git("show", "sluice/audit:"+file)), &record))
		out = append(out, record.Spec.Kind+": "+record.Spec.Outcome)
	}
	return out
}

// explanation is what the command says, whatever its exit code.
func (s *scene) explanation(name string) string {
	out, _ := s.sluice(s.t.Context(), "explain", "--kubeconfig", s.cluster.Kubeconfig, "-n", s.records, name)
	return out
}
