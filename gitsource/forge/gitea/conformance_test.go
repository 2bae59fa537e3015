package gitea_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/gitsource/forge/conformance"
	"github.com/sluice-cd/sluice/gitsource/forge/gitea"
	"github.com/sluice-cd/sluice/gitsource/forge/gitea/giteatest"
	"github.com/sluice-cd/sluice/gitsource/gittest"
)

func TestARealGitea(t *testing.T) {
	h := newHouse(t)
	conformance.Run(t, func(t *testing.T) conformance.World { return h.repository(t) })

	for name, play := range map[string]func(*testing.T, *room){
		"a list that is not what its count says is not believed": aListThatIsNotWhatItsCountSaysIsNotBelieved,
		"the head of a pull request needs its reference":         theHeadOfAPullRequestNeedsItsReference,
		"a pending review neither shows nor hides others":        aPendingReviewNeitherShowsNorHidesOthers,
	} {
		t.Run(name, func(t *testing.T) { play(t, h.repository(t)) })
	}
}

// A house is one server with its people and their organization.
type house struct {
	server   *giteatest.Server
	accounts map[string]int64
	team     int64
	token    string // of sluice
	next     int
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{server: giteatest.New(t), accounts: map[string]int64{}}
	for _, login := range []string{"sluice", conformance.Alice, conformance.Bob, conformance.Carol} {
		h.addUser(t, login, login)
	}
	h.do(t, "sluice", http.MethodPost, "/orgs", map[string]any{"username": "acme"}, nil)
	var team struct{ ID int64 }
	h.do(t, "sluice", http.MethodPost, "/orgs/acme/teams", map[string]any{
		"name": "payments", "permission": "read", "units": []string{"repo.code"},
	}, &team)
	h.team = team.ID
	h.join(t, conformance.Bob)
	token, err := h.server.Token(t.Context(), "sluice", "read:user", "read:organization", "write:issue", "write:repository")
	require.NoError(t, err)
	h.token = token
	return h
}

func (h *house) addUser(t *testing.T, login, mailbox string) {
	t.Helper()
	id, err := h.server.CreateUser(t.Context(), login, mailbox+"@forge.example")
	require.NoError(t, err)
	h.accounts[login] = id
}

func (h *house) join(t *testing.T, login string) {
	t.Helper()
	h.do(t, "sluice", http.MethodPut, fmt.Sprintf("/teams/%d/members/%s", h.team, login), nil, nil)
}

func (h *house) do(t *testing.T, as, method, path string, body, into any) {
	t.Helper()
	require.NoError(t, h.server.Do(t.Context(), as, method, path, body, into))
}

// A room is one repository of the house.
type room struct {
	*house
	t      *testing.T
	name   string
	driver *gitea.Client
	git    *gittest.Server // a clone, to push from
}

func (h *house) repository(t *testing.T) *room {
	t.Helper()
	h.next++
	r := &room{house: h, t: t, name: "acme/env-" + strconv.Itoa(h.next)}
	h.do(t, "sluice", http.MethodPost, "/orgs/acme/repos", map[string]any{"name": strings.TrimPrefix(r.name, "acme/"), "auto_init": true, "readme": "Default"}, nil)
	for login, permission := range map[string]string{conformance.Alice: "write", conformance.Bob: "write", conformance.Carol: "read"} {
		r.allow(login, permission)
	}
	r.driver = r.client(gitea.Config{})
	clone, err := gittest.Create(filepath.Join(t.TempDir(), "clone.git"))
	require.NoError(t, err)
	clone.SetClock(time.Now)
	r.git = clone
	return r
}

func (r *room) client(cfg gitea.Config) *gitea.Client {
	r.t.Helper()
	path := filepath.Join(r.t.TempDir(), "token")
	require.NoError(r.t, os.WriteFile(path, []byte(r.token), 0o600))
	cfg.BaseURL, cfg.Repository, cfg.TokenFile = cmp.Or(cfg.BaseURL, r.server.URL), r.name, path
	cfg.WriteInterval, cfg.RetryBackoff = time.Microsecond, time.Microsecond
	client, err := gitea.New(cfg)
	require.NoError(r.t, err)
	return client
}

