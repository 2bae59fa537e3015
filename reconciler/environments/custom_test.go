package environments_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/sluice-cd/sluice/gitsource/forge/forgetest"
	"github.com/sluice-cd/sluice/gitsource/gittest"
	"github.com/sluice-cd/sluice/reconciler/gate"
)

// customWorld is a world whose policy has a gate of its own.
func customWorld(t *testing.T, requires string) *world {
	w := newWorld(t)
	w.propose("gates", map[string]string{"sluice.yaml": policy + "    gates: [{name: own, requires: '" + requires + "', message: no}]\n"}).
		approve("carol").merge(gittest.Squash)
	w.propose("two", w.promotion("two")).approve("bob").merge(gittest.Squash)
	w.poll()
	return w
}

func TestACustomGateIsToldWhatGitAndForgeKnow(t *testing.T) {
	t.Parallel()
	w := customWorld(t, `release.service == "checkout" && pullRequest.author == "alice" && pullRequest.approvals == 1 && `+
		`change.paths == ["production/checkout/release.yaml"] && checks.source["github-actions/sast"] == "success" && checks.merge.size() == 0`)
	r := w.judge(w.facts(w.candidate(production)))["own"]
	assert.Equal(t, gate.Met, r.Cause, r.Reason)

	w.forge.Inject(forgetest.Fault{On: "GET /repos/{owner}/{repo}/commits/{ref}/check-runs", Status: 503})
	r = w.judge(w.facts(w.candidate(production)))["own"]
	assert.Equal(t, gate.Unknown, r.Cause, r.Reason)
}

func TestACustomGateThatIsNotSatisfiedRejects(t *testing.T) {
	t.Parallel()
	w := customWorld(t, `"approved-by-duty" in pullRequest.labels`)
	r := w.judge(w.facts(w.candidate(production)))["own"]
	assert.Equal(t, gate.OutcomeReject, r.Outcome)
	assert.Equal(t, "no", r.Reason)
}
