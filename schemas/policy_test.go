package schemas_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/schemas"
)

const emptyPolicy = "apiVersion: sluice.dev/v1alpha1\nkind: Policy\n"

func decodePolicy(t *testing.T, text string) schemas.Policy {
	t.Helper()
	p, err := schemas.DecodePolicy("sluice.yaml", []byte(text))
	require.NoError(t, err)
	return p
}

func TestEmptyPolicyIsTheStrictOne(t *testing.T) {
	p := decodePolicy(t, emptyPolicy)
	require.Len(t, p.Environments, 3)
	assert.Equal(t, schemas.DefaultPolicy().Environments, p.Environments)
	assert.Empty(t, p.NotEnforced())

	production, ok := p.Environment("production")
	require.True(t, ok)
	assert.Equal(t, schemas.Approvals{Standard: 1, Breaking: 2, Security: 2, Hotfix: 2}, production.Approvals)
	assert.Equal(t, []int{5, 25, 50, 100}, production.Rollout.Steps)
	assert.Equal(t, 5*time.Minute, production.Rollout.Interval.Std())
	assert.InDelta(t, 0.5, production.Rollback.ErrorRateIncreasePoints, 0)
	assert.Equal(t, 30*time.Minute, production.Rollback.Window.Std())
	assert.Equal(t, []string{"tests", "sast", "contract-tests", "validate", "staging-e2e"}, gates(production))
	assert.Nil(t, production.Soak)
	assert.Equal(t, &schemas.Provenance{Attestation: true}, production.Provenance)

	staging, _ := p.Environment("staging")
	assert.Equal(t, production.Approvals, staging.Approvals)
	assert.Equal(t, production.Provenance, staging.Provenance)
	require.NotNil(t, staging.Soak)
	assert.Equal(t, 15*time.Minute, staging.Soak.Duration.Std())
	assert.Equal(t, []string{"tests", "sast", "contract-tests", "validate"}, gates(staging))

	dev, _ := p.Environment("dev")
	assert.Zero(t, dev.Approvals)
	assert.Empty(t, dev.Checks)
	assert.Nil(t, dev.Provenance)
	assert.Equal(t, []int{100}, dev.Rollout.Steps)
	assert.Equal(t, "checkout-dev", dev.NamespaceFor("checkout"))
}

func TestACheckOnAnEnvironmentIsPinnedToAnApp(t *testing.T) {
	p := decodePolicy(t, emptyPolicy+`environments:
  - {name: dev}
  - name: production
    checks:
      - {gate: dev-e2e, on: dev, name: e2e}
      - {gate: dev-load, on: dev, name: load, app: our-ci}
`)
	checks := p.Environments[1].Checks
	assert.Equal(t, "github-actions", checks[0].App, "as in the default policy")
	assert.Equal(t, "our-ci", checks[1].App)
}

func gates(e schemas.Environment) []string {
	var names []string
	for _, c := range e.Checks {
		names = append(names, c.Gate)
	}
	return names
}
