package forgetest_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-github/v88/github"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/gitsource/forge/forgetest"
	"github.com/sluice-cd/sluice/gitsource/forge/forgetest/contract"
	"github.com/sluice-cd/sluice/gitsource/gittest"
)

const repoName = "acme/environments"

func newForge(t *testing.T) (*forgetest.Server, *forgetest.Repository) {
	t.Helper()
	s := forgetest.New(t, forgetest.Options{
		Users: []forgetest.User{
			{Login: "alice", ID: 12, Token: "t-alice"}, {Login: "bob", ID: 13, Token: "t-bob"}, {Login: "mallory", ID: 15, Token: "t-mallory"},
		},
		Apps:  []forgetest.App{{Slug: "ci", ID: 99, Token: "t-ci"}},
		Teams: []forgetest.Team{{Org: "acme", Slug: "payments", Members: []string{"bob"}}},
		Repositories: []forgetest.RepositoryOptions{
			{FullName: repoName, Protected: []string{"main"}, Permissions: map[string]string{"alice": "write", "bob": "write"}},
		},
	})
	repo := s.Repository(repoName)
	_, err := repo.Push("alice", "main", "first", map[string]string{"a": "1\n", "b": "1\n"})
	require.NoError(t, err)
	return s, repo
}

// as is a person at the REST API, checked against GitHub's description.
func as(t *testing.T, s *forgetest.Server, token string) *github.Client {
	t.Helper()
	base := s.APIURL() + "/"
	client, err := github.NewClient(github.WithAuthToken(token), github.WithURLs(&base, &base),
		github.WithTransport(contract.Transport(t, http.DefaultTransport, "/api/v3")))
	require.NoError(t, err)
	return client
}

func git(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", append([]string{"-c", "user.name=Alice", "-c", "user.email=alice@example.com"}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0")
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func withToken(t *testing.T, raw, token string) string {
	t.Helper()
	u, err := url.Parse(raw)
	require.NoError(t, err)
	u.User = url.UserPassword("x-access-token", token)
	return u.String()
}

// code is the status that a refused call was answered with.
func code(t *testing.T, resp *github.Response, err error) int {
	t.Helper()
	require.Error(t, err)
	require.NotNil(t, resp)
	return resp.StatusCode
}

