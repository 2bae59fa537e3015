package github_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/gitsource/forge/forgetest"
	"github.com/sluice-cd/sluice/gitsource/forge/github"
	"github.com/sluice-cd/sluice/gitsource/forge/transport"
)

func dropPosts(w *world) {
	w.forge.Inject(forgetest.Fault{On: "POST /repos/{owner}/{repo}/statuses/{ref}", Times: 1, Drop: true})
}

// questions are all the client's, each against a world in which it succeeds.
func questions(w *world, number int) map[string]func(context.Context, *github.Client) error {
	bob := forge.User{ID: 13, Login: "bob"}
	branch := forge.BranchState{Repository: repoName, Name: "main", Commit: w.main}
	return map[string]func(context.Context, *github.Client) error{
		"open pulls": func(ctx context.Context, c *github.Client) error { return second(c.OpenPullRequests(ctx, "main")) },
		"pull":       func(ctx context.Context, c *github.Client) error { return second(c.PullRequest(ctx, number)) },
		"merged pull": func(ctx context.Context, c *github.Client) error {
			return second(c.MergedPullRequest(ctx, w.main, "main"))
		},
		"reviews": func(ctx context.Context, c *github.Client) error { return second(c.Reviews(ctx, number)) },
		"commits": func(ctx context.Context, c *github.Client) error { return second(c.Commits(ctx, number)) },
		"checks":  func(ctx context.Context, c *github.Client) error { return second(c.Checks(ctx, repoName, w.main)) },
		"team": func(ctx context.Context, c *github.Client) error {
			return second(c.TeamMember(ctx, "acme/payments", bob))
		},
		"find team":  func(ctx context.Context, c *github.Client) error { return c.FindTeam(ctx, "acme/payments") },
		"permission": func(ctx context.Context, c *github.Client) error { return second(c.Permission(ctx, bob)) },
		"branch":     func(ctx context.Context, c *github.Client) error { return second(c.Branch(ctx, repoName, "main")) },
		"contains":   func(ctx context.Context, c *github.Client) error { return second(c.Contains(ctx, branch, w.main)) },
		"set status": func(ctx context.Context, c *github.Client) error {
			return c.SetStatus(ctx, w.main, forge.Status{Context: "c", State: "pending"})
		},
		"report": func(ctx context.Context, c *github.Client) error { // as a status, for a token
			return c.Report(ctx, w.main, forge.Report{Status: forge.Status{Context: "r", State: "pending"}})
		},
		"comment": func(ctx context.Context, c *github.Client) error {
			return c.Comment(ctx, number, forge.Comment{Marker: "<!-- m -->", Body: "<!-- m -->\nx"})
		},
		"base changes": func(ctx context.Context, c *github.Client) error { return second(c.BaseChanges(ctx, number)) },
		"last pushers": func(ctx context.Context, c *github.Client) error {
			return second(c.LastPushers(ctx, forge.PullRequest{Head: forge.Branch{Repository: repoName, Name: "main", Commit: w.main}}))
		},
	}
}

func second[T any](_ T, err error) error { return err }

