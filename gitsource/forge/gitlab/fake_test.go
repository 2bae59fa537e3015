package gitlab_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource/gittest"
)

const (
	token       = "glpat-canary-0123456789"
	projectPath = "acme/environments"
	projectID   = 7
)

type object = map[string]any

// A fake is as much of a GitLab as the driver asks, over a real repository.
type fake struct {
	t   *testing.T
	git *gittest.Server
	url string

	mu sync.Mutex
	// mu guards the following
	clock     time.Time
	id        int64
	users     []*user
	requests  []*request
	events    []object
	statuses  []*status
	said      []status // every write of a status
	ciJobs    []int64
	protected map[string]int // approvals by branch
}

type user struct {
	id     int64
	name   string
	level  int // in the project
	inTeam bool
	bot    bool
	state  string
}

type request struct {
	iid                  int
	title, body, state   string
	source, target, head string
	author, mergedBy     *user
	mergeCommit, squash  string
	created, merged      time.Time
	versions, notes      []object
	approvals            []approval
	reviewers            map[*user]string
	commits              []string // newest first
}

type approval struct {
	by *user
	at time.Time
}

type status struct {
	id               int64
	commit, name     string
	state, text, url string
	by               *user
	at               time.Time
}

func newFake(t *testing.T) *fake {
	t.Helper()
	git, err := gittest.Create(filepath.Join(t.TempDir(), "environments.git"))
	require.NoError(t, err)
	f := &fake{t: t, git: git, id: 1000, clock: time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC), protected: map[string]int{}}
	f.users = []*user{
		{id: 11, name: "sluice", level: 40, bot: true}, {id: 12, name: "alice", level: 30}, {id: 13, name: "bob", level: 30, inTeam: true},
		{id: 14, name: "carol", level: 20}, {id: 15, name: "dana", level: 30, inTeam: true},
	}
	for _, u := range f.users {
		u.state = "active"
	}
	git.SetClock(f.tick)
	server := httptest.NewServer(f.routes())
	t.Cleanup(server.Close)
	f.url = server.URL
	_, err = git.Commit("main", "first", "", map[string]string{"README.md": "x"})
	require.NoError(t, err)
	return f
}

// tick is a second later each time.
func (f *fake) tick() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.tickLocked()
}

func (f *fake) tickLocked() time.Time {
	f.clock = f.clock.Add(time.Second)
	return f.clock
}

func (f *fake) nextLocked() int64 { f.id++; return f.id }

func (f *fake) user(name string) *user {
	at := slices.IndexFunc(f.users, func(u *user) bool { return u.name == name })
	require.GreaterOrEqual(f.t, at, 0, name)
	return f.users[at]
}

func (f *fake) sha(rev string) string {
	sha, err := f.git.SHA(rev)
	require.NoError(f.t, err, rev)
	return sha
}

// moved notes a push and lets merge requests follow their source.
func (f *fake) moved(by *user, branch, action string) {
	head := f.sha("refs/heads/" + branch)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events = append(f.events, object{
		"id": f.nextLocked(), "project_id": projectID, "action_name": "pushed to", "author_id": by.id, "author": by.basic(), "author_username": by.name,
		"created_at": instant(f.tickLocked()), "push_data": object{"commit_count": 1, "action": action, "ref_type": "branch", "commit_to": head, "ref": branch},
	})
	for _, r := range f.requests {
		if r.state == "opened" && r.source == branch {
			f.versionLocked(r, head)
		}
	}
}

// versionLocked leaves approvals as they are: a project need not reset them.
func (f *fake) versionLocked(r *request, head string) {
	base, err := f.git.Git("merge-base", "refs/heads/"+r.target, head)
	require.NoError(f.t, err)
	own, err := f.git.Git("rev-list", base+".."+head)
	require.NoError(f.t, err)
	r.head, r.commits = head, strings.Fields(own)
	r.versions = append([]object{{
		"id": f.nextLocked(), "head_commit_sha": head, "base_commit_sha": base, "start_commit_sha": base, "created_at": instant(f.tickLocked()),
		"merge_request_id": 100 + r.iid, "state": "collected", "real_size": "1",
	}}, r.versions...)
}

