package gitlab_test

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/gitsource/forge/conformance"
	"github.com/sluice-cd/sluice/gitsource/forge/gitlab"
)

// A script answers everything with the same, without a server.
type script struct {
	code   int
	body   string
	header map[string]string
}

func (s script) RoundTrip(req *http.Request) (*http.Response, error) {
	header := http.Header{"Content-Type": {"application/json"}, "X-Next-Page": {""}}
	for name, value := range s.header {
		header.Set(name, value)
	}
	return &http.Response{StatusCode: s.code, Header: header, Body: io.NopCloser(strings.NewReader(s.body)), Request: req}, nil
}

// questions are all the driver's.
func questions() map[string]func(context.Context, *gitlab.Client) error {
	head, landed := strings.Repeat("a", 40), strings.Repeat("b", 40)
	bob := forge.User{ID: 13, Login: "bob"}
	branch := forge.BranchState{Repository: projectPath, Name: "main", Commit: landed}
	offered := forge.Proposal{Head: "sluice/restore/one", Base: "main", Title: "Roll back", Series: "sluice/restore/"}
	pr := forge.PullRequest{Number: 7, Merged: true, Head: forge.Branch{Repository: projectPath, Name: "one", Commit: head}}
	type client = gitlab.Client
	return map[string]func(context.Context, *client) error{
		"open pulls":   func(ctx context.Context, c *client) error { return second(c.OpenPullRequests(ctx, "main")) },
		"pull":         func(ctx context.Context, c *client) error { return second(c.PullRequest(ctx, 7)) },
		"merged pull":  func(ctx context.Context, c *client) error { return second(c.MergedPullRequest(ctx, landed, "main")) },
		"reviews":      func(ctx context.Context, c *client) error { return second(c.Reviews(ctx, 7)) },
		"commits":      func(ctx context.Context, c *client) error { return second(c.Commits(ctx, 7)) },
		"base changes": func(ctx context.Context, c *client) error { return second(c.BaseChanges(ctx, 7)) },
		"pushers":      func(ctx context.Context, c *client) error { return second(c.LastPushers(ctx, pr)) },
		"checks":       func(ctx context.Context, c *client) error { return second(c.Checks(ctx, projectPath, landed)) },
		"find team":    func(ctx context.Context, c *client) error { return c.FindTeam(ctx, conformance.Team) },
		"team":         func(ctx context.Context, c *client) error { return second(c.TeamMember(ctx, conformance.Team, bob)) },
		"permission":   func(ctx context.Context, c *client) error { return second(c.Permission(ctx, bob)) },
		"branch":       func(ctx context.Context, c *client) error { return second(c.Branch(ctx, projectPath, "main")) },
		"contains":     func(ctx context.Context, c *client) error { return second(c.Contains(ctx, branch, head)) },
		"protected":    func(ctx context.Context, c *client) error { return second(c.ProtectedBranches(ctx, projectPath)) },
		"comment": func(ctx context.Context, c *client) error {
			return c.Comment(ctx, 7, forge.Comment{Marker: "<!-- s -->", Body: "<!-- s -->\none"})
		},
		"propose":  func(ctx context.Context, c *client) error { return second(c.Propose(ctx, offered)) },
		"withdraw": func(ctx context.Context, c *client) error { return c.Withdraw(ctx, "main", offered.Series) },
		"merge": func(ctx context.Context, c *client) error {
			return second(c.Merge(ctx, forge.Merge{Number: 7, Head: head, Title: "Roll back"}))
		},
		"set status": func(ctx context.Context, c *client) error {
			return c.SetStatus(ctx, landed, forge.Status{Context: "c", State: forge.StatusPending})
		},
	}
}

func second[T any](_ T, err error) error { return err }

func TestEveryQuestionMeetsEveryFaultWithATypedErrorAndNoSecret(t *testing.T) {
	transient, rejected := new(*forge.TransientError), new(*forge.RejectedError)
	for name, c := range map[string]struct {
		answer script
		want   any
	}{
		"500":              {script{500, `{"message":"x"}`, nil}, transient},
		"502":              {script{502, "<html>", nil}, transient},
		"409":              {script{409, `{"message":"x"}`, nil}, transient},
		"202":              {script{202, "{}", nil}, transient},
		"empty body":       {script{200, "", nil}, transient},
		"null":             {script{200, "null", nil}, transient},
		"JSON cut off":     {script{200, `[{"id":1`, nil}, transient},
		"wrong shape":      {script{200, `"x"`, nil}, transient},
		"object of naught": {script{200, "{}", nil}, transient},
		"list of naught":   {script{200, "[{}]", nil}, transient},
		"list of null":     {script{200, "[null]", nil}, transient},
		"list without end": {script{200, "[{}]", map[string]string{"X-Next-Page": "2"}}, transient},
		"list cut short":   {script{200, "[]", map[string]string{"X-Total": "2"}}, transient},
		"web page":         {script{200, "[]", map[string]string{"Content-Type": "text/html"}}, transient},
		"rate limit":       {script{429, "{}", nil}, transient},
		"bad credentials":  {script{401, `{"message":"bad ` + token + `"}`, nil}, rejected},
		"forbidden":        {script{403, `{"error":"` + token + ` may not\u001b[31m"}`, nil}, rejected},
		"moved":            {script{301, "", map[string]string{"Location": "http://127.0.0.1:1/"}}, rejected},
	} {
		for question, ask := range questions() {
			err := ask(t.Context(), clientOf(t, gitlab.Config{BaseURL: "https://gitlab.example", Transport: c.answer}))
			if assert.Errorf(t, err, "%s: %s", name, question) {
				assert.ErrorAsf(t, err, c.want, "%s: %s: %v", name, question, err)
				assert.NotContainsf(t, err.Error(), token, "%s: %s", name, question)
				assert.NotContainsf(t, err.Error(), "\x1b", "%s: %s", name, question)
				assert.NotErrorIsf(t, err, forge.ErrNoPullRequest, "%s: %s", name, question)
				assert.NotErrorIsf(t, err, forge.ErrPusherUnknown, "%s: %s", name, question)
			}
		}
	}
}

