package gate_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/reconciler/gate"
	"github.com/sluice-cd/sluice/schemas"
)

// cell is one row of the table of what an answer leads to, for one gate.
type cell struct {
	name   string
	gate   string
	spoil  func(*gate.Facts)
	status gate.Status
	// afterwards is what it leads to right after the merge, in the end what
	// it leads to a day later.
	afterwards, inTheEnd gate.Outcome
	unknown              bool
}

const (
	success, pending, failure = gate.StatusSuccess, gate.StatusPending, gate.StatusFailure
	waits, rejects            = gate.OutcomeWait, gate.OutcomeReject
)

// build leaves a check as the only proof.
func build(f *gate.Facts, conclusion string) {
	r := run(500, "image", sourceCommit, conclusion)
	r.ExternalID = digest
	f.Origins[0].Statements, f.Origins[0].Runs = nil, []forge.Check{r}
}

func TestWhatWaitsForATimeSaysForWhich(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range cells() {
		for _, f := range []gate.Facts{promotion(), preview()} {
			c.spoil(&f)
			r := ask(t, f, c.gate)
			if r.NextCheck.IsZero() {
				continue
			}
			seen[c.gate] = true
			assert.True(t, r.NextCheck.After(now), c.name)
			assert.Contains(t, r.Reason, r.NextCheck.UTC().Format("15:04"), c.name)
			assert.Contains(t, gate.Summarize([]gate.Result{r}).Title, r.NextCheck.UTC().Format("15:04"), c.name)
		}
	}
	for _, g := range []string{gate.Frozen, gate.Soaked, gate.Window, "tests", "validate"} {
		assert.True(t, seen[g], "%s waits for a time", g)
	}
}

