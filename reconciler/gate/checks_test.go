package gate_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/reconciler/gate"
)

// withRuns returns a promotion whose source check has these runs only.
func withRuns(runs ...forge.Check) gate.Facts {
	f := promotion()
	f.Checks["tests"].Subjects[0].Runs = runs
	return f
}

func TestOnlySuccessPasses(t *testing.T) {
	for _, conclusion := range []string{"failure", "neutral", "cancelled", "skipped", "timed_out", "action_required", "stale", "startup_failure", "SUCCESS", "successful"} {
		f := withRuns(run(1, "test", sourceCommit, conclusion))
		assert.Equal(t, gate.Concluded, ask(t, f, "tests").Cause, conclusion)
	}
	for _, status := range []string{"queued", "in_progress", "waiting", "requested", "pending", ""} {
		c := run(1, "test", sourceCommit, "success")
		c.Status = status
		assert.Equal(t, gate.Missing, ask(t, withRuns(c), "tests").Cause, status)
	}
	c := run(1, "test", sourceCommit, "success")
	c.Conclusion = ""
	r := ask(t, withRuns(c), "tests")
	assert.Equal(t, "check tests ended with no result, a repetition counts until 2026-11-23 12:30 UTC", r.Reason)
	assert.Contains(t, ask(t, withRuns(run(1, "test", sourceCommit, "timed_out")), "tests").Reason, "check tests ended with timed out")
}

func TestACheckByAnotherAppDoesNotCount(t *testing.T) {
	spoof := run(999, "test", sourceCommit, "success")
	spoof.AppID, spoof.App = 666, "evil"
	r := ask(t, withRuns(spoof), "tests")
	assert.Equal(t, gate.Missing, r.Cause)
	assert.Contains(t, texts(r), "a check of the same name by app evil (666) does not count")

	failed := run(1, "test", sourceCommit, "failure")
	assert.Equal(t, gate.Concluded, ask(t, withRuns(failed, spoof), "tests").Cause, "nor does it hide a failure")

	for _, slug := range []string{"GitHub-Actions", "github-actions ", "", "githubactions"} {
		spoof.App = slug
		assert.Equal(t, gate.Missing, ask(t, withRuns(spoof), "tests").Cause, slug)
	}
}

func TestAnAppMayBeNamedByItsID(t *testing.T) {
	f := promotion()
	f.Environment.Checks[0].App = "15368"
	assert.Equal(t, gate.Pass, ask(t, f, "tests").Verdict)

	spoof := run(999, "test", sourceCommit, "success")
	spoof.AppID, spoof.App = 666, "15368"
	f.Checks["tests"].Subjects[0].Runs = []forge.Check{spoof}
	assert.Equal(t, gate.Missing, ask(t, f, "tests").Cause, "an app that calls itself a number")

	f.Environment.Checks[0].App = ""
	assert.True(t, ask(t, f, "tests").Unknown)
}

func TestTheLatestRunCountsWhicheverItSays(t *testing.T) {
	flipped := withRuns(run(2, "test", sourceCommit, "failure"), run(1, "test", sourceCommit, "success"))
	assert.Equal(t, gate.Concluded, ask(t, flipped, "tests").Cause)
	repeated := withRuns(run(1, "test", sourceCommit, "failure"), run(2, "test", sourceCommit, "success"))
	assert.Equal(t, gate.Pass, ask(t, repeated, "tests").Verdict)
	repeating := withRuns(run(1, "test", sourceCommit, "success"), run(2, "test", sourceCommit, ""))
	assert.Equal(t, "check tests is running", ask(t, repeating, "tests").Reason)

	postdated := run(1, "test", sourceCommit, "success")
	postdated.StartedAt, postdated.CompletedAt = now.Add(time.Hour), now.Add(2*time.Hour)
	f := withRuns(postdated, run(2, "test", sourceCommit, "failure"))
	assert.Equal(t, gate.Concluded, ask(t, f, "tests").Cause, "an app chooses its times, not its ids")
}

