package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"
)

// A world is everything that runs while the story is told.
type world struct {
	opts    options
	dir     string
	say     *narrator
	kube    *kube
	forge   *hub
	cluster clusterFacts
	// records is the namespace of sluice's records.
	records      string
	services     []string
	environments []string

	artifacts map[string]artifact // by version
	// processes in the order of their start, which is not that of their end
	processes []*process
	stop      context.CancelFunc
}

// clusterFacts is what the demo uses of devcluster's ready file.
type clusterFacts struct {
	Kubeconfig string `json:"kubeconfig"`
	Prometheus string `json:"prometheus"`
	Targets    string `json:"targets"`
}

// setUp starts the cluster, the forge, the users and sluice.
func setUp(ctx context.Context, opts options, dir string, say *narrator) (*world, error) {
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	w := &world{
		opts: opts, dir: dir, say: say, stop: stop, records: "sluice",
		services: []string{"checkout"}, environments: []string{"dev", "staging", "production"},
	}
	say.chapter("Setting the scene")
	if err := os.Mkdir(w.path("logs"), 0o755); err != nil {
		return w, err
	}
	var err error
	if w.artifacts, err = readArtifacts(filepath.Join(opts.examples, "demo", "artifacts.yaml")); err != nil {
		return w, err
	}
	if err := w.startCluster(ctx); err != nil {
		return w, err
	}
	if err := w.startTraffic(background); err != nil {
		return w, err
	}
	files, err := readTree(filepath.Join(opts.examples, "environments"))
	if err != nil {
		return w, err
	}
	w.forge, err = startForge(background, w.path("forge"), estate{
		files: files, environments: w.environments, services: w.services, first: w.artifacts["1.41.0"],
	})
	if err != nil {
		return w, err
	}
	say.say("A forge with the repository %s is up at %s", w.forge.environments.FullName(), w.forge.server.URL)
	if err := w.configure(); err != nil {
		return w, err
	}
	say.say("Sluice follows the repository from commit %.8s on, which is the baseline", w.forge.genesis)
	_, err = w.serve("--genesis", w.forge.genesis)
	return w, err
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

func (w *world) startCluster(ctx context.Context) error {
	ready := w.path("cluster.json")
	began := time.Now()
	p, err := w.start("devcluster", "up", "--until-stdin-closes", "--data", w.path("cluster"), "--ready-file", ready)
	if err != nil {
		return err
	}
	err = until(ctx, "the local Kubernetes", func(context.Context) (bool, string, error) {
		data, err := os.ReadFile(ready)
		if errors.Is(err, os.ErrNotExist) {
			return false, "it is starting", p.ended()
		}
		return err == nil, "", errors.Join(err, json.Unmarshal(data, &w.cluster))
	})
	if err != nil {
		return err
	}
	w.say.say("A Kubernetes API server is up after %.1f s; pods are simulated", time.Since(began).Seconds())
	return w.enter(ctx)
}

// enter connects to the cluster and makes the namespaces.
func (w *world) enter(ctx context.Context) error {
	var err error
	if w.kube, err = connect(w.cluster.Kubeconfig); err != nil {
		return err
	}
	return w.kube.furnish(ctx, w.namespaces())
}

// namespaces are those of the records and of the releases.
func (w *world) namespaces() []string {
	namespaces := []string{w.records}
	for _, service := range w.services {
		for _, environment := range w.environments {
			namespaces = append(namespaces, service+"-"+environment)
		}
	}
	return namespaces
}

// startTraffic starts the users and lets the metrics source collect what the
// pods count.
func (w *world) startTraffic(ctx context.Context) error {
	users := newTraffic(w.artifacts)
	address, err := users.serve(ctx)
	if err != nil {
		return err
	}
	go users.run(ctx, w.kube, w.services, w.environments)
	targets := fmt.Sprintf(`[{"targets":[%q],"labels":{"job":%q}}]`, address, w.services[0])
	temporary := filepath.Join(w.cluster.Targets, w.services[0]+".tmp")
	if err := os.WriteFile(temporary, []byte(targets), 0o644); err != nil {
		return err
	}
	w.say.say("Users send %d requests a second to each release", requestsPerSecond)
	return os.Rename(temporary, filepath.Join(w.cluster.Targets, w.services[0]+".json"))
}

// configure writes the daemon's configuration.
func (w *world) configure() error {
	key, err := w.signingKey()
	if err != nil {
		return err
	}
	token := w.path("token")
	if err := os.WriteFile(token, []byte(botToken), 0o600); err != nil {
		return err
	}
	config := fmt.Sprintf(`apiVersion: sluice.dev/v1alpha1
kind: Daemon
repository:
  url: %s
forge:
  url: %s
  repository: %s
  tokenFile: %s
  writeInterval: 100ms # GitHub asks for 1s
dataDir: %s
cluster:
  kubeconfigFile: %s
  namespace: %s
metrics:
  - {name: operations, url: "%s", scrape: 1s, lag: 1s}
commits: {name: Sluice, email: sluice@example.com, signingKeyFile: %s}
poll: 1s
`, w.forge.server.CloneURL(w.forge.environments.FullName()), w.forge.server.APIURL(), w.forge.environments.FullName(), token,
		w.path("sluice"), w.cluster.Kubeconfig, w.records, w.cluster.Prometheus, key)
	return os.WriteFile(w.path("sluice-daemon.yaml"), []byte(config), 0o644)
}

// serve starts the daemon.
func (w *world) serve(args ...string) (*process, error) {
	return w.start("sluice", append([]string{"serve", "--config", w.path("sluice-daemon.yaml")}, args...)...)
}

// signingKey makes the key that sluice signs its commits with.
func (w *world) signingKey() (string, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return "", err
	}
	block, err := ssh.MarshalPrivateKey(private, "sluice demo")
	if err != nil {
		return "", err
	}
	file := w.path("signing-key")
	return file, os.WriteFile(file, pem.EncodeToMemory(block), 0o600)
}

