package schemas_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/schemas"
	"github.com/sluice-cd/sluice/schemas/condition"
)

const gatesPolicy = emptyPolicy + `environments:
  - name: production
    gates:
      - name: freight
        appliesWhen: change.paths.exists(p, p.startsWith("production/freight/"))
        requires: >-
          pullRequest.approvals >= 2 &&
          "freight-ok" in pullRequest.labels
        message: freight needs two approvals and the label freight-ok
`

func TestAPolicyHasGatesOfItsOwn(t *testing.T) {
	g := decodePolicy(t, gatesPolicy).Environments[0].Gates[0]
	assert.Equal(t, schemas.OnFalseReject, g.OnFalse)
	assert.Equal(t, "the author of the promotion", g.Unblocks)
	assert.Equal(t, `pullRequest.approvals >= 2 && "freight-ok" in pullRequest.labels`, g.Requires.String())

	f := condition.Facts{PullRequest: condition.PullRequest{Approvals: 2, Labels: []string{"freight-ok"}}}
	holds, err := g.Requires.Holds(f)
	require.NoError(t, err)
	assert.True(t, holds)
	holds, err = g.AppliesWhen.Holds(f)
	require.NoError(t, err)
	assert.False(t, holds)
}

func TestAConditionThatIsWrongIsReportedWithItsPosition(t *testing.T) {
	const remedy = "; correct the condition; it may speak about release, pullRequest, checks, upstream, change or now"
	for from, c := range map[string][2]string{
		`change.paths.exists`: {`change.path.exists`,
			"sluice.yaml:7:22: environments[0].gates[0].appliesWhen: column 7: undefined field 'path'" + remedy},
		`pullRequest.approvals >= 2 &&`: {`pullRequest.approvals >= "two" &&`,
			"sluice.yaml:8:19: environments[0].gates[0].requires: column 23: found no matching overload for '_>=_' applied to '(int, string)'" + remedy},
		`"freight-ok" in pullRequest.labels`: {`pullRequest.labels`,
			"sluice.yaml:8:19: environments[0].gates[0].requires: column 42: expected type 'bool' but found 'list(string)'" + remedy},
		`name: freight`: {`name: approvals`,
			`sluice.yaml:6:15: gate "approvals" is there already; choose another name`},
		`message: freight needs`: {`onFalse: pass
        message: freight needs`, `sluice.yaml:11:18: onFalse is "pass"; write reject or wait`},
		"        message: freight needs two approvals and the label freight-ok\n": {"",
			"sluice.yaml:6:9: the gate has no message; say what is asked for, for those whom the gate stops"},
		"requires: >-\n          pullRequest.approvals >= 2 &&\n          \"freight-ok\" in pullRequest.labels\n": {"unblocks: somebody\n",
			"sluice.yaml:6:9: the gate requires nothing; write a condition in CEL"},
	} {
		text := strings.Replace(gatesPolicy, from, c[0], 1)
		require.NotEqual(t, gatesPolicy, text, from)
		_, err := schemas.DecodePolicy("sluice.yaml", []byte(text))
		assert.EqualError(t, err, c[1])
	}
}

func TestTooManyGatesAreRefusedBeforeTheyAreRead(t *testing.T) {
	p := schemas.DefaultPolicy()
	p.Environments[2].Gates = make([]schemas.CustomGate, 21)
	assert.EqualError(t, p.Validate(), ": there are 21 gates, the limit is 20; join some of them with && or ||")
}

func TestAPolicyOfManyConditionsIsReadInTime(t *testing.T) {
	text := emptyPolicy + "environments:\n"
	for i := range 100 {
		text += "- name: e" + strings.Repeat("x", i) + "\n  gates:\n" + strings.Repeat("  - {name: own, requires: 'true', message: m}\n", 20)
	}
	_, err := schemas.DecodePolicy("sluice.yaml", []byte(text))
	assert.ErrorContains(t, err, "gate \"own\" is there already")
	assert.ErrorContains(t, err, "more problems are left out")
}
