package environments_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/sluice-cd/sluice/gitsource/forge/forgetest"
	"github.com/sluice-cd/sluice/gitsource/gittest"
	"github.com/sluice-cd/sluice/reconciler/environments"
	"github.com/sluice-cd/sluice/reconciler/gate"
)

// stagedWorld asks production for a check on what staging has proven, and has one
// promotion in staging and the same one in production.
func stagedWorld(t *testing.T) (w *world, staged string) {
	w = newWorld(t)
	w.propose("e2e", map[string]string{"sluice.yaml": replace(policy, "{gate: validate, on: merge, name: validate, app: github-actions}",
		"{gate: staging-e2e, on: staging, name: e2e}")}).approve("carol").merge(gittest.Squash)
	staged = w.propose("staged", map[string]string{"staging/checkout/release.yaml": w.file("two").String()}).approve("bob").merge(gittest.Squash)
	w.propose("two", w.promotion("two")).approve("bob").merge(gittest.Squash)
	w.poll()
	return w, staged
}

// endToEnd judges the promotion, given what is known of staging.
func (w *world) endToEnd(there environments.Proven) gate.Result {
	w.t.Helper()
	c := w.candidate(production)
	c.Proven = map[string]environments.Proven{"staging": there}
	return w.judge(w.facts(c))["staging-e2e"]
}

func TestTheCheckOfAnEnvironmentIsReadOnTheMergeThatBroughtItThere(t *testing.T) {
	t.Parallel()
	w, staged := stagedWorld(t)
	there := environments.Proven{Asked: true, Commit: staged}
	assert.Equal(t, gate.Missing, w.endToEnd(there).Cause)

	w.check(w.repo, w.genesis, "e2e", "success")
	assert.Equal(t, gate.Missing, w.endToEnd(there).Cause, "the success of what was there before")
	w.check(w.repo, staged, "e2e", "success")
	assert.Equal(t, gate.Met, w.endToEnd(there).Cause)
	w.check(w.repo, staged, "e2e", "failure")
	assert.Equal(t, gate.Concluded, w.endToEnd(there).Cause, "the latest run counts")
}

func TestWhatAnEnvironmentHasNotProvenHasNoCheckThere(t *testing.T) {
	t.Parallel()
	w, staged := stagedWorld(t)
	w.check(w.repo, staged, "e2e", "success")
	assert.Equal(t, gate.Missing, w.endToEnd(environments.Proven{Asked: true}).Cause)
	assert.Equal(t, gate.Unknown, w.endToEnd(environments.Proven{}).Cause, "nobody asked")
	assert.Equal(t, gate.Unknown, w.endToEnd(environments.Proven{Unknown: "the store is away"}).Cause)

	w.forge.Inject(forgetest.Fault{On: "GET /repos/{owner}/{repo}/commits/{ref}/check-runs", Status: 503})
	assert.Equal(t, gate.Unknown, w.endToEnd(environments.Proven{Asked: true, Commit: staged}).Cause)
}