// sluice runs a command of the binary and returns what it prints.
func (w *world) sluice(ctx context.Context, args ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, filepath.Join(w.opts.bin, "sluice"), args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("sluice %s: %w: %s", strings.Join(args, " "), err, stderr.String())
	}
	return stdout.String(), nil
}

// A process is one child. Closing its input asks devcluster to end; a signal
// asks everything else.
type process struct {
	name  string
	cmd   *exec.Cmd
	input io.Closer
	done  chan struct{}
}

func (w *world) start(name string, args ...string) (*process, error) {
	log, err := os.OpenFile(w.path(filepath.Join("logs", name+".log")), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }() // the child has its own handle
	binary, err := filepath.Abs(filepath.Join(w.opts.bin, name))
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(binary, args...)
	cmd.Stdout, cmd.Stderr = log, log
	// Ctrl-C goes to the demo alone, which then ends the others in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	input, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s (is it built? run `make build`): %w", name, err)
	}
	p := &process{name: name, cmd: cmd, input: input, done: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // how it ended is in cmd.ProcessState
		close(p.done)
	}()
	w.processes = append(w.processes, p)
	return p, nil
}

// ended is the error of a process that should be running and is not.
func (p *process) ended() error {
	select {
	case <-p.done:
		return fmt.Errorf("%s ended: %s", p.name, p.cmd.ProcessState)
	default:
		return nil
	}
}

// tearDown ends everything that was started, last first.
func (w *world) tearDown() {
	w.stop()
	for i := len(w.processes) - 1; i >= 0; i-- {
		p := w.processes[i]
		_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		_ = p.input.Close()
		select {
		case <-p.done:
		case <-time.After(20 * time.Second):
			_ = p.cmd.Process.Kill()
			<-p.done
		}
	}
}

// explainFailure shows the end of the logs and ends everything.
func (w *world) explainFailure() {
	w.tearDown()
	for _, p := range w.processes {
		data, err := os.ReadFile(w.path(filepath.Join("logs", p.name+".log")))
		if err != nil {
			continue
		}
		lines := strings.Split(strings.TrimSpace(string(data)), "\n")
		w.say.chapter("The end of the log of " + p.name)
		w.say.quote(strings.Join(lines[max(0, len(lines)-15):], "\n"))
	}
}

// stay keeps everything up for people to look around.
func (w *world) stay(ctx context.Context) {
	w.say.chapter("Everything stays up until Ctrl-C")
	w.say.quote(fmt.Sprintf("export KUBECONFIG=%s\n%s status\ngit clone %s\nlogs: %s",
		w.cluster.Kubeconfig, filepath.Join(w.opts.bin, "sluice"),
		w.forge.server.CloneURL(w.forge.environments.FullName()), w.path("logs")))
	<-ctx.Done()
}
