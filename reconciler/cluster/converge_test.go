package cluster_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sluice-cd/sluice/reconciler/cluster"
	"github.com/sluice-cd/sluice/reconciler/release"
)

func TestARolloutFromFirstReleaseToStable(t *testing.T) {
	x := newSite(t, gateway())

	first := release.State{
		Workloads: []release.Workload{{Revision: old, Share: 100}}, Shared: old,
		Traffic: release.Traffic{Candidate: old},
	}
	o := x.settle(first)
	assert.Equal(t, 2, o.Revisions[old].Endpoints)
	assert.Len(t, o.Revisions[old].Pods, 2)
	assert.False(t, x.exists("httproutes", "checkout"), "no traffic before 100 %")
	first.Traffic.Weight = 100
	o = x.settle(first)
	assert.Equal(t, 100, o.Route.Weight)
	o = x.settle(serving(old))
	assert.Equal(t, map[string]int{old: 100}, x.liveWeights())

	for _, weight := range []int{0, 5, 25, 50, 100} {
		o = x.settle(canary(weight))
		assert.Equal(t, weight, o.Route.Weight)
		assert.Equal(t, young, o.Route.Candidate)
		assert.Equal(t, map[string]int{old: 100 - weight, young: weight}, x.liveWeights())
		assert.Equal(t, 2, o.Revisions[old].Endpoints, "stable stays at full size")
	}
	assert.Equal(t, 3, o.Revisions[young].Replicas, "2 × 100 % × 1.2")

	x.settle(serving(young))
	assert.Equal(t, map[string]int{young: 100}, x.liveWeights())
	assert.False(t, x.exists("deployments", "checkout-"+old))
	assert.False(t, x.exists("services", "checkout-"+old))
	assert.False(t, x.exists("configmaps", "settings-"+old))
	selector := x.get("services", "checkout").Object["spec"].(map[string]any)["selector"].(map[string]any)
	assert.Equal(t, young, selector["sluice.dev/revision"])
}

func TestAChangedObjectCostsOnePatchAndAnUnchangedOneNothing(t *testing.T) {
	x := newSite(t, gateway())
	x.settle(serving(old))
	assert.Empty(t, x.wire.since(func() {
		require.NoError(t, x.converge(serving(old)))
		x.observe(serving(old))
	}))

	x.restart()
	x.settle(serving(old))
	requests := x.wire.since(func() { require.NoError(t, x.converge(serving(old))) })
	assert.Empty(t, requests, "a restart knows what is in place")

	x.shop.extra = []string{"\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: robot, annotations: {example.com/team: a}}\n"}
	x.settle(serving(old))
	x.shop.extra = []string{"\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: robot, annotations: {example.com/team: b}}\n"}
	requests = x.wire.since(func() { x.settle(serving(old)) })
	assert.Equal(t, []string{"PATCH robot"}, requests)
}

func TestACandidateCostsOnePatchForEachOfItsObjects(t *testing.T) {
	x := newSite(t, gateway())
	x.settle(serving(old))
	requests := x.wire.since(func() { x.settle(canary(0)) })
	counts := map[string]int{}
	for _, r := range requests {
		counts[r]++
	}
	for _, name := range []string{"checkout-" + young, "settings-" + young} {
		assert.Contains(t, counts, "PATCH "+name)
	}
	assert.Equal(t, 2, counts["PATCH checkout-"+young], "the Deployment and the Service have one name")
	assert.Equal(t, 1, counts["PATCH settings-"+young])
	assert.Equal(t, 1, counts["PATCH checkout-"+old], "stable's floor")
	assert.Equal(t, 1, counts["PATCH checkout"], "the route refers to both; the apex Service does not change")
	assert.Empty(t, slices.DeleteFunc(requests, func(r string) bool {
		return strings.HasPrefix(r, "PATCH") || r == "PUT "+x.shop.key.Environment+".checkout.inventory"
	}), "nothing but applies and the inventory")
}

func TestTrafficGoesBackWithTheFirstRequest(t *testing.T) {
	x := newSite(t, gateway())
	x.settle(serving(old))
	x.settle(canary(50))
	back := canary(0)
	back.Shared = old
	requests := x.wire.since(func() { require.NoError(t, x.converge(back)) })
	require.NotEmpty(t, requests)
	assert.Equal(t, "PATCH checkout", requests[0])
	assert.Equal(t, map[string]int{old: 100, young: 0}, x.liveWeights())
}

