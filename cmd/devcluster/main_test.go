package main_test

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// binaryVariable hands the path of the built program from TestMain to the tests.
const binaryVariable = "DEVCLUSTER_TEST_BINARY"

// patience is for busy machines; nothing here waits that long when all is well.
const patience = 90 * time.Second

func TestMain(m *testing.M) {
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	flag.Parse()
	if testing.Short() {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "devcluster-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "devcluster")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		return 1
	}
	if err := os.Setenv(binaryVariable, binary); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func command(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a cluster")
	}
	cmd := exec.Command(os.Getenv(binaryVariable), args...)
	cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir())
	return cmd
}

// facts are the fields of the ready file, spelled out here because they are a
// contract.
type facts struct {
	Kubeconfig  string            `json:"kubeconfig"`
	Kubeconfigs map[string]string `json:"kubeconfigs"`
	Server      string            `json:"server"`
	Prometheus  string            `json:"prometheus"`
	Targets     string            `json:"targets"`
	Data        string            `json:"data"`
	PIDs        map[string]int    `json:"pids"`
}

func readFacts(t testing.TB, path string) facts {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	var f facts
	require.NoError(t, json.Unmarshal(content, &f))
	return f
}

// running is a devcluster that announced itself.
type running struct {
	facts
	cmd       *exec.Cmd
	stdin     io.Closer
	readyFile string
	errors    *strings.Builder
	ended     chan error
}

// start runs devcluster up and returns when it printed its line. The cluster ends
// with the test, whatever happens to the test.
func start(t testing.TB, args ...string) *running {
	t.Helper()
	r := &running{
		readyFile: filepath.Join(t.TempDir(), "ready.json"),
		errors:    new(strings.Builder),
		ended:     make(chan error, 1),
	}
	r.cmd = command(t, append([]string{"up", "-until-stdin-closes", "-ready-file", r.readyFile}, args...)...)
	r.cmd.Stderr = r.errors
	stdin, err := r.cmd.StdinPipe()
	require.NoError(t, err)
	r.stdin = stdin
	stdout, err := r.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, r.cmd.Start())
	t.Cleanup(func() {
		_ = r.cmd.Process.Kill()
		_ = stdin.Close()
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err, "devcluster said: %s", r.errors)
	require.Contains(t, line, "devcluster ready")
	t.Log(strings.TrimSpace(line))
	go func() { r.ended <- r.cmd.Wait() }()
	r.facts = readFacts(t, r.readyFile)
	return r
}

func (r *running) config(t testing.TB, user string) *rest.Config {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", r.Kubeconfigs[user])
	require.NoError(t, err)
	config.QPS = -1
	return config
}

// awaitEnd returns the exit code.
func (r *running) awaitEnd(t *testing.T) int {
	t.Helper()
	select {
	case <-r.ended:
		return r.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		require.Fail(t, "devcluster did not end")
		return -1
	}
}

func alive(pid int) bool { return syscall.Kill(pid, 0) == nil }

func (r *running) requireNoProcess(t *testing.T) {
	t.Helper()
	eventually(t, func(context.Context) (bool, error) {
		for name, pid := range r.PIDs {
			// A child of a parent that was killed is reaped by init, which may take a while.
			if alive(pid) && !zombie(pid) {
				t.Logf("%s is still there", name)
				return false, nil
			}
		}
		return true, nil
	})
}

// zombie is true for a process that ended and was not reaped. Without ps nobody
// can tell, and the test waits.
func zombie(pid int) bool {
	out, err := exec.Command("ps", "-o", "stat=", "-p", fmt.Sprint(pid)).Output()
	return err == nil && strings.HasPrefix(strings.TrimSpace(string(out)), "Z")
}

// eventually polls, for what other processes do has no event here.
func eventually(t testing.TB, condition wait.ConditionWithContextFunc) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, patience, true, condition)
	require.NoError(t, err)
}

func TestSIGTERMEndsEverythingAndRemovesData(t *testing.T) {
	t.Parallel()
	r := start(t)
	require.DirExists(t, r.Data)
	require.NoError(t, r.cmd.Process.Signal(syscall.SIGTERM))
	assert.Zero(t, r.awaitEnd(t), "stderr: %s", r.errors)
	r.requireNoProcess(t)
	assert.NoDirExists(t, r.Data)
	assert.NoFileExists(t, r.readyFile)
}

func TestGivenDataIsKeptAndUsedAgain(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	addresses := map[string]string{}
	for _, name := range []string{"first", "second"} {
		r := start(t, "-data", data)
		require.Equal(t, data, r.Data)
		client, err := kubernetes.NewForConfig(r.config(t, "admin"))
		require.NoError(t, err)
		s := &suite{running: r, client: client}
		s.createPod(t, name, "", nil)
		s.awaitPod(t, name, func(p *corev1.Pod) bool {
			addresses[p.Status.PodIP] = name
			return ready(p)
		})
		s.awaitPod(t, "first", ready)

		require.NoError(t, r.stdin.Close())
		assert.Zero(t, r.awaitEnd(t), "stderr: %s", r.errors)
		r.requireNoProcess(t)
		assert.NoFileExists(t, r.readyFile)
	}
	delete(addresses, "") // before the pod had one
	assert.Len(t, addresses, 2, "addresses are unique across starts")
}

func TestSIGKILLLeavesNoChildren(t *testing.T) {
	t.Parallel()
	r := start(t)
	require.NoError(t, r.cmd.Process.Kill())
	r.awaitEnd(t)
	r.requireNoProcess(t)
}

func TestDeathOfAComponentIsReportedAndEndsTheRest(t *testing.T) {
	t.Parallel()
	r := start(t)
	require.NoError(t, syscall.Kill(r.PIDs["kube-controller-manager"], syscall.SIGKILL))
	assert.Equal(t, 1, r.awaitEnd(t))
	assert.Contains(t, r.errors.String(), "kube-controller-manager ended: signal: killed")
	r.requireNoProcess(t)
}

func TestRunGivesTheCommandTheReadyFileAndReturnsItsCode(t *testing.T) {
	t.Parallel()
	copied := filepath.Join(t.TempDir(), "copy.json")
	cmd := command(t, "run", "-nodes", "1", "--", "sh", "-c", `cp "$SLUICE_DEVCLUSTER" "$0" && exit 7`, copied)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit, "output: %s", out)
	assert.Equal(t, 7, exit.ExitCode(), "output: %s", out)
	f := readFacts(t, copied)
	assert.NotEmpty(t, f.Server)
	assert.NoDirExists(t, f.Data)
}

func TestRunPassesSignalsOn(t *testing.T) {
	t.Parallel()
	cmd := command(t, "run", "-nodes", "1", "--", "sh", "-c", `trap 'exit 9' TERM; echo started; while :; do sleep 0.1; done`)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "started\n", line)
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	var exit *exec.ExitError
	require.ErrorAs(t, cmd.Wait(), &exit)
	assert.Equal(t, 9, exit.ExitCode())
}

func TestWrongArgumentsAreRefused(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{}, {"down"}, {"up", "extra"}, {"up", "-nodes", "0"}, {"up", "-scrape-interval", "0s"}, {"run"},
		{"run", "-until-stdin-closes", "--", "true"},
	} {
		cmd := command(t, args...)
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit, "%v: %s", args, out)
		assert.Equal(t, 2, exit.ExitCode(), "%v: %s", args, out)
		assert.NotEmpty(t, out)
	}
}