func (r *room) allow(login, permission string) {
	r.t.Helper()
	r.do(r.t, "sluice", http.MethodPut, "/repos/"+r.name+"/collaborators/"+login, map[string]any{"permission": permission}, nil)
}

func (r *room) call(as, method, path string, body, into any) {
	r.t.Helper()
	r.do(r.t, as, method, "/repos/"+r.name+path, body, into)
}

func (r *room) Repository() string         { return r.name }
func (r *room) Driver() conformance.Driver { return r.driver }
func (r *room) Email(login string) string  { return login + "@forge.example" }

func (r *room) Account(login string) forge.User {
	return forge.User{ID: r.accounts[login], Login: login, Kind: "User"}
}

func (r *room) Renamed() forge.User {
	r.addUser(r.t, "dana", "dana")
	r.join(r.t, "dana")
	r.allow("dana", "write")
	before := r.Account("dana")
	r.do(r.t, "administrator", http.MethodPost, "/admin/users/dana/rename", map[string]any{"new_username": "dina"}, nil)
	r.addUser(r.t, "dana", "other") // somebody else
	return before
}

// run is git in the clone.
func (r *room) run(args ...string) string {
	r.t.Helper()
	out, err := r.git.Git(args...)
	require.NoError(r.t, err)
	return out
}

func (r *room) fetch() {
	r.t.Helper()
	r.run("fetch", "--quiet", "--prune", r.server.GitURL("sluice", r.name), "+refs/heads/*:refs/heads/*")
}

func (r *room) Tip(revision string) string {
	r.t.Helper()
	r.fetch()
	sha, err := r.git.SHA(revision)
	require.NoError(r.t, err)
	return sha
}

func (r *room) Push(as string, c conformance.Commit) string {
	r.t.Helper()
	r.fetch()
	ref := "refs/heads/" + c.Branch
	if _, err := r.git.SHA(ref); err != nil {
		r.run("update-ref", ref, "refs/heads/main")
	}
	if !strings.Contains(c.Author, "<") {
		c.Author += " <" + r.Email(c.Author) + ">"
	}
	sha, err := r.git.Commit(c.Branch, c.Message, c.Author, c.Files)
	require.NoError(r.t, err)
	r.run("push", "--quiet", r.server.GitURL(as, r.name), ref)
	r.settle(c.Branch, sha)
	return sha
}

func (r *room) Reset(as, branch, commit string) {
	r.t.Helper()
	r.fetch()
	r.run("push", "--quiet", "--force", r.server.GitURL(as, r.name), commit+":refs/heads/"+branch)
	r.settle(branch, commit)
}

// settle waits until what the server does after a push is done: the feed comes
// last.
func (r *room) settle(branch, commit string) {
	r.t.Helper()
	r.eventually(func() error {
		var feed []struct {
			ID      int64
			Ref     string `json:"ref_name"`
			Content string
		}
		err := r.server.Do(r.t.Context(), "sluice", http.MethodGet, "/repos/"+r.name+"/activities/feeds", nil, &feed)
		if err != nil {
			return err
		}
		var latest int64
		var push struct{ HeadCommit struct{ Sha1 string } }
		for _, entry := range feed {
			if entry.Content != "" && entry.Ref == "refs/heads/"+branch && entry.ID > latest {
				latest = entry.ID
				if err := json.Unmarshal([]byte(entry.Content), &push); err != nil {
					return err
				}
			}
		}
		if push.HeadCommit.Sha1 != commit {
			return fmt.Errorf("the feed has %q as the last push to %s, not %s", push.HeadCommit.Sha1, branch, commit)
		}
		return nil
	})
}

