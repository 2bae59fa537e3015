package gitea_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/gitsource/forge/conformance"
	"github.com/sluice-cd/sluice/gitsource/forge/gitea"
)

// A meddler stands between the driver and the server.
type meddler struct {
	on    string // part of the path
	alter func(*http.Response)
}

func (m *meddler) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err == nil && strings.Contains(req.URL.Path, m.on) {
		m.alter(resp)
	}
	return resp, err
}

// reply replaces an answer, but for its headers.
func reply(code int, body string) func(*http.Response) {
	return func(resp *http.Response) {
		_ = resp.Body.Close()
		resp.StatusCode, resp.Body, resp.ContentLength = code, io.NopCloser(strings.NewReader(body)), -1
	}
}

// questions are all the driver's.
func questions() map[string]func(context.Context, *gitea.Client) error {
	const name, number = "acme/environments", 7
	head, landed := strings.Repeat("a", 40), strings.Repeat("b", 40)
	bob := forge.User{ID: 13, Login: "bob"}
	branch := forge.BranchState{Repository: name, Name: "main", Commit: landed}
	offered := forge.Proposal{Head: "sluice/restore/one", Base: "main", Title: "Roll back", Series: "sluice/restore/"}
	pr := forge.PullRequest{Number: number, Merged: true, Head: forge.Branch{Repository: name, Name: "one", Commit: head}}
	return map[string]func(context.Context, *gitea.Client) error{
		"open pulls": func(ctx context.Context, c *gitea.Client) error { return second(c.OpenPullRequests(ctx, "main")) },
		"protected branches": func(ctx context.Context, c *gitea.Client) error {
			return second(c.ProtectedBranches(ctx, name))
		},
		"pull": func(ctx context.Context, c *gitea.Client) error { return second(c.PullRequest(ctx, number)) },
		"merged pull": func(ctx context.Context, c *gitea.Client) error {
			return second(c.MergedPullRequest(ctx, landed, "main"))
		},
		"reviews":      func(ctx context.Context, c *gitea.Client) error { return second(c.Reviews(ctx, number)) },
		"commits":      func(ctx context.Context, c *gitea.Client) error { return second(c.Commits(ctx, number)) },
		"base changes": func(ctx context.Context, c *gitea.Client) error { return second(c.BaseChanges(ctx, number)) },
		"pushers":      func(ctx context.Context, c *gitea.Client) error { return second(c.LastPushers(ctx, pr)) },
		"checks":       func(ctx context.Context, c *gitea.Client) error { return second(c.Checks(ctx, name, landed)) },
		"find team":    func(ctx context.Context, c *gitea.Client) error { return c.FindTeam(ctx, conformance.Team) },
		"team": func(ctx context.Context, c *gitea.Client) error {
			return second(c.TeamMember(ctx, conformance.Team, bob))
		},
		"permission": func(ctx context.Context, c *gitea.Client) error { return second(c.Permission(ctx, bob)) },
		"branch":     func(ctx context.Context, c *gitea.Client) error { return second(c.Branch(ctx, name, "main")) },
		"contains":   func(ctx context.Context, c *gitea.Client) error { return second(c.Contains(ctx, branch, head)) },
		"set status": func(ctx context.Context, c *gitea.Client) error {
			return c.SetStatus(ctx, landed, forge.Status{Context: "c", State: forge.StatusPending})
		},
		"propose":  func(ctx context.Context, c *gitea.Client) error { return second(c.Propose(ctx, offered)) },
		"withdraw": func(ctx context.Context, c *gitea.Client) error { return c.Withdraw(ctx, "main", offered.Series) },
		"merge": func(ctx context.Context, c *gitea.Client) error {
			return second(c.Merge(ctx, forge.Merge{Number: number, Head: head, Title: "Roll back"}))
		},
	}
}

func second[T any](_ T, err error) error { return err }

// A script answers everything with the same, without a server.
type script struct {
	code   int
	body   string
	header map[string]string
}

func (s script) RoundTrip(req *http.Request) (*http.Response, error) {
	header := http.Header{"Content-Type": {"application/json"}, "X-Total-Count": {"1"}}
	for name, value := range s.header {
		header.Set(name, value)
	}
	return &http.Response{StatusCode: s.code, Header: header, Body: io.NopCloser(strings.NewReader(s.body)), Request: req}, nil
}

