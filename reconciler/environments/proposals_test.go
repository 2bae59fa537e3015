package environments_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource/gittest"
	"github.com/sluice-cd/sluice/reconciler/environments"
	"github.com/sluice-cd/sluice/reconciler/gate"
)

func replace(text, old, now string) string { return strings.ReplaceAll(text, old, now) }

func (w *world) proposals() []environments.Proposal {
	w.t.Helper()
	found, err := w.envs.Proposals(w.t.Context(), w.rules())
	require.NoError(w.t, err)
	return found
}

// proposed is the only proposal's only candidate.
func (w *world) proposed() environments.Candidate {
	w.t.Helper()
	found := w.proposals()
	require.Len(w.t, found, 1)
	require.Empty(w.t, found[0].Problems)
	require.Len(w.t, found[0].Candidates, 1)
	return found[0].Candidates[0]
}

func TestOpenPullRequestIsACandidate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.propose("two", w.promotion("two"))
	c := w.proposed()
	assert.Equal(t, production, c.Key.String())
	assert.Equal(t, p.number, c.PullRequest.Number)
	assert.Equal(t, p.head, c.Want.Promotion.Commit)
	assert.Equal(t, "alice", c.Want.Promotion.Author)
	assert.NotEqual(t, w.record.Releases[production].Inputs, c.Want.Revision.Inputs)

	f := w.facts(c)
	assert.False(t, f.Merged)
	require.Len(t, f.Changes, 1)
	assert.Equal(t, gate.Answer{Yes: true}, f.Changes[0].Content)
	assert.Equal(t, []string{p.head}, f.Checks["validate"].Subjects[0].Commits)
	assert.Equal(t, gate.StatusPending, w.judge(f)[gate.Approvals].Status)

	p.approve("bob")
	w.check(w.repo, p.head, "validate", "success")
	for name, r := range w.judge(w.facts(w.proposed())) {
		assert.Equal(t, gate.StatusSuccess, r.Status, "%s: %s", name, r.Reason)
	}
	p.merge(gittest.MergeCommit)
	assert.Empty(t, w.proposals(), "it is merged")
	w.poll()
	assert.Equal(t, c.Want.Revision.Inputs, w.record.Releases[production].Inputs, "the merge asks for what was previewed")
}

func TestUnprovenChangeUnderneathIsPartOfThePreview(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.push("main", map[string]string{production + "/patch.yaml": "evil: true\n"})
	p := w.propose("two", w.promotion("two")).approve("bob")
	w.verdicts()
	w.wait(time.Minute)
	c := w.proposed()
	c.Changes = w.record.Releases[production].Changes
	f := w.facts(c)
	require.Len(t, f.Changes, 2)
	assert.Equal(t, p.head, f.Changes[1].Commit, "what comes last is the pull request")
	assert.Equal(t, []string{p.head}, f.Checks["validate"].Subjects[0].Commits)
	r := w.judge(f)[gate.Integrity]
	assert.Equal(t, gate.StatusFailure, r.Status)
	assert.Contains(t, r.Reason, "pushed without a pull request")
}

func TestPreviewForeseesAMergeThatCouldNotBeProven(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.propose("two", w.promotion("two")).approve("bob")
	w.push("main", w.promotion("three"))
	w.poll()
	r := w.judge(w.facts(w.proposed()))[gate.Integrity]
	assert.Equal(t, gate.StatusFailure, r.Status)
	assert.Contains(t, r.Reason, "also changed on the base branch")
}

func TestPreviewOfSeveralMergeBasesSaysSo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	git, who := w.repo.Git(), "alice <alice@example.com>"
	p := w.propose("two", w.promotion("two"))
	main := w.push("main", map[string]string{"docs/note.md": "main\n"})
	w.must(git.Merge("main", p.head, gittest.MergeCommit, "one way", who))
	w.must(git.Merge("two", main, gittest.MergeCommit, "other way", who))
	w.push("two", map[string]string{production + "/kustomization.yaml": overlay(9)})
	w.poll()
	r := w.judge(w.facts(w.proposed()))[gate.Integrity]
	assert.Equal(t, gate.StatusFailure, r.Status)
	assert.Contains(t, r.Reason, "2 merge bases")
}

