package restore_test

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource"
	"github.com/sluice-cd/sluice/gitsource/forge/forgetest"
	"github.com/sluice-cd/sluice/gitsource/forge/forgetest/contract"
	"github.com/sluice-cd/sluice/gitsource/forge/github"
	"github.com/sluice-cd/sluice/gitsource/gittest"
	"github.com/sluice-cd/sluice/reconciler"
	"github.com/sluice-cd/sluice/reconciler/environments"
	"github.com/sluice-cd/sluice/reconciler/release"
	"github.com/sluice-cd/sluice/reconciler/restore"
)

const (
	repoName   = "acme/environments"
	pullsRoute = "POST /repos/{owner}/{repo}/pulls"
	mergeRoute = "PUT /repos/{owner}/{repo}/pulls/{number}/merge"
	refsRoute  = "POST /repos/{owner}/{repo}/git/refs"
	moveRoute  = "PATCH /repos/{owner}/{repo}/git/refs/{ref...}"
)

// A hub is a world on a forge, with main protected from pushes.
type hub struct {
	*world
	forge  *forgetest.Server
	repo   *forgetest.Repository
	client *github.Client
}

func newHub(t *testing.T, p forgetest.Protection) *hub {
	t.Helper()
	forge := forgetest.New(t, forgetest.Options{
		Users: []forgetest.User{{Login: "sluice", ID: 11, Token: "t-sluice", Kind: "Bot"}, {Login: "bob", ID: 13}, {Login: "mallory", ID: 15}},
		Teams: []forgetest.Team{{Org: "acme", Slug: "platform", Members: []string{"bob"}}},
		Repositories: []forgetest.RepositoryOptions{{
			FullName: repoName, Permissions: map[string]string{"sluice": "write", "bob": "write", "mallory": "write"},
		}},
	})
	repo := forge.Repository(repoName)
	h := &hub{world: worldOn(t, repo.Git(), forge.CloneURL(repoName)), forge: forge, repo: repo}
	secret := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(secret, []byte("t-sluice"), 0o600))
	var err error
	h.client, err = github.New(github.Config{
		BaseURL: forge.APIURL(), Repository: repoName, TokenFile: secret, WriteInterval: time.Microsecond, RetryBackoff: time.Microsecond,
		Transport: contract.Transport(t, http.DefaultTransport, "/api/v3"),
	})
	require.NoError(t, err)
	h.repository = environments.New(environments.Config{Mirror: h.mirror, Forge: h.client, Name: repoName, Branch: "main"})
	h.restart()
	require.NoError(t, repo.Protect("main", p))
	return h
}

// restart forgets what is not in git or on the forge.
func (h *hub) restart() {
	writer := gitsource.NewWriter(h.mirror, gitsource.WriterConfig{
		Pusher: h.client, Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
	})
	h.committer = &restore.Committer{
		Writer: writer, Inputs: h.repository, Trees: h.mirror, Branch: "main", Version: "v0.1.0", Proposer: h.client,
	}
}

// waiting commits and expects that a person has to merge.
func (h *hub) waiting(commit release.Commit) *reconciler.ProposedError {
	h.t.Helper()
	_, err := h.committer.Commit(h.t.Context(), key, commit)
	require.ErrorIs(h.t, err, reconciler.ErrRefused)
	var proposed *reconciler.ProposedError
	require.ErrorAs(h.t, err, &proposed)
	return proposed
}

// pulls is how many pull requests there ever were, and how many are open.
func (h *hub) pulls() (ever, open int) {
	h.t.Helper()
	for number := 1; ; number++ {
		pr, err := h.client.PullRequest(h.t.Context(), number)
		if err != nil {
			return ever, open
		}
		ever++
		if pr.Open {
			open++
		}
	}
}

func (h *hub) onePull() {
	h.t.Helper()
	ever, _ := h.pulls()
	assert.Equal(h.t, 1, ever, "pull requests")
}

// restored expects that main says what runs and nothing else has changed.
func (h *hub) restored() {
	h.t.Helper()
	assert.Equal(h.t, h.tree(h.good, "production/checkout"), h.tree("main", "production/checkout"))
	assert.Len(h.t, h.holds(), 1)
	assert.Equal(h.t, "A\tproduction/checkout/control.yaml", h.git("diff", "--name-status", h.good, "main"))
}

func TestWhereOnlyPullRequestsGetInSluiceMergesItsOwn(t *testing.T) {
	for name, methods := range map[string][]gittest.Method{
		"in any way": nil, "squashed": {gittest.Squash}, "rebased": {gittest.Rebase},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHub(t, forgetest.Protection{Methods: methods})
			commit := h.rollback()
			assert.NotEmpty(t, h.do(commit))
			h.restored()
			h.onePull()
			assert.Contains(t, h.message(), "Rollback-Id: "+commit.Rollback.ID, "whoever reads main finds what happened")
			pr, err := h.client.PullRequest(t.Context(), 1)
			require.NoError(t, err)
			assert.True(t, strings.HasPrefix(pr.Head.Name, "sluice/restore/production/checkout/"), pr.Head.Name)
			assert.Equal(t, "production/checkout: roll back to 1.42.0", pr.Title)
			assert.Empty(t, h.do(commit))
			h.onePull()
		})
	}
}