func (f *fake) open(by *user, title, body, source, target string) (*request, error) {
	head, err := f.git.SHA("refs/heads/" + source)
	if err != nil {
		return nil, refusal{400, "source branch does not exist"}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.requests {
		if r.state == "opened" && r.source == source && r.target == target {
			return nil, refusal{409, "Another open merge request already exists for this source branch: !" + strconv.Itoa(r.iid)}
		}
	}
	r := &request{
		iid: len(f.requests) + 1, title: title, body: body, state: "opened", source: source, target: target, author: by,
		created: f.tickLocked(), reviewers: map[*user]string{},
	}
	f.versionLocked(r, head)
	f.requests = append(f.requests, r)
	return r, nil
}

func (f *fake) noteLocked(r *request, by *user, system bool, body string) int64 {
	id := f.nextLocked()
	r.notes = append(r.notes, object{
		"id": id, "type": nil, "body": body, "author": by.basic(), "system": system, "created_at": instant(f.tickLocked()), "updated_at": instant(f.clock),
		"noteable_id": 100 + r.iid, "noteable_type": "MergeRequest", "noteable_iid": r.iid, "project_id": projectID, "resolvable": false, "internal": false,
	})
	return id
}

// whyNotLocked is GitLab's word for what a merge waits for.
func (f *fake) whyNotLocked(r *request) string {
	switch {
	case r.state != "opened":
		return "not_open"
	case len(r.approvals) < f.protected[r.target]:
		return "not_approved"
	}
	return "mergeable"
}

func (f *fake) merge(by *user, r *request, method, expected, message string) error {
	f.mu.Lock()
	why := f.whyNotLocked(r)
	f.mu.Unlock()
	switch {
	case why != "mergeable":
		return refusal{405, "405 Method Not Allowed"}
	case expected != "" && expected != r.head:
		return refusal{409, "SHA does not match HEAD of source branch: " + r.head}
	}
	mergeCommit, squash := "", ""
	var err error
	switch method {
	case "merge":
		mergeCommit, err = f.git.Merge(r.target, r.head, gittest.MergeCommit, message, by.identity())
	case "squash": // onto a linear history
		squash, err = f.git.Merge(r.target, r.head, gittest.Squash, message, by.identity())
	case "squash and merge":
		squash, mergeCommit, err = f.squashAndMerge(by, r, message)
	case "rebase":
		err = f.rebase(by, r)
	}
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	r.state, r.mergeCommit, r.squash, r.merged, r.mergedBy = "merged", mergeCommit, squash, f.tickLocked(), by
	return nil
}

func (f *fake) squashAndMerge(by *user, r *request, message string) (squash, merged string, err error) {
	if err = f.git.Branch("tmp", r.target); err != nil {
		return "", "", err
	}
	if squash, err = f.git.Merge("tmp", r.head, gittest.Squash, message, by.identity()); err != nil {
		return "", "", err
	}
	merged, err = f.git.Merge(r.target, squash, gittest.MergeCommit, message, by.identity())
	return squash, merged, err
}

// rebase moves the source onto the target, if needed, and the target to it.
func (f *fake) rebase(by *user, r *request) error {
	target := f.sha("refs/heads/" + r.target)
	if _, err := f.git.Git("merge-base", "--is-ancestor", target, r.head); err != nil {
		if err := f.git.Branch("tmp", target); err != nil {
			return err
		}
		head, err := f.git.Merge("tmp", r.head, gittest.Rebase, "", by.identity())
		if err != nil {
			return err
		}
		if err := f.git.Branch(r.source, head); err != nil {
			return err
		}
		f.moved(by, r.source, "pushed")
	}
	return f.git.Branch(r.target, r.head)
}

func (u *user) identity() string { return u.name + " <" + u.name + "@forge.example>" }

func (u *user) basic() object {
	return object{"id": u.id, "username": u.name, "name": u.name, "state": u.state, "avatar_url": nil, "web_url": "http://gitlab.example/" + u.name}
}

func instant(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.000Z07:00") }

// A refusal is an answer that is not a success.
type refusal struct {
	code    int
	message string
}

func (r refusal) Error() string { return fmt.Sprintf("%d %s", r.code, r.message) }

func write(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body)
}
