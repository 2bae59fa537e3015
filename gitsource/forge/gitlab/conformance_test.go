package gitlab_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/gitsource/forge/conformance"
	"github.com/sluice-cd/sluice/gitsource/forge/gitlab"
)

func TestConformance(t *testing.T) {
	conformance.Run(t, func(t *testing.T) conformance.World { return newWorld(t) })
}

// A world is the fake as the suite acts on it.
type world struct {
	*fake
	client *gitlab.Client
}

func newWorld(t *testing.T) *world {
	t.Helper()
	f := newFake(t)
	return &world{fake: f, client: clientOf(t, gitlab.Config{BaseURL: f.url})}
}

func clientOf(t *testing.T, cfg gitlab.Config) *gitlab.Client {
	t.Helper()
	cfg.TokenFile = filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(cfg.TokenFile, []byte(token), 0o600))
	cfg.Repository, cfg.WriteInterval, cfg.RetryBackoff = projectPath, time.Microsecond, time.Microsecond
	client, err := gitlab.New(cfg)
	require.NoError(t, err)
	return client
}

func (w *world) Repository() string          { return projectPath }
func (w *world) Driver() conformance.Driver  { return w.client }
func (w *world) Email(login string) string   { return login + "@forge.example" }
func (w *world) Tip(revision string) string  { return w.sha(revision) }
func (w *world) Ready(int)                   {} // at once
func (w *world) Reporter(name string) string { return name }

func (w *world) Account(login string) forge.User {
	return forge.User{ID: w.user(login).id, Login: login, Kind: "User"}
}

func (w *world) Renamed() forge.User {
	before := w.Account("dana")
	w.user("dana").name = "dina"
	return before
}

func (w *world) Push(as string, c conformance.Commit) string {
	ref, action := "refs/heads/"+c.Branch, "pushed"
	if _, err := w.git.SHA(ref); err != nil {
		require.NoError(w.t, w.git.Branch(c.Branch, "main"))
		action = "created"
	}
	if !strings.Contains(c.Author, "<") {
		c.Author = w.user(c.Author).identity()
	}
	sha, err := w.git.Commit(c.Branch, c.Message, c.Author, c.Files)
	require.NoError(w.t, err)
	w.moved(w.user(as), c.Branch, action)
	return sha
}

func (w *world) Reset(as, branch, commit string) {
	require.NoError(w.t, w.git.Branch(branch, commit))
	w.moved(w.user(as), branch, "pushed")
}

func (w *world) Open(as, title, head, base string) int {
	r, err := w.open(w.user(as), title, "", head, base)
	require.NoError(w.t, err)
	return r.iid
}

func (w *world) Review(as string, number int, state forge.ReviewState) int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	r, u := w.requests[number-1], w.user(as)
	w.forgetLocked(r, u)
	switch state {
	case forge.Approved:
		r.approvals, r.reviewers[u] = append(r.approvals, approval{u, w.tickLocked()}), "approved"
		return w.noteLocked(r, u, true, "approved this merge request")
	case forge.ChangesRequested:
		r.reviewers[u] = "requested_changes"
		return w.noteLocked(r, u, true, "requested changes")
	case forge.Commented, forge.Dismissed, forge.Pending:
	}
	return w.noteLocked(r, u, false, "I wonder")
}

func (w *world) forgetLocked(r *request, u *user) {
	r.approvals = slices.DeleteFunc(r.approvals, func(a approval) bool { return a.by == u })
}

// Dismiss asks the reviewer for another review, as GitLab's button does.
func (w *world) Dismiss(as string, number int, review int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := w.requests[number-1]
	for u := range r.reviewers {
		for _, n := range r.notes {
			if n["id"] == review && n["author"].(object)["id"] == u.id {
				r.reviewers[u] = "unreviewed"
				w.forgetLocked(r, u)
			}
		}
	}
	w.noteLocked(r, w.user(as), true, "requested review from @somebody")
}

func (w *world) Merge(as string, number int, method string) string {
	r := w.requests[number-1]
	require.NoError(w.t, w.merge(w.user(as), r, method, "", "Merge !"+r.title))
	return w.sha("refs/heads/" + r.target)
}

func (w *world) Retarget(as string, number int, base string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := w.requests[number-1]
	w.noteLocked(r, w.user(as), true, "changed target branch from `"+r.target+"` to `"+base+"`")
	r.target = base
	w.versionLocked(r, r.head)
}

func (w *world) Report(as, commit, name, outcome string) {
	_, err := w.report(w.user(as), status{commit: commit, name: name, state: strings.Replace(outcome, "failure", "failed", 1)})
	require.NoError(w.t, err)
}

func (w *world) Statuses(commit, context string) []forge.StatusState {
	var states []forge.StatusState
	for _, s := range w.said {
		if s.commit == commit && s.name == context {
			states = append(states, forge.StatusState(s.state))
		}
	}
	return states
}

func (w *world) Protect(branch string, approvals int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.protected[branch] = approvals
}

func (w *world) Say(as string, number int, body string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.noteLocked(w.requests[number-1], w.user(as), false, body)
}

func (w *world) Said(number int) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var bodies []string
	for _, n := range w.requests[number-1].notes {
		bodies = append(bodies, n["body"].(string))
	}
	return bodies
}