func TestACandidateWithoutReadyPodsGetsNoTraffic(t *testing.T) {
	x := newSite(t, gateway())
	x.settle(serving(old))
	x.shop.behaviour = "never-ready"
	manifests := x.manifests()
	manifests[old] = gateway().with(func(s *shop) { s.key, s.namespace, s.version = x.shop.key, x.shop.namespace, "1" }).render(t, old)
	state := canary(25)
	require.Eventually(t, func() bool {
		require.NoError(t, x.Converge(t.Context(), x.shop.key, state, manifests, x.shop.options()))
		o, err := x.Observe(t.Context(), x.shop.key, state, manifests, x.shop.options())
		require.NoError(t, err)
		require.False(t, o.Converged)
		return len(o.Revisions[young].Pods) == 1 && o.Revisions[young].Readiness == release.InProgress &&
			strings.Contains(o.Route.Reason, "revision bbbb2222 has 0 ready endpoints and needs 1")
	}, patience, beat)
	assert.Zero(t, x.liveWeights()[young])
}

func TestDriftIsPutRightAndAFightIsNot(t *testing.T) {
	x := newSite(t, gateway())
	x.settle(serving(old))
	for range 5 {
		x.edit("deployments", "checkout-"+old, `{"spec":{"replicas":7}}`)
		x.eventually(serving(old), func() bool { return number(t, x.get("deployments", "checkout-"+old), "spec", "replicas") == 2 }, "replicas are put right")
	}
	x.edit("deployments", "checkout-"+old, `{"spec":{"replicas":7}}`)
	require.Eventually(t, func() bool {
		require.NoError(t, x.converge(serving(old)))
		o := x.observe(serving(old))
		return len(o.Contested) == 1 && o.Contested[0].Manager == "kubectl-edit" && !o.Contested[0].At.IsZero() &&
			o.Contested[0].Object == "Deployment "+x.shop.namespace+"/checkout-"+old
	}, patience, beat)
	assert.Empty(t, x.wire.since(func() { require.NoError(t, x.converge(serving(old))) }))
	assert.Equal(t, 7, number(t, x.get("deployments", "checkout-"+old), "spec", "replicas"))
}

func (x *site) edit(kind, name, patch string) {
	x.t.Helper()
	_, err := x.objects(kind).Patch(x.t.Context(), name, types.MergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: "kubectl-edit"})
	require.NoError(x.t, err)
}

