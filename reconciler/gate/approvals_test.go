package gate_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/reconciler/gate"
	"github.com/sluice-cd/sluice/schemas"
)

func TestAnApprovalByAnybodyWithAHandInTheChangeDoesNotCount(t *testing.T) {
	for user, why := range map[forge.User]string{
		author:  "opened the pull request",
		coder:   "wrote commit bbbbbbbbbbb…",
		webFlow: "committed bbbbbbbbbbb…",
		helper:  "co-wrote commit bbbbbbbbbbb…",
		pusher:  "pushed the last change",
	} {
		f := promotion()
		f.Changes[0].Reviews = []forge.Review{review(201, user, forge.Approved, -time.Minute)}
		r := ask(t, f, gate.Approvals)
		assert.Equal(t, gate.Fail, r.Verdict, user.Login)
		assert.Equal(t, "0 of 1 approval", r.Reason)
		assert.Contains(t, texts(r), user.Login+" approved, but does not count: "+why)
	}
}

func TestAnApprovalCountsOnlyFromAPersonWhoMayDecide(t *testing.T) {
	cases := map[string]struct {
		user forge.User
		why  string
	}{
		"bot":              {robot, "only people can approve"},
		"organization":     {forge.User{ID: 12, Login: "bob", Kind: "Organization"}, "only people can approve"},
		"account unsaid":   {forge.User{ID: 12, Login: "bob"}, "only people can approve"},
		"deleted account":  {forge.User{Login: "ghost", Kind: "User"}, "cannot say whose account"},
		"not in the team":  {writer, "is in no team whose approval counts"},
		"no rights at all": {visitor, "is in no team whose approval counts"},
	}
	for name, c := range cases {
		f := promotion()
		f.Changes[0].Reviews = []forge.Review{review(201, c.user, forge.Approved, -time.Minute)}
		r := ask(t, f, gate.Approvals)
		assert.Equal(t, gate.Fail, r.Verdict, name)
		assert.Contains(t, texts(r), c.why, name)
	}
}

func TestWithoutTeamsWriteAccessDecides(t *testing.T) {
	f := promotion()
	f.Environment.Approvals.Teams = nil
	f.Changes[0].Members = nil
	f.Changes[0].Reviews = []forge.Review{review(201, writer, forge.Approved, -time.Minute)}
	assert.Equal(t, gate.Pass, ask(t, f, gate.Approvals).Verdict)
	f.Changes[0].Reviews = []forge.Review{review(201, visitor, forge.Approved, -time.Minute)}
	r := ask(t, f, gate.Approvals)
	assert.Equal(t, gate.Fail, r.Verdict)
	assert.Contains(t, texts(r), "visitor approved, but does not count: may not write to the repository")
	f.Changes[0].Writers = nil
	assert.True(t, ask(t, f, gate.Approvals).Unknown)
}

func TestAStaleApprovalDoesNotCount(t *testing.T) {
	f := promotion()
	f.Changes[0].Reviews[0].Commit = earlierHead
	r := ask(t, f, gate.Approvals)
	assert.Equal(t, gate.Fail, r.Verdict)
	assert.Contains(t, texts(r), "alice approved, but does not count: the approval is for bbbbbbbbbbb…, and the content has changed since")

	f.Changes[0].EqualHeads = []string{earlierHead}
	assert.Equal(t, gate.Pass, ask(t, f, gate.Approvals).Verdict, "after a rebase with the same content")

	f.Changes[0].Reviews[0].Commit = ""
	f.Changes[0].EqualHeads = []string{""}
	assert.Equal(t, gate.Fail, ask(t, f, gate.Approvals).Verdict, "an approval of nothing")
}

func TestWhatIsSaidAfterTheMergeChangesNothing(t *testing.T) {
	f := promotion()
	f.Changes[0].Reviews = []forge.Review{review(201, alice, forge.Approved, time.Second)}
	r := ask(t, f, gate.Approvals)
	assert.Equal(t, gate.Fail, r.Verdict)
	assert.Contains(t, texts(r), "the approval came after the merge")

	f.Changes[0].Reviews = []forge.Review{review(201, alice, forge.Approved, 0)}
	assert.Equal(t, gate.Pass, ask(t, f, gate.Approvals).Verdict, "a merge that the approval itself set off")

	f.Changes[0].Reviews = append(f.Changes[0].Reviews,
		review(202, bob, forge.ChangesRequested, time.Minute), review(203, alice, forge.ChangesRequested, time.Minute))
	assert.Equal(t, gate.Pass, ask(t, f, gate.Approvals).Verdict, "judged as of the merge")

	f.Changes[0].Reviews = []forge.Review{
		review(201, alice, forge.Approved, -time.Minute),
		review(202, bob, forge.ChangesRequested, -time.Minute),
		review(203, bob, forge.Approved, time.Minute),
	}
	assert.Equal(t, gate.Fail, ask(t, f, gate.Approvals).Verdict, "bob gave way too late")
}

