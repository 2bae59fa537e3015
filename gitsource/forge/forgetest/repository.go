package forgetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/gitsource/gittest"
)

const zeroSHA = "0000000000000000000000000000000000000000"

// A Repository is one repository with what GitHub keeps beside it.
type Repository struct {
	server *Server
	git    *gittest.Server
	id     int64
	opts   RepositoryOptions

	permissions map[*User]string

	// writing is held while branches move, so that each move is noted under
	// the name of who made it.
	writing sync.Mutex

	// the following are guarded by server.mu
	pulls    []*pull
	checks   []*checkRun
	statuses []*status
	activity []activity
	deleted  bool
	guarded  map[string]Protection        // by branch
	attested map[string][]json.RawMessage // bundles by digest
	analyses []analysis
	alerts   []*alert
}

type checkRun struct {
	id                     int64
	app                    App
	name, commit           string
	status, conclusion     string
	externalID, detailsURL string
	title, summary         string
	startedAt, completedAt time.Time
}

type status struct {
	forge.Status
	id      int64
	commit  string
	creator *User
	at      time.Time
}

type activity struct {
	id                       int64
	before, after, ref, kind string
	actor                    *User
	at                       time.Time
}

// A StatusRecord is a commit status and who wrote it.
type StatusRecord struct {
	forge.Status
	Creator string
}

// FullName is "owner/name".
func (r *Repository) FullName() string { return r.opts.FullName }

// Git is the repository itself: to read history, to count git requests, and to
// write behind GitHub's back.
func (r *Repository) Git() *gittest.Server { return r.git }

// Statuses returns what was set on a commit, the latest first.
func (r *Repository) Statuses(commit string) []StatusRecord {
	r.server.mu.Lock()
	defer r.server.mu.Unlock()
	var found []StatusRecord
	for _, s := range slices.Backward(r.statuses) {
		if s.commit == commit {
			found = append(found, StatusRecord{s.Status, s.creator.Login})
		}
	}
	return found
}

// SetStatus sets a commit status as a user.
func (r *Repository) SetStatus(as, commit string, want forge.Status) error {
	user, err := r.server.user(as)
	if err != nil {
		return err
	}
	_, err = r.setStatus(user, commit, want)
	return err
}

func (r *Repository) setStatus(user *User, commit string, want forge.Status) (*status, error) {
	if _, err := r.git.SHA(commit); err != nil {
		return nil, unprocessable("No commit found for SHA: " + commit)
	}
	r.server.mu.Lock()
	defer r.server.mu.Unlock()
	set := &status{Status: want, id: r.server.nextIDLocked(), commit: commit, creator: user, at: r.server.now()}
	r.statuses = append(r.statuses, set)
	return set, nil
}

// latestStatusesLocked is the latest status of each context.
func (r *Repository) latestStatusesLocked(commit string) []*status {
	latest := map[string]*status{}
	for _, s := range r.statuses {
		if s.commit == commit {
			latest[s.Context] = s
		}
	}
	return slices.SortedFunc(maps.Values(latest), func(a, b *status) int { return int(a.id - b.id) })
}

// Check reports a check run of an App on a commit and returns its id. An empty
// conclusion leaves the run in progress.
func (r *Repository) Check(app, commit, name, conclusion string) (int64, error) {
	return r.CheckRun(app, forge.Check{Commit: commit, Name: name, Conclusion: conclusion})
}

// CheckRun is Check with ExternalID, URL and times of the caller's choosing.
func (r *Repository) CheckRun(app string, run forge.Check) (int64, error) {
	r.server.mu.Lock()
	defer r.server.mu.Unlock()
	at := slices.IndexFunc(r.server.apps, func(a App) bool { return a.Slug == app })
	if at < 0 {
		return 0, fmt.Errorf("no App %q", app)
	}
	made := r.addCheckLocked(r.server.apps[at], run)
	return made.id, nil
}

func (r *Repository) addCheckLocked(app App, run forge.Check) *checkRun {
	made := &checkRun{
		id: r.server.nextIDLocked(), app: app, name: run.Name, commit: run.Commit,
		status: run.Status, conclusion: run.Conclusion, externalID: run.ExternalID, detailsURL: run.URL,
		startedAt: run.StartedAt, completedAt: run.CompletedAt,
	}
	if made.startedAt.IsZero() {
		made.startedAt = r.server.now()
	}
	made.settle(r.server.now())
	r.checks = append(r.checks, made)
	return made
}

// settle keeps status, conclusion and times consistent, as GitHub does.
func (c *checkRun) settle(now time.Time) {
	switch {
	case c.conclusion != "":
		c.status = "completed"
		if c.completedAt.IsZero() {
			c.completedAt = now
		}
	case c.status == "":
		c.status = "in_progress"
	}
}

