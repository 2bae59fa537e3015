package github_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/gitsource/forge/forgetest"
)

const (
	createRoute  = "POST /repos/{owner}/{repo}/check-runs"
	updateRoute  = "PATCH /repos/{owner}/{repo}/check-runs/{id}"
	commentRoute = "POST /repos/{owner}/{repo}/issues/{number}/comments"
	editRoute    = "PATCH /repos/{owner}/{repo}/issues/comments/{id}"
)

func reported(state forge.StatusState, title string) forge.Report {
	return forge.Report{
		Status:  forge.Status{Context: "sluice/production", State: state, Description: title, URL: "https://github.example/pull/1"},
		Summary: "| gate | verdict |\n|---|---|\n| approvals | wait |\n",
	}
}

// runs are the newest ones of an App on a commit.
func (w *world) runs(t *testing.T, app string) []forge.Check {
	t.Helper()
	all, err := w.client.Checks(t.Context(), repoName, w.main)
	require.NoError(t, err)
	var out []forge.Check
	for _, run := range forge.LatestChecks(all) {
		if run.App == app {
			out = append(out, run)
		}
	}
	return out
}

func TestAnAppReportsAsACheckRunThatIsKeptUpToDate(t *testing.T) {
	w, key := appWorld(t)
	requests := func(route string) int { return w.forge.Requests()[route] }
	require.NoError(t, w.client.Report(t.Context(), w.main, reported(forge.StatusPending, "Waiting: 1 of 2 approvals")))
	require.NoError(t, w.client.Report(t.Context(), w.main, reported(forge.StatusPending, "Waiting: 1 of 2 approvals")))
	assert.Equal(t, 1, requests(createRoute))
	run := w.runs(t, "sluice-app")[0]
	assert.Equal(t, "in_progress", run.Status)
	assert.Empty(t, run.Conclusion)

	require.NoError(t, w.client.Report(t.Context(), w.main, reported(forge.StatusSuccess, "Ready")))
	assert.Equal(t, 1, requests(createRoute))
	assert.Equal(t, 1, requests(updateRoute), "a running one is completed")
	assert.Equal(t, "success", w.runs(t, "sluice-app")[0].Conclusion)

	require.NoError(t, newClient(t, w, asApp(t, key)).Report(t.Context(), w.main, reported(forge.StatusSuccess, "Ready")))
	assert.Equal(t, 1, requests(updateRoute), "a restart finds that it says so already")

	require.NoError(t, w.client.Report(t.Context(), w.main, reported(forge.StatusFailure, "Refused: it is on hold")))
	assert.Equal(t, "failure", w.runs(t, "sluice-app")[0].Conclusion)
	require.NoError(t, w.client.Report(t.Context(), w.main, reported(forge.StatusPending, "Waiting: 1 of 2 approvals")))
	assert.Equal(t, 2, requests(createRoute), "a completed one is replaced by a newer one")
	assert.Equal(t, "in_progress", w.runs(t, "sluice-app")[0].Status)

	neutral := forge.Report{Status: forge.Status{Context: "sluice/production", State: forge.StatusSuccess, Description: "nothing governed changes"}, Neutral: true}
	require.NoError(t, w.client.Report(t.Context(), w.main, neutral))
	assert.Equal(t, "neutral", w.runs(t, "sluice-app")[0].Conclusion)
	assert.Empty(t, w.repo.Statuses(w.main))
}

func TestACheckRunOfAnotherAppIsLeftAlone(t *testing.T) {
	w, _ := appWorld(t)
	_, err := w.repo.Check("evil-ci", w.main, "sluice/production", "success")
	require.NoError(t, err)
	require.NoError(t, w.client.Report(t.Context(), w.main, reported(forge.StatusFailure, "Refused")))
	require.Len(t, w.runs(t, "sluice-app"), 1)
	assert.Equal(t, "success", w.runs(t, "evil-ci")[0].Conclusion)
	assert.Equal(t, "failure", w.runs(t, "sluice-app")[0].Conclusion)
}

func TestATokenReportsAsAStatus(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.client.Report(t.Context(), w.main, reported(forge.StatusPending, "Waiting")))
	require.Len(t, w.repo.Statuses(w.main), 1)
	assert.Equal(t, forge.StatusPending, w.repo.Statuses(w.main)[0].State)
	assert.Zero(t, w.forge.Requests()[createRoute])
}

func TestAReportWithoutAnAnswerIsNotMadeTwice(t *testing.T) {
	for name, fault := range map[string]forgetest.Fault{
		"no answer": {Drop: true}, "cut off": {Truncate: true}, "half": {Half: true}, "never arrived": {Status: 502},
		"forbidden": {Status: 403}, "limited": {Status: 403, Header: map[string]string{"Retry-After": "0"}}, "too many": {Status: 429, Header: map[string]string{"Retry-After": "0"}},
	} {
		t.Run(name, func(t *testing.T) {
			w, _ := appWorld(t)
			number, _ := w.propose(t, "one", map[string]string{"a": "2"})
			for _, route := range []string{createRoute, commentRoute} {
				fault.On, fault.Times = route, 1
				w.forge.Inject(fault)
			}
			report, said := reported(forge.StatusPending, "Waiting"), remark("hello")
			require.Error(t, w.client.Report(t.Context(), w.main, report))
			require.Error(t, w.client.Comment(t.Context(), number, said))
			require.NoError(t, w.client.Report(t.Context(), w.main, report))
			require.NoError(t, w.client.Comment(t.Context(), number, said))
			all, err := w.client.Checks(t.Context(), repoName, w.main)
			require.NoError(t, err)
			assert.Len(t, all, 1)
			assert.Len(t, w.repo.Comments(number), 1)
		})
	}
}