func cells() []cell {
	subject := func(f *gate.Facts, g string, edit func(*gate.Subject)) { edit(&f.Checks[g].Subjects[0]) }
	last := func(f *gate.Facts, g, conclusion string) {
		subject(f, g, func(s *gate.Subject) {
			again := run(900, s.Runs[0].Name, s.Runs[0].Commit, conclusion)
			s.Runs = append(s.Runs, again)
		})
	}
	away := "the forge is away"
	return []cell{
		{"integrity: not from here", gate.Integrity, func(f *gate.Facts) { f.Changes[0].PullRequest.Base.Name = "other" }, failure, rejects, rejects, false},
		{"integrity: unknown", gate.Integrity, func(f *gate.Facts) { f.Changes[0].Unknown = away }, pending, waits, waits, true},
		{"integrity: content unknown", gate.Integrity, func(f *gate.Facts) { f.Changes[0].Content = gate.Answer{Yes: true, Unknown: away} }, pending, waits, waits, true},
		{"artifact: not pinned", gate.Artifacts, func(f *gate.Facts) { f.Unpinned = []string{"nginx:latest"} }, failure, rejects, rejects, false},
		{"artifact: malformed", gate.Artifacts, func(f *gate.Facts) { f.Artifacts[0].Digest = "latest" }, failure, rejects, rejects, false},
		{"artifact: never upstream", gate.Artifacts, func(f *gate.Facts) { f.Artifacts[0].Digest = otherDigest }, failure, rejects, rejects, false},
		{"artifact: unknown", gate.Artifacts, func(f *gate.Facts) { f.Upstream.Unknown = away }, pending, waits, waits, true},
		{"provenance: another commit", gate.Provenance, func(f *gate.Facts) { f.Origins[0].Statements[0].Commit = head }, failure, rejects, rejects, false},
		{"provenance: not from a protected branch", gate.Provenance, func(f *gate.Facts) { f.Origins[0].Contained = gate.Answer{} }, failure, rejects, rejects, false},
		{"provenance: no proof yet", gate.Provenance, func(f *gate.Facts) { f.Origins[0].Statements = nil }, pending, waits, waits, false},
		{"provenance: the build is running", gate.Provenance, func(f *gate.Facts) { build(f, "") }, pending, waits, waits, false},
		{"provenance: the build failed", gate.Provenance, func(f *gate.Facts) { build(f, "failure") }, failure, waits, rejects, false},
		{"provenance: unknown", gate.Provenance, func(f *gate.Facts) { f.Origins[0].Statements, f.Origins[0].Unknown = nil, away }, pending, waits, waits, true},
		{"provenance: never asked", gate.Provenance, func(f *gate.Facts) { f.Origins = nil }, pending, waits, waits, true},
		{"provenance: the policy accepts nothing", gate.Provenance, func(f *gate.Facts) { f.Environment.Provenance = nil }, pending, waits, waits, true},
		{"render: error", gate.Render, func(f *gate.Facts) { f.RenderError = "kustomization.yaml:3: no such file" }, failure, rejects, rejects, false},
		{"render: not yet", gate.Render, func(f *gate.Facts) { f.Rendered = false }, pending, waits, waits, true},
		{"probes: one is missing", gate.Probes, func(f *gate.Facts) { f.Unprobed = []string{"container app has no startup probe"} }, failure, rejects, rejects, false},
		{"probes: not rendered yet", gate.Probes, func(f *gate.Facts) { f.Rendered = false }, pending, waits, waits, true},
		{"artifact: images not known", gate.Artifacts, func(f *gate.Facts) { f.Rendered = false }, pending, waits, waits, true},
		{"hotfix: no incident", gate.HotfixRef, func(f *gate.Facts) { f.Class = schemas.ChangeHotfix }, failure, rejects, rejects, false},
		{"hold", gate.Held, func(f *gate.Facts) { f.Holds = []gate.Hold{{Inputs: inputs, Reason: "error rate"}} }, failure, rejects, rejects, false},
		{"paused", gate.Paused, func(f *gate.Facts) { f.Paused.Paused = true }, success, waits, waits, false},
		{"freeze: by hand", gate.Frozen, func(f *gate.Facts) { f.Frozen.Frozen = true }, success, waits, waits, false},
		{"freeze: dated", gate.Frozen, func(f *gate.Facts) { f.Environment.Windows.Freezes = freezes("2026-11-20", "2026-11-30") }, success, waits, waits, false},
		{"freeze: unknown", gate.Frozen, func(f *gate.Facts) {
			f.Environment.Windows.Timezone, f.Environment.Windows.Freezes = "Mars/Base", freezes("2026-11-20", "2026-11-30")
		}, pending, waits, waits, true},
		{"soak: not long enough", gate.Soaked, func(f *gate.Facts) { f.Upstream.Proven[0].Soak.Healthy-- }, success, waits, waits, false},
		{"soak: too few requests", gate.Soaked, func(f *gate.Facts) { f.Upstream.Proven[0].Soak.Requests-- }, success, waits, waits, false},
		{"soak: too many errors", gate.Soaked, func(f *gate.Facts) { f.Upstream.Proven[0].Soak.Errors = 5 }, success, waits, waits, false},
		{"soak: not begun", gate.Soaked, func(f *gate.Facts) { f.Upstream.Proven = nil }, success, waits, waits, false},
		{"soak: unknown", gate.Soaked, func(f *gate.Facts) { f.Upstream.Unknown = away }, pending, waits, waits, true},
		{"backfill: overdue", gate.Backfills, func(f *gate.Facts) { f.Backfills = overdue(gate.Answer{}) }, pending, waits, waits, false},
		{"backfill: unknown", gate.Backfills, func(f *gate.Facts) { f.Backfills = overdue(gate.Answer{Yes: true, Unknown: away}) }, pending, waits, waits, true},
		{"window: closed", gate.Window, func(f *gate.Facts) { f.Environment.Windows.Open[0].Cron = "0 8 * * FRI" }, success, waits, waits, false},
		{"window: never opens", gate.Window, func(f *gate.Facts) { f.Environment.Windows.Open[0].Cron = "0 8 30 2 *" }, success, waits, waits, false},
		{"window: unknown", gate.Window, func(f *gate.Facts) { f.Environment.Windows.Timezone = "Mars/Base" }, pending, waits, waits, true},
		{"check: missing", "tests", func(f *gate.Facts) { subject(f, "tests", func(s *gate.Subject) { s.Runs = nil }) }, pending, waits, waits, false},
		{"check: running", "tests", func(f *gate.Facts) { last(f, "tests", "") }, pending, waits, waits, false},
		{"check: failed", "tests", func(f *gate.Facts) { last(f, "tests", "failure") }, failure, waits, rejects, false},
		{"check: skipped", "validate", func(f *gate.Facts) { last(f, "validate", "skipped") }, failure, waits, rejects, false},
		{"check: unknown", "tests", func(f *gate.Facts) { subject(f, "tests", func(s *gate.Subject) { s.Unknown = away }) }, pending, waits, waits, true},
		{"check: never asked", "validate", func(f *gate.Facts) { delete(f.Checks, "validate") }, pending, waits, waits, true},
		{"check: source outside the protected branch", "tests", func(f *gate.Facts) { subject(f, "tests", func(s *gate.Subject) { s.Contained = gate.Answer{} }) }, failure, rejects, rejects, false},
		{"alerts: one is open", "tests", func(f *gate.Facts) {
			scan(f, forge.Alert{Number: 7, Tool: "CodeQL", Rule: "sql-injection", Severity: "critical", CreatedAt: scannedAt})
		}, failure, waits, rejects, false},
		{"alerts: not analysed", "tests", func(f *gate.Facts) { scan(f).Analyses = nil }, pending, waits, waits, false},
		{"alerts: unknown", "tests", func(f *gate.Facts) { scan(f).Unknown = away }, pending, waits, waits, true},
		{"alerts: never asked", "tests", func(f *gate.Facts) { scan(f); subject(f, "tests", func(s *gate.Subject) { s.Scan = nil }) }, pending, waits, waits, true},
		{"approvals: too few", gate.Approvals, func(f *gate.Facts) { f.Changes[0].Reviews = nil }, pending, rejects, rejects, false},
		{"approvals: an objection", gate.Approvals, func(f *gate.Facts) {
			f.Changes[0].Reviews = append(f.Changes[0].Reviews, review(300, bob, forge.ChangesRequested, -time.Minute))
		}, pending, rejects, rejects, false},
		{"approvals: unknown", gate.Approvals, func(f *gate.Facts) { f.Changes[0].Unknown = away }, pending, waits, waits, true},
		{"order: not together", gate.Order, func(f *gate.Facts) { f.BaseTree = earlierHead }, success, waits, waits, false},
		{"order: unknown", gate.Order, func(f *gate.Facts) { f.Upstream.Unknown = away }, pending, waits, waits, true},
	}
}

