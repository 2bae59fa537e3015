package environments_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource/gittest"
	"github.com/sluice-cd/sluice/reconciler/environments"
	"github.com/sluice-cd/sluice/reconciler/gate"
)

// own brings a CODEOWNERS file into force.
func (w *world) own(path, text string) {
	w.t.Helper()
	sha := w.propose("own-"+strings.ReplaceAll(path, "/", "-"), map[string]string{path: text}).approve("carol").merge(gittest.Squash)
	require.Equal(w.t, sha, w.poll().Policy, w.record.PolicyRefused)
}

func TestOwnersOfTheFilesHaveToApproveThePromotion(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		owners string
		by     []string
		cause  gate.Cause
		says   string
	}{
		"by an owner":               {"/production/ @acme/auditors\n", []string{"bob", "dave"}, gate.Met, ""},
		"by none":                   {"/production/ @acme/auditors\n", []string{"bob"}, gate.Short, "needs the approval of an owner: acme/auditors (CODEOWNERS line 1)"},
		"by a user who owns":        {"/production/ @dave\n", []string{"bob", "dave"}, gate.Met, ""},
		"the last line counts":      {"/production/ @acme/auditors\n*.yaml @acme/releasers\n", []string{"bob"}, gate.Met, ""},
		"the last line owns nobody": {"/production/ @acme/auditors\n/production/checkout/\n", []string{"bob"}, gate.Met, ""},
		"of other files":            {"/dev/ @acme/auditors\n", []string{"bob"}, gate.Met, ""},
		"by mail":                   {"/production/ ops@example.com\n", []string{"bob"}, gate.Short, "an e-mail address is no account"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.own("CODEOWNERS", c.owners)
			w.propose("two", w.promotion("two")).approve(c.by...).merge(gittest.Squash)
			r := w.verdicts()[gate.Approvals]
			assert.Equal(t, c.cause, r.Cause, r.Reason)
			assert.Contains(t, r.Reason, c.says)
		})
	}
}

func TestOpenPullRequestSaysWhichOwnerIsMissing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.own("CODEOWNERS", "/production/ @acme/auditors\n")
	p := w.propose("two", w.promotion("two")).approve("bob")
	r := w.judge(w.facts(w.preview(p)))[gate.Approvals]
	assert.Equal(t, gate.Short, r.Cause, r.Reason)
	p.approve("dave")
	r = w.judge(w.facts(w.preview(p)))[gate.Approvals]
	assert.Equal(t, gate.Met, r.Cause, r.Reason)
}

// preview is the candidate of the only open pull request.
func (w *world) preview(p pull) (c environments.Candidate) {
	w.t.Helper()
	proposals, err := w.envs.Proposals(w.t.Context(), w.rules())
	require.NoError(w.t, err)
	for _, proposal := range proposals {
		if proposal.PullRequest.Number == p.number {
			require.Len(w.t, proposal.Candidates, 1)
			return proposal.Candidates[0]
		}
	}
	require.Fail(w.t, "no such proposal")
	return c
}

func TestOwnersAreThoseInForceNotThoseThatAreBroughtAlong(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.own(".github/CODEOWNERS", "/production/ @acme/auditors\n")
	w.must(w.repo.Push("mallory", "main", "mine now", map[string]string{".github/CODEOWNERS": "/production/ @mallory\n"}))
	w.settle()
	w.propose("two", w.promotion("two")).approve("bob").merge(gittest.Squash)
	r := w.verdicts()[gate.Approvals]
	assert.Equal(t, gate.Short, r.Cause, r.Reason)
	assert.Contains(t, r.Reason, "acme/auditors (.github/CODEOWNERS line 1)")

	w.propose("innocent", map[string]string{"sluice.yaml": policy + "# harmless\n"}).approve("carol").merge(gittest.Squash)
	w.settle()
	assert.Contains(t, w.record.PolicyRefused, ".github/CODEOWNERS was changed before without being accepted", "it does not come into force with something else")
}

func TestFirstPlaceOfCodeownersCountsAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.own("docs/CODEOWNERS", "* @acme/platform\n")
	w.own("CODEOWNERS", "* @acme/auditors\n")
	w.own(".github/CODEOWNERS", "* @acme/releasers\n")
	w.propose("two", w.promotion("two")).approve("bob").merge(gittest.Squash)
	assert.Equal(t, gate.Met, w.verdicts()[gate.Approvals].Cause)
}

func TestUnusableCodeownersDoNotComeIntoForce(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"no owner":             "/production/ nobody\n",
		"an unknown team":      "/production/ @acme/typo\n",
		"a line too long":      "* @acme/platform\n# " + strings.Repeat("x", 70_000) + "\n/production/ @acme/auditors\n",
		"a negation":           "!/production/ @acme/auditors\n",
		"a range":              "/production/[a-z]* @acme/auditors\n",
		"the root alone":       "/ @acme/auditors\n",
		"more than can be had": strings.Repeat("# filler that says nothing at all, again and again\n", 25_000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.own("CODEOWNERS", "/production/ @acme/auditors\n")
			before := w.record.Policy
			w.propose("worse", map[string]string{"CODEOWNERS": text}).approve("carol").merge(gittest.Squash)
			w.settle()
			assert.Equal(t, before, w.record.Policy)
			assert.NotEmpty(t, w.record.PolicyRefused)
		})
	}
}

func TestBrokenCodeownersOfTheBaselineMakePromotionsWait(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.genesis = w.push("main", map[string]string{"CODEOWNERS": "/production/ nobody\n"})
	var err error
	w.record, err = w.envs.Begin(t.Context(), w.genesis)
	require.NoError(t, err)
	w.propose("two", w.promotion("two")).approve("bob").merge(gittest.Squash)
	r := w.verdicts()[gate.Approvals]
	assert.Equal(t, gate.Wait, r.Verdict, r.Reason)
	assert.Contains(t, r.Reason, "line 1")

	w.own("CODEOWNERS", "/production/ @acme/releasers\n")
	assert.Equal(t, gate.Met, w.verdicts()[gate.Approvals].Cause, "the owners mended it")
}

func TestTeamOfCodeownersThatWentAwayIsUnknown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.own("CODEOWNERS", "/production/ @acme/auditors\n")
	w.forge.RemoveTeam("acme", "auditors")
	w.propose("two", w.promotion("two")).approve("bob", "dave").merge(gittest.Squash)
	r := w.verdicts()[gate.Approvals]
	assert.Equal(t, gate.Wait, r.Verdict, r.Reason)
	assert.True(t, r.Unknown)
}

func TestWeakeningTogetherWithAPromotionIsRefusedAndNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.propose("both", with(w.promotion("two"), rules(lax()))).approve("bob", "carol")
	r := w.judge(w.facts(w.preview(p)))[gate.Integrity]
	assert.Equal(t, gate.Fail, r.Verdict, "before the merge: %s", r.Reason)
	assert.Contains(t, r.Reason, "asks for less: environments[production].approvals.standard: 1 → 0")

	p.merge(gittest.Squash)
	r = w.verdicts()[gate.Integrity]
	assert.Equal(t, gate.Fail, r.Verdict, r.Reason)
	assert.Contains(t, evidence(r), "approvals.standard: 1 → 0")
}
