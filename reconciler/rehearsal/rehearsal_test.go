package rehearsal_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/reconciler/gate"
	"github.com/sluice-cd/sluice/reconciler/rehearsal"
	"github.com/sluice-cd/sluice/schemas"
)

const examples = "../../examples/policy-tests"

func read(t *testing.T, file string) (schemas.PolicyTest, schemas.Policy) {
	t.Helper()
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	test, err := schemas.DecodePolicyTest(file, data)
	require.NoError(t, err)
	named := filepath.Join(filepath.Dir(file), test.Policy)
	data, err = os.ReadFile(named)
	require.NoError(t, err)
	policy, err := schemas.DecodePolicy(named, data)
	require.NoError(t, err)
	return test, policy
}

// TestTheExamplesHoldAndShowEveryGate: each gate of the example's policies passes
// in one case, and does not pass for its own sake in another.
func TestTheExamplesHoldAndShowEveryGate(t *testing.T) {
	shown := map[string][]gate.Verdict{}
	for _, name := range []string{"production.yaml", "pol-007.yaml"} {
		test, policy := read(t, filepath.Join(examples, name))
		outcomes, err := rehearsal.Play(test, policy)
		require.NoError(t, err)
		for _, o := range outcomes {
			assert.True(t, o.Passed, "%s: %s: %v", name, o.Name, o.Differences)
			for _, g := range o.Gates {
				shown[g.Gate] = append(shown[g.Gate], g.Verdict)
			}
		}
	}
	require.Greater(t, len(shown), 14)
	for name, verdicts := range shown {
		assert.Contains(t, verdicts, gate.Pass, name)
		if name == "staging-e2e" {
			continue // of the second policy only, and like any other check
		}
		assert.True(t, slices.Contains(verdicts, gate.Wait) || slices.Contains(verdicts, gate.Fail), "%s never stands in the way", name)
	}
	for _, name := range []string{"integrity", "artifact", "render", "health-probes", "hotfix", "hold", "approvals", "sast"} {
		assert.Contains(t, shown[name], gate.Fail, name)
	}
	for _, name := range []string{"integrity", "artifact", "paused", "freeze", "approvals", "tests", "order", "backfill", "soak", "window"} {
		assert.Contains(t, shown[name], gate.Wait, name)
	}
}

// A case that holds under one policy shows what another one changes.
func TestAWeakerPolicyIsSeenByItsCases(t *testing.T) {
	test, policy := read(t, filepath.Join(examples, "production.yaml"))
	i := policy.Index("production")
	policy.Environments[i].Approvals.Standard = 0
	outcomes, err := rehearsal.Play(test, policy)
	require.NoError(t, err)
	var failed []string
	for _, o := range outcomes {
		if !o.Passed {
			failed = append(failed, o.Name)
		}
	}
	assert.Contains(t, failed, "an open pull request waits for its approval")
	assert.NotContains(t, failed, "an approved promotion of what staging has proven is deployed")
}

func TestADifferenceSaysWhatIsAndWhatWasExpected(t *testing.T) {
	test, policy := read(t, filepath.Join(examples, "production.yaml"))
	at := schemas.Time{Time: time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)}
	test.Cases = []schemas.TestCase{{
		Name: "wrong", At: at, Change: "standard", Came: "reviewed", Author: "author", Provenance: "proven", Upstream: "proven", Manifests: "good",
		Expect: schemas.TestExpectation{Verdict: "pass", Gates: []schemas.TestGate{
			{Gate: "approvals", Verdict: "wait", Because: "moon"}, {Gate: "taste", Verdict: "fail"}, {Gate: "window", Verdict: "wait"},
		}},
	}}
	outcomes, err := rehearsal.Play(test, policy)
	require.NoError(t, err)
	require.Len(t, outcomes[0].Differences, 4)
	assert.Contains(t, outcomes[0].Differences[0], "it is wait, not pass: Waiting: 0 of 1 approval")
	assert.Contains(t, outcomes[0].Differences[1], `which does not contain "moon"`)
	assert.Contains(t, outcomes[0].Differences[2], "gate window is pass, not wait")
	assert.Equal(t, "gate taste is not one of the policy's", outcomes[0].Differences[3])
}

func TestATestThatDoesNotFitThePolicyIsAnError(t *testing.T) {
	test, policy := read(t, filepath.Join(examples, "production.yaml"))
	test.Cases[0].Checks = []schemas.TestCheck{{Gate: "taste", Is: "failed"}}
	_, err := rehearsal.Play(test, policy)
	assert.ErrorContains(t, err, `environment production has no check with gate "taste"`)
	test.Environment = "moon"
	_, err = rehearsal.Play(test, policy)
	assert.ErrorContains(t, err, `the policy has no environment "moon"`)
}