func TestAnApprovalWithoutADateIsNone(t *testing.T) {
	f := promotion()
	f.Changes[0].Reviews[0].SubmittedAt = time.Time{}
	assert.Equal(t, gate.Fail, ask(t, f, gate.Approvals).Verdict)
}

func TestTheLastWordOfAUserIsInForce(t *testing.T) {
	approve, object, comment, dismissed := forge.Approved, forge.ChangesRequested, forge.Commented, forge.Dismissed
	cases := map[string]struct {
		said []forge.ReviewState
		want gate.Verdict
	}{
		"approved":                              {[]forge.ReviewState{approve}, gate.Pass},
		"approved, commented":                   {[]forge.ReviewState{approve, comment}, gate.Pass},
		"approved, pending":                     {[]forge.ReviewState{approve, forge.Pending}, gate.Pass},
		"commented":                             {[]forge.ReviewState{comment}, gate.Fail},
		"dismissed":                             {[]forge.ReviewState{dismissed}, gate.Fail},
		"approved, dismissed":                   {[]forge.ReviewState{approve, dismissed}, gate.Fail},
		"dismissed, approved again":             {[]forge.ReviewState{dismissed, approve}, gate.Pass},
		"objected, approved":                    {[]forge.ReviewState{object, approve}, gate.Pass},
		"approved, objected":                    {[]forge.ReviewState{approve, object}, gate.Fail},
		"approved, objected, commented":         {[]forge.ReviewState{approve, object, comment}, gate.Fail},
		"objected, approval dismissed":          {[]forge.ReviewState{object, dismissed}, gate.Fail},
		"a state that this version cannot know": {[]forge.ReviewState{"superapproved"}, gate.Fail},
	}
	for name, c := range cases {
		f := promotion()
		f.Changes[0].Reviews = nil
		for i, state := range c.said {
			// The forge lists them in any order.
			r := review(int64(300+i), alice, state, time.Duration(i-100)*time.Second)
			f.Changes[0].Reviews = append([]forge.Review{r}, f.Changes[0].Reviews...)
		}
		assert.Equal(t, c.want, ask(t, f, gate.Approvals).Verdict, name)
	}
}

func TestTwoReviewsInTheSameSecondAreOrderedByTheirID(t *testing.T) {
	f := promotion()
	f.Changes[0].Reviews = []forge.Review{
		review(302, alice, forge.ChangesRequested, -time.Minute),
		review(301, alice, forge.Approved, -time.Minute),
	}
	assert.Equal(t, gate.Fail, ask(t, f, gate.Approvals).Verdict)
}

func TestAStandingRequestForChangesBlocksWhateverTheCount(t *testing.T) {
	for _, user := range []forge.User{bob, writer, author, coder, robot} {
		f := promotion()
		f.Changes[0].Reviews = append(f.Changes[0].Reviews, review(300, user, forge.ChangesRequested, -time.Hour))
		f.Changes[0].Reviews[1].Commit = earlierHead
		r := ask(t, f, gate.Approvals)
		assert.Equal(t, gate.Fail, r.Verdict, user.Login)
		assert.Contains(t, r.Reason, "1 of 1 approval; ")
		assert.Contains(t, texts(r), "requested changes, which stands in the way")
	}
	f := promotion()
	f.Changes[0].Reviews = append(f.Changes[0].Reviews, review(300, visitor, forge.ChangesRequested, -time.Hour))
	r := ask(t, f, gate.Approvals)
	assert.Equal(t, gate.Pass, r.Verdict, "a stranger cannot stop a release")
	assert.Contains(t, texts(r), "visitor requested changes, but does not count: may not write to the repository")
}

func TestTheNumberFollowsTheClass(t *testing.T) {
	for class, need := range map[string]int{
		schemas.ChangeStandard: 1, schemas.ChangeBreaking: 2, schemas.ChangeSecurity: 2, schemas.ChangeHotfix: 2,
		"": 2, "harmless": 2,
	} {
		f := preview()
		f.Class, f.Incident = class, "INC-1"
		r := ask(t, f, gate.Approvals)
		assert.Equal(t, need == 1, r.Verdict == gate.Pass, class)
		if need == 2 {
			assert.Equal(t, "1 of 2 approvals", r.Reason)
			assert.Equal(t, "a member of acme/releasers who had no hand in the change, by approving it", r.Unblocks)
		}
		f.Changes[0].Reviews = append(f.Changes[0].Reviews, review(300, bob, forge.Approved, -time.Hour))
		assert.Equal(t, gate.Pass, ask(t, f, gate.Approvals).Verdict, class)
	}
}