func TestEveryQuestionMeetsEveryFaultWithATypedErrorAndNoSecret(t *testing.T) {
	const token = "gitea-canary-0123456789"
	path := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(path, []byte(token), 0o600))
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
		"two JSON values":  {script{200, "[][]", nil}, transient},
		"wrong shape":      {script{200, `"x"`, nil}, transient},
		"object of naught": {script{200, "{}", nil}, transient},
		"list of naught":   {script{200, "[{}]", nil}, transient},
		"list of null":     {script{200, "[null]", nil}, transient},
		"list without end": {script{200, "[{}]", map[string]string{"X-Total-Count": "100000000"}}, transient},
		"list cut short":   {script{200, "[]", map[string]string{"X-Total-Count": "2"}}, transient},
		"web page":         {script{200, "[]", map[string]string{"Content-Type": "text/html"}}, transient},
		"rate limit":       {script{429, "{}", nil}, transient},
		"bad credentials":  {script{401, `{"message":"bad ` + token + `"}`, nil}, rejected},
		"forbidden":        {script{403, `{"message":"` + token + ` may not\u001b[31m"}`, nil}, rejected},
		"moved":            {script{301, "", map[string]string{"Location": "http://127.0.0.1:1/"}}, rejected},
	} {
		for question, ask := range questions() {
			client, err := gitea.New(gitea.Config{
				BaseURL: "https://gitea.example", Repository: "acme/environments", TokenFile: path, Transport: c.answer,
				WriteInterval: time.Microsecond, RetryBackoff: time.Microsecond,
			})
			require.NoError(t, err)
			err = ask(t.Context(), client)
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

func aListThatIsNotWhatItsCountSaysIsNotBelieved(t *testing.T, r *room) {
	tip := r.Tip("main")
	r.Report(conformance.Alice, tip, "test", "success")
	for name, count := range map[string]string{"more": "2", "less": "0", "nothing": "", "nonsense": "many"} {
		m := &meddler{on: "/statuses/", alter: func(resp *http.Response) { resp.Header.Set("X-Total-Count", count) }}
		_, err := r.client(gitea.Config{Transport: m}).Checks(t.Context(), r.name, tip)
		var transient *forge.TransientError
		assert.ErrorAs(t, err, &transient, name)
	}
}

func theHeadOfAPullRequestNeedsItsReference(t *testing.T, r *room) {
	r.Push(conformance.Alice, conformance.Commit{Branch: "one", Author: conformance.Alice, Message: "Change", Files: map[string]string{"a": "1"}})
	number := r.Open(conformance.Alice, "Promote", "one", "main")
	for name, body := range map[string]string{
		"none": "[]", "another": `[{"ref":"refs/pull/77/head","object":{"sha":"` + strings.Repeat("a", 40) + `"}}]`,
		"no commit": fmt.Sprintf(`[{"ref":"refs/pull/%d/head","object":{"sha":""}}]`, number),
	} {
		m := &meddler{on: "/git/refs/", alter: reply(200, body)}
		_, err := r.client(gitea.Config{Transport: m}).PullRequest(t.Context(), number)
		var transient *forge.TransientError
		assert.ErrorAs(t, err, &transient, name)
	}
}

func aPendingReviewNeitherShowsNorHidesOthers(t *testing.T, r *room) {
	r.Push(conformance.Alice, conformance.Commit{Branch: "one", Author: conformance.Alice, Message: "Change", Files: map[string]string{"a": "1"}})
	number := r.Open(conformance.Alice, "Promote", "one", "main")
	path := fmt.Sprintf("/pulls/%d/reviews", number)
	var draft struct{ ID int64 }
	r.call(conformance.Bob, http.MethodPost, path, map[string]any{
		"event": "PENDING", "body": "draft", "comments": []map[string]any{{"path": "a", "body": "?", "new_position": 1}},
	}, &draft)
	r.Review(conformance.Carol, number, forge.Approved)
	found, err := r.driver.Reviews(t.Context(), number)
	require.NoError(t, err)
	require.Len(t, found, 1)
	assert.Equal(t, r.Account(conformance.Carol).ID, found[0].User.ID)

	r.call(conformance.Bob, http.MethodPost, fmt.Sprintf("%s/%d", path, draft.ID), map[string]any{"event": "APPROVED", "body": "good"}, nil)
	found, err = r.driver.Reviews(t.Context(), number)
	require.NoError(t, err)
	require.Len(t, found, 2)
	for _, review := range found {
		assert.Equal(t, forge.Approved, review.State)
	}
}

func TestAReviewCountsFromItsLastChangeAndNotFromItsDraft(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(path, []byte("token"), 0o600))
	client, err := gitea.New(gitea.Config{BaseURL: "https://gitea.example", Repository: "acme/environments", TokenFile: path, Transport: script{200,
		`[{"id":1,"user":null,"state":"APPROVED","dismissed":false,"submitted_at":"2026-01-01T10:00:00Z","updated_at":"2026-01-01T12:00:00Z"}]`, nil}})
	require.NoError(t, err)
	found, err := client.Reviews(t.Context(), 7)
	require.NoError(t, err)
	require.Len(t, found, 1)
	assert.Equal(t, time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC), found[0].SubmittedAt)
	assert.False(t, found[0].User.Known())
}

func TestAConfigurationThatCannotWorkIsRefused(t *testing.T) {
	good := gitea.Config{BaseURL: "https://gitea.example", Repository: "acme/environments", TokenFile: "/etc/sluice/token"}
	_, err := gitea.New(good)
	require.NoError(t, err)
	for want, change := range map[string]func(*gitea.Config){
		"use https":        func(c *gitea.Config) { c.BaseURL = "http://gitea.example" },
		"want https":       func(c *gitea.Config) { c.BaseURL = "" },
		"set a token file": func(c *gitea.Config) { c.TokenFile = "" },
		"want owner/name":  func(c *gitea.Config) { c.Repository = "environments" },
	} {
		cfg := good
		change(&cfg)
		_, err := gitea.New(cfg)
		assert.ErrorContains(t, err, want)
	}
}
