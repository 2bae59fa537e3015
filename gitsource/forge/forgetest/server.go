package forgetest

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/sluice-cd/sluice/gitsource/gittest"
)

const apiPrefix = "/api/v3"

// Options is what exists when a Server starts.
type Options struct {
	Users        []User
	Apps         []App
	Teams        []Team
	Repositories []RepositoryOptions
	// Now is the clock of everything the Server writes; nil is time.Now.
	Now func() time.Time
	// MaxPerPage lowers GitHub's page size of 100, so that few items make
	// several pages.
	MaxPerPage int
}

// A User is a person or machine account.
type User struct {
	Login string
	ID    int64
	Token string // what the user authenticates with; empty: never
	// Kind is "User" (also when empty), "Bot" or "Organization".
	Kind string
	// Emails are linked to the account, besides LOGIN@example.com, with which
	// the user commits, and the private address.
	Emails []string
}

// An App is a GitHub App, installed on every repository with write access. It
// acts as the account SLUG[bot].
type App struct {
	Slug  string
	ID    int64
	Token string // an installation token that is valid from the start
	// InstallationID and PublicKey let a client ask for installation tokens.
	InstallationID int64
	PublicKey      *rsa.PublicKey
}

// A Team belongs to an organization; Members and Pending are logins.
type Team struct {
	Org, Slug string
	Members   []string
	Pending   []string // invited, not yet accepted
}

// RepositoryOptions describes a repository.
type RepositoryOptions struct {
	FullName      string // "owner/name"
	DefaultBranch string // empty is "main"
	// Permissions are "admin", "write" or "read" by login. Everybody else may
	// read.
	Permissions map[string]string
	Protected   []string // branches that are reported as protected
	ForkOf      string   // full name of the repository that it was forked from
}

// A Server is the fake. Start or New make one.
type Server struct {
	// URL is the root, such as http://127.0.0.1:4711.
	URL string

	now        func() time.Time
	maxPerPage int
	mux        *http.ServeMux

	mu sync.Mutex
	// mu guards the following, and every Repository's fields but its git
	users        []*User
	apps         []App
	teams        []*team
	repositories map[string]*Repository // by lower-case full name
	tokens       map[string]*User
	lastID       int64
	requests     map[string]int
	faults       []*Fault
	used         int
	windowEnds   time.Time
}

// New serves for one test on a loopback port until the test ends.
func New(t gittest.TB, opts Options) *Server {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	s, err := Start(ctx, t.TempDir(), opts)
	if err != nil {
		t.Fatalf("start the fake GitHub: %v", err)
	}
	return s
}

// Start serves on a loopback port until ctx ends. The repositories are kept in
// dir; those found there are continued, while pull requests, reviews and the
// rest begin empty.
func Start(ctx context.Context, dir string, opts Options) (*Server, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	s, err := newServer(dir, "http://"+listener.Addr().String(), opts)
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	server := &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }()
	context.AfterFunc(ctx, func() { _ = server.Close() })
	return s, nil
}