func TestARunOfAnotherCommitOrNameDoesNotCount(t *testing.T) {
	f := withRuns(run(1, "test", mergeCommit, "success"), run(2, "tests", sourceCommit, "success"), run(3, "test", "", "success"))
	r := ask(t, f, "tests")
	assert.Equal(t, "check tests has not reported yet", r.Reason)
	assert.Equal(t, "github-actions, by reporting test on ddddddddddd… of acme/checkout", r.Unblocks)
}

func TestTheMergeIsCheckedOnItsCommitOrOnAnEqualHead(t *testing.T) {
	with := func(runs ...forge.Check) gate.Result {
		f := promotion()
		f.Checks["validate"].Subjects[0].Runs = runs
		return ask(t, f, "validate")
	}
	assert.Equal(t, gate.Pass, with(run(1, "validate", head, "success")).Verdict)
	assert.Equal(t, gate.Missing, with(run(1, "validate", head, "success"), run(2, "validate", mergeCommit, "")).Cause, "the merge speaks for itself")
	assert.Equal(t, gate.Concluded, with(run(1, "validate", head, "success"), run(2, "validate", mergeCommit, "failure")).Cause)
	assert.Equal(t, gate.Concluded, with(
		run(1, "validate", head, "success"), run(2, "validate", mergeCommit, "success"), run(3, "validate", mergeCommit, "failure"),
	).Cause)
	assert.Equal(t, gate.Pass, with(run(1, "validate", head, "failure"), run(2, "validate", mergeCommit, "success")).Verdict)
	assert.Equal(t, gate.Missing, with(run(1, "validate", earlierHead, "success")).Cause)
}

func TestEveryArtifactsSourceIsChecked(t *testing.T) {
	f := promotion()
	f.Artifacts = append(f.Artifacts, gate.Artifact{Image: image + "-worker", Digest: otherDigest, Repository: source, SourceCommit: head})
	r := ask(t, f, "tests")
	assert.True(t, r.Unknown, "the second source commit was not looked up")

	second := gate.Subject{
		Repository: source, Commits: []string{head}, Contained: gate.Answer{Yes: true},
		Runs: []forge.Check{run(5, "test", head, "")},
	}
	f.Checks["tests"] = gate.CheckFacts{Subjects: append(f.Checks["tests"].Subjects, second)}
	assert.Equal(t, "check tests is running", ask(t, f, "tests").Reason)
	f.Checks["tests"].Subjects[1].Runs[0] = run(5, "test", head, "success")
	assert.Equal(t, gate.Pass, ask(t, f, "tests").Verdict)

	f.Checks["tests"].Subjects[1].Repository = "mallory/checkout"
	assert.True(t, ask(t, f, "tests").Unknown, "the same commit id in a fork")
}

func TestASourceCommitOutsideItsProtectedBranchIsRefused(t *testing.T) {
	f := promotion()
	f.Checks["tests"].Subjects[0].Contained = gate.Answer{Reason: "main is not protected"}
	r := ask(t, f, "tests")
	assert.True(t, r.Final)
	assert.Equal(t, "check tests does not count: ddddddddddd… of acme/checkout is not in the protected default branch: main is not protected", r.Reason)
	f.Checks["tests"].Subjects[0].Contained = gate.Answer{Yes: true, Unknown: "timeout"}
	assert.True(t, ask(t, f, "tests").Unknown)
}

func TestACheckThatCouldNotBeReadIsUnknown(t *testing.T) {
	for _, facts := range []gate.CheckFacts{
		{},
		{Unknown: "403 until 12:30", Subjects: promotion().Checks["tests"].Subjects},
		{Subjects: []gate.Subject{{Repository: source}}},
	} {
		f := promotion()
		f.Checks["tests"] = facts
		assert.True(t, ask(t, f, "tests").Unknown)
	}
	f := promotion()
	f.Checks["validate"] = gate.CheckFacts{Subjects: []gate.Subject{{Repository: environments}}}
	assert.True(t, ask(t, f, "validate").Unknown)
}