func TestAPushByGitThatIsRefusedGoesTheSameWay(t *testing.T) {
	h := newHub(t, forgetest.Protection{})
	secret := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(secret, []byte("t-sluice"), 0o600))
	var err error
	h.mirror, err = gitsource.Open(t.Context(), gitsource.Config{
		URL: h.forge.CloneURL(repoName), Branch: "main", Dir: t.TempDir(), Auth: gitsource.Auth{TokenFile: secret},
	})
	require.NoError(t, err)
	t.Cleanup(h.mirror.Close)
	h.repository = environments.New(environments.Config{Mirror: h.mirror, Forge: h.client, Name: repoName, Branch: "main"})
	h.committer = h.newCommitter()
	h.committer.Proposer = h.client
	assert.NotEmpty(t, h.do(h.rollback()))
	h.restored()
	h.onePull()
}

func TestWhatSluiceMayNotMergeWaitsForAPerson(t *testing.T) {
	h := newHub(t, forgetest.Protection{Approvals: 1})
	commit := h.rollback()
	for range 3 {
		proposed := h.waiting(commit)
		assert.Equal(t, 1, proposed.PullRequest.Number)
		assert.ErrorContains(t, proposed, "merge #1, http")
		assert.ErrorContains(t, proposed, "At least 1 approving review is required")
		h.restart()
	}
	h.onePull()
	assert.Equal(t, h.bad, h.git("rev-parse", "main"))

	t.Run("who merges it", func(t *testing.T) {
		_, err := h.repo.Approve("bob", 1)
		require.NoError(t, err)
		_, err = h.repo.Merge("bob", 1, gittest.MergeCommit)
		require.NoError(t, err)
		assert.Empty(t, h.do(commit), "nothing is left to do")
		h.restored()
	})
	t.Run("or only approves it", func(t *testing.T) {
		h := newHub(t, forgetest.Protection{Approvals: 1})
		commit := h.rollback()
		h.waiting(commit)
		_, err := h.repo.Approve("bob", 1)
		require.NoError(t, err)
		assert.NotEmpty(t, h.do(commit))
		h.restored()
	})
	t.Run("or lets pushes in again", func(t *testing.T) {
		h := newHub(t, forgetest.Protection{Approvals: 1})
		commit := h.rollback()
		h.waiting(commit)
		require.NoError(t, h.repo.Unprotect("main"))
		h.restart()
		assert.NotEmpty(t, h.do(commit))
		h.restored()
	})
}

func TestARefusedPushIsNotRepeatedWhileItsPullRequestWaits(t *testing.T) {
	h := newHub(t, forgetest.Protection{Approvals: 1})
	commit := h.rollback()
	for range 4 {
		h.waiting(commit)
	}
	assert.Equal(t, 1, h.forge.Requests()[moveRoute])
}

func TestEveryAnswerThatIsLostOnTheWayToAMergeIsFoundAgain(t *testing.T) {
	for name, route := range map[string]string{"the branch": refsRoute, "the pull request": pullsRoute, "the merge": mergeRoute} {
		t.Run(name, func(t *testing.T) {
			h := newHub(t, forgetest.Protection{})
			commit := h.rollback()
			h.forge.Inject(forgetest.Fault{On: route, Times: 1, Drop: true})
			_, err := h.committer.Commit(t.Context(), key, commit)
			require.Error(t, err)
			require.NotErrorIs(t, err, reconciler.ErrRefused)
			h.restart()
			h.do(commit)
			h.restored()
			h.onePull()
		})
	}
}

func TestANewerPromotionReplacesWhatWaits(t *testing.T) {
	h := newHub(t, forgetest.Protection{Approvals: 1})
	commit := h.rollback()
	h.waiting(commit)
	h.commit(map[string]string{"production/checkout/release.yaml": releaseOf(h.base, "1.44.0", digest("c"))})
	assert.Equal(t, 2, h.waiting(commit).PullRequest.Number, "only the hold is left to write")
	ever, open := h.pulls()
	assert.Equal(t, []int{2, 1}, []int{ever, open})

	_, err := h.repo.Approve("bob", 2)
	require.NoError(t, err)
	assert.NotEmpty(t, h.do(commit))
	assert.Equal(t, releaseOf(h.base, "1.44.0", digest("c")), h.raw("production/checkout/release.yaml"))
	assert.Len(t, h.holds(), 1)
}

