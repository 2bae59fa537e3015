package environments_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource/gittest"
	"github.com/sluice-cd/sluice/reconciler/gate"
)

func TestSourceChecksAreAskedWhereTheArtifactComesFrom(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.propose("two", w.promotion("two")).approve("bob").merge(gittest.Squash)
	w.poll()
	f := w.facts(w.candidate(production))
	for _, name := range []string{"tests", "sast"} {
		require.Len(t, f.Checks[name].Subjects, 1)
		s := f.Checks[name].Subjects[0]
		assert.Equal(t, sourceName, s.Repository)
		assert.Equal(t, []string{w.built}, s.Commits)
		assert.Equal(t, gate.Answer{Yes: true}, s.Contained)
		assert.Len(t, s.Runs, 2)
	}
	assert.Equal(t, []gate.Artifact{{Image: image, Digest: digest("two"), Repository: sourceName, SourceCommit: w.built}}, f.Artifacts)
}

func TestSourceCommitHasToBeInTheProtectedBranch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.source.Branch("alice", "aside", "main"))
	aside := w.must(w.source.Push("alice", "aside", "unreviewed", map[string]string{"main.go": "evil"}))
	w.check(w.source, aside, "test", "success")
	w.push("main", map[string]string{unproven: file{digest: "two", source: aside, base: w.base}.String()})
	w.poll()
	s := w.facts(w.candidate(production)).Checks["tests"].Subjects[0]
	assert.False(t, s.Contained.Yes)
	assert.Contains(t, s.Contained.Reason, "is not in branch main of "+sourceName)

	w.push("main", map[string]string{unproven: file{digest: "three", source: w.base, base: w.base}.String()})
	w.poll()
	s = w.facts(w.candidate(production)).Checks["tests"].Subjects[0]
	assert.False(t, s.Contained.Yes, "a commit of another repository")
}

func TestBranchWithoutProtectionContainsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const open = "acme/open"
	built := w.must(w.forge.Repository(open).Push("alice", "main", "first", map[string]string{"x": "1"}))
	w.propose("source", map[string]string{"services/checkout/service.yaml": replace(service, sourceName, open)}).
		approve("carol").merge(gittest.Squash)
	w.push("main", map[string]string{unproven: replace(file{digest: "two", source: built, base: w.base}.String(), sourceName, open)})
	w.poll()
	s := w.facts(w.candidate(production)).Checks["tests"].Subjects[0]
	assert.Contains(t, s.Contained.Reason, "branch main of acme/open is not protected")
}

func TestMergeChecksAreAskedOnTheMergeThenOnAnEqualHead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.propose("two", w.promotion("two")).approve("bob")
	w.check(w.repo, p.head, "validate", "success")
	w.push("main", map[string]string{"docs/note.md": "elsewhere\n"})
	sha := p.merge(gittest.Squash)
	w.poll()
	s := w.facts(w.candidate(production)).Checks["validate"].Subjects[0]
	assert.Equal(t, repoName, s.Repository)
	assert.Equal(t, []string{sha, p.head}, s.Commits)
	assert.Len(t, s.Runs, 1)
	assert.Equal(t, gate.Pass, w.verdicts()["validate"].Verdict)
}

func TestHeadDoesNotSpeakForAMergeThatIsDifferent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.propose("two", w.promotion("two")).approve("bob")
	w.check(w.repo, p.head, "validate", "success")
	w.push("main", map[string]string{production + "/kustomization.yaml": overlay(7)})
	sha := p.merge(gittest.Squash)
	w.poll()
	s := w.facts(w.candidate(production)).Checks["validate"].Subjects[0]
	assert.Equal(t, []string{sha}, s.Commits)
	assert.Empty(t, s.Runs)
}

func TestHeadDoesNotSpeakForAMergeWithOtherWorkflows(t *testing.T) {
	t.Parallel()
	for name, strict := range map[string]map[string]string{
		"changed": {".github/workflows/validate.yml": "on: push # and strict\n"},
		"added":   {".github/workflows/more.yml": "on: push\n"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			p := w.propose("two", w.promotion("two")).approve("bob")
			w.check(w.repo, p.head, "validate", "success")
			w.propose("strict", strict).approve("carol").merge(gittest.Squash)
			sha := p.merge(gittest.Squash)
			w.poll()
			f := w.facts(w.candidate(production))
			assert.Equal(t, []string{sha}, f.Checks["validate"].Subjects[0].Commits)
			assert.NotEqual(t, gate.Pass, w.judge(f)["validate"].Verdict)

			w.check(w.repo, sha, "validate", "success")
			assert.Equal(t, gate.Pass, w.judge(w.facts(w.candidate(production)))["validate"].Verdict)
		})
	}
}

func TestWithoutAKnownChangeNoMergeCanBeAsked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := w.facts(w.candidate(production))
	assert.NotEmpty(t, f.Checks["validate"].Unknown)
	assert.Empty(t, f.Changes)
}