func TestEveryQuestionMeetsEveryFaultWithATypedErrorAndNoSecret(t *testing.T) {
	w := newWorld(t)
	number, _ := w.propose(t, "one", map[string]string{"a": "2"})
	var foreign atomic.Int64
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { foreign.Add(1) }))
	defer elsewhere.Close()
	var logged bytes.Buffer
	transient, rejected := new(*forge.TransientError), new(*forge.RejectedError)

	for name, c := range map[string]struct {
		fault forgetest.Fault
		want  any
	}{
		"500":                {forgetest.Fault{Status: 500}, transient},
		"502":                {forgetest.Fault{Status: 502, Body: "<html>"}, transient},
		"503":                {forgetest.Fault{Status: 503}, transient},
		"202, not yet":       {forgetest.Fault{Status: 202, Body: "{}"}, transient},
		"connection dropped": {forgetest.Fault{Drop: true}, transient},
		"body cut off":       {forgetest.Fault{Truncate: true}, transient},
		"JSON cut off":       {forgetest.Fault{Half: true}, transient},
		"empty body":         {forgetest.Fault{Status: 200}, transient},
		"null":               {forgetest.Fault{Status: 200, Body: "null"}, transient},
		"two JSON values":    {forgetest.Fault{Status: 200, Body: "[][]"}, transient},
		"wrong shape":        {forgetest.Fault{Status: 200, Body: `"x"`}, transient},
		"object of nothing":  {forgetest.Fault{Status: 200, Body: `{}`}, transient},
		"list of nothing":    {forgetest.Fault{Status: 200, Body: `[{}]`}, transient},
		"web page":           {forgetest.Fault{Status: 200, Body: "[]", Header: map[string]string{"Content-Type": "text/html"}}, transient},
		"no content type":    {forgetest.Fault{Status: 200, Body: "[]", Header: map[string]string{"Content-Type": ""}}, transient},
		"bad credentials":    {forgetest.Fault{Status: 401, Body: `{"message":"Bad credentials ` + token + `"}`}, rejected},
		"forbidden":          {forgetest.Fault{Status: 403, Body: `{"message":"` + token + ` may not\u001b[31m"}`}, rejected},
		"moved":              {forgetest.Fault{Status: 301, Header: map[string]string{"Location": elsewhere.URL}}, rejected},
		"found":              {forgetest.Fault{Status: 302, Header: map[string]string{"Location": elsewhere.URL}}, rejected},
		"redirected":         {forgetest.Fault{Status: 307, Header: map[string]string{"Location": elsewhere.URL}}, rejected},
		"see other":          {forgetest.Fault{Status: 303, Header: map[string]string{"Location": elsewhere.URL}}, rejected},
	} {
		w.forge.Inject(c.fault)
		client := newClient(t, w, func(cfg *github.Config) { cfg.Log = slog.New(slog.NewTextHandler(&logged, nil)) })
		for question, ask := range questions(w, number) {
			if question == "last pushers" && name == "list of nothing" || question == "set status" && c.fault.Drop {
				continue // not mentioned, which is another answer; dropped after the work
			}
			err := ask(t.Context(), client)
			if assert.Errorf(t, err, "%s: %s", name, question) {
				assert.ErrorAsf(t, err, c.want, "%s: %s: %v", name, question, err)
				assert.NotContainsf(t, err.Error(), token, "%s: %s", name, question)
				assert.NotContainsf(t, err.Error(), "\x1b", "%s: %s", name, question)
				assert.NotErrorIsf(t, err, forge.ErrNoPullRequest, "%s: %s", name, question)
			}
		}
		w.forge.ClearFaults()
	}
	assert.Zero(t, foreign.Load(), "no redirect was followed")
	assert.NotContains(t, logged.String(), token)
	assert.Contains(t, logged.String(), "will retry")

	client := newClient(t, w, nil)
	for question, ask := range questions(w, number) {
		if err := ask(t.Context(), client); question != "merged pull" {
			assert.NoError(t, err, "once the forge is well: "+question)
		}
	}
}

func TestAReadSurvivesAGatewayThatFailsTwice(t *testing.T) {
	w := newWorld(t)
	number, _ := w.propose(t, "one", map[string]string{"a": "2"})
	for _, fault := range []forgetest.Fault{{Times: 2, Status: 502}, {Times: 2, Status: 503}, {Times: 2, Drop: true}, {Times: 2, Truncate: true}, {Times: 2, Half: true}} {
		w.forge.Inject(fault)
		w.forge.ResetRequests()
		_, err := newClient(t, w, nil).PullRequest(t.Context(), number)
		require.NoError(t, err)
		assert.Equal(t, 3, w.forge.Requests()["GET /repos/{owner}/{repo}/pulls/{number}"])
	}
}

func TestAWriteIsNeverRepeatedByItself(t *testing.T) {
	w := newWorld(t)
	w.forge.Inject(forgetest.Fault{On: "POST /repos/{owner}/{repo}/statuses/{ref}", Status: 502})
	assert.Error(t, w.client.SetStatus(t.Context(), w.main, forge.Status{Context: "c", State: "pending"}))
	assert.Equal(t, 1, w.forge.Requests()["POST /repos/{owner}/{repo}/statuses/{ref}"])
}

func TestAHangEndsWithTheCaller(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	w.forge.Inject(forgetest.Fault{Before: cancel, Hold: make(chan struct{})})

	_, err := w.client.OpenPullRequests(ctx, "main")
	var transient *forge.TransientError
	assert.ErrorAs(t, err, &transient)
	assert.ErrorIs(t, err, context.Canceled)
}

func TestPagesWithoutLinksAreReadAnyway(t *testing.T) {
	w := newWorld(t)
	number, _ := w.propose(t, "one", map[string]string{"a": "2"})
	for range 100 {
		_, err := w.repo.Comment("bob", number)
		require.NoError(t, err)
	}
	_, err := w.repo.RequestChanges("carol", number)
	require.NoError(t, err)
	w.forge.Inject(forgetest.Fault{CutPages: true})

	reviews, err := w.client.Reviews(t.Context(), number)
	require.NoError(t, err)
	assert.Len(t, reviews, 101, "a full page may hide another one")
}