// Push commits files on top of a branch, which it creates when needed, as a
// user: what a direct push does.
func (r *Repository) Push(as, branch, message string, files map[string]string) (string, error) {
	user, err := r.server.user(as)
	if err != nil {
		return "", err
	}
	return r.PushAs(as, user.identity(), branch, message, files)
}

// PushAs is Push with an author of the pusher's choosing, "Name <mail>": git
// lets anybody claim to be anybody.
func (r *Repository) PushAs(as, author, branch, message string, files map[string]string) (string, error) {
	var sha string
	err := r.moving(as, "", func(*User) (err error) {
		sha, err = r.git.Commit(branch, message, author, files)
		return err
	})
	return sha, err
}

// Branch creates a branch at a revision, or moves it there as a force push.
func (r *Repository) Branch(as, name, rev string) error {
	return r.moving(as, "", func(*User) error { return r.git.Branch(name, rev) })
}

// DeleteBranch removes a branch.
func (r *Repository) DeleteBranch(as, name string) error {
	return r.moving(as, "", func(*User) error { return r.git.DeleteBranch(name) })
}

// Delete makes the repository vanish from the API, as when a fork is deleted.
func (r *Repository) Delete() {
	r.server.mu.Lock()
	defer r.server.mu.Unlock()
	r.deleted = true
	delete(r.server.repositories, strings.ToLower(r.opts.FullName))
}

// moving runs a change of branches and notes it.
func (r *Repository) moving(as, kind string, change func(*User) error) error {
	user, err := r.server.user(as)
	if err != nil {
		return err
	}
	return r.movingUser(user, kind, change)
}

func (r *Repository) movingUser(user *User, kind string, change func(*User) error) error {
	r.writing.Lock()
	defer r.writing.Unlock()
	before, err := r.branches()
	if err != nil {
		return err
	}
	if err := change(user); err != nil {
		return err
	}
	return r.noteMoves(user, before, kind)
}

// branches are the branch tips by name.
func (r *Repository) branches() (map[string]string, error) {
	out, err := r.git.Git("for-each-ref", "--format=%(refname:lstrip=2) %(objectname)", "refs/heads/")
	if err != nil {
		return nil, err
	}
	tips := map[string]string{}
	for line := range strings.Lines(out) {
		if name, sha, found := strings.Cut(strings.TrimSpace(line), " "); found {
			tips[name] = sha
		}
	}
	return tips, nil
}

// noteMoves writes the activity since before and lets pull requests follow
// their heads.
func (r *Repository) noteMoves(user *User, before map[string]string, kind string) error {
	after, err := r.branches()
	if err != nil {
		return err
	}
	names := slices.Collect(maps.Keys(before))
	for name := range after {
		if _, known := before[name]; !known {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		from, to := before[name], after[name]
		if from == to {
			continue
		}
		how := kind
		if how == "" {
			how = r.moveKind(from, to)
		}
		r.noteMove(user, name, from, to, how)
		if err := errors.Join(r.server.followHeads(r, name, to), r.followBases(user, name, to, how)); err != nil {
			return err
		}
	}
	return nil
}

func (r *Repository) noteMove(user *User, branch, from, to, kind string) {
	r.server.mu.Lock()
	defer r.server.mu.Unlock()
	r.activity = append(r.activity, activity{
		id: r.server.nextIDLocked(), ref: "refs/heads/" + branch, kind: kind, actor: user, at: r.server.now(),
		before: orZero(from), after: orZero(to),
	})
}

func (r *Repository) moveKind(from, to string) string {
	switch {
	case from == "":
		return "branch_creation"
	case to == "":
		return "branch_deletion"
	}
	if _, err := r.git.Git("merge-base", "--is-ancestor", from, to); err != nil {
		return "force_push"
	}
	return "push"
}

func orZero(sha string) string {
	if sha == "" {
		return zeroSHA
	}
	return sha
}

func (r *Repository) owner() string { owner, _, _ := strings.Cut(r.opts.FullName, "/"); return owner }

func (r *Repository) permission(user *User) string {
	if strings.EqualFold(user.Login, r.owner()) {
		return "admin"
	}
	if user.Kind == "Bot" && r.server.isApp(user) {
		return "write"
	}
	if permission, given := r.permissions[user]; given {
		return permission
	}
	return "read"
}

func (r *Repository) mayWrite(user *User) bool {
	return forge.Permission(r.permission(user)).MayWrite()
}

func (s *Server) isApp(user *User) bool { _, found := s.appOf(user); return found }

func (s *Server) appOf(user *User) (App, bool) {
	for _, app := range s.apps {
		if user.ID == 9_000_000+app.ID {
			return app, true
		}
	}
	return App{}, false
}
