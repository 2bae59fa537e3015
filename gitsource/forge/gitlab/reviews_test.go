package gitlab_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/gitsource/forge/conformance"
)

func (w *world) proposed() (number int, head string) {
	head = w.Push(conformance.Alice, conformance.Commit{Branch: "one", Author: conformance.Alice, Message: "Change", Files: map[string]string{"one": "1"}})
	return w.Open(conformance.Alice, "Promote", "one", "main"), head
}

func (w *world) reviewed(number int) (states []forge.ReviewState, commits []string) {
	w.t.Helper()
	found, err := w.client.Reviews(w.t.Context(), number)
	require.NoError(w.t, err)
	for _, review := range found {
		states, commits = append(states, review.State), append(commits, review.Commit)
	}
	return states, commits
}

func TestAnApprovalThatOutlivesAPushIsForTheHeadOfItsTime(t *testing.T) {
	w := newWorld(t)
	number, head := w.proposed()
	w.Review(conformance.Bob, number, forge.Approved)
	next := w.Push(conformance.Alice, conformance.Commit{Branch: "one", Author: conformance.Alice, Message: "More", Files: map[string]string{"one": "2"}})
	states, commits := w.reviewed(number)
	assert.Equal(t, []forge.ReviewState{forge.Approved}, states, "the server lets it stand")
	assert.Equal(t, []string{head}, commits, "but not for %s", next)

	w.Review(conformance.Bob, number, forge.Approved)
	states, commits = w.reviewed(number)
	assert.Equal(t, []forge.ReviewState{forge.Dismissed, forge.Approved}, states)
	assert.Equal(t, []string{head, next}, commits)
}

func TestWhatFallsIntoTheMomentOfAPushIsForTheHeadBefore(t *testing.T) {
	w := newWorld(t)
	number, head := w.proposed()
	w.Push(conformance.Alice, conformance.Commit{Branch: "one", Author: conformance.Alice, Message: "More", Files: map[string]string{"one": "2"}})
	w.Review(conformance.Bob, number, forge.Approved)
	r := w.requests[0]
	r.notes[0]["created_at"] = r.versions[0]["created_at"]
	_, commits := w.reviewed(number)
	assert.Equal(t, []string{head}, commits)
	r.notes[0]["created_at"] = "2020-01-01T00:00:00.000Z"
	_, commits = w.reviewed(number)
	assert.Equal(t, []string{""}, commits, "of no head at all")
}

func TestAnApprovalCountsWhileTheServerListsIt(t *testing.T) {
	w := newWorld(t)
	number, _ := w.proposed()
	w.Review(conformance.Bob, number, forge.Approved)
	r := w.requests[0]
	kept := r.approvals
	r.approvals = nil
	states, _ := w.reviewed(number)
	assert.Equal(t, []forge.ReviewState{forge.Dismissed}, states, "taken back, or reset by a push")

	r.approvals = kept
	for name, change := range map[string]func(object){
		"no note":           func(n object) { n["body"] = "assigned to @bob" },
		"a person's words":  func(n object) { n["system"] = false },
		"brought by import": func(n object) { n["imported"] = true },
		"somebody else's":   func(n object) { n["author"] = w.user(conformance.Carol).basic() },
	} {
		before := r.notes[0]
		r.notes[0] = object{}
		for field, value := range before {
			r.notes[0][field] = value
		}
		change(r.notes[0])
		_, err := w.client.Reviews(t.Context(), number)
		var transient *forge.TransientError
		assert.ErrorAs(t, err, &transient, name)
		r.notes[0] = before
	}
}

func TestARequestForChangesStandsUntilTheServerForgetsIt(t *testing.T) {
	w := newWorld(t)
	number, _ := w.proposed()
	objected := w.Review(conformance.Bob, number, forge.ChangesRequested)
	states, _ := w.reviewed(number)
	assert.Equal(t, []forge.ReviewState{forge.ChangesRequested}, states)
	w.Dismiss(conformance.Alice, number, objected)
	states, _ = w.reviewed(number)
	assert.Equal(t, []forge.ReviewState{forge.Dismissed}, states)
}

func TestAReviewByAMachineIsMarked(t *testing.T) {
	w := newWorld(t)
	number, _ := w.proposed()
	w.Review("sluice", number, forge.Approved)
	found, err := w.client.Reviews(t.Context(), number)
	require.NoError(t, err)
	require.Len(t, found, 1)
	assert.Equal(t, "Bot", found[0].User.Kind)
}

