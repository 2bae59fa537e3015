package environments_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/gitsource/forge/forgetest"
	"github.com/sluice-cd/sluice/gitsource/gittest"
	"github.com/sluice-cd/sluice/reconciler/environments"
	"github.com/sluice-cd/sluice/reconciler/gate"
)

// lax asks for no approval in production.
func lax() string {
	return strings.Replace(policy, "{standard: 1, breaking: 2", "{standard: 0, breaking: 2", 1)
}

func rules(text string) map[string]string { return map[string]string{"sluice.yaml": text} }

// settle polls until the time for linking is over.
func (w *world) settle() {
	w.t.Helper()
	after, err := w.envs.Poll(w.t.Context(), w.record, w.clock())
	if err != nil {
		require.ErrorContains(w.t, err, "linking")
		w.record = after
		w.wait(time.Minute)
		w.poll()
		return
	}
	w.record = after
}

func TestPolicyIsInForceOnceAnOwnerApproved(t *testing.T) {
	t.Parallel()
	for _, method := range []gittest.Method{gittest.MergeCommit, gittest.Squash, gittest.Rebase} {
		w := newWorld(t)
		sha := w.propose("lax", rules(lax())).approve("carol").merge(method)
		assert.Equal(t, sha, w.poll().Policy, method)
		assert.Empty(t, w.record.PolicyRefused)
	}
}

func TestPolicyWithoutAnOwnersApprovalIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.propose("lax", rules(lax())).approve("bob").merge(gittest.Squash)
	w.settle()
	assert.Equal(t, w.genesis, w.record.Policy)
	assert.Contains(t, w.record.PolicyRefused, "acme/platform")

	w = newWorld(t)
	w.must(w.repo.Push("mallory", "main", "quick", rules(lax())))
	w.settle()
	assert.Equal(t, w.genesis, w.record.Policy)
	assert.Contains(t, w.record.PolicyRefused, "without a pull request")
}

func TestEverythingThatOwnersOwnNeedsThem(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, path := range []string{"services/checkout/service.yaml", ".github/workflows/validate.yml", "CODEOWNERS", "docs/CODEOWNERS"} {
		w.record.PolicyRefused = ""
		w.push("main", map[string]string{path: service + "# " + path + "\n"})
		w.settle()
		assert.NotEmpty(t, w.record.PolicyRefused, path)
	}
	w.record.PolicyRefused = ""
	w.push("main", map[string]string{"services/checkout/base/service.yaml": "a: b\n", "docs/x": "1"})
	w.settle()
	assert.Empty(t, w.record.PolicyRefused, "these belong to everybody")
}

func TestBrokenPolicyIsRefusedWithItsPosition(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.propose("broken", rules("apiVersion: sluice.dev/v1alpha1\nkind: Policy\nowner: me\n")).approve("carol").merge(gittest.Squash)
	w.poll()
	assert.Equal(t, w.genesis, w.record.Policy)
	assert.Contains(t, w.record.PolicyRefused, "sluice.yaml:3:1")

	w = newWorld(t)
	w.raw("main", map[string]gittest.File{"sluice.yaml": {Mode: "120000", Content: "docs/note.md"}})
	w.settle()
	assert.Contains(t, w.record.PolicyRefused, "not a regular file")
}

func TestPolicyThatWasNotAcceptedIsNotSmuggledInByTheNextOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must(w.repo.Push("mallory", "main", "quick", rules(lax())))
	w.settle()
	w.propose("zone", map[string]string{"services/checkout/service.yaml": service + "# harmless\n"}).approve("carol").merge(gittest.Squash)
	w.settle()
	assert.Equal(t, w.genesis, w.record.Policy)
	assert.Contains(t, w.record.PolicyRefused, "sluice.yaml was changed before without being accepted")

	sha := w.push("main", map[string]string{"sluice.yaml": policy, "services/checkout/service.yaml": service})
	assert.Equal(t, sha, w.poll().Policy, "what is in force again needs nobody")
	assert.Empty(t, w.record.PolicyRefused)
	sha = w.propose("again", rules(policy+"# harmless\n")).approve("carol").merge(gittest.Squash)
	assert.Equal(t, sha, w.poll().Policy)
}