func TestAWholePullRequestOverGitAndREST(t *testing.T) {
	s, repo := newForge(t)
	ctx := t.Context()
	dir := filepath.Join(t.TempDir(), "clone")
	out, err := git(t, ".", "clone", "-q", withToken(t, s.CloneURL(repoName), "t-alice"), dir)
	require.NoError(t, err, out)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a"), []byte("2\n"), 0o600))
	for _, step := range [][]string{{"checkout", "-q", "-b", "promote"}, {"commit", "-q", "-am", "promote"}, {"push", "-q", "origin", "promote"}} {
		out, err = git(t, dir, step...)
		require.NoError(t, err, out)
	}
	head, err := git(t, dir, "rev-parse", "HEAD")
	require.NoError(t, err)

	alice, bob, ci := as(t, s, "t-alice"), as(t, s, "t-bob"), as(t, s, "t-ci")
	pr, _, err := alice.PullRequests.Create(ctx, "acme", "environments", &github.NewPullRequest{Title: github.Ptr("Promote"), Head: github.Ptr("promote"), Base: github.Ptr("main")})
	require.NoError(t, err)
	assert.Equal(t, head, pr.GetHead().GetSHA())
	assert.Equal(t, int64(12), pr.GetUser().GetID())
	assert.True(t, pr.GetMergeable())
	assert.NotEmpty(t, pr.GetMergeCommitSHA(), "a test merge")
	assert.False(t, pr.GetMerged())
	out, err = git(t, dir, "ls-remote", "origin", "refs/pull/1/*")
	require.NoError(t, err, out)
	assert.Contains(t, out, head+"\trefs/pull/1/head")
	assert.Contains(t, out, pr.GetMergeCommitSHA()+"\trefs/pull/1/merge")

	approve := &github.PullRequestReviewRequest{Event: github.Ptr("APPROVE")}
	_, resp, err := alice.PullRequests.CreateReview(ctx, "acme", "environments", 1, approve)
	assert.Equal(t, 422, code(t, resp, err))
	assert.ErrorContains(t, err, "Can not approve your own pull request")
	review, _, err := bob.PullRequests.CreateReview(ctx, "acme", "environments", 1, approve)
	require.NoError(t, err)
	assert.Equal(t, "APPROVED", review.GetState())
	assert.Equal(t, head, review.GetCommitID())

	run, _, err := ci.Checks.CreateCheckRun(ctx, "acme", "environments", github.CreateCheckRunOptions{Name: "test", HeadSHA: head, Status: github.Ptr("in_progress")})
	require.NoError(t, err)
	run, _, err = ci.Checks.UpdateCheckRun(ctx, "acme", "environments", run.GetID(), github.UpdateCheckRunOptions{Name: "test", Status: github.Ptr("completed"), Conclusion: github.Ptr("success")})
	require.NoError(t, err)
	assert.Equal(t, "success", run.GetConclusion())
	assert.Equal(t, int64(99), run.GetApp().GetID())
	_, resp, err = bob.Checks.CreateCheckRun(ctx, "acme", "environments", github.CreateCheckRunOptions{Name: "test", HeadSHA: head})
	assert.Equal(t, 403, code(t, resp, err))

	_, resp, err = as(t, s, "t-mallory").PullRequests.Merge(ctx, "acme", "environments", 1, "", nil)
	assert.Equal(t, 403, code(t, resp, err))
	_, resp, err = bob.PullRequests.Merge(ctx, "acme", "environments", 1, "", &github.PullRequestOptions{SHA: strings.Repeat("a", 40)})
	assert.Equal(t, 409, code(t, resp, err))
	merged, _, err := bob.PullRequests.Merge(ctx, "acme", "environments", 1, "", &github.PullRequestOptions{SHA: head, MergeMethod: "squash"})
	require.NoError(t, err)
	tip, err := repo.Git().SHA("main")
	require.NoError(t, err)
	assert.Equal(t, tip, merged.GetSHA())
	content, err := repo.Git().Git("show", "main:a")
	require.NoError(t, err)
	assert.Equal(t, "2", content)
	subject, err := repo.Git().Git("log", "-1", "--format=%s", "main")
	require.NoError(t, err)
	assert.Equal(t, "Promote (#1)", subject)

	pr, _, err = bob.PullRequests.Get(ctx, "acme", "environments", 1)
	require.NoError(t, err)
	assert.Equal(t, "bob", pr.GetMergedBy().GetLogin())
	assert.Equal(t, tip, pr.GetMergeCommitSHA())
	_, resp, err = bob.PullRequests.Merge(ctx, "acme", "environments", 1, "", nil)
	assert.Equal(t, 405, code(t, resp, err))
}

