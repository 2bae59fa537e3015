package environments_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource/gittest"
	"github.com/sluice-cd/sluice/reconciler/gate"
)

func TestSourceHasToBeTheServicesOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := w.forge.Repository("mallory/checkout")
	built := w.must(other.Push("mallory", "main", "build", map[string]string{"main.go": "evil"}))
	for _, name := range []string{"test", "sast"} {
		w.check(other, built, name, "success")
	}
	text := replace(file{digest: "two", source: built, base: w.base}.String(), sourceName, "mallory/checkout")
	w.propose("two", map[string]string{unproven: text}).approve("bob").merge(gittest.Squash)

	r := w.verdicts()["tests"]
	assert.Equal(t, gate.Fail, r.Verdict, r.Reason)
	assert.Contains(t, r.Reason, "built from "+sourceName)
}

func TestStateInsideOfARebaseDoesNotSayHowItIsJudged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bad := w.must(w.source.Push("alice", "main", "bad", map[string]string{"main.go": "bad"}))
	w.check(w.source, bad, "test", "failure")
	two := w.file("two")
	reviewed := two
	reviewed.source, reviewed.extra = bad, "change: breaking\n"
	w.propose("two", map[string]string{unproven: two.String()}, map[string]string{unproven: reviewed.String()}).
		approve("bob").merge(gittest.Rebase)
	w.poll()

	f := w.facts(w.candidate(production))
	assert.Equal(t, "breaking", f.Class)
	require.Len(t, f.Artifacts, 1)
	assert.Equal(t, bad, f.Artifacts[0].SourceCommit)
	r := w.judge(f)
	assert.Equal(t, gate.Fail, r[gate.Approvals].Verdict, r[gate.Approvals].Reason)
	assert.NotEqual(t, gate.Pass, r["tests"].Verdict, r["tests"].Reason)
}

func TestLaterChangeDoesNotLowerTheApprovalsOfAnEarlierOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	breaking := w.file("two")
	breaking.extra = "change: breaking\n"
	w.propose("two", map[string]string{unproven: breaking.String()}).approve("bob").merge(gittest.Squash)
	assert.Equal(t, gate.Fail, w.verdicts()[gate.Approvals].Verdict)

	w.propose("three", with(w.promotion("two"), map[string]string{production + "/kustomization.yaml": overlay(4)})).
		approve("bob").merge(gittest.Squash)
	r := w.verdicts()[gate.Approvals]
	assert.Equal(t, gate.Fail, r.Verdict, r.Reason)
	assert.Contains(t, r.Reason, "1 of 2")
}

func TestGapInTheListOfChangesIsNeverProven(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.propose("two", w.promotion("two")).approve("bob").merge(gittest.Squash)
	w.poll()
	c := w.candidate(production)
	require.Equal(t, gate.Pass, w.judge(w.facts(c))[gate.Integrity].Verdict)

	c.Changes[0].Lost = true
	r := w.judge(w.facts(c))[gate.Integrity]
	assert.Equal(t, gate.Fail, r.Verdict, r.Reason)
	assert.Contains(t, r.Reason, "too many changes")
}