func TestACutInTheMiddleOfAListIsNoticed(t *testing.T) {
	opts := options()
	opts.MaxPerPage = 2
	w := worldOf(t, opts)
	number, head := w.propose(t, "one", map[string]string{"a": "2"})
	for range 4 {
		head = must(t)(w.repo.Push("alice", "one", "more", map[string]string{"a": "2"}))
	}
	for range 5 {
		_, err := w.repo.Check("github-actions", head, "test", "success")
		require.NoError(t, err)
		_, err = w.repo.Comment("bob", number)
		require.NoError(t, err)
	}
	for route, ask := range map[string]func(*github.Client) error{
		"GET /repos/{owner}/{repo}/commits/{ref}/check-runs": func(c *github.Client) error { return second(c.Checks(t.Context(), repoName, head)) },
		"GET /repos/{owner}/{repo}/pulls/{number}/commits":   func(c *github.Client) error { return second(c.Commits(t.Context(), number)) },
		"GET /repos/{owner}/{repo}/pulls/{number}/reviews":   func(c *github.Client) error { return second(c.Reviews(t.Context(), number)) },
	} {
		require.NoError(t, ask(newClient(t, w, nil)), route)
		w.forge.Inject(forgetest.Fault{On: route, Skip: 1, Times: 1, CutPages: true})
		var transient *forge.TransientError
		assert.ErrorAs(t, ask(newClient(t, w, nil)), &transient, route)
		w.forge.ClearFaults()
	}
}

func TestAListThatNeverEndsIsGivenUp(t *testing.T) {
	w := newWorld(t)
	var asked atomic.Int64
	endless := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		page := r.URL.Query().Get("page")
		rw.Header().Set("Content-Type", "application/json")
		rw.Header().Set("Link", `<http://`+r.Host+`/x?page=`+page+`1>; rel="next"`)
		_, _ = rw.Write([]byte("[]"))
	}))
	defer endless.Close()
	client := newClient(t, w, func(cfg *github.Config) { cfg.BaseURL, cfg.Transport = endless.URL, nil })

	_, err := client.Reviews(t.Context(), 1)
	var transient *forge.TransientError
	assert.ErrorAs(t, err, &transient)
	assert.LessOrEqual(t, asked.Load(), int64(100))
}

func TestAnAnswerWithoutEndIsCut(t *testing.T) {
	w := newWorld(t)
	var sent atomic.Int64
	endless := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "application/json")
		block := bytes.Repeat([]byte("["), 1<<20)
		for r.Context().Err() == nil {
			n, err := rw.Write(block)
			if sent.Add(int64(n)); err != nil {
				return
			}
		}
	}))
	defer endless.Close()
	client := newClient(t, w, func(cfg *github.Config) { cfg.BaseURL, cfg.Transport = endless.URL, nil })

	_, err := client.Permission(t.Context(), forge.User{ID: 1, Login: "x"})
	assert.ErrorContains(t, err, "more than 33554432 bytes")
}

func TestUnchangedAnswersAreConfirmedNotSentAgain(t *testing.T) {
	w := newWorld(t)
	number, _ := w.propose(t, "one", map[string]string{"a": "2"})
	first, err := w.client.OpenPullRequests(t.Context(), "main")
	require.NoError(t, err)
	again, err := w.client.OpenPullRequests(t.Context(), "main")
	require.NoError(t, err)
	assert.Equal(t, first, again)
	require.Len(t, w.seen, 2)
	assert.False(t, w.seen[0].Cached)
	assert.True(t, w.seen[1].Cached)
	assert.Equal(t, w.seen[0].Remaining, w.seen[1].Remaining, "a confirmation is free")
	assert.Equal(t, transport.Exchange{API: "pulls", Method: "GET", Code: 200, Limit: 5000, Remaining: 4999, Reset: w.seen[0].Reset}, w.seen[0])

	must(t)(w.repo.Push("alice", "one", "more", map[string]string{"a": "3"}))
	changed, err := w.client.OpenPullRequests(t.Context(), "main")
	require.NoError(t, err)
	assert.NotEqual(t, first, changed)
	_, err = w.client.Reviews(t.Context(), number)
	require.NoError(t, err)
	assert.Equal(t, "reviews", w.seen[3].API)
}