func (r *room) eventually(try func() error) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 20*time.Second)
	defer cancel()
	require.NoError(r.t, giteatest.Eventually(ctx, try))
}

func (r *room) Open(as, title, head, base string) int {
	r.t.Helper()
	var made struct{ Number int }
	r.call(as, http.MethodPost, "/pulls", map[string]any{"title": title, "head": head, "base": base}, &made)
	return made.Number
}

func (r *room) Review(as string, number int, state forge.ReviewState) int64 {
	r.t.Helper()
	event := map[forge.ReviewState]string{forge.Approved: "APPROVED", forge.ChangesRequested: "REQUEST_CHANGES", forge.Commented: "COMMENT"}[state]
	var made struct{ ID int64 }
	r.call(as, http.MethodPost, fmt.Sprintf("/pulls/%d/reviews", number), map[string]any{"event": event, "body": "looked at it"}, &made)
	return made.ID
}

func (r *room) Dismiss(_ string, number int, review int64) {
	r.t.Helper() // only administrators may, so the owner does
	r.call("sluice", http.MethodPost, fmt.Sprintf("/pulls/%d/reviews/%d/dismissals", number, review), map[string]any{"message": "settled"}, nil)
}

func (r *room) Merge(as string, number int, method string) string {
	r.t.Helper()
	path := fmt.Sprintf("/repos/%s/pulls/%d", r.name, number)
	r.eventually(func() error { // the server first looks for conflicts
		return r.server.Do(r.t.Context(), as, http.MethodPost, path+"/merge", map[string]any{"Do": method}, nil)
	})
	var merged struct {
		Commit string `json:"merge_commit_sha"`
	}
	r.do(r.t, as, http.MethodGet, path, nil, &merged)
	return merged.Commit
}

func (r *room) Retarget(as string, number int, base string) {
	r.t.Helper()
	r.call(as, http.MethodPatch, fmt.Sprintf("/pulls/%d", number), map[string]any{"base": base}, nil)
}

func (r *room) Report(as, commit, name, outcome string) {
	r.t.Helper()
	if outcome == "running" {
		outcome = "pending"
	}
	r.call(as, http.MethodPost, "/statuses/"+commit, map[string]any{"context": name, "state": outcome}, nil)
}

func (r *room) Reporter(login string) string { return login }

func (r *room) Statuses(commit, name string) []forge.StatusState {
	r.t.Helper()
	var found []struct {
		Context string
		Status  forge.StatusState
	}
	r.call("sluice", http.MethodGet, "/statuses/"+commit, nil, &found)
	var states []forge.StatusState
	for _, status := range found {
		if status.Context == name {
			states = append(states, status.Status)
		}
	}
	return states
}

func (r *room) Protect(branch string, approvals int) {
	r.t.Helper()
	r.call("sluice", http.MethodPost, "/branch_protections", map[string]any{
		"rule_name": branch, "enable_push": false, "required_approvals": approvals,
	}, nil)
}

func (r *room) Ready(number int) {
	r.t.Helper()
	r.eventually(func() error {
		var pr struct{ Mergeable bool }
		err := r.server.Do(r.t.Context(), "sluice", http.MethodGet, fmt.Sprintf("/repos/%s/pulls/%d", r.name, number), nil, &pr)
		if err == nil && !pr.Mergeable {
			err = fmt.Errorf("#%d is not known to be mergeable", number)
		}
		return err
	})
}

func (r *room) Say(as string, number int, body string) {
	r.t.Helper()
	r.call(as, http.MethodPost, fmt.Sprintf("/issues/%d/comments", number), map[string]any{"body": body}, nil)
}

func (r *room) Said(number int) []string {
	r.t.Helper()
	var all []struct{ Body string }
	r.call("sluice", http.MethodGet, fmt.Sprintf("/issues/%d/comments", number), nil, &all)
	var bodies []string
	for _, c := range all {
		bodies = append(bodies, c.Body)
	}
	return bodies
}