func TestAJobOfTheBranchsOwnPipelineNamesNobody(t *testing.T) {
	w := newWorld(t)
	tip := w.Tip("main")
	w.Report(conformance.Bob, tip, "test", "success")
	w.Report(conformance.Bob, tip, "scan", "success")
	w.ciJobs = []int64{w.statuses[0].id}
	found, err := w.client.Checks(t.Context(), projectPath, tip)
	require.NoError(t, err)
	require.Len(t, found, 2)
	assert.Equal(t, []any{"test", "", int64(0)}, []any{found[0].Name, found[0].App, found[0].AppID})
	assert.Equal(t, []any{"scan", "bob", int64(13)}, []any{found[1].Name, found[1].App, found[1].AppID})
}

func TestAStatusWhoseTextAloneChangesIsLeftWhereGitLabRefuses(t *testing.T) {
	w := newWorld(t)
	tip := w.Tip("main")
	waiting := forge.Status{Context: "sluice/production", State: forge.StatusPending, Description: "Waiting for a check"}
	require.NoError(t, w.client.SetStatus(t.Context(), tip, waiting))
	waiting.Description = "Waiting for an approval"
	require.NoError(t, w.client.SetStatus(t.Context(), tip, waiting))
	assert.Equal(t, []forge.StatusState{forge.StatusPending}, w.Statuses(tip, waiting.Context))
	failed := forge.Status{Context: waiting.Context, State: forge.StatusError, Description: "Refused"}
	require.NoError(t, w.client.SetStatus(t.Context(), tip, failed))
	assert.Equal(t, []forge.StatusState{forge.StatusPending, "failed"}, w.Statuses(tip, waiting.Context))
}

func TestASquashThatIsMergedEndsWithTheMerge(t *testing.T) {
	w := newWorld(t)
	number, head := w.proposed()
	landed := w.Merge(conformance.Bob, number, "squash and merge")
	for _, commit := range []string{landed, w.Tip(landed + "^2"), head} {
		pr, err := w.client.MergedPullRequest(t.Context(), commit, "main")
		require.NoError(t, err)
		assert.Equal(t, number, pr.Number)
		assert.Equal(t, landed, pr.MergeCommit)
		assert.Equal(t, head, pr.Head.Commit)
	}
}

func TestAMergeRequestForWhatIsThereAlreadyAccountsForNothing(t *testing.T) {
	w := newWorld(t)
	number, head := w.proposed()
	w.Merge(conformance.Bob, number, conformance.Rebase)
	w.Reset(conformance.Bob, "two", head)
	w.Reset(conformance.Bob, "release", head+"^")
	second := w.Open(conformance.Bob, "Release", "two", "release")
	w.Merge(conformance.Bob, second, conformance.Rebase)
	for base, want := range map[string]int{"main": number, "release": second} {
		pr, err := w.client.MergedPullRequest(t.Context(), head, base)
		require.NoError(t, err)
		assert.Equal(t, want, pr.Number, base)
	}
}

func TestWhoIsNotActiveIsNoMember(t *testing.T) {
	w := newWorld(t)
	bob := w.Account(conformance.Bob)
	w.user(conformance.Bob).state = "blocked"
	member, err := w.client.TeamMember(t.Context(), conformance.Team, bob)
	require.NoError(t, err)
	assert.False(t, member)
	may, err := w.client.Permission(t.Context(), bob)
	require.NoError(t, err)
	assert.Equal(t, forge.NoPermission, may)
	may, err = w.client.Permission(t.Context(), forge.User{ID: 99, Login: "stranger"})
	require.NoError(t, err)
	assert.Equal(t, forge.NoPermission, may)
	may, err = w.client.Permission(t.Context(), w.Account("sluice"))
	require.NoError(t, err)
	assert.Equal(t, forge.AdminPermission, may)
}

func TestHomeAndAttestations(t *testing.T) {
	w := newWorld(t)
	assert.Equal(t, w.url+"/acme/shop", w.client.Home("acme/shop"))
	_, err := w.client.Attestations(t.Context(), "acme/shop", "sha256:00")
	assert.ErrorIs(t, err, forge.ErrNoRecord)
}

func TestProtectedBranchesAreListed(t *testing.T) {
	w := newWorld(t)
	w.Protect("main", 0)
	w.Reset(conformance.Bob, "feature/one", w.Tip("main"))
	found, err := w.client.ProtectedBranches(t.Context(), projectPath)
	require.NoError(t, err)
	assert.Equal(t, []forge.BranchState{{Repository: projectPath, Name: "main", Commit: w.Tip("main"), Protected: true}}, found)
}
