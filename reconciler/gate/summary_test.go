package gate_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/reconciler/gate"
	"github.com/sluice-cd/sluice/schemas"
)

func TestTheTitleSaysWhatIsMissing(t *testing.T) {
	f := preview()
	assert.Equal(t, "Ready: all 16 gates pass", gate.Summarize(gate.Evaluate(f, now)).Title)

	f.Class = schemas.ChangeBreaking
	f.Checks["tests"].Subjects[0].Runs[0] = run(1, "test", sourceCommit, "")
	s := gate.Summarize(gate.Evaluate(f, now))
	assert.Equal(t, "Waiting: check tests is running · 1 of 2 approvals", s.Title)
	assert.Equal(t, pending, s.Status)

	f.Holds = []gate.Hold{{Inputs: inputs, Reason: "error rate"}}
	s = gate.Summarize(gate.Evaluate(f, now))
	assert.Equal(t, "Refused: on hold: error rate", s.Title)
	assert.Equal(t, failure, s.Status)

	f = promotion()
	f.Class = schemas.ChangeBreaking
	s = gate.Summarize(gate.Evaluate(f, now))
	assert.Equal(t, "Rejected: 1 of 2 approvals", s.Title)
	assert.Equal(t, rejects, s.Outcome)
}

func TestWhatOnlyTakesTimeDoesNotKeepAPullRequestFromBeingMerged(t *testing.T) {
	f := preview()
	f.Paused.Paused = true
	f.Upstream.Proven[0].BaseTree = head
	s := gate.Summarize(gate.Evaluate(f, now))
	assert.Equal(t, "Deploys later: paused · this artifact was stable in staging, but with another base · it has not begun to soak in staging", s.Title)
	assert.Equal(t, success, s.Status)
	assert.Equal(t, gate.Wait, s.Verdict)
}

func TestALongTitleCountsWhatItLeavesOut(t *testing.T) {
	results := []gate.Result{
		{Verdict: gate.Wait, Status: pending, Reason: strings.Repeat("ä", 60)},
		{Verdict: gate.Wait, Status: pending, Reason: strings.Repeat("b", 50)},
		{Verdict: gate.Wait, Status: pending, Reason: strings.Repeat("c", 50)},
		{Verdict: gate.Pass, Status: success, Reason: "not worth a word"},
	}
	title := gate.Summarize(results).Title
	assert.Equal(t, "Waiting: "+strings.Repeat("ä", 60)+" · "+strings.Repeat("b", 50)+" · and 1 more", title)
	results[0].Reason = strings.Repeat("ä", 300)
	title = gate.Summarize(results).Title
	assert.Equal(t, 140, utf8.RuneCountInString(title))
	assert.True(t, strings.HasSuffix(title, "… · and 2 more"), title)
	assert.Equal(t, 140, utf8.RuneCountInString(gate.Summarize(results[:1]).Title))
}

func TestNothingAskedIsNothingPassed(t *testing.T) {
	s := gate.Summarize(nil)
	assert.Equal(t, gate.Wait, s.Verdict)
	assert.Equal(t, waits, s.Outcome)
	assert.Equal(t, pending, s.Status)
}

func TestTheNextCheckIsTheEarliest(t *testing.T) {
	f := promotion()
	f.Checks["tests"].Subjects[0].Runs[0] = run(1, "test", sourceCommit, "failure")
	late := run(1, "validate", mergeCommit, "failure")
	late.CompletedAt = mergedAt.Add(5 * time.Minute)
	f.Checks["validate"].Subjects[0].Runs[0] = late
	s := gate.Summarize(gate.Evaluate(f, now))
	assert.Equal(t, waits, s.Outcome)
	assert.Equal(t, mergedAt.Add(30*time.Minute), s.NextCheck)
}

func TestResultsSurviveBeingWritten(t *testing.T) {
	f := promotion()
	f.Checks["tests"].Subjects[0].Runs[0] = run(1, "test", sourceCommit, "failure")
	results := gate.Evaluate(f, now)
	data, err := json.Marshal(results)
	require.NoError(t, err)
	var read []gate.Result
	require.NoError(t, json.Unmarshal(data, &read))
	assert.Equal(t, results, read)
}