func TestPolicyInsideOfARebaseIsNeverInForce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.propose("sly", rules(lax()), map[string]string{"sluice.yaml": policy + "# harmless\n", "docs/note.md": "n\n"},
		map[string]string{"docs/note.md": "m\n"}).approve("carol").merge(gittest.Rebase)
	commits, err := w.repo.Git().Git("rev-list", "main")
	require.NoError(t, err)
	sly := strings.Fields(commits)[2]
	tip := strings.Fields(commits)[0]

	w.poll()
	assert.Equal(t, tip, w.record.Policy, "the range as a whole")
	assert.Equal(t, tip, w.record.Mark)
	assert.NotEqual(t, sly, w.record.Policy)
	production, _ := w.rules().Policy.Environment("production")
	assert.Equal(t, 1, production.Approvals.Standard)
}

func TestPolicyThatIsBrokenInsideOfARebaseAloneIsAccepted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sha := w.propose("typo", rules("kind: Polciy\n"), rules(policy+"# right\n")).approve("carol").merge(gittest.Rebase)
	assert.Equal(t, sha, w.poll().Policy)
}

func TestPutBackInsideOfARebaseShowsNobodyWhatIsLoosened(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must(w.repo.Push("mallory", "main", "quick", rules(lax())))
	w.settle()
	p := w.propose("sly", rules(policy), rules(lax()+"# harmless\n"))
	p.approve("carol").merge(gittest.Rebase)
	w.settle()
	environment, _ := w.rules().Policy.Environment("production")
	assert.Equal(t, 1, environment.Approvals.Standard, "the pull request adds up to a comment")
	assert.Contains(t, w.record.PolicyRefused, "was changed before without being accepted")
}

func TestPromotionIsJudgedByThePolicyBeforeIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.propose("both", with(w.promotion("two"), rules(lax()))).approve("carol").merge(gittest.Squash)
	r := w.verdicts()
	assert.Equal(t, gate.Fail, r[gate.Integrity].Verdict)
	assert.Contains(t, r[gate.Integrity].Reason, "changes the rules (sluice.yaml)")
}

func TestUndecidedPolicyMakesLaterCommitsWait(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before := w.push("main", w.promotion("two"))
	sha := w.propose("lax", rules(lax())).approve("carol").merge(gittest.Squash)
	tip := w.push("main", w.promotion("three"))
	for _, route := range []string{commitPulls, "GET /repos/{owner}/{repo}/pulls/{number}/reviews", "GET /orgs/{org}/teams/{slug}/memberships/{login}"} {
		w.away(route)
		after, err := w.envs.Poll(t.Context(), w.record, w.clock())
		require.ErrorContains(t, err, sha[:12], route)
		assert.Equal(t, before, after.Mark, "what came before it is read")
		assert.Equal(t, w.genesis, after.Policy)
		w.record = after
		w.forge.ClearFaults()
	}
	assert.Equal(t, tip, w.poll().Mark)
	assert.Equal(t, sha, w.record.Policy)
}

func TestFreshPolicyMergeWaitsForItsLink(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must(w.repo.Push("mallory", "main", "quick", rules(lax())))
	_, err := w.envs.Poll(t.Context(), w.record, w.clock())
	require.ErrorContains(t, err, "linking")
	w.wait(30 * time.Second)
	_, err = w.envs.Poll(t.Context(), w.record, w.clock())
	require.ErrorContains(t, err, "linking")
	w.wait(30 * time.Second)
	assert.Contains(t, w.poll().PolicyRefused, "without a pull request")
}

