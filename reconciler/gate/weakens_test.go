package gate_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/reconciler/gate"
	"github.com/sluice-cd/sluice/schemas"
)

const strictPolicy = `apiVersion: sluice.dev/v1alpha1
kind: Policy
owners: [acme/platform]
environments:
  - name: dev
  - name: staging
    soak: {duration: 15m, errorRateIncreasePoints: 0.1, minRequests: 500}
  - name: production
    approvals: {standard: 1, breaking: 2, security: 2, hotfix: 2, teams: [acme/releasers], excludeSourceAuthors: true}
    provenance: {check: {name: build, app: github-actions}}
    checks:
      - {gate: tests, on: source, name: test, app: github-actions}
      - {gate: sast, on: source, name: sast, app: github-actions, alerts: {severity: high}}
    windows:
      timezone: Europe/Berlin
      open: [{cron: "0 8 * * MON-THU", duration: 10h}]
      freezes: [{from: 2026-12-18, through: 2027-01-03, reason: peak season}]
    rollout: {steps: [5, 25, 50, 100], interval: 5m, deadline: 2h}
    rollback: {errorRateIncreasePoints: 0.5, window: 30m}
    hotfix: {waives: [soak], backfill: 24h}
`

func decodePolicy(t *testing.T, text string) schemas.Policy {
	t.Helper()
	p, err := schemas.DecodePolicy("sluice.yaml", []byte(text))
	require.NoError(t, err)
	return p
}

func TestWhatAPolicyAsksLessOfIsNamed(t *testing.T) {
	for name, c := range map[string]struct{ old, now, want string }{
		"approvals lowered":     {"standard: 1", "standard: 0", "environments[production].approvals.standard: 1 → 0"},
		"a team added":          {"[acme/releasers]", "[acme/releasers, acme/all]", "approvals.teams[acme/all]: none → there"},
		"a team removed":        {"teams: [acme/releasers], ", "", "approvals.teams[acme/releasers]: there → none"},
		"authors let in":        {", excludeSourceAuthors: true", "", "excludeSourceAuthors: true → none"},
		"a check removed":       {"      - {gate: tests, on: source, name: test, app: github-actions}\n", "", "checks[tests]: there → none"},
		"the app of a check":    {"name: test, app: github-actions", "name: test, app: other", "checks[tests].app: github-actions → other"},
		"alerts removed":        {", alerts: {severity: high}", "", "checks[sast].alerts.severity: high → none"},
		"fewer alerts":          {"severity: high", "severity: critical", "severity: high → critical"},
		"soak shortened":        {"duration: 15m", "duration: 1m", "environments[staging].soak.duration: 15m → 1m"},
		"soak tolerant":         {"errorRateIncreasePoints: 0.1", "errorRateIncreasePoints: 5", "soak.errorRateIncreasePoints: 0.1 → 5"},
		"another window":        {"duration: 10h}]", `duration: 10h}, {cron: "0 0 * * *", duration: 25h}]`, "windows.open[{"},
		"another zone":          {"Europe/Berlin", "UTC", "windows.timezone: Europe/Berlin → UTC"},
		"a freeze removed":      {"[{from: 2026-12-18, through: 2027-01-03, reason: peak season}]", "[]", "windows.freezes[{"},
		"triggers raised":       {"{errorRateIncreasePoints: 0.5", "{errorRateIncreasePoints: 5", "rollback.errorRateIncreasePoints: 0.5 → 5"},
		"a shorter window":      {"window: 30m", "window: 1m", "rollback.window: 30m → 1m"},
		"other steps":           {"[5, 25, 50, 100]", "[50, 100]", "rollout.steps: 5 25 50 100 → 50 100"},
		"a hotfix waives more":  {"waives: [soak]", "waives: [soak, freeze]", "hotfix.waives[freeze]: none → there"},
		"a debt may wait":       {"backfill: 24h", "backfill: 240h", "hotfix.backfill: 24h → 240h"},
		"another proof":         {"provenance: {", "provenance: {attestation: true, ", "provenance.attestation: none → true"},
		"another app's proof":   {"name: build, app: github-actions", "name: build, app: other", "provenance.check.app: github-actions → other"},
		"an owner added":        {"owners: [acme/platform]", "owners: [acme/platform, mallory]", "owners[mallory]: none → there"},
		"an owner removed":      {"owners: [acme/platform]\n", "", "owners[acme/platform]: there → none"},
		"a label ignored":       {"environments:\n", "classes: {security: {labels: []}}\nenvironments:\n", "classes.security.labels[security]: there → none"},
		"environment removed":   {"  - name: dev\n", "", "environments[dev]: there → none"},
		"environments in order": {"  - name: dev\n  - name: staging\n", "  - name: staging\n  - name: dev\n", "environments: dev, staging, production → staging, dev, production"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, strictPolicy, c.old)
			before := decodePolicy(t, strictPolicy)
			after := decodePolicy(t, strings.Replace(strictPolicy, c.old, c.now, 1))
			assert.Contains(t, strings.Join(gate.Weakens(before, after), "\n"), c.want)
		})
	}
}

