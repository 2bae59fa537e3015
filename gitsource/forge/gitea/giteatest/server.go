package giteatest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// TB is the part of testing.TB that New needs.
type TB interface {
	Helper()
	Skipf(format string, args ...any)
	Fatalf(format string, args ...any)
	Logf(format string, args ...any)
	Context() context.Context
	TempDir() string
	Cleanup(f func())
	Failed() bool
}

const (
	// readyTimeout is generous: start and first migration take two seconds on
	// two idle cores.
	readyTimeout = time.Minute
	pollInterval = 20 * time.Millisecond
	// stopDelay is how long an ended server may take to write its files.
	stopDelay = 10 * time.Second

	admin         = "administrator"
	adminPassword = "loopback-only"
)

// A Server is one running Gitea.
type Server struct {
	URL string // without a slash at the end

	dir, config string
	build       build
	token       string // the site administrator's
	log         bytes.Buffer
	stdin       io.Closer
	ended       chan struct{} // closed when the process is gone
}

// New starts a server for one test.
func New(t TB) *Server {
	t.Helper()
	found, err := locate(t.Context())
	if err != nil {
		if optional(err) {
			t.Skipf("not run against a real Gitea: %v", err)
		}
		t.Fatalf("start Gitea: %v", err)
	}
	s := &Server{dir: t.TempDir(), build: found}
	if err := s.start(t.Context()); err != nil {
		s.stop()
		t.Fatalf("start Gitea: %v\n%s", err, s.log.String())
	}
	t.Cleanup(func() {
		s.stop()
		if t.Failed() {
			t.Logf("Gitea's log:\n%s", s.log.String())
		}
	})
	return s
}

func (s *Server) start(ctx context.Context) error {
	address, err := freeAddress(ctx)
	if err != nil {
		return err
	}
	s.URL = "http://" + address
	if err := s.configure(address); err != nil {
		return err
	}
	if _, err := s.run(ctx, "migrate"); err != nil {
		return err
	}
	out, err := s.run(ctx, "admin", "user", "create", "--admin", "--username", admin, "--password", adminPassword,
		"--email", admin+"@forge.example", "--must-change-password=false", "--access-token")
	if err != nil {
		return err
	}
	words := strings.Fields(string(out))
	s.token = words[len(words)-1]
	if err := s.serve(); err != nil {
		return err
	}
	return s.ready(ctx)
}

// freeAddress may be taken by somebody else before Gitea listens on it; then
// the start fails with its log.
func freeAddress(ctx context.Context) (string, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return listener.Addr().String(), listener.Close()
}

func (s *Server) prepare(command *exec.Cmd) *exec.Cmd {
	command.Dir = s.dir
	command.Env = []string{"HOME=" + s.dir, "PATH=" + os.Getenv("PATH"), "TMPDIR=" + s.dir}
	return command
}

// run is one of the server's own commands; it waits for its end.
func (s *Server) run(ctx context.Context, args ...string) ([]byte, error) {
	command := s.prepare(exec.CommandContext(ctx, s.build.binary, append([]string{"--config", s.config}, args...)...))
	out, err := command.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("gitea %s: %w\n%s", args[0], err, out)
	}
	return out, nil
}

// supervisor runs the server and ends it, by its own process id, when standard
// input is closed: by stop, or because the test's process is gone.
const supervisor = `exec 3<&0
"$0" --config "$1" web </dev/null 3<&- & server=$!
(read -r _ <&3; kill "$server") >/dev/null 2>&1 &
wait "$server"`

func (s *Server) serve() error {
	command := s.prepare(exec.Command("/bin/sh", "-c", supervisor, s.build.binary, s.config))
	command.Stdout, command.Stderr = &s.log, &s.log
	command.WaitDelay = stopDelay
	stdin, err := command.StdinPipe()
	if err != nil {
		return err
	}
	if err := command.Start(); err != nil {
		return fmt.Errorf("start %s: %w", s.build.binary, err)
	}
	s.stdin, s.ended = stdin, make(chan struct{})
	go func() {
		_ = command.Wait() // ended by a signal, or its log says why
		close(s.ended)
	}()
	return nil
}

func (s *Server) stop() {
	if s.ended == nil {
		return
	}
	_ = s.stdin.Close()
	<-s.ended
}

func (s *Server) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	go func() {
		defer cancel()
		select {
		case <-s.ended:
		case <-ctx.Done():
		}
	}()
	return Eventually(ctx, func() error {
		return s.Do(ctx, admin, http.MethodGet, "/user", nil, nil)
	})
}

// Eventually repeats what a server does in its own time until it succeeds.
func Eventually(ctx context.Context, try func() error) error {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-ticker.C:
		}
	}
}

// configure writes the smallest configuration that keeps the server quiet,
// quick and to itself.
func (s *Server) configure(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	s.config = filepath.Join(s.dir, "app.ini")
	text := strings.NewReplacer("{dir}", s.dir, "{static}", s.build.static, "{host}", host, "{port}", port).Replace(configuration)
	return os.WriteFile(s.config, []byte(text), 0o600)
}

const configuration = `
I_AM_BEING_UNSAFE_RUNNING_AS_ROOT = true
WORK_PATH = {dir}
[server]
HTTP_ADDR = {host}
HTTP_PORT = {port}
ROOT_URL = http://{host}:{port}/
STATIC_ROOT_PATH = {static}
DISABLE_SSH = true
OFFLINE_MODE = true
[database]
DB_TYPE = sqlite3
PATH = {dir}/gitea.db
[repository]
ROOT = {dir}/repositories
DEFAULT_BRANCH = main
[security]
INSTALL_LOCK = true
SECRET_KEY = loopback
INTERNAL_TOKEN = loopback
PASSWORD_HASH_ALGO = pbkdf2$1$10
[service]
DISABLE_REGISTRATION = true
NO_REPLY_ADDRESS = noreply.forge.example
[queue]
TYPE = channel
[indexer]
ISSUE_INDEXER_TYPE = db
[oauth2]
ENABLED = false
[actions]
ENABLED = false
[cron]
ENABLED = false
[log]
MODE = console
LEVEL = Warn
`
