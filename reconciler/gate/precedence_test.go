package gate_test

import (
	"testing"
	"time"

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
	returns, retired, first := promotion(), promotion(), promotion()
	returns.Return, retired.Retired, first.First = true, true, true
	for _, f := range []gate.Facts{promotion(), preview(), worst, returns, retired, first} {
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
		"return": {func(f *gate.Facts) { f.Return = true }, []bool{y, y, n, y, n, n, y, n, n, n, n, y, n, n, n, n}},
		"return to a hotfix": {func(f *gate.Facts) {
			f.Return, f.Class, f.Environment.Hotfix.Waives = true, schemas.ChangeHotfix, waivable
		}, []bool{y, y, n, y, n, n, y, n, n, n, n, y, n, n, n, n}},
		"removal": {func(f *gate.Facts) { f.Retired = true }, []bool{y, n, n, n, n, n, n, y, y, n, n, y, n, n, n, y}},
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
	f.Return, f.Upstream, f.Checks = true, gate.Upstream{}, nil
	assert.Equal(t, gate.OutcomeDeploy, gate.Summarize(gate.Evaluate(f, now)).Outcome, "it worked here, and somebody approved going back")
	f.Changes = []gate.Change{{Commit: mergeCommit}}
	assert.Equal(t, rejects, ask(t, f, gate.Integrity).Outcome)
	f.Changes = nil
	assert.NotEqual(t, gate.OutcomeDeploy, gate.Summarize(gate.Evaluate(f, now)).Outcome, "nobody is known to have asked for it")
}

// The table of precedence as the policy states it: seven rules and three ways. A
// freeze, a soak and a window may be waived for hotfixes.
func TestPrecedenceIsThatOfThePolicy(t *testing.T) {
	rows := []struct {
		rule  string
		gates []string
		spoil func(*gate.Facts)
		// asked of a standard promotion, of a hotfix where nothing is waived and
		// where this is, and of a return.
		standard, hotfix, waived, returns bool
	}{
		{"integrity", []string{gate.Integrity}, func(f *gate.Facts) { f.Changes[0].PullRequest = nil }, true, true, true, true},
		{"digests are pinned", []string{gate.Artifacts}, func(f *gate.Facts) { f.Unpinned = []string{"nginx"} }, true, true, true, true},
		{"policy in its own pull request", []string{gate.Integrity}, func(f *gate.Facts) { f.Changes[0].Owned = []string{"sluice.yaml"} }, true, true, true, true},
		{"hold", []string{gate.Held}, func(f *gate.Facts) { f.Holds = []gate.Hold{{Digests: []string{digest}}} }, true, true, true, true},
		{"freeze", []string{gate.Frozen}, func(f *gate.Facts) { f.Frozen.Frozen = true }, true, true, false, false},
		{"dated freeze", []string{gate.Frozen}, func(f *gate.Facts) { f.Environment.Windows.Freezes = freezes("2026-11-20", "2026-11-30") }, true, true, false, false},
		{"tests", []string{"tests", "validate"}, func(f *gate.Facts) { f.Checks = nil }, true, true, true, false},
		{"approvals", []string{gate.Approvals}, func(f *gate.Facts) { f.Changes[0].Reviews = nil }, true, true, true, true},
		{"soak", []string{gate.Soaked}, func(f *gate.Facts) { f.Upstream.Proven[0].Soak.Healthy-- }, true, true, false, false},
		{"window", []string{gate.Window}, func(f *gate.Facts) { f.Environment.Windows.Open[0].Cron = "0 8 * * FRI" }, true, true, false, false},
	}
	for _, row := range rows {
		ways := map[string]struct {
			edit  func(*gate.Facts)
			asked bool
		}{
			"standard":       {func(f *gate.Facts) { f.Environment.Hotfix.Waives = []string{"soak", "window", "freeze"} }, row.standard},
			"hotfix":         {func(f *gate.Facts) { hurry(f); f.Environment.Hotfix.Waives = nil }, row.hotfix},
			"hotfix, waived": {func(f *gate.Facts) { hurry(f); f.Environment.Hotfix.Waives = []string{"soak", "window", "freeze"} }, row.waived},
			"return":         {func(f *gate.Facts) { f.Return = true }, row.returns},
		}
		for way, w := range ways {
			f := promotion()
			w.edit(&f)
			for _, g := range row.gates {
				assert.Equal(t, gate.Pass, ask(t, f, g).Verdict, "%s on the way of a %s, unspoilt: %s", row.rule, way, ask(t, f, g).Reason)
			}
			row.spoil(&f)
			for _, g := range row.gates {
				assert.Equal(t, w.asked, ask(t, f, g).Verdict != gate.Pass, "%s on the way of a %s: %s", row.rule, way, g)
			}
		}
	}
}

// hurry makes a promotion a hotfix that has what a hotfix needs.
func hurry(f *gate.Facts) {
	f.Class, f.Incident = schemas.ChangeHotfix, "INC-7"
	f.Changes[0].Reviews = append(f.Changes[0].Reviews, review(202, bob, forge.Approved, -5*time.Minute))
}

func TestAReturnNeedsTheApprovalsOfAStandardPromotion(t *testing.T) {
	f := promotion()
	f.Return = true
	assert.Equal(t, "1 of 1 approval", ask(t, f, gate.Approvals).Reason)
	f.Classes.Breaking.Labels = []string{"breaking"}
	f.Sources = []gate.Source{{Repository: source, To: sourceCommit, Record: gate.RecordTold, PullRequests: []forge.PullRequest{{Labels: []string{"breaking"}}}}}
	assert.Equal(t, gate.Pass, ask(t, f, gate.Approvals).Verdict, "what it was once says nothing about going back to it")
	f.Return = false
	assert.NotEqual(t, gate.Pass, ask(t, f, gate.Approvals).Verdict)
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
