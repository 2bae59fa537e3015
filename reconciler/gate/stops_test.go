package gate_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/sluice-cd/sluice/reconciler/gate"
	"github.com/sluice-cd/sluice/schemas"
)

func TestAHoldRefusesTheInputsOrTheArtifactThatItNames(t *testing.T) {
	cases := map[string]struct {
		hold gate.Hold
		want gate.Verdict
	}{
		"inputs":               {gate.Hold{Inputs: inputs}, gate.Fail},
		"revision":             {gate.Hold{Revision: inputs[:10]}, gate.Fail},
		"abbreviated revision": {gate.Hold{Revision: inputs[:8]}, gate.Fail},
		"inputs as a revision": {gate.Hold{Revision: inputs}, gate.Fail},
		"digest":               {gate.Hold{Digests: []string{otherDigest, digest}}, gate.Fail},
		"any of several":       {gate.Hold{Inputs: "other", Revision: "2222222222", Digests: []string{digest}}, gate.Fail},
		"other inputs":         {gate.Hold{Inputs: "2222"}, gate.Pass},
		"other revision":       {gate.Hold{Revision: "2222222222"}, gate.Pass},
		"too short to be sure": {gate.Hold{Revision: "1111"}, gate.Pass},
		"other digest":         {gate.Hold{Digests: []string{otherDigest}}, gate.Pass},
		"nothing named":        {gate.Hold{Reason: "empty"}, gate.Pass},
	}
	for name, c := range cases {
		f := promotion()
		f.Holds = []gate.Hold{{Inputs: "unrelated"}, c.hold}
		assert.Equal(t, c.want, ask(t, f, gate.Held).Verdict, name)
	}
	f := promotion()
	f.Inputs, f.Revision = "", ""
	f.Holds = []gate.Hold{{}}
	assert.Equal(t, gate.Pass, ask(t, f, gate.Held).Verdict, "nothing equals nothing")
}

func TestAHoldSaysWhyAndHowToLiftIt(t *testing.T) {
	f := promotion()
	f.Holds = []gate.Hold{{
		Inputs: inputs, Reason: "error rate 2.4 % against 1.0 %", By: "sluice", At: mergedAt,
		Path: "production/checkout/control.yaml", URL: "https://forge.example.com/c/1",
	}}
	r := ask(t, f, gate.Held)
	assert.Equal(t, "on hold: error rate 2.4 % against 1.0 %", r.Reason)
	assert.Equal(t, "anybody: promote another artifact, or remove the hold from production/checkout/control.yaml in a reviewed pull request", r.Unblocks)
	assert.Equal(t, []gate.Evidence{{Text: "held since 2026-11-23 12:00 UTC by sluice", URL: "https://forge.example.com/c/1"}}, r.Evidence)
	f.Holds[0].Reason = " "
	assert.Equal(t, "on hold: no reason was given", ask(t, f, gate.Held).Reason)
}

func TestAPauseWaitsAndSaysWhere(t *testing.T) {
	f := promotion()
	f.Paused = gate.Pause{Paused: true, Reason: "investigating", Path: "production/checkout/control.yaml"}
	r := ask(t, f, gate.Paused)
	assert.Equal(t, "paused: investigating", r.Reason)
	assert.Contains(t, r.Unblocks, "production/checkout/control.yaml")
	f.Paused.Path = ""
	assert.Contains(t, ask(t, f, gate.Paused).Unblocks, "control.yaml")
}

func TestAHotfixNamesItsIncident(t *testing.T) {
	f := promotion()
	f.Class, f.Incident = schemas.ChangeHotfix, " \t"
	assert.True(t, ask(t, f, gate.HotfixRef).Final)
	f.Incident = "INC-2093"
	assert.Equal(t, "hotfix for INC-2093", ask(t, f, gate.HotfixRef).Reason)
}

func TestARenderErrorIsShownWithItsPlace(t *testing.T) {
	f := promotion()
	f.RenderError = "read production/checkout/kustomization.yaml:3:5: unknown field \"patchez\""
	r := ask(t, f, gate.Render)
	assert.Equal(t, "the manifests do not render: "+f.RenderError, r.Reason)
}

func TestTheStrictestClaimedClassApplies(t *testing.T) {
	a := schemas.Approvals{Standard: 1, Breaking: 3, Security: 2, Hotfix: 2}
	assert.Equal(t, "standard", gate.Class(a, "standard"))
	assert.Equal(t, "breaking", gate.Class(a, "standard", "security", "breaking"))
	assert.Equal(t, "hotfix", gate.Class(a, "hotfix", "security"), "of equals the earlier one")
	assert.Equal(t, 3, a.For(gate.Class(a)))
	assert.Equal(t, 3, a.For(gate.Class(a, "standard", "typo")))
	assert.Equal(t, 3, a.For(gate.Class(a, "", "standard")))
}

func TestAMissingProbeIsNamedAndAnExceptionIsShown(t *testing.T) {
	f := promotion()
	f.Unprobed = []string{"container app of Deployment/checkout has no startup probe", "the readiness probe of container app of Deployment/checkout asks http /ready"}
	r := ask(t, f, gate.Probes)
	assert.Equal(t, "container app of Deployment/checkout has no startup probe (and 1 more probe)", r.Reason)
	assert.Contains(t, texts(r), "asks http /ready")
	assert.Contains(t, r.Unblocks, "with reason and incident")

	f.Exception = "INC-7, speaks gRPC only"
	assert.Equal(t, gate.Fail, ask(t, f, gate.Probes).Verdict, "an exception says what else is asked, not that nothing is")
	f.Unprobed = nil
	r = ask(t, f, gate.Probes)
	assert.Equal(t, gate.Pass, r.Verdict)
	assert.Contains(t, texts(r), "exception: INC-7, speaks gRPC only")
}