func newServer(dir, url string, opts Options) (*Server, error) {
	s := &Server{
		URL: url, now: opts.Now, maxPerPage: opts.MaxPerPage, mux: http.NewServeMux(),
		apps:         opts.Apps,
		repositories: map[string]*Repository{}, tokens: map[string]*User{}, requests: map[string]int{},
		lastID: 1000,
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.maxPerPage == 0 {
		s.maxPerPage = 100
	}
	if err := s.addPeople(opts); err != nil {
		return nil, err
	}
	for _, repo := range opts.Repositories {
		if err := s.addRepository(dir, repo); err != nil {
			return nil, err
		}
	}
	s.route()
	return s, nil
}

func (s *Server) addPeople(opts Options) error {
	for _, user := range opts.Users {
		if user.Login == "" || user.ID == 0 {
			return fmt.Errorf("add user %q: it needs a login and an id", user.Login)
		}
		s.addUser(user)
	}
	for _, app := range opts.Apps {
		if app.Slug == "" || app.ID == 0 {
			return fmt.Errorf("add App %q: it needs a slug and an id", app.Slug)
		}
		s.addUser(User{Login: app.Slug + "[bot]", ID: 9_000_000 + app.ID, Kind: "Bot", Token: app.Token})
	}
	for _, of := range opts.Teams {
		members, errMembers := s.accounts(of.Members)
		pending, errPending := s.accounts(of.Pending)
		if err := errors.Join(errMembers, errPending); err != nil {
			return fmt.Errorf("add team %s/%s: %w", of.Org, of.Slug, err)
		}
		s.teams = append(s.teams, &team{of.Org, of.Slug, members, pending})
	}
	return nil
}

// A team holds accounts, so that membership survives a new login.
type team struct {
	org, slug        string
	members, pending []*User
}

func (s *Server) accounts(logins []string) ([]*User, error) {
	var found []*User
	for _, login := range logins {
		user, err := s.user(login)
		if err != nil {
			return nil, err
		}
		found = append(found, user)
	}
	return found, nil
}

func (s *Server) addUser(user User) {
	if user.Kind == "" {
		user.Kind = "User"
	}
	s.users = append(s.users, &user)
	if user.Token != "" {
		s.tokens[user.Token] = &user
	}
}

func (s *Server) addRepository(dir string, opts RepositoryOptions) error {
	owner, name, found := strings.Cut(opts.FullName, "/")
	if !found {
		return fmt.Errorf("add repository %q: want owner/name", opts.FullName)
	}
	path := filepath.Join(dir, owner, name+".git")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("add repository %s: %w", opts.FullName, err)
	}
	git, err := gittest.Create(path)
	if err != nil {
		return fmt.Errorf("add repository %s: %w", opts.FullName, err)
	}
	if opts.DefaultBranch == "" {
		opts.DefaultBranch = "main"
	}
	git.SetClock(s.now)
	s.lastID++
	repo := &Repository{server: s, git: git, id: s.lastID, opts: opts, permissions: map[*User]string{}}
	for login, permission := range opts.Permissions {
		user, err := s.user(login)
		if err != nil {
			return fmt.Errorf("add repository %s: %w", opts.FullName, err)
		}
		repo.permissions[user] = permission
	}
	s.repositories[strings.ToLower(opts.FullName)] = repo
	return nil
}

// APIURL is the root of the REST API.
func (s *Server) APIURL() string { return s.URL + apiPrefix }

// CloneURL is where git finds a repository.
func (s *Server) CloneURL(fullName string) string { return s.URL + "/" + fullName + ".git" }

// Repository returns a repository by its full name, nil when there is none.
func (s *Server) Repository(fullName string) *Repository {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.repositories[strings.ToLower(fullName)]
}

// Requests returns how often each REST route was asked, refused requests
// included, by pattern: "GET /repos/{owner}/{repo}/pulls". For git, see
// Repository.Git.
func (s *Server) Requests() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := make(map[string]int, len(s.requests))
	for route, n := range s.requests {
		counts[route] = n
	}
	return counts
}

// ResetRequests starts counting at zero.
func (s *Server) ResetRequests() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.requests)
}

// ServeHTTP answers REST requests and git.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, apiPrefix+"/") {
		http.StripPrefix(apiPrefix, http.HandlerFunc(s.serveREST)).ServeHTTP(w, r)
		return
	}
	s.serveGit(w, r)
}

func (s *Server) nextIDLocked() int64 {
	s.lastID++
	return s.lastID
}

func (s *Server) userLocked(login string) *User {
	for _, user := range s.users {
		if strings.EqualFold(user.Login, login) {
			return user
		}
	}
	return nil
}

// user is for the helpers that act under a login.
func (s *Server) user(login string) (*User, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if user := s.userLocked(login); user != nil {
		return user, nil
	}
	return nil, fmt.Errorf("no user %q", login)
}

// Rename gives an account another login, as a person can at any time.
func (s *Server) Rename(login, to string) error {
	user, err := s.user(login)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	user.Login = to
	return nil
}

func (s *Server) emailLocked(email string) *User {
	for _, user := range s.users {
		if strings.EqualFold(email, user.email()) || strings.EqualFold(email, s.privateEmail(user)) {
			return user
		}
		for _, linked := range user.Emails {
			if strings.EqualFold(email, linked) {
				return user
			}
		}
	}
	return nil
}

func (u *User) email() string { return u.Login + "@example.com" }

// identity is how git writes the user.
func (u *User) identity() string { return u.Login + " <" + u.email() + ">" }

func (s *Server) privateEmail(u *User) string {
	return fmt.Sprintf("%d+%s@users.noreply.127.0.0.1", u.ID, u.Login)
}
