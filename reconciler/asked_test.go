package reconciler_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/sluice-cd/sluice/reconciler/intake"
	"github.com/sluice-cd/sluice/reconciler/release"
)

func TestACandidateThatGitDoesNotAskForAnyMoreWaits(t *testing.T) {
	for what, snapshot := range map[string]intake.Snapshot{
		"its files are broken":        {Problem: "production/checkout/release.yaml:3:1: unknown field"},
		"its directory was taken out": {},
	} {
		t.Run(what, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld(t)
				w.push(map[string]string{name: "v1"})
				w.begin()
				w.settle(checkout)
				w.forgeAway = "no answer"
				w.push(map[string]string{name: "v2"})
				w.during(2 * time.Minute)
				w.commit(map[string]intake.Snapshot{name: snapshot})
				w.during(2 * time.Minute)
				w.forgeAway = ""
				w.during(10 * time.Minute)
				assert.Equal(t, "v1", w.record(checkout).Stable.Inputs)
				assert.Equal(t, release.Pending, w.record(checkout).Phase)

				w.commit(map[string]intake.Snapshot{name: {Inputs: "v3"}})
				w.reach(release.Stable)
				assert.Equal(t, "v3", w.stable())
			})
		})
	}
}
