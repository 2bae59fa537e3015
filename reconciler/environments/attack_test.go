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
