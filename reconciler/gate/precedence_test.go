package gate_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/reconciler/gate"
	"github.com/sluice-cd/sluice/schemas"
)

func TestEveryGateIsListedInOrderOfPrecedence(t *testing.T) {
	want := []string{
		gate.Integrity, gate.Artifacts, gate.Provenance, gate.Render, gate.Probes, gate.HotfixRef, gate.Held, gate.Paused,
		gate.Frozen, "tests", "validate", gate.Approvals, gate.Order, gate.Backfills, gate.Soaked, gate.Window,
	}
	worst := promotion()
	worst.Changes[0].PullRequest = nil
	worst.Upstream = gate.Upstream{}
	worst.Checks = nil
	rollback, retired, first := promotion(), promotion(), promotion()
	rollback.Rollback, retired.Retired, first.First = true, true, true
	for _, f := range []gate.Facts{promotion(), preview(), worst, rollback, retired, first} {
		var got []string
		for _, r := range gate.Evaluate(f, now) {
			got = append(got, r.Gate)
		}
		assert.Equal(t, want, got)
	}
}

// spoilt returns facts in which no gate passes that is asked.
func spoilt() gate.Facts {
	f := promotion()
	f.Changes[0].PullRequest = nil
	f.Artifacts[0].Digest = "latest"
	f.Origins = nil
	f.RenderError = "no such file"
	f.Unprobed = []string{"container app of Deployment/checkout has no startup probe"}
	f.Holds = []gate.Hold{{Inputs: inputs}}
	f.Paused.Paused = true
	f.Checks = nil
	f.Upstream.Proven = nil
	f.Frozen.Frozen = true
	f.Backfills = []gate.Backfill{{Name: "1.41.1 for INC-7", Deadline: now}}
	f.Environment.Windows.Open[0].Cron = "0 8 * * FRI"
	return f
}

func TestEachPathIsAskedWhatItsColumnSays(t *testing.T) {
	builtin := []string{
		gate.Integrity, gate.Artifacts, gate.Provenance, gate.Render, gate.Probes, gate.HotfixRef, gate.Held, gate.Paused,
		gate.Frozen, "tests", "validate", gate.Approvals, gate.Order, gate.Backfills, gate.Soaked, gate.Window,
	}
	const y, n = true, false
	waivable := []string{"soak", "window", "freeze"}
	columns := map[string]struct {
		edit  func(*gate.Facts)
		asked []bool
	}{
		//                                                              integ art prov rend prob hotf hold paus freez test vali appr order back soak wind
		"standard": {func(*gate.Facts) {}, []bool{y, y, y, y, y, n, y, y, y, y, y, y, y, y, y, y}},
		"hotfix":   {func(f *gate.Facts) { f.Class, f.Environment.Hotfix.Waives = schemas.ChangeHotfix, nil }, []bool{y, y, y, y, y, y, y, y, y, y, y, y, y, n, y, y}},
		"hotfix, soak waived": {func(f *gate.Facts) { f.Class = schemas.ChangeHotfix },
			[]bool{y, y, y, y, y, y, y, y, y, y, y, y, y, n, n, y}},
		"hotfix, window waived": {func(f *gate.Facts) { f.Class, f.Environment.Hotfix.Waives = schemas.ChangeHotfix, []string{"window"} },
			[]bool{y, y, y, y, y, y, y, y, y, y, y, y, y, n, y, n}},
		"hotfix, freeze waived": {func(f *gate.Facts) { f.Class, f.Environment.Hotfix.Waives = schemas.ChangeHotfix, []string{"freeze"} },
			[]bool{y, y, y, y, y, y, y, y, n, y, y, y, y, n, y, y}},
		"standard, all waived for hotfixes": {func(f *gate.Facts) { f.Environment.Hotfix.Waives = waivable },
			[]bool{y, y, y, y, y, n, y, y, y, y, y, y, y, y, y, y}},
		"rollback": {func(f *gate.Facts) { f.Rollback = true }, []bool{y, y, n, y, n, n, y, n, n, n, n, n, n, n, n, n}},
		"removal":  {func(f *gate.Facts) { f.Retired = true }, []bool{y, n, n, n, n, n, n, y, y, n, n, y, n, n, n, y}},
		"removal of a hotfix": {func(f *gate.Facts) {
			f.Retired, f.Class, f.Environment.Hotfix.Waives = true, schemas.ChangeHotfix, waivable
		}, []bool{y, n, n, n, n, n, n, y, y, n, n, y, n, n, n, y}},
		"first": {func(f *gate.Facts) { f.First = true }, []bool{y, y, n, y, n, n, y, y, y, y, y, y, n, n, n, y}},
		"first, nothing asked": {func(f *gate.Facts) {
			f.First, f.Class = true, schemas.ChangeHotfix
			f.Environment = schemas.Environment{Name: "dev"}
			f.Environment.Checks = promotion().Environment.Checks
		}, []bool{n, y, n, y, n, n, y, y, y, y, y, n, n, n, n, n}},
	}
	for name, column := range columns {
		f := spoilt()
		column.edit(&f)
		results := gate.Evaluate(f, now)
		for i, g := range builtin {
			assert.Equal(t, column.asked[i], pick(t, results, g).Verdict != gate.Pass, "%s: %s", name, g)
		}
	}
}

