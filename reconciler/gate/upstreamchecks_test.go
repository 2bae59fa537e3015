package gate_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/reconciler/gate"
	"github.com/sluice-cd/sluice/schemas"
)

const stagingMerge = "ffffffffffffffffffffffffffffffffffffffff"

// endToEnd returns a promotion that needs a check on what staging has proven,
// with these runs on the commit that brought it there.
func endToEnd(runs ...forge.Check) gate.Facts {
	f := promotion()
	f.Environment.Checks = append(f.Environment.Checks, schemas.Check{Gate: "staging-e2e", On: "staging", Name: "e2e", App: "github-actions"})
	f.Checks["staging-e2e"] = gate.CheckFacts{Subjects: []gate.Subject{{Repository: environments, Commits: []string{stagingMerge}, Runs: runs}}}
	return f
}

func TestACheckOnAnEnvironmentIsAskedOnWhatItHasProven(t *testing.T) {
	spoof := run(2, "e2e", stagingMerge, "success")
	spoof.AppID, spoof.App = 666, "evil"
	for name, c := range map[string]struct {
		facts gate.Facts
		want  gate.Cause
	}{
		"success":              {endToEnd(run(1, "e2e", stagingMerge, "success")), gate.Met},
		"failure":              {endToEnd(run(1, "e2e", stagingMerge, "failure")), gate.Concluded},
		"repeated and running": {endToEnd(run(1, "e2e", stagingMerge, "success"), run(2, "e2e", stagingMerge, "")), gate.Missing},
		"by another app":       {endToEnd(spoof), gate.Missing},
		"of another commit":    {endToEnd(run(1, "e2e", mergeCommit, "success")), gate.Missing},
		"no run":               {endToEnd(), gate.Missing},
	} {
		assert.Equal(t, c.want, ask(t, c.facts, "staging-e2e").Cause, name)
	}
}

func TestACheckOnAnEnvironmentThatHasProvenNothingWaits(t *testing.T) {
	f := endToEnd()
	f.Checks["staging-e2e"] = gate.CheckFacts{Subjects: []gate.Subject{{Repository: environments}}}
	r := ask(t, f, "staging-e2e")
	assert.Equal(t, gate.Missing, r.Cause)
	assert.Equal(t, "check staging-e2e is asked on what staging has proven, and it has not proven this artifact with this base", r.Reason)

	for name, facts := range map[string]gate.CheckFacts{
		"not asked":              {},
		"record not readable":    {Unknown: "no answer in 10 s"},
		"the forge did not tell": {Subjects: []gate.Subject{{Repository: environments, Commits: []string{stagingMerge}, Unknown: "timeout"}}},
	} {
		f.Checks["staging-e2e"] = facts
		assert.Equal(t, gate.Unknown, ask(t, f, "staging-e2e").Cause, name)
	}
}
