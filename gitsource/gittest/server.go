package gittest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// mountPath is where a listening Server serves its repository.
const mountPath = "/repo.git"

// readHeaderTimeout bounds a client that connects and says nothing.
const readHeaderTimeout = 10 * time.Second

// TB is the part of testing.TB that New needs. Naming it here keeps the
// testing package out of programs that use Serve.
type TB interface {
	Helper()
	TempDir() string
	Cleanup(func())
	Fatalf(format string, args ...any)
}

// Server is one bare repository and the HTTP handler in front of it.
type Server struct {
	// URL is the clone URL; empty when the Server does not listen itself.
	URL string
	// Dir is the bare repository on disk.
	Dir string

	backend string // path of git-http-backend

	// mu guards the following.
	mu       sync.Mutex
	now      func() time.Time
	user     string
	password string
	requests map[string]int
	faults   []*Fault
}

// New serves an empty repository for one test, on a deterministic clock that
// starts on 2026-01-01 and advances a second with each commit.
func New(t TB) *Server {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s, err := Serve(ctx, filepath.Join(t.TempDir(), "repo.git"))
	if err != nil {
		cancel()
		t.Fatalf("serve git: %v", err)
		return nil
	}
	tick := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s.SetClock(func() time.Time {
		tick = tick.Add(time.Second)
		return tick
	})
	t.Cleanup(cancel)
	return s
}

// Serve creates the bare repository in dir, unless it is there, and serves it
// on a loopback port until ctx ends.
func Serve(ctx context.Context, dir string) (*Server, error) {
	s, err := Create(dir)
	if err != nil {
		return nil, err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle(mountPath+"/", http.StripPrefix(mountPath, s.Handler()))
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: readHeaderTimeout}
	go func() { _ = srv.Serve(l) }() // ends with Close below
	context.AfterFunc(ctx, func() { _ = srv.Close() })
	s.URL = "http://" + l.Addr().String() + mountPath
	return s, nil
}

// Create makes the bare repository in dir, unless it is there, without
// listening: mount Handler where it is wanted.
func Create(dir string) (*Server, error) {
	out, err := exec.CommandContext(context.Background(), "git", "--exec-path").Output()
	if err != nil {
		return nil, fmt.Errorf("find git: %w", err)
	}
	s := &Server{
		Dir:      dir,
		backend:  filepath.Join(strings.TrimSpace(string(out)), "git-http-backend"),
		now:      time.Now,
		requests: map[string]int{},
	}
	if _, err := os.Stat(s.backend); err != nil {
		return nil, fmt.Errorf("find git-http-backend: %w", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "HEAD")); err == nil {
		return s, nil
	} else if !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("open repository: %w", err)
	}
	return s, s.initialise()
}

func (s *Server) initialise() error {
	if err := os.MkdirAll(s.Dir, 0o755); err != nil {
		return fmt.Errorf("create repository: %w", err)
	}
	if _, err := s.Git("init", "--quiet", "--bare", "--initial-branch=main", "."); err != nil {
		return err
	}
	settings := [][2]string{
		{"http.receivepack", "true"},
		{"uploadpack.allowAnySHA1InWant", "true"}, // as the large forges do
		{"gc.auto", "0"},
		{"receive.autogc", "false"},
		{"core.fsync", "none"}, // thousands of small commits, none of them precious
	}
	for _, kv := range settings {
		if _, err := s.Git("config", kv[0], kv[1]); err != nil {
			return err
		}
	}
	return nil
}

// SetClock replaces the clock of commit times.
func (s *Server) SetClock(now func() time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = now
}

func (s *Server) tick() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now()
}

// RequireBasicAuth makes every request need these credentials.
func (s *Server) RequireBasicAuth(user, password string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.user, s.password = user, password
}

// Requests returns how often each endpoint was asked, refused requests
// included. Keys are the constants Refs, Pack, PushRefs and Push.
func (s *Server) Requests() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[string]int, len(s.requests))
	for k, v := range s.requests {
		out[k] = v
	}
	return out
}

// ResetRequests starts counting at zero.
func (s *Server) ResetRequests() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = map[string]int{}
}

// Handler serves the repository. It expects paths such as /info/refs: mount it
// with http.StripPrefix.
func (s *Server) Handler() http.Handler {
	git := &cgi.Handler{
		Path:   s.backend,
		Dir:    s.Dir,
		Stderr: io.Discard, // clients are told the same
		Env: append(isolation(),
			"GIT_PROJECT_ROOT="+s.Dir, "GIT_HTTP_EXPORT_ALL=1", "HOME="+s.Dir),
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fault, allowed := s.admit(r)
		if !allowed {
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			http.Error(w, "credentials required", http.StatusUnauthorized)
			return
		}
		if fault == nil {
			serveGit(git, w, r)
			return
		}
		fault.serve(git, w, r)
	})
}

// admit counts the request and picks the fault that it meets.
func (s *Server) admit(r *http.Request) (f *Fault, allowed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := endpoint(r)
	s.requests[key]++
	if s.user != "" || s.password != "" {
		user, password, _ := r.BasicAuth()
		if user != s.user || password != s.password {
			return nil, false
		}
	}
	for i, f := range s.faults {
		if f.On != "" && f.On != key {
			continue
		}
		if f.Times > 0 {
			if f.Times--; f.Times == 0 {
				s.faults = append(s.faults[:i:i], s.faults[i+1:]...)
			}
		}
		copied := *f
		return &copied, true
	}
	return nil, true
}