func TestEveryOtherRouteHasGitHubsShape(t *testing.T) {
	s, repo := newForge(t)
	ctx := t.Context()
	alice, bob := as(t, s, "t-alice"), as(t, s, "t-bob")
	require.NoError(t, repo.Branch("alice", "one", "main"))
	head, err := repo.Push("alice", "one", "change", map[string]string{"a": "2\n"})
	require.NoError(t, err)
	number, err := repo.OpenPR("alice", "one", "one", "main")
	require.NoError(t, err)

	me, _, err := alice.Users.Get(ctx, "")
	require.NoError(t, err)
	assert.Equal(t, "alice", me.GetLogin())
	other, _, err := alice.Users.Get(ctx, "bob")
	require.NoError(t, err)
	assert.Equal(t, int64(13), other.GetID())
	_, resp, err := alice.Users.Get(ctx, "nobody")
	assert.Equal(t, 404, code(t, resp, err))

	status, _, err := alice.Repositories.CreateStatus(ctx, "acme", "environments", head, github.RepoStatus{State: github.Ptr("failure"), Context: github.Ptr("x")})
	require.NoError(t, err)
	assert.Equal(t, "alice", status.GetCreator().GetLogin())
	all, _, err := alice.Repositories.ListStatuses(ctx, "acme", "environments", "one", nil)
	require.NoError(t, err)
	assert.Len(t, all, 1)
	combined, _, err := alice.Repositories.GetCombinedStatus(ctx, "acme", "environments", head, nil)
	require.NoError(t, err)
	assert.Equal(t, "failure", combined.GetState())
	_, resp, err = as(t, s, "t-mallory").Repositories.CreateStatus(ctx, "acme", "environments", head, github.RepoStatus{State: github.Ptr("success")})
	assert.Equal(t, 403, code(t, resp, err))

	pulls, _, err := alice.PullRequests.List(ctx, "acme", "environments", &github.PullRequestListOptions{State: "all", Head: "acme:one"})
	require.NoError(t, err)
	assert.Len(t, pulls, 1)
	_, resp, err = alice.PullRequests.Create(ctx, "acme", "environments", &github.NewPullRequest{Title: github.Ptr("again"), Head: github.Ptr("one"), Base: github.Ptr("main")})
	assert.Equal(t, 422, code(t, resp, err))
	review, _, err := bob.PullRequests.CreateReview(ctx, "acme", "environments", number, &github.PullRequestReviewRequest{Event: github.Ptr("REQUEST_CHANGES"), Body: github.Ptr("no")})
	require.NoError(t, err)
	_, resp, err = as(t, s, "t-mallory").PullRequests.DismissReview(ctx, "acme", "environments", number, review.GetID(), &github.PullRequestReviewDismissalRequest{Message: github.Ptr("mine")})
	assert.Equal(t, 403, code(t, resp, err))
	review, _, err = alice.PullRequests.DismissReview(ctx, "acme", "environments", number, review.GetID(), &github.PullRequestReviewDismissalRequest{Message: github.Ptr("solved")})
	require.NoError(t, err)
	assert.Equal(t, "DISMISSED", review.GetState())
	_, _, err = alice.PullRequests.CreateReview(ctx, "acme", "environments", number, &github.PullRequestReviewRequest{})
	require.NoError(t, err)
	seen, _, err := bob.PullRequests.ListReviews(ctx, "acme", "environments", number, nil)
	require.NoError(t, err)
	assert.Len(t, seen, 1, "a pending review is its author's secret")

	edited, _, err := alice.PullRequests.Edit(ctx, "acme", "environments", number, &github.PullRequest{Title: github.Ptr("two"), State: github.Ptr("closed")})
	require.NoError(t, err)
	assert.Equal(t, []string{"two", "closed"}, []string{edited.GetTitle(), edited.GetState()})
	assert.False(t, edited.GetMerged())
	_, resp, err = as(t, s, "nonsense").Users.Get(ctx, "")
	assert.Equal(t, 401, code(t, resp, err))
}

func TestAConflictIsNotMerged(t *testing.T) {
	s, repo := newForge(t)
	require.NoError(t, repo.Branch("alice", "one", "main"))
	_, err := repo.Push("alice", "one", "mine", map[string]string{"a": "2\n"})
	require.NoError(t, err)
	number, err := repo.OpenPR("alice", "one", "one", "main")
	require.NoError(t, err)
	tip, err := repo.Push("bob", "main", "theirs", map[string]string{"a": "3\n"})
	require.NoError(t, err)

	pr, _, err := as(t, s, "t-bob").PullRequests.Get(t.Context(), "acme", "environments", number)
	require.NoError(t, err)
	assert.False(t, pr.GetMergeable())
	assert.Nil(t, pr.MergeCommitSHA)
	for _, method := range []gittest.Method{gittest.MergeCommit, gittest.Squash} {
		_, err = repo.Merge("bob", number, method)
		assert.ErrorContains(t, err, "405 Pull Request is not mergeable")
	}
	after, err := repo.Git().SHA("main")
	require.NoError(t, err)
	assert.Equal(t, tip, after)
}

