package gate_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/sluice-cd/sluice/reconciler/gate"
	"github.com/sluice-cd/sluice/schemas"
)

// overdue is a hotfix that was due by now.
func overdue(contained gate.Answer) []gate.Backfill {
	return []gate.Backfill{{
		Name: "1.41.1 for INC-7", Deadline: now, Contained: contained, URL: "https://forge.example.com/9",
		Sources: []gate.BuiltFrom{{Repository: source, Commit: sourceCommit}},
	}}
}

func TestAnOverdueHotfixStopsWhatDoesNotBringItBack(t *testing.T) {
	f := promotion()
	f.Backfills = overdue(gate.Answer{Reason: "dddddddddddd of acme/checkout is not in eeeeeeeeeeee"})
	r := ask(t, f, gate.Backfills)
	assert.Equal(t, gate.Wait, r.Verdict)
	assert.Equal(t, "hotfix 1.41.1 for INC-7 is overdue since 2026-11-23 12:01 UTC, and this does not bring it back: dddddddddddd of acme/checkout is not in eeeeeeeeeeee", r.Reason)
	assert.Contains(t, r.Unblocks, "merge dddddddddd")
	assert.Contains(t, r.Unblocks, "of acme/checkout into the default branch")
	assert.Equal(t, "https://forge.example.com/9", r.Evidence[0].URL)

	f.Backfills = overdue(gate.Answer{Yes: true})
	assert.Equal(t, gate.OutcomeDeploy, gate.Summarize(gate.Evaluate(f, now)).Outcome, "what pays has to get through")
	f.Backfills = overdue(gate.Answer{Yes: true, Unknown: "the forge is away"})
	assert.True(t, ask(t, f, gate.Backfills).Unknown)
}

func TestAHotfixThatIsNotOverdueStopsNothing(t *testing.T) {
	for name, contained := range map[string]gate.Answer{
		"not contained": {}, "unknown": {Unknown: "the forge is away"}, "contained": {Yes: true},
	} {
		f := promotion()
		f.Backfills = overdue(contained)
		f.Backfills[0].Deadline = now.Add(time.Second)
		assert.Equal(t, gate.Pass, ask(t, f, gate.Backfills).Verdict, name)
	}
}

func TestEveryOverdueHotfixHasToComeBack(t *testing.T) {
	f := promotion()
	f.Backfills = append(overdue(gate.Answer{Yes: true}), overdue(gate.Answer{Reason: "it is not"})...)
	assert.Equal(t, gate.Wait, ask(t, f, gate.Backfills).Verdict)
	f.Backfills[1].Deadline = now.Add(time.Hour)
	assert.Equal(t, gate.Pass, ask(t, f, gate.Backfills).Verdict, "only those that are overdue")
}

func TestAHotfixIsNotAskedForEarlierOnes(t *testing.T) {
	f := promotion()
	f.Class, f.Incident, f.Backfills = schemas.ChangeHotfix, "INC-8", overdue(gate.Answer{})
	r := ask(t, f, gate.Backfills)
	assert.Equal(t, gate.Pass, r.Verdict)
	assert.Equal(t, "not asked of a hotfix", r.Reason)
}
