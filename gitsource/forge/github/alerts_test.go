package github_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/gitsource/forge/forgetest"
)

const (
	analysesRoute = "GET /repos/{owner}/{repo}/code-scanning/analyses"
	alertsRoute   = "GET /repos/{owner}/{repo}/code-scanning/alerts"
)

var sourceMain = forge.BranchState{Repository: sourceName, Name: "main", Commit: strings.Repeat("a", 40)}

func commitNumber(n int) string { return fmt.Sprintf("%040d", n) }

func TestAnalysesAreReadDownToThoseOfTheCommit(t *testing.T) {
	w := newWorld(t)
	source := w.forge.Repository(sourceName)
	for i := range 250 {
		source.Scan("main", commitNumber(i), "CodeQL")
		source.Scan("aside", commitNumber(i), "CodeQL")
	}
	source.FailScan("main", commitNumber(250), "CodeQL")

	found, err := w.client.Analyses(t.Context(), sourceMain, commitNumber(250))
	require.NoError(t, err)
	require.Len(t, found, 200, "one page more, since those of a commit may go over its edge")
	assert.Equal(t, commitNumber(250), found[0].Commit)
	assert.Equal(t, "CodeQL", found[0].Tool)
	assert.NotEmpty(t, found[0].Error)
	assert.False(t, found[0].CreatedAt.IsZero())

	found, err = w.client.Analyses(t.Context(), sourceMain, commitNumber(0))
	require.NoError(t, err)
	assert.Len(t, found, 251, "those of another branch do not count")
	assert.Equal(t, commitNumber(0), found[250].Commit)
}

func TestAlertsAreTheOpenOnesAndThoseFixedSince(t *testing.T) {
	opts := options()
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	opts.Now = func() time.Time { now = now.Add(time.Second); return now }
	w := worldOf(t, opts)
	source := w.forge.Repository(sourceName)
	injection, style := forgetest.Finding{Rule: "sql-injection", Security: "critical", Level: "error"}, forgetest.Finding{Rule: "style", Level: "note"}
	old, gone := forgetest.Finding{Rule: "old", Security: "high"}, forgetest.Finding{Rule: "gone", Security: "high"}
	source.Scan("main", commitNumber(1), "CodeQL", injection, style, old, gone)
	source.Scan("main", commitNumber(2), "CodeQL", injection, style, old)
	since := now.Add(time.Second)
	source.Scan("main", commitNumber(3), "CodeQL", injection, style)
	source.Scan("aside", commitNumber(3), "CodeQL", gone)

	found, err := w.client.Alerts(t.Context(), sourceMain, since)
	require.NoError(t, err)
	severities := map[string]string{}
	for _, a := range found {
		severities[a.Rule] = a.Severity
		assert.Equal(t, a.Rule == "old", !a.FixedAt.IsZero(), a.Rule)
	}
	assert.Equal(t, map[string]string{"sql-injection": "critical", "style": "note", "old": "high"}, severities)

	source.DismissAlert(found[0].Number)
	found, err = w.client.Alerts(t.Context(), sourceMain, since)
	require.NoError(t, err)
	assert.Len(t, found, 2)
}

func TestEveryOpenAlertIsListed(t *testing.T) {
	w := newWorld(t)
	var findings []forgetest.Finding
	for i := range 230 {
		findings = append(findings, forgetest.Finding{Rule: fmt.Sprint("rule-", i), Security: "low"})
	}
	w.forge.Repository(sourceName).Scan("main", commitNumber(1), "CodeQL", findings...)
	found, err := w.client.Alerts(t.Context(), sourceMain, time.Time{})
	require.NoError(t, err)
	assert.Len(t, found, 230)
	w.forge.Inject(forgetest.Fault{On: alertsRoute, Half: true})
	_, err = newClient(t, w, nil).Alerts(t.Context(), sourceMain, time.Time{})
	assert.Error(t, err)
}

func TestARepositoryWithoutCodeScanningIsUnknown(t *testing.T) {
	w := newWorld(t)
	var rejected *forge.RejectedError
	_, err := w.client.Analyses(t.Context(), sourceMain, commitNumber(1))
	assert.ErrorAs(t, err, &rejected)
	_, err = w.client.Alerts(t.Context(), sourceMain, time.Time{})
	assert.ErrorAs(t, err, &rejected)
	w.forge.Repository(sourceName).Scan("main", commitNumber(1), "CodeQL")
	for _, route := range []string{analysesRoute, alertsRoute} {
		w.forge.Inject(forgetest.Fault{On: route, Status: http.StatusForbidden, Body: `{"message":"Code scanning is not enabled for this repository."}`})
	}
	_, err = w.client.Analyses(t.Context(), sourceMain, commitNumber(1))
	assert.ErrorContains(t, err, "not enabled")
	_, err = w.client.Alerts(t.Context(), sourceMain, time.Time{})
	assert.ErrorContains(t, err, "not enabled")
}
