package gate_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/reconciler/gate"
)

func TestOnlyAMergedPullRequestOfThisBranchIsAccepted(t *testing.T) {
	cases := map[string]struct {
		edit   func(*gate.Change)
		reason string
	}{
		"direct push": {
			func(c *gate.Change) { c.PullRequest = nil },
			"commit ccccccccccc… was pushed without a pull request"},
		"base of a fork": {
			func(c *gate.Change) { c.PullRequest.Base.Repository = "mallory/environments" },
			"#12 is a pull request of mallory/environments, not of acme/environments"},
		"base deleted": {
			func(c *gate.Change) { c.PullRequest.Base.Repository = "" },
			"#12 is a pull request of a deleted repository, not of acme/environments"},
		"other branch": {
			func(c *gate.Change) { c.PullRequest.Base.Name = "playground" },
			"#12 was made for branch playground, not for main"},
		"other case of the branch": {
			func(c *gate.Change) { c.PullRequest.Base.Name = "Main" },
			"#12 was made for branch Main, not for main"},
		"another pull request's merge": {
			func(c *gate.Change) { c.PullRequest.MergeCommit = earlierHead },
			"commit ccccccccccc… is not the one that #12 was merged as"},
		"no merge commit": {
			func(c *gate.Change) { c.Commit, c.PullRequest.MergeCommit = "", "" },
			"commit an unnamed commit is not the one that #12 was merged as"},
		"still open": {
			func(c *gate.Change) { c.PullRequest.Merged, c.PullRequest.Open = false, true },
			"#12 is not merged, but its change is on branch main"},
		"edited merge": {
			func(c *gate.Change) { c.Content = gate.Answer{Reason: "production/checkout/release.yaml differs"} },
			"what landed is not proven to be what was reviewed in #12: production/checkout/release.yaml differs"},
		"not proven": {
			func(c *gate.Change) { c.Content = gate.Answer{} },
			"what landed is not proven to be what was reviewed in #12"},
		"rules and release": {
			func(c *gate.Change) { c.Owned = []string{"sluice.yaml"} },
			"#12 changes the rules (sluice.yaml) together with a release"},
	}
	for name, c := range cases {
		f := promotion()
		c.edit(&f.Changes[0])
		r := ask(t, f, gate.Integrity)
		assert.True(t, r.Final, name)
		assert.Equal(t, c.reason, r.Reason, name)
		assert.NotEmpty(t, r.Unblocks, name)
	}
}

func TestARepositoryIsFoundWhateverItsCase(t *testing.T) {
	f := promotion()
	f.Changes[0].PullRequest.Base.Repository = "Acme/Environments"
	assert.Equal(t, gate.Pass, ask(t, f, gate.Integrity).Verdict)
}

func TestAHeadInAForkIsWelcome(t *testing.T) {
	f := promotion()
	f.Changes[0].PullRequest.Head.Repository = "contributor/environments"
	assert.Equal(t, gate.OutcomeDeploy, gate.Summarize(gate.Evaluate(f, now)).Outcome)
}

func TestADirectPushIsNotCuredByAReviewedChangeAfterIt(t *testing.T) {
	for _, f := range []gate.Facts{promotion(), preview()} {
		f.Changes = append([]gate.Change{{Commit: earlierHead}}, f.Changes...)
		r := ask(t, f, gate.Integrity)
		assert.Equal(t, gate.Fail, r.Verdict)
		assert.Equal(t, "commit bbbbbbbbbbb… was pushed without a pull request", r.Reason)
		assert.NotEqual(t, gate.Pass, ask(t, f, gate.Approvals).Verdict)
	}
}

func TestAClearNoIsNotHiddenByAnUnknown(t *testing.T) {
	f := promotion()
	f.Changes = append(f.Changes, gate.Change{Commit: earlierHead, Unknown: "timeout"}, gate.Change{Commit: head})
	r := ask(t, f, gate.Integrity)
	assert.Equal(t, gate.Fail, r.Verdict)
	f.Changes = f.Changes[:2]
	r = ask(t, f, gate.Integrity)
	assert.True(t, r.Unknown)
	assert.Equal(t, "where commit bbbbbbbbbbb… comes from could not be asked: timeout", r.Reason)
}

func TestOpenPullRequestsAreJudgedByWhatCanBeKnown(t *testing.T) {
	f := preview()
	assert.Equal(t, gate.Pass, ask(t, f, gate.Integrity).Verdict)
	f.Changes[0].Content = gate.Answer{Reason: "there is more than one merge base"}
	r := ask(t, f, gate.Integrity)
	assert.Equal(t, gate.Fail, r.Verdict)
	assert.Equal(t, "what #12 would merge could not be proven: there is more than one merge base", r.Reason)
	f.Changes[0].Content = gate.Answer{Unknown: "the git server is away"}
	assert.True(t, ask(t, f, gate.Integrity).Unknown)
	f = preview()
	f.Changes[0].PullRequest.Open = false
	assert.Equal(t, gate.Fail, ask(t, f, gate.Integrity).Verdict)
}

func TestAPolicyCannotMakeItsOwnPayloadTheFirstEnvironment(t *testing.T) {
	f := promotion()
	f.First = true
	f.Environment.Approvals.Standard = 0
	assert.Equal(t, gate.Pass, ask(t, f, gate.Integrity).Verdict)
	f.Changes[0].Owned = []string{"services/checkout/service.yaml", "sluice.yaml"}
	got := ask(t, f, gate.Integrity)
	assert.Equal(t, gate.Fail, got.Verdict)
	assert.True(t, got.Final)
	assert.Contains(t, got.Reason, "the policy itself changes together with a release")
}

func TestTheRulesMayComeWithTheFirstEnvironment(t *testing.T) {
	f := promotion()
	f.First, f.Changes[0].Owned = true, []string{"services/checkout/service.yaml"}
	assert.Equal(t, gate.Pass, ask(t, f, gate.Integrity).Verdict)
}

func TestAChangeOfTheRulesNeedsAnOwner(t *testing.T) {
	owners := []string{"acme/platform", "olga"}
	facts := func() gate.PolicyFacts {
		c := change()
		c.Owned = []string{"sluice.yaml"}
		c.Members["acme/platform"], c.Members["olga"] = members(bob), members(carol)
		return gate.PolicyFacts{Repository: environments, Branch: "main", Merged: true, Owners: owners, Change: c}
	}
	outcome := func(p gate.PolicyFacts) gate.Outcome { return gate.Summarize(gate.EvaluatePolicy(p, now)).Outcome }

	p := facts()
	assert.Equal(t, rejects, outcome(p), "alice may approve releases, not the rules")
	for _, owner := range []forge.User{bob, carol} {
		p.Change.Reviews = []forge.Review{review(201, owner, forge.Approved, -1)}
		assert.Equal(t, gate.OutcomeDeploy, outcome(p), owner.Login)
	}
	p.Change.Commits[1].Author = carol
	assert.Equal(t, rejects, outcome(p), "an owner does not approve their own change")

	p = facts()
	p.Owners = nil
	assert.Equal(t, gate.OutcomeDeploy, outcome(p), "without owners, write access decides")
	p.Change.PullRequest = nil
	assert.Equal(t, rejects, outcome(p))

	p = facts()
	p.Change.Unknown = "timeout"
	assert.Equal(t, waits, outcome(p))
	assert.Equal(t, gate.Owners, gate.EvaluatePolicy(p, now)[1].Gate)
}
