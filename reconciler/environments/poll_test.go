package environments_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource/forge/forgetest"
	"github.com/sluice-cd/sluice/gitsource/gittest"
	"github.com/sluice-cd/sluice/reconciler/gate"
	"github.com/sluice-cd/sluice/reconciler/intake"
)

const commitPulls = "GET /repos/{owner}/{repo}/commits/{ref}/pulls"

// away makes the forge refuse a question, as often as it is asked.
func (w *world) away(route string) {
	w.forge.Inject(forgetest.Fault{On: route, Status: 500, Body: `{"message":"away"}`})
}

func TestBeginTakesWhatIsThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	assert.Equal(t, []string{"dev/checkout", production, "staging/checkout"}, w.record.Names())
	assert.Equal(t, w.genesis, w.record.Policy)
	for name, of := range w.record.Releases {
		assert.Len(t, of.Inputs, 32, name)
		assert.True(t, of.Genesis, name)
		assert.Empty(t, of.Problem, name)
	}
	for _, e := range w.exchanges() {
		assert.Equal(t, "team", e.API, "nobody has to vouch for what an operator vouches for")
	}
}

func TestBeginRefusesWhatIsNoStateOfTheBranch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.propose("two", w.promotion("evil"), w.promotion("two"))
	inner := w.must(w.repo.Git().SHA(p.head + "~1"))
	p.merge(gittest.MergeCommit)
	for genesis, message := range map[string]string{
		inner:                   "not a commit of branch main",
		strings.Repeat("1", 40): "unknown commit",
		"main":                  "unknown commit",
	} {
		_, err := w.envs.Begin(t.Context(), genesis)
		assert.ErrorContains(t, err, message, genesis)
	}
}

func TestIdlePollCostsOneGitRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.poll()
	w.repo.Git().ResetRequests()
	w.exchanges()
	before := w.record
	assert.Equal(t, before, w.poll())
	assert.Equal(t, map[string]int{gittest.Refs: 1}, w.repo.Git().Requests())
	assert.Empty(t, w.exchanges())
}

func TestPollReadsReleasesWithoutTheForge(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exchanges()
	sha := w.push("main", w.promotion("two"))
	before := w.record.Releases
	after := w.poll()
	assert.Empty(t, w.exchanges())
	assert.Equal(t, sha, after.Mark)
	assert.Equal(t, before["staging/checkout"], after.Releases["staging/checkout"])
	of := after.Releases[production]
	assert.NotEqual(t, before[production].Inputs, of.Inputs)
	assert.Equal(t, []intake.Change{{From: w.genesis, Commit: sha, At: of.At, Before: before[production].Inputs, After: of.Inputs}}, of.Changes)
}

func TestRewrittenHistoryFreezes(t *testing.T) {
	t.Parallel()
	for name, rewrite := range map[string]func(w *world) error{
		"set back": func(w *world) error { return w.repo.Branch("mallory", "main", w.base) },
		"replaced": func(w *world) error {
			if err := w.repo.Branch("mallory", "main", w.base); err != nil {
				return err
			}
			_, err := w.repo.Push("mallory", "main", "other", w.promotion("evil"))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			require.NoError(t, rewrite(w))
			before := w.record
			after := w.poll()
			assert.Contains(t, after.Frozen, "was rewritten")
			assert.Contains(t, after.Frozen, "--genesis")
			after.Frozen = ""
			assert.Equal(t, before, after, "nothing of it is taken")

			w.repo.Git().ResetRequests()
			assert.NotEmpty(t, w.poll().Frozen)
			assert.Empty(t, w.repo.Git().Requests(), "an operator decides")
		})
	}
}

func TestGitAwayLosesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sha := w.push("main", w.promotion("two"))
	for _, endpoint := range []string{gittest.Refs, gittest.Pack} {
		w.repo.Git().Inject(gittest.Fault{On: endpoint, Status: 503})
		after, err := w.envs.Poll(t.Context(), w.record, w.clock())
		require.Error(t, err)
		assert.Equal(t, w.record, after)
		w.repo.Git().ClearFaults()
	}
	assert.Equal(t, sha, w.poll().Mark)
}