func TestWhatAPolicyAsksMoreOfIsNotNamed(t *testing.T) {
	for name, c := range map[string]struct{ old, now string }{
		"nothing":          {"owners", "owners"},
		"more approvals":   {"standard: 1", "standard: 2"},
		"another check":    {"    checks:\n", "    checks:\n      - {gate: lint, on: source, name: lint, app: github-actions}\n"},
		"more alerts":      {"severity: high", "severity: low"},
		"a longer soak":    {"duration: 15m", "duration: 1h"},
		"another freeze":   {"freezes: [", "freezes: [{from: 2026-11-01, through: 2026-11-02, reason: audit}, "},
		"stricter trigger": {"{errorRateIncreasePoints: 0.5", "{errorRateIncreasePoints: 0.1"},
		"fewer waivers":    {"waives: [soak]", "waives: []"},
		"one more place":   {"  - name: staging\n", "  - name: canary\n    soak: {duration: 1h}\n  - name: staging\n"},
		"a sooner debt":    {"backfill: 24h", "backfill: 1h"},
		"another label":    {"environments:\n", "classes: {security: {labels: [security, cve]}}\nenvironments:\n"},
		"a namespace":      {"  - name: dev\n", "  - name: dev\n    namespace: \"{service}\"\n"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, strictPolicy, c.old)
			text := strings.Replace(strictPolicy, c.old, c.now, 1)
			assert.Empty(t, gate.Weakens(decodePolicy(t, strictPolicy), decodePolicy(t, text)))
		})
	}
}

func TestAnotherKeyForProofsIsNamed(t *testing.T) {
	before, after := decodePolicy(t, strictPolicy), decodePolicy(t, strictPolicy)
	after.Environments[2].Provenance.Keys = []schemas.ProvenanceKey{{Name: "mine", PublicKey: "PEM"}}
	assert.Equal(t, []string{"environments[production].provenance.keys[mine]: none → there"}, gate.Weakens(before, after))
	assert.Empty(t, gate.Weakens(after, before))
}

func TestWhatAServiceAsksLessOfIsNamed(t *testing.T) {
	base := schemas.Service{Name: "checkout", Source: schemas.ServiceSource{Repository: "acme/checkout"}, Health: schemas.Health{Ready: "/ready"}}
	other := base
	other.Source.Repository, other.Source.Branches = "mallory/checkout", []string{"fix/*"}
	other.Health = schemas.Health{Ready: schemas.NoProbe, Reason: "worker", Incident: "INC-1"}
	assert.Equal(t, []string{
		"services/checkout: health.ready: /ready → none",
		"services/checkout: source.branches[fix/*]: none → there",
		"services/checkout: source.repository: acme/checkout → mallory/checkout",
	}, gate.WeakensService(base, other))
	assert.Empty(t, gate.WeakensService(base, base))
}

func TestWeakeningIsNamedWhereverItIsDecided(t *testing.T) {
	weaker := []string{"environments[production].approvals.standard: 1 → 0", "owners[x]: none → there"}
	f := promotion()
	f.Changes[0].Owned, f.Changes[0].Weakens = []string{"sluice.yaml"}, weaker
	r := ask(t, f, gate.Integrity)
	assert.Equal(t, gate.Fail, r.Verdict)
	assert.Contains(t, r.Reason, "asks for less: environments[production].approvals.standard: 1 → 0 and 1 more")
	assert.Contains(t, texts(r), "owners[x]: none → there")

	c := change()
	c.Weakens = weaker
	results := gate.EvaluatePolicy(gate.PolicyFacts{
		Repository: environments, Branch: "main", Merged: true, Owners: []string{releasers}, Change: c,
	}, now)
	owners := pick(t, results, gate.Owners)
	assert.Equal(t, gate.Pass, owners.Verdict, "owners may weaken what is theirs")
	assert.Contains(t, owners.Reason, "asks for less")
}