const marker = "<!-- sluice:report -->"

func remark(text string) forge.Comment {
	return forge.Comment{Marker: marker, Body: marker + "\n" + text}
}

func TestOneCommentIsEditedInPlace(t *testing.T) {
	w := newWorld(t)
	number, _ := w.propose(t, "one", map[string]string{"a": "2"})
	silent := remark("nothing")
	silent.Keep = true
	require.NoError(t, w.client.Comment(t.Context(), number, silent))
	assert.Empty(t, w.repo.Comments(number), "there is nothing to correct")

	require.NoError(t, w.client.Comment(t.Context(), number, remark("one")))
	require.NoError(t, newClient(t, w, nil).Comment(t.Context(), number, remark("one")))
	assert.Zero(t, w.forge.Requests()[editRoute], "a restart finds that it says so already")
	require.NoError(t, w.client.Comment(t.Context(), number, remark("two")))
	require.NoError(t, w.client.Comment(t.Context(), number, silent))

	written := w.repo.Comments(number)
	require.Len(t, written, 1)
	assert.Equal(t, "sluice", written[0].Author)
	assert.Equal(t, silent.Body, written[0].Body)
	assert.Equal(t, 1, w.forge.Requests()[commentRoute])
	assert.Equal(t, 2, w.forge.Requests()[editRoute])
}

func TestSomebodyElsesCommentWithTheMarkerIsNeverTouched(t *testing.T) {
	for name, make := range map[string]func(*testing.T) (*world, string){
		"a token": func(t *testing.T) (*world, string) { return newWorld(t), "sluice" },
		"an App": func(t *testing.T) (*world, string) {
			w, _ := appWorld(t)
			return w, "sluice-app[bot]"
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, self := make(t)
			number, _ := w.propose(t, "one", map[string]string{"a": "2"})
			for _, as := range []string{"mallory", "evil-ci[bot]"} {
				_, err := w.repo.Remark(as, number, remark("forged").Body)
				require.NoError(t, err)
			}
			require.NoError(t, w.client.Comment(t.Context(), number, remark("ours")))
			require.NoError(t, w.client.Comment(t.Context(), number, remark("ours, newer")))
			written := w.repo.Comments(number)
			require.Len(t, written, 3)
			assert.Equal(t, remark("forged").Body, written[0].Body)
			assert.Equal(t, remark("forged").Body, written[1].Body)
			assert.Equal(t, self, written[2].Author)
			assert.Equal(t, remark("ours, newer").Body, written[2].Body)
		})
	}
}

func TestTheCommentIsFoundAmongHundreds(t *testing.T) {
	w := newWorld(t)
	number, _ := w.propose(t, "one", map[string]string{"a": "2"})
	for range 120 {
		_, err := w.repo.Remark("bob", number, "me too")
		require.NoError(t, err)
	}
	require.NoError(t, w.client.Comment(t.Context(), number, remark("one")))
	require.NoError(t, w.client.Comment(t.Context(), number, remark("two")))
	assert.Len(t, w.repo.Comments(number), 121)

	w.forge.Inject(forgetest.Fault{On: "GET /repos/{owner}/{repo}/issues/{number}/comments", CutPages: true, Times: 2})
	require.NoError(t, w.client.Comment(t.Context(), number, remark("three")), "a page that is full is followed by another")
	assert.Len(t, w.repo.Comments(number), 121)
}

func TestACommentThatCannotBeWrittenSaysWhy(t *testing.T) {
	w := newWorld(t)
	number, _ := w.propose(t, "one", map[string]string{"a": "2"})
	var rejected *forge.RejectedError
	require.ErrorAs(t, w.client.Comment(t.Context(), number, remark(strings.Repeat("x", 70_000))), &rejected)
	assert.ErrorContains(t, rejected, "too long")
	assert.ErrorAs(t, w.client.Comment(t.Context(), number, forge.Comment{Marker: marker, Body: "without"}), &rejected)
	assert.ErrorAs(t, w.client.Comment(t.Context(), 99, remark("x")), &rejected)
	assert.Empty(t, w.repo.Comments(number))
}

func TestUpdatedAtMovesWithWhatPeopleDoAndNotWithChecks(t *testing.T) {
	w := newWorld(t)
	number, head := w.propose(t, "one", map[string]string{"a": "2"})
	first, err := w.client.PullRequest(t.Context(), number)
	require.NoError(t, err)
	assert.False(t, first.UpdatedAt.IsZero())
	_, err = w.repo.Check("github-actions", head, "test", "success")
	require.NoError(t, err)
	again, err := w.client.PullRequest(t.Context(), number)
	require.NoError(t, err)
	assert.Equal(t, first.UpdatedAt, again.UpdatedAt)
}