// Each question of the forge, unanswered: whoever may be right is not refused,
// and nothing passes for it.
func TestForgeAwayIsUnknownInTheFacts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.propose("two", w.promotion("two"), map[string]string{production + "/kustomization.yaml": overlay(4)}).approve("bob")
	sha := p.merge(gittest.Rebase)
	w.check(w.repo, sha, "validate", "success")
	w.poll()
	c := w.candidate(production)

	const repo = "GET /repos/{owner}/{repo}"
	questions := map[string][]string{
		commitPulls:                                        {gate.Integrity, gate.Approvals},
		repo + "/pulls/{number}":                           {gate.Integrity, gate.Approvals},
		repo + "/pulls/{number}/commits":                   {gate.Integrity, gate.Approvals},
		repo + "/pulls/{number}/reviews":                   {gate.Approvals},
		repo + "/activity":                                 {gate.Approvals},
		"GET /user/{id}":                                   {gate.Approvals},
		repo + "/collaborators/{login}/permission":         {gate.Approvals},
		"GET /orgs/{org}/teams/{slug}/memberships/{login}": {gate.Approvals},
		repo + "/commits/{ref}/check-runs":                 {"tests", "sast", "validate"},
		repo:                                               {"tests", "sast"},
		repo + "/branches/{branch}":                        {"tests", "sast"},
		repo + "/compare/{basehead}":                       {"tests", "sast"},
	}
	for route, gates := range questions {
		w.away(route)
		results := w.judge(w.facts(c))
		for _, name := range gates {
			assert.True(t, results[name].Unknown, "%s away: %s says %q", route, name, results[name].Reason)
		}
		for name, r := range results {
			assert.NotEqual(t, gate.Fail, r.Verdict, "%s away: %s: %s", route, name, r.Reason)
		}
		w.forge.ClearFaults()
	}
	for name, r := range w.judge(w.facts(c)) {
		assert.Equal(t, gate.Pass, r.Verdict, "%s: %s", name, r.Reason)
	}
}

func TestHeadThatCannotBeFetchedIsUnknown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.propose("two", w.promotion("two")).approve("bob").merge(gittest.Squash)
	w.poll()
	w.repo.Git().Inject(gittest.Fault{Status: 503})
	r := w.judge(w.facts(w.candidate(production)))
	assert.True(t, r[gate.Integrity].Unknown)
	w.repo.Git().ClearFaults()
	assert.Equal(t, gate.Pass, w.judge(w.facts(w.candidate(production)))[gate.Integrity].Verdict)
}

func TestFactsOfAUsualPromotionCostAFewRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sha := w.propose("two", w.promotion("two")).approve("bob").merge(gittest.Squash)
	w.check(w.repo, sha, "validate", "success")
	w.poll()
	c := w.candidate(production)
	w.exchanges()
	w.facts(c)
	first := w.exchanges()
	assert.LessOrEqual(t, len(first), 19)
	asked := map[string]int{}
	for _, e := range first {
		asked[e.API]++
	}
	t.Logf("%d requests: %v", len(first), asked)

	w.facts(c)
	for _, e := range w.exchanges() {
		assert.True(t, e.Cached, "%s is asked again without being counted by the forge", e.API)
	}
}

func TestOneCommitIsNotAskedTwiceInOneDecision(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.propose("two", w.promotion("two"), w.promotion("three"), w.promotion("four")).approve("bob").merge(gittest.Rebase)
	w.poll()
	w.exchanges()
	w.facts(w.candidate(production))
	asked := map[string]int{}
	for _, e := range w.exchanges() {
		asked[e.API]++
	}
	assert.Equal(t, 1, asked["reviews"])
	assert.Equal(t, 1, asked["pull-commits"])
	assert.Equal(t, 1, asked["activity"])
	assert.Equal(t, 1, asked["compare"], "two checks of the same source commit")
}

func TestForgottenCacheStartsTheTimeForLinkingAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.push("main", w.promotion("two"))
	w.verdicts()
	w.wait(time.Minute)
	require.Equal(t, gate.Fail, w.verdicts()[gate.Integrity].Verdict)
	w.open()
	w.poll()
	assert.True(t, w.verdicts()[gate.Integrity].Unknown, "after a restart nothing is refused in haste")
}