func TestEveryAnswerLeadsWhereTheTableSays(t *testing.T) {
	for _, c := range cells() {
		t.Run(c.name, func(t *testing.T) {
			before, after := preview(), promotion()
			require.Equal(t, gate.StatusSuccess, gate.Summarize(gate.Evaluate(before, now)).Status)
			require.Equal(t, gate.OutcomeDeploy, gate.Summarize(gate.Evaluate(after, now)).Outcome)
			c.spoil(&before)
			c.spoil(&after)

			r := ask(t, before, c.gate)
			assert.NotEqual(t, gate.Pass, r.Verdict)
			assert.Equal(t, c.status, r.Status, r.Reason)
			assert.Equal(t, c.unknown, r.Unknown)
			assert.False(t, r.Final, "nothing is final before the merge")
			assert.NotEmpty(t, r.Unblocks)

			r = ask(t, after, c.gate)
			assert.Equal(t, c.afterwards, r.Outcome, r.Reason)
			assert.Equal(t, c.unknown, r.Unknown)
			later := pick(t, gate.Evaluate(after, now.Add(24*time.Hour)), c.gate)
			assert.Equal(t, c.inTheEnd, later.Outcome, later.Reason)
			assert.Equal(t, c.inTheEnd == rejects, later.Final)
		})
	}
}

func TestEveryBuiltGateHasACell(t *testing.T) {
	covered := map[string]bool{}
	for _, c := range cells() {
		covered[c.gate] = true
	}
	for _, r := range gate.Evaluate(promotion(), now) {
		assert.True(t, covered[r.Gate], r.Gate)
	}
}

func TestAFailedCheckMayBeRepeatedForHalfAnHourAfterTheMerge(t *testing.T) {
	f := promotion()
	f.Checks["tests"].Subjects[0].Runs[0] = run(100, "test", sourceCommit, "failure")
	r := ask(t, f, "tests")
	assert.Equal(t, gate.Wait, r.Verdict)
	assert.Equal(t, mergedAt.Add(30*time.Minute), r.NextCheck, "it failed before the merge, so the merge counts")

	at := func(d time.Duration) gate.Result { return pick(t, gate.Evaluate(f, mergedAt.Add(d)), "tests") }
	assert.Equal(t, gate.Wait, at(30*time.Minute-1).Verdict)
	assert.Equal(t, gate.Fail, at(30*time.Minute).Verdict)

	ended := mergedAt.Add(10 * time.Minute)
	f.Checks["tests"].Subjects[0].Runs[0].CompletedAt = ended
	assert.Equal(t, ended.Add(30*time.Minute), at(15*time.Minute).NextCheck)
	f.Checks["tests"].Subjects[0].Runs[0] = run(101, "test", sourceCommit, "success")
	assert.Equal(t, gate.Pass, at(20*time.Minute).Verdict)
}
