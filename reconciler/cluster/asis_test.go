package cluster_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestWhatRendersToSomethingElseStaysAsItIsWhileTrafficMoves(t *testing.T) {
	x := newSite(t, gateway())
	x.settle(serving(old))
	before := x.get("deployments", "checkout-"+old).GetGeneration()

	x.shop.extra = []string{"\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: robot}\n"}
	x.shop.behaviour = "ready " // what an upgrade of the renderer might do to both revisions
	state := canary(50)
	state.AsIs = []string{old}
	o := x.settle(state)
	assert.Equal(t, 50, o.Route.Weight)
	assert.True(t, x.exists("serviceaccounts", "robot"), "the candidate is applied as it was verified")

	state = canary(0)
	state.AsIs, state.Shared = []string{old}, old
	o = x.settle(state)
	assert.Equal(t, 0, o.Route.Weight, "the way back is open")
	assert.Equal(t, map[string]int{old: 100, young: 0}, x.liveWeights())
	assert.Equal(t, before, x.get("deployments", "checkout-"+old).GetGeneration(), "stable was not touched")
}
