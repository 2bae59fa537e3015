package cluster_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// A StatefulSet is one object for all revisions, so its pods are never the
// candidate's, also where the labels would have the Service select them.
func TestPodsBesideTheDeploymentKeepNoCandidateFromBeingReady(t *testing.T) {
	for name, set := range map[string]string{
		"a set of its own":         statefulSet,
		"a set behind the Service": strings.ReplaceAll(statefulSet, "app: queue", "app: checkout, part: queue"),
	} {
		t.Run(name, func(t *testing.T) {
			x := newSite(t, gateway().with(func(s *shop) { s.extra = []string{set} }))
			x.settle(serving(old))
			o := x.settle(canary(50))
			assert.Equal(t, 2, o.Revisions[young].Endpoints)
			assert.Equal(t, map[string]int{old: 50, young: 50}, x.liveWeights())
			x.settle(canary(100))
			x.settle(serving(young))
		})
	}
}

func TestOnlyPodsBehindTheServiceDivideTheTraffic(t *testing.T) {
	x := newSite(t, production().with(func(s *shop) { s.plain, s.extra = true, []string{statefulSet} }))
	x.settle(serving(old))
	o := x.settle(canary(50))
	assert.InDelta(t, 50, o.Route.Achievable, 0.01, "4 of 8 pods; the queue has none of it")
	assert.Equal(t, 4, o.Revisions[old].Endpoints)
	x.settle(canary(100))
	x.settle(serving(young))
}