func TestWhatIsNotNeededAnyMoreIsWithdrawn(t *testing.T) {
	h := newHub(t, forgetest.Protection{Approvals: 1})
	commit := h.rollback()
	commit.Hold, commit.Rollback = nil, nil
	h.waiting(commit)
	h.commit(map[string]string{"production/checkout/release.yaml": releaseOf(h.base, "1.44.0", digest("c"))})
	assert.Empty(t, h.do(commit))
	ever, open := h.pulls()
	assert.Equal(t, []int{1, 0}, []int{ever, open})
}

func TestWhatAPersonClosedIsNotOpenedAgain(t *testing.T) {
	h := newHub(t, forgetest.Protection{})
	h.forge.Inject(forgetest.Fault{On: mergeRoute, Status: 403, Body: `{"message":"Resource not accessible by integration"}`})
	commit := h.rollback()
	h.waiting(commit)
	require.NoError(t, h.repo.Close(1))
	h.forge.ClearFaults()
	proposed := h.waiting(commit)
	assert.Equal(t, 1, proposed.PullRequest.Number)
	assert.ErrorContains(t, proposed, "reopen it first")
	h.onePull()
	assert.Equal(t, h.bad, h.git("rev-parse", "main"))
}

func TestWhatSomebodyAddsToTheBranchIsNeverMerged(t *testing.T) {
	h := newHub(t, forgetest.Protection{Approvals: 1})
	commit := h.rollback()
	branch := h.waiting(commit).PullRequest.Head.Name
	_, err := h.repo.Push("mallory", branch, "more", map[string]string{"sluice.yaml": "owners: [mallory]\n"})
	require.NoError(t, err)
	require.NoError(t, h.repo.Protect("main", forgetest.Protection{}))
	_, err = h.committer.Commit(t.Context(), key, commit)
	require.ErrorIs(t, err, reconciler.ErrRefused)
	assert.ErrorContains(t, err, "delete branch "+branch)
	assert.Equal(t, h.bad, h.git("rev-parse", "main"))

	t.Run("not even at the last moment", func(t *testing.T) {
		h := newHub(t, forgetest.Protection{})
		h.forge.Inject(forgetest.Fault{On: mergeRoute, Times: 1, Before: func() {
			ref, err := h.Git("for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads/sluice/")
			assert.NoError(t, err)
			_, err = h.repo.Push("mallory", ref, "more", map[string]string{"sluice.yaml": "owners: [mallory]\n"})
			assert.NoError(t, err)
		}})
		_, err := h.committer.Commit(t.Context(), key, h.rollback())
		require.Error(t, err)
		assert.Equal(t, h.bad, h.git("rev-parse", "main"))
	})
}

func TestThePolicyMayLeaveTheRevertToAPerson(t *testing.T) {
	h := newHub(t, forgetest.Protection{})
	require.NoError(t, h.repo.Unprotect("main"))
	commit := h.rollback()
	commit.Rollback, commit.Hold, commit.Propose = nil, nil, true
	commit.Reason = "approvals: 0 of 1"
	assert.ErrorContains(t, h.waiting(commit), "the policy leaves it to a person")
	assert.Equal(t, h.bad, h.git("rev-parse", "main"))
	_, err := h.repo.Merge("bob", 1, gittest.Squash)
	require.NoError(t, err)
	assert.Empty(t, h.do(commit))
	assert.Equal(t, h.git("rev-parse", h.good+"^{tree}"), h.git("rev-parse", "main^{tree}"))

	h.committer.Proposer = nil
	_, err = h.committer.Commit(t.Context(), key, commit)
	assert.ErrorIs(t, err, reconciler.ErrRefused)
}

// The merge is no commit of Sluice's, and its message could be anybody's. What it
// asks for is what runs, so there is nothing to be proven.
func TestTheMergeOfARestoreIsRecognisedByWhatItAsksFor(t *testing.T) {
	for _, method := range []gittest.Method{gittest.MergeCommit, gittest.Squash, gittest.Rebase} {
		t.Run(string(method), func(t *testing.T) {
			h := newHub(t, forgetest.Protection{Approvals: 1})
			h.fetch()
			record, err := h.repository.Begin(t.Context(), h.good)
			require.NoError(t, err)
			runs := record.Releases[key.String()].Inputs
			record, err = h.repository.Poll(t.Context(), record, at)
			require.NoError(t, err)
			require.NotEqual(t, runs, record.Releases[key.String()].Inputs)

			commit := h.rollback()
			h.waiting(commit)
			_, err = h.repo.Approve("bob", 1)
			require.NoError(t, err)
			_, err = h.repo.Merge("bob", 1, method)
			require.NoError(t, err)
			record, err = h.repository.Poll(t.Context(), record, at)
			require.NoError(t, err)
			of := record.Releases[key.String()]
			assert.Equal(t, runs, of.Inputs)
			assert.Empty(t, of.Problem)
			require.Len(t, of.Control.Holds, 1)
			assert.Equal(t, badImage, of.Control.Holds[0].Digest)
			for name, other := range record.Releases {
				if name != key.String() {
					assert.Empty(t, other.Changes, name)
				}
			}
		})
	}
}