// A meddler stands between the driver and the server.
type meddler struct {
	on    string // how the path ends
	alter func(*http.Response)
}

func (m *meddler) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err == nil && strings.HasSuffix(req.URL.Path, m.on) {
		m.alter(resp)
	}
	return resp, err
}

func TestAListThatIsNotWhatItSaysIsNotBelieved(t *testing.T) {
	w := newWorld(t)
	tip := w.Tip("main")
	w.Report(conformance.Alice, tip, "test", "success")
	for name, alter := range map[string]func(*http.Response){
		"more":       func(r *http.Response) { r.Header.Set("X-Total", "2") },
		"less":       func(r *http.Response) { r.Header.Set("X-Total", "0") },
		"other page": func(r *http.Response) { r.Header.Set("X-Next-Page", "5") },
		"no word":    func(r *http.Response) { r.Header.Del("X-Next-Page") },
	} {
		client := clientOf(t, gitlab.Config{BaseURL: w.url, Transport: &meddler{on: "/statuses", alter: alter}})
		_, err := client.Checks(t.Context(), projectPath, tip)
		var transient *forge.TransientError
		assert.ErrorAs(t, err, &transient, name)
	}
	client := clientOf(t, gitlab.Config{BaseURL: w.url, Transport: &meddler{on: "/statuses", alter: func(r *http.Response) { r.Header.Del("X-Total") }}})
	found, err := client.Checks(t.Context(), projectPath, tip)
	require.NoError(t, err, "GitLab does not count long lists")
	assert.Len(t, found, 1)
}

func TestAConfigurationThatCannotWorkIsRefused(t *testing.T) {
	good := gitlab.Config{BaseURL: "https://gitlab.com", Repository: "acme/platform/environments", TokenFile: filepath.Join(os.TempDir(), "token")}
	_, err := gitlab.New(good)
	require.NoError(t, err, "a subgroup is a group")
	for want, change := range map[string]func(*gitlab.Config){
		"use https":                             func(c *gitlab.Config) { c.BaseURL = "http://gitlab.example" },
		"want https":                            func(c *gitlab.Config) { c.BaseURL = "" },
		"set a token file":                      func(c *gitlab.Config) { c.TokenFile = "" },
		`split "environments": want owner/name`: func(c *gitlab.Config) { c.Repository = "environments" },
		`split "acme/..": want owner/name`:      func(c *gitlab.Config) { c.Repository = "acme/../environments" },
	} {
		cfg := good
		change(&cfg)
		_, err := gitlab.New(cfg)
		assert.ErrorContains(t, err, want)
	}
}

func TestAMergeThatGitLabHasNotLookedAtYetIsTriedAgain(t *testing.T) {
	for word, person := range map[string]bool{
		"checking": false, "unchecked": false, "approvals_syncing": false, "mergeable": false, "conflict": false,
		"not_approved": true, "ci_must_pass": true, "discussions_not_resolved": true, "a_word_of_tomorrow": true,
	} {
		shown := `{"iid":7,"state":"opened","detailed_merge_status":"` + word + `"}`
		client := clientOf(t, gitlab.Config{BaseURL: "https://gitlab.example", Transport: answers{
			http.MethodPut: {405, `{"message":"405 Method Not Allowed"}`, nil}, http.MethodGet: {200, shown, nil},
		}})
		_, err := client.Merge(t.Context(), forge.Merge{Number: 7, Head: strings.Repeat("a", 40)})
		var rejected *forge.RejectedError
		var transient *forge.TransientError
		if person {
			assert.ErrorAs(t, err, &rejected, word)
		} else {
			assert.ErrorAs(t, err, &transient, word)
		}
		assert.ErrorContains(t, err, "("+word+")")
	}
}

// answers are by method.
type answers map[string]script

func (a answers) RoundTrip(req *http.Request) (*http.Response, error) {
	return a[req.Method].RoundTrip(req)
}

func TestWordsOfEveryShapeAreRepeated(t *testing.T) {
	for body, want := range map[string]string{
		`{"message":"plain"}`: "plain", `{"error":"other"}`: "other", `{"message":{"base":["taken"]}}`: `{"base":["taken"]}`,
		`{"message":["one"]}`: `["one"]`, `<html>`: "no reason given",
	} {
		client := clientOf(t, gitlab.Config{BaseURL: "https://gitlab.example", Transport: script{400, body, nil}})
		assert.ErrorContains(t, client.FindTeam(t.Context(), "acme/payments"), want)
	}
}
