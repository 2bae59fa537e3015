package environments_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource/forge/forgetest"
	"github.com/sluice-cd/sluice/gitsource/gittest"
	"github.com/sluice-cd/sluice/reconciler/gate"
)

// mindAlerts makes production's sast ask for the absence of alerts.
func (w *world) mindAlerts() {
	w.t.Helper()
	strict := strings.Replace(policy, "name: sast, app: github-actions}", "name: sast, app: github-actions, alerts: {severity: high}}", 1)
	require.NotEqual(w.t, policy, strict)
	w.propose("rules", map[string]string{"sluice.yaml": strict}).approve("carol").merge(gittest.Squash)
	require.Equal(w.t, w.poll().Mark, w.record.Policy, "the policy is accepted")
}

func (w *world) sast() gate.Result {
	w.t.Helper()
	return w.verdicts()["sast"]
}

func TestCommitWithAnOpenAlertIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.mindAlerts()
	grave := forgetest.Finding{Rule: "sql-injection", Security: "critical", Level: "error"}
	mild := forgetest.Finding{Rule: "weak-hash", Security: "medium", Level: "warning"}
	w.source.Scan("main", w.built, "CodeQL", grave, mild)
	w.promoted("two", w.built)
	r := w.sast()
	assert.Equal(t, gate.Concluded, r.Cause, r.Reason)
	assert.Contains(t, r.Reason, "sql-injection")

	fixed := w.later()
	w.source.Scan("main", fixed, "CodeQL", mild)
	r = w.sast()
	assert.Equal(t, gate.Concluded, r.Cause, "it is fixed since, but not in this commit: %s", r.Reason)

	w.promoted("three", fixed)
	r = w.sast()
	assert.Equal(t, gate.Pass, r.Verdict, r.Reason)
	w.source.Scan("main", w.later2(), "CodeQL", mild, forgetest.Finding{Rule: "path-traversal", Security: "critical"})
	assert.Equal(t, gate.Pass, w.sast().Verdict, "what a later commit brings is not in this one")
}

// later2 is a third commit of the source's protected branch.
func (w *world) later2() string {
	w.t.Helper()
	return w.must(w.source.Push("alice", "main", "later still", map[string]string{"main.go": "package main // later still\n"}))
}

func TestDismissedAlertIsNoObstacle(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.mindAlerts()
	w.source.Scan("main", w.built, "CodeQL", forgetest.Finding{Rule: "sql-injection", Security: "critical"})
	w.promoted("two", w.built)
	require.NotEqual(t, gate.Pass, w.sast().Verdict)
	w.source.DismissAlert(1)
	assert.Equal(t, gate.Pass, w.sast().Verdict)
}

func TestCommitThatNobodyAnalysedWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.mindAlerts()
	w.promoted("two", w.built)
	r := w.sast()
	assert.True(t, r.Unknown, "code scanning is not even turned on: %s", r.Reason)
	assert.Contains(t, r.Unblocks, "turn code scanning on")

	w.source.Scan("main", w.later(), "CodeQL")
	w.source.Scan("aside", w.built, "CodeQL")
	w.source.FailScan("main", w.built, "CodeQL")
	r = w.sast()
	assert.Equal(t, gate.Missing, r.Cause, r.Reason)
	w.source.Scan("main", w.built, "CodeQL")
	assert.Equal(t, gate.Pass, w.sast().Verdict)
}

func TestAlertsThatMayNotBeReadAreUnknown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.mindAlerts()
	w.source.Scan("main", w.built, "CodeQL")
	w.promoted("two", w.built)
	w.poll()
	w.forge.Inject(forgetest.Fault{On: "GET /repos/{owner}/{repo}/code-scanning/alerts", Status: http.StatusForbidden, Body: `{"message":"Advanced Security must be enabled for this repository"}`})
	r := w.sast()
	assert.True(t, r.Unknown, r.Reason)
	assert.Contains(t, r.Reason, "403")
	w.forge.ClearFaults()
	assert.Equal(t, gate.Pass, w.sast().Verdict)
}
