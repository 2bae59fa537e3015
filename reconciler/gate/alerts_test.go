package gate_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/reconciler/gate"
	"github.com/sluice-cd/sluice/schemas"
)

// scannedAt is when the source commit was analysed, well before the merge.
var scannedAt = mergedAt.Add(-time.Hour)

// scan makes check tests ask for the absence of alerts. What it returns is what
// code scanning knows.
func scan(f *gate.Facts, alerts ...forge.Alert) *gate.Scan {
	f.Environment.Checks[0].Alerts = &schemas.Alerts{Severity: "high"}
	s := &gate.Scan{Analyses: []forge.Analysis{{ID: 1, Commit: sourceCommit, Tool: "CodeQL", CreatedAt: scannedAt}}, Alerts: alerts}
	f.Checks["tests"].Subjects[0].Scan = s
	return s
}

func alert(severity string, found, fixed time.Duration) forge.Alert {
	a := forge.Alert{Number: 7, Tool: "CodeQL", Rule: "sql-injection", Severity: severity, URL: "https://forge.example.com/alerts/7", CreatedAt: scannedAt.Add(found)}
	if fixed != 0 {
		a.FixedAt = scannedAt.Add(fixed)
	}
	return a
}

func TestOnlyAlertsOfTheSeverityAndAboveRefuse(t *testing.T) {
	ranks := map[string]int{"low": 1, "note": 1, "none": 1, "medium": 2, "warning": 2, "high": 3, "error": 3, "critical": 4, "": 4, "unheard-of": 4}
	for limit, least := range map[string]int{"low": 1, "medium": 2, "high": 3, "critical": 4} {
		for severity, rank := range ranks {
			f := promotion()
			scan(&f, alert(severity, 0, 0))
			f.Environment.Checks[0].Alerts.Severity = limit
			r := ask(t, f, "tests")
			assert.Equal(t, rank < least, r.Verdict == gate.Pass, "%s where %s is refused: %s", severity, limit, r.Reason)
		}
	}
	f := promotion()
	scan(&f, alert("low", 0, 0))
	f.Environment.Checks[0].Alerts.Severity = ""
	assert.NotEqual(t, gate.Pass, ask(t, f, "tests").Verdict, "without a severity all count")
}

func TestAnAlertIsNamedWithItsRuleAndWhoCanHelp(t *testing.T) {
	f := promotion()
	scan(&f, alert("critical", 0, 0), alert("high", time.Second, 0))
	r := ask(t, f, "tests")
	assert.Equal(t, gate.Concluded, r.Cause)
	assert.Contains(t, r.Reason, "check tests: alert 7, sql-injection, is open on ddddddddddd… (and 1 more alert)")
	assert.Contains(t, texts(r), "alert 7 by CodeQL: sql-injection, severity critical")
	assert.Contains(t, r.Unblocks, "dismissing it with a reason")
	assert.Equal(t, mergedAt.Add(30*time.Minute), r.NextCheck)
}

func TestTheNextAnalysisSeparatesTheCommitsAlertsFromLaterOnes(t *testing.T) {
	const minute = time.Minute
	cases := map[string]struct {
		found, fixed  time.Duration
		followed, has bool
	}{
		"found before":                          {-minute, 0, false, true},
		"found by the commit's own analysis":    {time.Second, 0, true, true},
		"found by the next one":                 {10*minute + time.Second, 0, true, false},
		"found now, and no other analysis":      {10 * minute, 0, false, true},
		"fixed by the commit":                   {-minute, time.Second, true, false},
		"fixed by the commit, and none after":   {-minute, time.Second, false, false},
		"fixed by the next one":                 {-minute, 10*minute + time.Second, true, true},
		"found by the next one and fixed after": {10*minute + time.Second, 20 * minute, true, false},
	}
	for name, c := range cases {
		f := promotion()
		s := scan(&f, alert("high", c.found, c.fixed))
		if c.followed {
			s.Analyses = append(s.Analyses, forge.Analysis{ID: 2, Commit: head, Tool: "CodeQL", CreatedAt: scannedAt.Add(10 * minute)})
		}
		assert.Equal(t, !c.has, ask(t, f, "tests").Verdict == gate.Pass, name)
	}
	f := promotion()
	s := scan(&f, alert("high", 10*minute+time.Second, 0))
	s.Analyses = append(s.Analyses, forge.Analysis{ID: 2, Commit: head, Tool: "semgrep", CreatedAt: scannedAt.Add(10 * minute)})
	assert.NotEqual(t, gate.Pass, ask(t, f, "tests").Verdict, "another tool's analysis separates nothing")
	s.Alerts[0].Tool = "semgrep"
	assert.NotEqual(t, gate.Pass, ask(t, f, "tests").Verdict, "a tool that did not analyse the commit cannot excuse it")
}

func TestWithoutAnAnalysisOfTheCommitAbsenceOfAlertsSaysNothing(t *testing.T) {
	f := promotion()
	s := scan(&f)
	assert.Equal(t, gate.Pass, ask(t, f, "tests").Verdict)
	s.Analyses[0].Error = "could not read\x1b[31m field"
	r := ask(t, f, "tests")
	assert.Equal(t, gate.Missing, r.Cause)
	assert.Contains(t, texts(r), "an analysis by CodeQL does not count: could not read field")
	s.Analyses[0].Error, s.Analyses[0].Commit = "", head
	assert.Equal(t, gate.Missing, ask(t, f, "tests").Cause)
}

func TestCheckAndAlertsAreBothAsked(t *testing.T) {
	f := promotion()
	scan(&f)
	f.Checks["tests"].Subjects[0].Runs = nil
	assert.Equal(t, gate.Missing, ask(t, f, "tests").Cause, "no alerts, but no run either")
	f.Checks["tests"].Subjects[0].Runs = []forge.Check{run(1, "test", sourceCommit, "failure")}
	assert.Equal(t, gate.Concluded, ask(t, f, "tests").Cause)

	f = promotion()
	f.Environment.Checks[1].Alerts = &schemas.Alerts{Severity: "high"}
	assert.True(t, ask(t, f, "validate").Unknown, "a merge is not scanned")
}