func TestEveryKindOfDriftIsSeen(t *testing.T) {
	x := newSite(t, gateway())
	x.settle(serving(old))
	for name, do := range map[string]func(){
		"a deleted object": func() {
			require.NoError(t, x.objects("services").Delete(t.Context(), "checkout", metav1.DeleteOptions{}))
		},
		"a changed selector": func() { x.edit("services", "checkout", `{"spec":{"selector":{"sluice.dev/revision":"other"}}}`) },
		"changed weights": func() {
			x.edit("httproutes", "checkout", `{"spec":{"rules":[{"backendRefs":[{"name":"checkout","port":80}]}]}}`)
		},
		"changed configuration": func() { x.edit("configmaps", "settings-"+old, `{"data":{"mode":"mine"}}`) },
		"a removed label":       func() { x.edit("configmaps", "settings-"+old, `{"metadata":{"labels":{"sluice.dev/release":null}}}`) },
		"a removed mark": func() {
			x.edit("configmaps", "settings-"+old, `{"metadata":{"annotations":{"sluice.dev/applied":null}}}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			do()
			require.Eventually(t, func() bool { return !x.observe(serving(old)).Converged }, patience, beat, "the drift is seen")
			x.settle(serving(old))
			assert.Equal(t, "1", x.get("configmaps", "settings-"+old).Object["data"].(map[string]any)["mode"])
			assert.Equal(t, x.shop.key.Environment+".checkout", x.get("configmaps", "settings-"+old).GetLabels()["sluice.dev/release"])
			assert.Equal(t, map[string]int{old: 100}, x.liveWeights())
		})
	}
}

func TestDriftWakesTheRelease(t *testing.T) {
	x := newSite(t, gateway())
	x.settle(serving(old))
	require.Eventually(t, func() bool { // until the events of the settling are through
		quiet := len(x.woken) == 0
		for len(x.woken) > 0 {
			<-x.woken
		}
		return quiet
	}, patience, 10*beat)
	x.edit("configmaps", "settings-"+old, `{"data":{"mode":"mine"}}`)
	require.Eventually(t, func() bool {
		select {
		case key := <-x.woken:
			return key == x.shop.key
		default:
			return false
		}
	}, patience, beat)
}

func TestSomebodyElsesObjectIsRefusedBeforeAnythingIsWritten(t *testing.T) {
	x := newSite(t, gateway())
	theirs := object(t, "{apiVersion: v1, kind: Service, metadata: {name: checkout, annotations: {argocd.argoproj.io/tracking-id: 'web:/Service:a/b'}}, spec: {selector: {app: checkout}, ports: [{port: 80}]}}")
	_, err := x.objects("services").Create(t.Context(), theirs, metav1.CreateOptions{})
	require.NoError(t, err)
	x.eventually(serving(old), func() bool { err = x.converge(serving(old)); return err != nil && !isUnknown(err) }, "it answers")
	var owned *cluster.OwnedError
	require.ErrorAs(t, err, &owned)
	assert.Equal(t, "Argo CD application web", owned.Owner)
	assert.ErrorIs(t, err, cluster.ErrRefused)
	assert.False(t, x.exists("configmaps", "settings-"+old))
	assert.Nil(t, x.get("services", "checkout").GetLabels())
}

func isUnknown(err error) bool {
	return err != nil && strings.Contains(err.Error(), cluster.ErrUnknown.Error())
}

func TestARevisionsNameThatIsTakenIsRefused(t *testing.T) {
	x := newSite(t, gateway())
	theirs := object(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: settings-"+old+"}, data: {mode: theirs}}")
	_, err := x.objects("configmaps").Create(t.Context(), theirs, metav1.CreateOptions{FieldManager: "somebody"})
	require.NoError(t, err)
	x.eventually(serving(old), func() bool { err = x.converge(serving(old)); return err != nil && !isUnknown(err) }, "it answers")
	assert.ErrorIs(t, err, cluster.ErrRefused)
	assert.ErrorContains(t, err, "somebody")
	assert.Equal(t, "theirs", x.get("configmaps", "settings-"+old).Object["data"].(map[string]any)["mode"])
	assert.True(t, x.exists("deployments", "checkout-"+old), "the others are applied")
}

func TestWhatTheAPIServerWillNeverTakeIsRejected(t *testing.T) {
	x := newSite(t, gateway())
	x.shop.extra = []string{"\napiVersion: v1\nkind: Service\nmetadata: {name: odd}\nspec: {ports: [{port: 99999}]}\n"}
	var err error
	x.eventually(serving(old), func() bool { err = x.converge(serving(old)); return err != nil && !isUnknown(err) }, "it answers")
	assert.ErrorIs(t, err, cluster.ErrRejected)
	assert.ErrorContains(t, err, "Service "+x.shop.namespace+"/odd")
	x.shop.extra = []string{"\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: odd}\ndate: {a: b}\n"}
	assert.ErrorIs(t, x.converge(serving(old)), cluster.ErrRejected, "a misspelt field is not dropped silently")
}

func TestWithoutAGatewayTheNumberOfPodsDividesTheTraffic(t *testing.T) {
	x := newSite(t, production().with(func(s *shop) { s.plain = true }))
	x.settle(serving(old))
	o := x.settle(canary(25))
	assert.Equal(t, 25, o.Route.Weight)
	assert.InDelta(t, 20, o.Route.Achievable, 0.01, "1 of 5 pods")
	o = x.settle(canary(50))
	assert.InDelta(t, 50, o.Route.Achievable, 0.01)
	o = x.settle(canary(100))
	assert.Equal(t, 100, o.Route.Weight)
	o = x.settle(canary(0))
	assert.Equal(t, 0, o.Route.Weight)
	x.settle(serving(old))
	assert.False(t, x.exists("deployments", "checkout-"+young))
}

func TestARetiredReleaseKeepsOnlyItsClaims(t *testing.T) {
	x := newSite(t, gateway().with(func(s *shop) {
		s.extra = []string{"\napiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: data}\nspec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}\n"}
	}))
	// The claim stays Pending without a provisioner, which is no concern of the workload.
	x.settle(serving(old))
	retired := release.State{Retired: true}
	order := x.wire.since(func() { x.settle(retired) })
	deletes := slices.DeleteFunc(order, func(r string) bool { return !strings.HasPrefix(r, http.MethodDelete) })
	require.NotEmpty(t, deletes)
	assert.Equal(t, "DELETE checkout", deletes[0], "the route goes first")
	assert.False(t, x.exists("deployments", "checkout-"+old))
	assert.False(t, x.exists("services", "checkout"))
	assert.True(t, x.exists("persistentvolumeclaims", "data"))
}

func TestAnObservedStateIsLeftAlone(t *testing.T) {
	x := newSite(t, gateway())
	state := serving(old)
	state.Observed = true
	assert.Empty(t, x.wire.since(func() {
		require.NoError(t, x.converge(state))
		assert.True(t, x.observe(state).Converged)
	}))
	assert.False(t, x.exists("services", "checkout"))
}