func TestOnePersonIsOneApproval(t *testing.T) {
	f := preview()
	f.Class = schemas.ChangeBreaking
	renamed := alice
	renamed.Login = "alice-the-second"
	f.Changes[0].Reviews = append(f.Changes[0].Reviews,
		review(300, alice, forge.Approved, -time.Minute), review(301, renamed, forge.Approved, -time.Second))
	assert.Equal(t, "1 of 2 approvals", ask(t, f, gate.Approvals).Reason)
}

func TestARenamedAuthorIsStillTheAuthor(t *testing.T) {
	f := promotion()
	renamed := forge.User{ID: author.ID, Login: "somebody-new", Kind: "User"}
	f.Changes[0].Reviews = []forge.Review{review(201, renamed, forge.Approved, -time.Minute)}
	assert.Equal(t, gate.Fail, ask(t, f, gate.Approvals).Verdict)

	namesake := forge.User{ID: bob.ID, Login: author.Login, Kind: "User"}
	f.Changes[0].Reviews = []forge.Review{review(201, namesake, forge.Approved, -time.Minute)}
	assert.Equal(t, gate.Pass, ask(t, f, gate.Approvals).Verdict, "a login is no identity")
}

func TestAnUnlinkedIdentityIsNamedAndNeverApproves(t *testing.T) {
	f := promotion()
	f.Changes[0].Commits[0].CoAuthors = []forge.User{{Login: "", Kind: "User"}}
	r := ask(t, f, gate.Approvals)
	assert.Equal(t, gate.Pass, r.Verdict)
	assert.Contains(t, texts(r), "commit bbbbbbbbbbb… names somebody by an e-mail address that belongs to no account")
	f.Changes[0].Reviews = []forge.Review{review(201, forge.User{Kind: "User"}, forge.Approved, -time.Minute)}
	assert.Equal(t, gate.Fail, ask(t, f, gate.Approvals).Verdict)
}

func TestAForgeWithoutARecordOfPushesIsNamed(t *testing.T) {
	f := promotion()
	f.Changes[0].Pushers, f.Changes[0].PushRecord, f.Changes[0].BaseRecord = nil, gate.NoRecord, gate.NoRecord
	r := ask(t, f, gate.Approvals)
	assert.Equal(t, gate.Pass, r.Verdict)
	assert.Contains(t, texts(r), "who pushed last to #12 could not be checked: the forge keeps no record of it")
	assert.Contains(t, texts(r), "whether #12 had another base branch when it was reviewed could not be checked")
}

func TestAPusherWhoCannotBeFoundOutMayBeAnyOneOfTheApprovers(t *testing.T) {
	for _, f := range []gate.Facts{promotion(), preview()} {
		c := &f.Changes[0]
		c.Pushers, c.PushRecord = nil, gate.RecordSilent
		r := ask(t, f, gate.Approvals)
		assert.NotEqual(t, gate.Pass, r.Verdict)
		assert.Equal(t, gate.Short, r.Cause, "the answer never comes, so nothing waits for it")
		assert.Equal(t, "1 of 2 approvals, one of them because nobody can tell who pushed last", r.Reason)
		assert.Contains(t, r.Unblocks, "a member of acme/releasers")
		assert.Contains(t, r.Unblocks, "push the branch to the repository itself")
		assert.Contains(t, texts(r), "who pushed last to #12 cannot be found out")

		c.Reviews = append(c.Reviews, review(300, bob, forge.Approved, -time.Hour))
		assert.Equal(t, gate.Pass, ask(t, f, gate.Approvals).Verdict, "at most one of two people pushed last")

		f.Class, f.Incident = schemas.ChangeHotfix, "INC-1"
		assert.Equal(t, "2 of 3 approvals, one of them because nobody can tell who pushed last", ask(t, f, gate.Approvals).Reason)
		f.Environment.Approvals = schemas.Approvals{}
		assert.Equal(t, gate.Pass, ask(t, f, gate.Approvals).Verdict, "where nobody has to approve, nobody can approve their own")
	}
}

func TestAnApprovalOfTheDifferenceToAnotherBaseDoesNotCount(t *testing.T) {
	f := promotion()
	c := &f.Changes[0]
	approved := c.Reviews[0].SubmittedAt
	for at, want := range map[time.Duration]gate.Verdict{-time.Second: gate.Pass, 0: gate.Fail, time.Second: gate.Fail} {
		c.BaseChanges = []time.Time{approved.Add(-time.Hour), approved.Add(at), approved.Add(-2 * time.Hour)}
		assert.Equal(t, want, ask(t, f, gate.Approvals).Verdict, at)
	}
	c.BaseChanges = []time.Time{approved}
	assert.Contains(t, texts(ask(t, f, gate.Approvals)), "alice approved, but does not count: its base was changed since")

	c.Reviews = append(c.Reviews, review(300, bob, forge.ChangesRequested, -time.Hour), review(301, carol, forge.Approved, -time.Minute))
	r := ask(t, f, gate.Approvals)
	assert.Equal(t, gate.Fail, r.Verdict)
	assert.Contains(t, r.Reason, "bob requested changes", "an objection outlives the base")
}

