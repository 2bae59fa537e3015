package reconciler_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/reconciler/environments"
	"github.com/sluice-cd/sluice/schemas"
)

// askedOf is what was known of staging when production was last judged.
func (w *world) askedOf(environment string) (there environments.Proven, asked bool) {
	w.t.Helper()
	for _, c := range w.asks {
		if c.Key == checkout {
			there, asked = c.Proven[environment]
		}
	}
	return there, asked
}

func TestAChecksEnvironmentIsAskedForTheCommitThatBroughtThePromotion(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := soaking(t, func(w *world) {
			w.policy.Environments[1].Checks = []schemas.Check{{Gate: "staging-e2e", On: "staging", Name: "e2e", App: "ci"}}
		})
		w.both(2 * time.Second)
		proven := w.record(staged).Proven
		there, asked := w.askedOf("staging")
		require.True(t, asked)
		require.NotEmpty(t, proven[len(proven)-1].Commit)
		assert.Equal(t, environments.Proven{Asked: true, Commit: proven[len(proven)-1].Commit}, there)

		w.push(map[string]string{name: "v3"})
		w.both(2 * time.Second)
		there, _ = w.askedOf("staging")
		assert.Equal(t, environments.Proven{Asked: true}, there, "staging never had it")
	})
}