func TestBaseMayBeNewerThanTheBranchOfThePullRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.repo.Branch("alice", "two", "main"))
	base := w.push("main", map[string]string{"services/checkout/base/extra/readme.md": "new\n"})
	w.push("two", map[string]string{unproven: file{digest: "two", source: w.built, base: base}.String()})
	_, err := w.repo.OpenPR("alice", "two", "two", "main")
	require.NoError(t, err)
	w.poll()
	assert.Equal(t, base, w.proposed().Want.Revision.Base)

	own := w.push("two", map[string]string{"services/checkout/base/deployment.yaml": "evil: true\n"})
	w.push("two", map[string]string{unproven: file{digest: "two", source: w.built, base: own}.String()})
	found := w.proposals()
	require.Len(t, found, 1)
	assert.Contains(t, found[0].Problems[production], "not a commit of branch main")
}

func TestProposalListsEveryReleaseThatItChanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.propose("all", map[string]string{
		unproven:                        w.file("two").String(),
		"staging/checkout/release.yaml": w.file("two").String(),
		"dev/checkout/release.yaml":     file{digest: "two", source: w.built}.String(),
		"production/cart/release.yaml":  "nonsense: true\n",
		"production/\x1b/release.yaml":  "odd\n",
	})
	w.propose("docs", map[string]string{"docs/note.md": "n\n"})
	w.propose("lift", map[string]string{control: controlHead + "# tidy\n"})
	retire := w.propose("retire", map[string]string{unproven: w.file("one").String() + "state: retired\n"})
	require.NoError(t, w.repo.Close(w.propose("closed", w.promotion("five")).number))

	found := w.proposals()
	require.Len(t, found, 4)
	var names []string
	for _, c := range found[0].Candidates {
		names = append(names, c.Key.String())
	}
	assert.Equal(t, p.number, found[0].PullRequest.Number)
	assert.Equal(t, []string{production, "staging/checkout"}, names, "the first environment takes what is merged")
	require.Len(t, found[0].Problems, 1)
	assert.Contains(t, found[0].Problems["production/cart"], "production/cart/release.yaml:1:1")
	assert.Empty(t, found[1].Candidates)
	assert.Empty(t, found[2].Candidates, "nothing that runs would change")
	assert.Equal(t, retire.number, found[3].PullRequest.Number)
	require.Len(t, found[3].Candidates, 1)
	assert.True(t, found[3].Candidates[0].Retired)
}

func TestPullRequestThatCannotBeReadHidesNoOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	lost := w.propose("lost", w.promotion("lost"))
	require.NoError(t, w.repo.Branch("alice", "two", "main"))
	w.push("two", w.promotion("two"))
	_, err := w.repo.OpenPR("alice", "two", "two", "main")
	require.NoError(t, err)
	w.repo.Git().Inject(gittest.Fault{On: gittest.Pack, Times: 1, Status: 500})

	found, err := w.envs.Proposals(t.Context(), w.rules())
	require.ErrorContains(t, err, "read #1")
	require.Len(t, found, 1)
	assert.NotEqual(t, lost.number, found[0].PullRequest.Number)
	assert.Len(t, w.proposals(), 2, "it is tried again")

	w.away("GET /repos/{owner}/{repo}/pulls")
	_, err = w.envs.Proposals(t.Context(), w.rules())
	assert.Error(t, err, "no answer is not an empty list")
}

func TestPreviewCostsNoGitRequestOnceItsHeadIsKnown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.propose("two", w.promotion("two"))
	w.proposals()
	w.repo.Git().ResetRequests()
	w.exchanges()
	w.facts(w.proposed())
	assert.Empty(t, w.repo.Git().Requests())
	assert.LessOrEqual(t, len(w.exchanges()), 13)
}

func TestDraftIsPreviewedToo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.repo.Branch("alice", "two", "main"))
	w.push("two", w.promotion("two"))
	body := `{"title": "Promote", "head": "two", "base": "main", "draft": true}`
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.forge.APIURL()+"/repos/"+repoName+"/pulls", strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusCreated, resp.StatusCode)
	assert.True(t, w.proposed().PullRequest.Draft)
}