func TestGapsInTheFactsAreUnknown(t *testing.T) {
	for name, edit := range map[string]func(*gate.Change){
		"no head":          func(c *gate.Change) { c.PullRequest.Head.Commit = "" },
		"no merge time":    func(c *gate.Change) { c.PullRequest.MergedAt = time.Time{} },
		"no commits":       func(c *gate.Change) { c.Commits = nil },
		"commits cut off":  func(c *gate.Change) { c.Commits = c.Commits[:1] },
		"base not told":    func(c *gate.Change) { c.BaseRecord = gate.RecordSilent },
		"team not read":    func(c *gate.Change) { c.Members = nil },
		"reviews not read": func(c *gate.Change) { c.Unknown = "502 Bad Gateway" },
		"objector unclear": func(c *gate.Change) {
			c.Writers = nil
			c.Reviews = append(c.Reviews, review(300, writer, forge.ChangesRequested, -time.Minute))
		},
	} {
		for _, f := range []gate.Facts{promotion(), preview()} {
			if name == "no merge time" && !f.Merged {
				continue
			}
			edit(&f.Changes[0])
			r := ask(t, f, gate.Approvals)
			assert.True(t, r.Unknown, "%s: %s", name, r.Reason)
			assert.Equal(t, gate.Wait, r.Verdict, name)
		}
	}
}

func TestAnUnreadTeamDoesNotHideAClearAnswer(t *testing.T) {
	f := promotion()
	f.Environment.Approvals.Teams = []string{releasers, "acme/unread"}
	assert.Equal(t, gate.Pass, ask(t, f, gate.Approvals).Verdict, "alice is in the team that was read")
	f.Class = schemas.ChangeBreaking
	r := ask(t, f, gate.Approvals)
	assert.False(t, r.Unknown, "nobody else approved, so no team could help")
	assert.Equal(t, gate.Fail, r.Verdict)
	f.Changes[0].Reviews = append(f.Changes[0].Reviews, review(300, writer, forge.Approved, -time.Minute))
	r = ask(t, f, gate.Approvals)
	assert.True(t, r.Unknown)
	assert.Equal(t, "1 of 2 approvals; whether the word of writer counts could not be asked", r.Reason)
}

func TestEachOfSeveralChangesNeedsItsApprovals(t *testing.T) {
	f := promotion()
	second := change()
	second.PullRequest.Number, second.Reviews = 13, nil
	f.Changes = append(f.Changes, second)
	r := ask(t, f, gate.Approvals)
	assert.Equal(t, gate.Fail, r.Verdict)
	assert.Equal(t, "#13 has 0 of 1 approval", r.Reason)
	assert.Contains(t, texts(r), "alice approved and counts", "the evidence of the others is kept")
}

func TestTooEarlyAMergeIsNotApprovedAfterwards(t *testing.T) {
	f := promotion()
	f.Class, f.Changes[0].Reviews = schemas.ChangeBreaking, nil
	r := ask(t, f, gate.Approvals)
	assert.Equal(t, "2 people, each a member of acme/releasers, in a new pull request: what was merged too early is not approved afterwards", r.Unblocks)
}

func TestReviewersAreExplainedOneByOne(t *testing.T) {
	c := change()
	c.Reviews = append(c.Reviews,
		review(300, author, forge.Approved, -9*time.Minute),
		review(301, bob, forge.ChangesRequested, -8*time.Minute),
		review(302, carol, forge.Dismissed, -7*time.Minute),
		review(303, visitor, forge.Commented, -6*time.Minute),
	)
	f := promotion()
	f.Changes[0] = c
	said := texts(ask(t, f, gate.Approvals))
	assert.Contains(t, said, "alice approved and counts\nauthor approved, but does not count: opened the pull request\n"+
		"bob requested changes, which stands in the way\nthe review by carol was dismissed\n")
	assert.NotContains(t, said, "visitor")
}

func TestWhoeverApprovedAnyOfTheChangesIsNamedOnce(t *testing.T) {
	f := promotion()
	second := change()
	second.Reviews = []forge.Review{
		review(300, bob, forge.Approved, -time.Hour), review(301, alice, forge.Approved, -time.Minute),
		review(302, author, forge.Approved, -time.Minute),
	}
	f.Changes = append(f.Changes, gate.Change{Commit: earlierHead, Reviews: second.Reviews}, second)
	assert.Equal(t, []forge.User{alice, bob}, gate.ApprovedBy(f))
}