func TestPersonMayBeAnOwner(t *testing.T) {
	t.Parallel()
	own := strings.Replace(policy, "[acme/platform]", "[Dave]", 1)
	w := newWorld(t)
	w.propose("own", rules(own)).approve("carol").merge(gittest.Squash)
	w.poll()
	inForce := w.record.Policy
	w.propose("lax", rules(strings.Replace(lax(), "[acme/platform]", "[Dave]", 1))).approve("carol").merge(gittest.Squash)
	w.settle()
	require.Equal(t, inForce, w.record.Policy, "carol is no owner any more")
	w.push("main", rules(own))
	sha := w.propose("lax2", rules(strings.Replace(lax(), "[acme/platform]", "[Dave]", 1))).approve("dave").merge(gittest.Squash)
	w.settle()
	assert.Equal(t, sha, w.record.Policy)
}

func TestTeamThatCannotBeReadLeavesOpenOnlyWhatOthersDoNotSettle(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	two := strings.Replace(policy, "[acme/platform]", "[acme/auditors, acme/platform]", 1)
	w.propose("two", rules(two)).approve("carol").merge(gittest.Squash)
	w.poll()
	w.forge.RemoveTeam("acme", "auditors")
	sha := w.propose("next", rules(two+"# next\n")).approve("carol").merge(gittest.Squash)
	assert.Equal(t, sha, w.poll().Policy)

	w.propose("open", rules(two+"# open\n")).approve("dave").merge(gittest.Squash)
	after, err := w.envs.Poll(t.Context(), w.record, w.clock())
	require.ErrorIs(t, err, environments.ErrStuck)
	assert.Equal(t, sha, after.Mark)
	assert.ErrorContains(t, err, "team acme/auditors cannot be read")
}

const teamRoute = "GET /orgs/{org}/teams/{slug}"

func TestPolicyWithATeamThatCannotBeReadIsRefused(t *testing.T) {
	t.Parallel()
	for what, text := range map[string]string{
		"an owner":    strings.Replace(policy, "[acme/platform]", "[acme/plattform, acme/platform]", 1),
		"a releaser":  strings.Replace(policy, "[acme/releasers]", "[acme/plattform]", 1),
		"no owner is": strings.Replace(policy, "[acme/platform]", "[acme/plattform]", 1),
	} {
		w := newWorld(t)
		w.propose("typo", rules(text)).approve("carol").merge(gittest.Squash)
		w.poll()
		assert.Equal(t, w.genesis, w.record.Policy, what)
		assert.Contains(t, w.record.PolicyRefused, "team acme/plattform cannot be read: there is no such team, or Sluice's credentials may not see it", what)
		assert.Contains(t, w.record.PolicyRefused, "correct its name", what)

		w.push("main", rules(policy))
		sha := w.propose("right", rules(policy+"# right\n")).approve("carol").merge(gittest.Squash)
		assert.Equal(t, sha, w.poll().Policy, "the old owners still decide")
	}
}

func TestTeamsAreLookedUpOnlyWhenThePolicyBringsNewOnes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.away(teamRoute)
	sha := w.propose("same", rules(policy+"# same\n")).approve("carol").merge(gittest.Squash)
	assert.Equal(t, sha, w.poll().Policy)

	sha = w.propose("new", rules(strings.Replace(policy, "[acme/platform]", "[acme/auditors, acme/platform]", 1))).approve("carol").merge(gittest.Squash)
	after, err := w.envs.Poll(t.Context(), w.record, w.clock())
	require.ErrorContains(t, err, "read team acme/auditors")
	require.NotErrorIs(t, err, environments.ErrStuck, "a forge that is away comes back")
	assert.Equal(t, w.record.Mark, after.Mark, "no answer is no refusal")
	w.forge.ClearFaults()
	w.forge.Inject(forgetest.Fault{On: teamRoute, Status: 403, Body: `{"message":"Resource not accessible by integration"}`})
	_, err = w.envs.Poll(t.Context(), w.record, w.clock())
	require.ErrorIs(t, err, environments.ErrStuck)
	require.ErrorContains(t, err, "let them read the organization's members")
	w.forge.ClearFaults()
	assert.Equal(t, sha, w.poll().Policy)
}