func TestAPushMovesThePullRequestAndIsNoted(t *testing.T) {
	s, repo := newForge(t)
	require.NoError(t, repo.Branch("alice", "one", "main"))
	_, err := repo.Push("alice", "one", "change", map[string]string{"a": "2\n"})
	require.NoError(t, err)
	_, err = repo.OpenPR("alice", "one", "one", "main")
	require.NoError(t, err)
	dir := filepath.Join(t.TempDir(), "clone")
	out, err := git(t, ".", "clone", "-q", "-b", "one", withToken(t, s.CloneURL(repoName), "t-bob"), dir)
	require.NoError(t, err, out)
	for _, step := range [][]string{{"commit", "-q", "--amend", "-m", "rewritten"}, {"push", "-q", "--force", "origin", "one"}} {
		out, err = git(t, dir, step...)
		require.NoError(t, err, out)
	}
	head, err := git(t, dir, "rev-parse", "HEAD")
	require.NoError(t, err)

	pr, _, err := as(t, s, "t-alice").PullRequests.Get(t.Context(), "acme", "environments", 1)
	require.NoError(t, err)
	assert.Equal(t, head, pr.GetHead().GetSHA())
	moves, _, err := as(t, s, "t-alice").Repositories.ListRepositoryActivities(t.Context(), "acme", "environments", &github.ListRepositoryActivityOptions{Ref: "refs/heads/one"})
	require.NoError(t, err)
	require.Len(t, moves, 3)
	assert.Equal(t, []string{"force_push", "push", "branch_creation"}, []string{moves[0].ActivityType, moves[1].ActivityType, moves[2].ActivityType})
	assert.Equal(t, "bob", moves[0].GetActor().GetLogin())
	assert.Equal(t, head, moves[0].After)

	require.NoError(t, repo.DeleteBranch("alice", "one"))
	pr, _, err = as(t, s, "t-alice").PullRequests.Get(t.Context(), "acme", "environments", 1)
	require.NoError(t, err)
	assert.Equal(t, "closed", pr.GetState(), "a pull request does not outlive its branch")
}

func TestPushNeedsWriteAccess(t *testing.T) {
	s, repo := newForge(t)
	dir := filepath.Join(t.TempDir(), "clone")
	out, err := git(t, ".", "clone", "-q", s.CloneURL(repoName), dir)
	require.NoError(t, err, out)
	tip, err := repo.Git().SHA("main")
	require.NoError(t, err)
	_, err = git(t, dir, "commit", "-q", "--allow-empty", "-m", "x")
	require.NoError(t, err)
	for _, token := range []string{"wrong", "t-mallory"} {
		out, err = git(t, dir, "push", withToken(t, s.CloneURL(repoName), token), "HEAD:main")
		assert.Error(t, err, out)
	}
	after, err := repo.Git().SHA("main")
	require.NoError(t, err)
	assert.Equal(t, tip, after)
	resp, err := http.Get(s.URL + "/acme/none.git/info/refs?service=git-upload-pack")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.Equal(t, 404, resp.StatusCode)
}

func TestWhatIsWrongWithTheWorldIsSaidAtTheStart(t *testing.T) {
	for want, opts := range map[string]forgetest.Options{
		"it needs a login and an id": {Users: []forgetest.User{{Login: "x"}}},
		"it needs a slug and an id":  {Apps: []forgetest.App{{Slug: "x"}}},
		`no user "ghost"`:            {Teams: []forgetest.Team{{Org: "o", Slug: "s", Members: []string{"ghost"}}}},
		"want owner/name":            {Repositories: []forgetest.RepositoryOptions{{FullName: "x"}}},
	} {
		_, err := forgetest.Start(t.Context(), t.TempDir(), opts)
		assert.ErrorContains(t, err, want)
	}
	_, repo := newForge(t)
	_, err := repo.Push("ghost", "main", "x", nil)
	assert.ErrorContains(t, err, "ghost")
	_, err = repo.OpenPR("alice", "x", "none", "main")
	assert.ErrorContains(t, err, "head: invalid")
	_, err = repo.Approve("alice", 9)
	assert.ErrorContains(t, err, "404")
	_, err = repo.CheckRun("no-app", forge.Check{})
	assert.ErrorContains(t, err, "no-app")
}

func TestMalformedRequestsAreRefused(t *testing.T) {
	s, _ := newForge(t)
	for _, route := range []string{"/pulls", "/statuses/" + strings.Repeat("a", 40), "/check-runs"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.APIURL()+"/repos/"+repoName+route, bytes.NewReader([]byte("{")))
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer t-alice")
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		var body map[string]any
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&body))
		require.NoError(t, resp.Body.Close())
		assert.Equal(t, 400, resp.StatusCode)
		assert.Equal(t, "Problems parsing JSON", body["message"])
	}
}