func TestAReleaseOfTheFirstEnvironmentNeedsNoForge(t *testing.T) {
	f := gate.Facts{
		Environment: schemas.DefaultPolicy().Environments[0],
		First:       true, Merged: true, Class: schemas.ChangeStandard,
		Changes:   []gate.Change{{Commit: mergeCommit, Unknown: "the forge is away"}},
		Artifacts: []gate.Artifact{{Image: image, Digest: digest}},
		Rendered:  true,
	}
	assert.Equal(t, gate.OutcomeDeploy, gate.Summarize(gate.Evaluate(f, now)).Outcome)
}

func TestOnTheWayBackAnUnverifiedChangeIsStillRefused(t *testing.T) {
	f := promotion()
	f.Rollback, f.Changes, f.Upstream = true, nil, gate.Upstream{}
	assert.Equal(t, gate.OutcomeDeploy, gate.Summarize(gate.Evaluate(f, now)).Outcome, "what was stable here was proven then")
	f.Changes = []gate.Change{{Commit: mergeCommit}}
	assert.Equal(t, rejects, ask(t, f, gate.Integrity).Outcome)
}

func TestACheckCannotTakeTheNameOfAnotherGate(t *testing.T) {
	f := promotion()
	f.Changes = []gate.Change{{Commit: mergeCommit}}
	f.Environment.Checks = []schemas.Check{{Gate: gate.Integrity, On: schemas.OnSource, Name: "test", App: "github-actions"}}
	f.Checks = map[string]gate.CheckFacts{gate.Integrity: promotion().Checks["tests"]}
	results := gate.Evaluate(f, now)
	assert.Equal(t, gate.Fail, pick(t, results, gate.Integrity).Verdict)
	assert.Equal(t, gate.Pass, pick(t, results, "check-integrity").Verdict)
}

func TestFactsThatAreNotThereNeverPass(t *testing.T) {
	for _, merged := range []bool{true, false} {
		f := gate.Facts{Environment: schemas.DefaultPolicy().Environments[2], Merged: merged}
		results := gate.Evaluate(f, now)
		for _, g := range []string{gate.Integrity, gate.Artifacts, gate.Provenance, gate.Render, gate.Probes, gate.Approvals, gate.Order, gate.Soaked, "tests", "sast", "contract-tests", "validate"} {
			assert.NotEqual(t, gate.Pass, pick(t, results, g).Verdict, g)
		}
		f.Changes = []gate.Change{{PullRequest: &forge.PullRequest{Merged: merged, Open: !merged}}}
		results = gate.Evaluate(f, now)
		assert.Equal(t, gate.Fail, pick(t, results, gate.Integrity).Verdict)
		assert.NotEqual(t, gate.Pass, pick(t, results, gate.Approvals).Verdict)
	}
}