func TestOwnersWhoAreGoneStopTheReadingInWords(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.forge.RemoveTeam("acme", "platform")
	sha := w.propose("late", rules(policy+"# late\n")).approve("carol").merge(gittest.Squash)
	after, err := w.envs.Poll(t.Context(), w.record, w.clock())
	require.ErrorIs(t, err, environments.ErrStuck)
	assert.Equal(t, w.record, after)
	for _, part := range []string{"read commit " + sha[:12], "team acme/platform cannot be read", "--genesis <sha>"} {
		require.ErrorContains(t, err, part)
	}
	_, err = w.envs.Begin(t.Context(), sha)
	require.ErrorContains(t, err, "team acme/platform cannot be read", "a baseline needs owners too")
}

func TestNewEnvironmentBringsItsReleases(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.push("main", map[string]string{
		"canada/checkout/release.yaml":       w.file("one").String(),
		"canada/checkout/kustomization.yaml": overlay(1),
	})
	w.poll()
	assert.NotContains(t, w.record.Names(), "canada/checkout")
	w.propose("canada", rules(policy+"  - name: canada\n")).approve("carol").merge(gittest.Squash)
	w.poll()
	require.Contains(t, w.record.Names(), "canada/checkout")
	assert.NotEmpty(t, w.record.Releases["canada/checkout"].Inputs)
	assert.Equal(t, w.record.Mark, w.record.Releases["canada/checkout"].Commit)
}

func TestReleaseThatGoesTogetherWithAPolicyIsNoticed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.repo.Branch("alice", "both", "main"))
	w.raw("both", map[string]gittest.File{
		"sluice.yaml":                         {Content: policy + "# next\n"},
		"staging/checkout/release.yaml":       {Delete: true},
		"staging/checkout/kustomization.yaml": {Delete: true},
	})
	w.push("both", map[string]string{"docs/note.md": "who pushed is recorded\n"})
	number, err := w.repo.OpenPR("alice", "both", "both", "main")
	require.NoError(t, err)
	sha := pull{w: w, number: number}.approve("carol").merge(gittest.Squash)
	w.poll()
	assert.Equal(t, sha, w.record.Policy)
	assert.Empty(t, w.record.Releases["staging/checkout"].Inputs)
	assert.Len(t, w.record.Releases["staging/checkout"].Changes, 1)
}

// An endless is a forge whose pull requests have more commits than it lists.
type endless struct{ environments.Forge }

func (endless) Commits(context.Context, int) ([]forge.PullRequestCommit, error) {
	return nil, &forge.RejectedError{Subject: "list commits", Err: forge.ErrTooManyCommits}
}

func TestPolicyThatCannotBeProvenDoesNotStopTheReading(t *testing.T) {
	t.Parallel()
	for _, method := range []gittest.Method{gittest.MergeCommit, gittest.Squash, gittest.Rebase} {
		w := newWorld(t)
		w.reopen(func(f environments.Forge) environments.Forge { return endless{f} })
		w.propose("lax", with(rules(lax()), w.promotion("two"))).approve("bob", "carol").merge(method)
		tip := w.push("main", map[string]string{"docs/note.md": "after it\n"})
		assert.Equal(t, tip, w.poll().Mark, method)
		assert.Equal(t, w.genesis, w.record.Policy)
		assert.Contains(t, w.record.PolicyRefused, "more commits than the forge lists")

		r := w.judge(w.facts(w.candidate(production)))
		assert.Equal(t, gate.Fail, r[gate.Integrity].Verdict)
		assert.Equal(t, gate.Fail, r[gate.Approvals].Verdict)
	}
}
