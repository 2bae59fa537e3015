package schemas_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/sluice-cd/sluice/schemas"
)

func TestPolicyTestsAreDecodedStrictlyWithPositions(t *testing.T) {
	const head = "apiVersion: sluice.dev/v1alpha1\nkind: PolicyTest\npolicy: sluice.yaml\nenvironment: production\ncases:\n"
	const fine = "  - {name: one, at: 2026-03-02T10:00:00Z, expect: {verdict: pass}}\n"
	_, err := schemas.DecodePolicyTest("t.yaml", []byte(head+fine))
	assert.NoError(t, err)
	for text, want := range map[string]string{
		head: "t.yaml:5:",
		head + strings.Replace(fine, "verdict: pass", "verdict: maybe", 1):  `t.yaml:6:61: verdict is "maybe"; write pass, wait or fail`,
		head + strings.Replace(fine, "name: one", "name: one, clock: 1", 1): `t.yaml:6:17: unknown field "clock"`,
		head + strings.Replace(fine, "at: 2026-03-02T10:00:00Z, ", "", 1):   "the instant is missing",
		head + fine + fine: `"one" is there twice; give each case a name of its own`,
		head + strings.Replace(fine, "name: one", "name: one, came: pushed", 1):   "pushed is what only something on the branch can be; add merged: true",
		head + strings.Replace(fine, "name: one", "name: one, stopped: [sad]", 1): `stopped[0] is "sad"; write held, paused or frozen`,
		strings.Replace(head, "policy: sluice.yaml\n", "", 1) + fine:              "the policy is missing",
	} {
		_, err := schemas.DecodePolicyTest("t.yaml", []byte(text))
		assert.ErrorContains(t, err, want)
	}
}
