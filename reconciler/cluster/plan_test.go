package cluster_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/sluice-cd/sluice/reconciler/cluster"
	"github.com/sluice-cd/sluice/reconciler/release"
	"github.com/sluice-cd/sluice/reconciler/render"
)

const (
	oldDeployment   = "Deployment shop/checkout-" + old
	youngDeployment = "Deployment shop/checkout-" + young
	apexService     = "Service shop/checkout"
	route           = "HTTPRoute shop/checkout"
)

// both renders the shop as old and as young.
func both(t testing.TB, s shop) map[string]render.Output {
	return map[string]render.Output{
		old:   s.with(func(s *shop) { s.version = "1" }).render(t, old),
		young: s.with(func(s *shop) { s.version = "2" }).render(t, young),
	}
}

func planned(t testing.TB, s shop, state release.State, live ...*unstructured.Unstructured) cluster.Planned {
	t.Helper()
	p, err := cluster.Plan(s.key, state, both(t, s), s.options(), live...)
	require.NoError(t, err)
	return p
}

func liveDeployment(t testing.TB, revision string, replicas int, annotations string) *unstructured.Unstructured {
	return object(t, fmt.Sprintf(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: checkout-%[1]s, namespace: shop, labels: {sluice.dev/release: production.checkout, sluice.dev/revision: %[1]s}, annotations: {%[3]s}}
spec: {replicas: %[2]d}`, revision, replicas, annotations))
}

func liveService(t testing.TB, name, selector string) *unstructured.Unstructured {
	labels := "sluice.dev/release: production.checkout"
	if _, revision, ok := strings.Cut(name, "-"); ok {
		labels += ", sluice.dev/revision: " + revision
	}
	return object(t, fmt.Sprintf(`
apiVersion: v1
kind: Service
metadata: {name: %s, namespace: shop, resourceVersion: "5", labels: {%s}}
spec: {selector: {app: checkout, %s}}`, name, labels, selector))
}

func endpoints(t testing.TB, revision string, ready int) *unstructured.Unstructured {
	addresses := []string{"{addresses: [10.0.0.250], conditions: {ready: false}}"}
	for i := range ready {
		addresses = append(addresses, fmt.Sprintf("{addresses: [10.0.1.%d], conditions: {ready: true}}", i))
	}
	return object(t, fmt.Sprintf(`
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: %[1]s-x, namespace: shop, labels: {sluice.dev/release: production.checkout, kubernetes.io/service-name: checkout-%[1]s}}
endpoints: [%[2]s]`, revision, strings.Join(addresses, ", ")))
}

func readyPods(t testing.TB, revision string, n int) []*unstructured.Unstructured {
	pods := make([]*unstructured.Unstructured, n)
	for i := range pods {
		pods[i] = pod(t, fmt.Sprintf("%s-%d", revision, i), revision, `{conditions: [{type: Ready, status: "True"}]}`)
	}
	return pods
}

// running is a cluster in which stable serves alone from 4 pods, with the
// candidate's Service there too.
func running(t testing.TB, refs string, candidate int) []*unstructured.Unstructured {
	return append(readyPods(t, old, 4),
		liveDeployment(t, old, 4, ""),
		liveService(t, "checkout", "sluice.dev/revision: "+old),
		liveService(t, "checkout-"+old, "sluice.dev/revision: "+old),
		liveService(t, "checkout-"+young, "sluice.dev/revision: "+young),
		endpoints(t, old, 4), endpoints(t, young, candidate),
		liveRoute(t, refs, accepted(4, 4)))
}

func weights(t testing.TB, p cluster.Planned) map[string]int {
	t.Helper()
	require.Contains(t, p.Objects, route)
	shares, _, _, err := cluster.RouteFacts(p.Objects[route], "checkout")
	require.NoError(t, err)
	return shares
}

func number(t testing.TB, o *unstructured.Unstructured, path ...string) int {
	t.Helper()
	require.NotNil(t, o)
	n, found, err := unstructured.NestedInt64(o.Object, path...)
	require.NoError(t, err)
	require.True(t, found, "%v is not set", path)
	return int(n)
}

func selectorOf(t testing.TB, p cluster.Planned) map[string]string {
	t.Helper()
	require.Contains(t, p.Objects, apexService)
	selector, _, err := unstructured.NestedStringMap(p.Objects[apexService].Object, "spec", "selector")
	require.NoError(t, err)
	return selector
}

const (
	onlyOld  = `[{name: checkout-aaaa1111, port: 80, weight: 100}]`
	atFive   = `[{name: checkout-aaaa1111, port: 80, weight: 95}, {name: checkout-bbbb2222, port: 80, weight: 5}]`
	onlyApex = `[{name: checkout, port: 80}]`
)

func TestConfigurationGoesFirstAndTrafficLast(t *testing.T) {
	p := planned(t, production().with(func(s *shop) { s.extra = []string{autoscaler} }), serving(old), running(t, onlyOld, 0)...)
	at := func(prefix string) int {
		return slices.IndexFunc(p.Order, func(id string) bool { return strings.HasPrefix(id, prefix) })
	}
	assert.Less(t, at("ConfigMap"), at("Service"))
	assert.Less(t, at("Service"), at("Deployment"))
	assert.Less(t, at("Deployment"), at("HorizontalPodAutoscaler"))
	assert.Less(t, at("HorizontalPodAutoscaler"), at("HTTPRoute"))
}

func TestAFirstReleaseGetsItsRouteWithItsTraffic(t *testing.T) {
	first := release.State{
		Workloads: []release.Workload{{Revision: young, Share: 100}}, Shared: young,
		Traffic: release.Traffic{Candidate: young},
	}
	p := planned(t, production(), first)
	assert.False(t, p.Open)
	assert.NotContains(t, p.Objects, route)
	assert.Equal(t, "none", selectorOf(t, p)["sluice.dev/revision"], "nobody reaches a version that nothing vouches for")
	assert.Equal(t, 4, number(t, p.Objects[youngDeployment], "spec", "replicas"))

	first.Traffic.Weight = 100
	p = planned(t, production(), first)
	assert.False(t, p.Open, "its Service is not there yet")
	assert.Equal(t, "the Service of revision bbbb2222 is not there yet", p.Held)

	p = planned(t, production(), first, liveService(t, "checkout-"+young, "a: b"), endpoints(t, young, 4))
	assert.Equal(t, map[string]int{young: 100}, weights(t, p))
}

func TestACandidateGetsItsShareOnlyWithTheEndpointsForIt(t *testing.T) {
	for _, tt := range []struct {
		ready, weight int
		live          string
		want          map[string]int
	}{
		{0, 5, onlyOld, map[string]int{old: 100}},
		{1, 5, onlyOld, map[string]int{old: 95, young: 5}},
		{1, 25, onlyOld, map[string]int{old: 75, young: 25}},
		{1, 50, atFive, map[string]int{old: 95, young: 5}},
		{2, 50, atFive, map[string]int{old: 50, young: 50}},
		{3, 100, atFive, map[string]int{old: 95, young: 5}},
		{4, 100, atFive, map[string]int{old: 0, young: 100}},
		{0, 0, atFive, map[string]int{old: 100, young: 0}},
		{0, 5, onlyApex, nil},
	} {
		t.Run(fmt.Sprintf("%d ready for %d %%", tt.ready, tt.weight), func(t *testing.T) {
			p := planned(t, production(), canary(tt.weight), running(t, tt.live, tt.ready)...)
			if tt.want == nil {
				assert.Contains(t, fmt.Sprint(p.Objects[route].Object), "map[name:checkout port:80]", "an adopted route stays as rendered")
				return
			}
			assert.Equal(t, tt.want, weights(t, p))
			assert.Equal(t, tt.want[young] == tt.weight, p.Held == "", p.Held)
			assert.Equal(t, old, selectorOf(t, p)["sluice.dev/revision"], "callers in the cluster stay with stable")
		})
	}
}

func TestTheWayBackNeedsOneEndpointOfStable(t *testing.T) {
	live := slices.DeleteFunc(running(t, atFive, 1), func(o *unstructured.Unstructured) bool { return o.GetName() == old+"-x" })
	p := planned(t, production(), canary(0), append(live, endpoints(t, old, 0))...)
	assert.Equal(t, map[string]int{old: 95, young: 5}, weights(t, p), "stable is dead: moving traffic there helps nobody")
	assert.Equal(t, "revision aaaa1111 has 0 ready endpoints and needs 1 for 100 %", p.Held)

	p = planned(t, production(), canary(0), append(live, endpoints(t, old, 1))...)
	assert.Equal(t, map[string]int{old: 100, young: 0}, weights(t, p))
}

func TestTheRouteNamesNoServiceThatIsNotThere(t *testing.T) {
	live := slices.DeleteFunc(running(t, onlyOld, 0), func(o *unstructured.Unstructured) bool { return o.GetName() == "checkout-"+young })
	p := planned(t, production(), canary(0), live...)
	assert.Equal(t, map[string]int{old: 100}, weights(t, p))
	assert.Empty(t, p.Held)
}

func TestACandidateIsSizedForItsShareWithHeadroom(t *testing.T) {
	for weight, want := range map[int]int{0: 1, 5: 1, 25: 2, 50: 3, 100: 5} {
		p := planned(t, production(), canary(weight), running(t, onlyOld, 0)...)
		assert.Equal(t, want, number(t, p.Objects[youngDeployment], "spec", "replicas"), "at %d %%", weight)
		assert.Equal(t, 4, number(t, p.Objects[oldDeployment], "spec", "replicas"))
	}
}

func TestAnAutoscaledCandidateGetsItsFloorAndNoReplicas(t *testing.T) {
	s := production().with(func(s *shop) { s.extra = []string{autoscaler} })
	live := append(running(t, onlyOld, 0), liveDeployment(t, old, 8, ""))
	p := planned(t, s, canary(50), live...)
	scaler := "HorizontalPodAutoscaler shop/checkout-" + young
	assert.Equal(t, 5, number(t, p.Objects[scaler], "spec", "minReplicas"), "8 × 50 % × 1.2")
	_, found, _ := unstructured.NestedFieldNoCopy(p.Objects[youngDeployment].Object, "spec", "replicas")
	assert.False(t, found)
	p = planned(t, s, canary(100), append(live, liveDeployment(t, old, 10, ""))...)
	assert.Equal(t, 10, number(t, p.Objects[scaler], "spec", "minReplicas"), "not above its own maximum")
}

func TestStableKeepsTheSizeItHadWhenTheRolloutBegan(t *testing.T) {
	s := production().with(func(s *shop) { s.extra = []string{autoscaler} })
	scaler := "HorizontalPodAutoscaler shop/checkout-" + old
	p := planned(t, s, canary(5), append(running(t, onlyOld, 0), liveDeployment(t, old, 7, ""))...)
	assert.Equal(t, 7, number(t, p.Objects[scaler], "spec", "minReplicas"))
	assert.Equal(t, "7", p.Objects[scaler].GetAnnotations()["sluice.dev/floor"])

	remembered := object(t, `
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: checkout-aaaa1111, namespace: shop, labels: {sluice.dev/release: production.checkout}, annotations: {sluice.dev/floor: "7"}}`)
	p = planned(t, s, canary(50), append(running(t, atFive, 1), liveDeployment(t, old, 9, ""), remembered)...)
	assert.Equal(t, 7, number(t, p.Objects[scaler], "spec", "minReplicas"), "the count at the beginning, not the one now")

	p = planned(t, s, serving(old), append(running(t, onlyOld, 0), remembered)...)
	assert.Equal(t, 2, number(t, p.Objects[scaler], "spec", "minReplicas"))
	assert.NotContains(t, p.Objects[scaler].GetAnnotations(), "sluice.dev/floor")
}

func TestCountsDivideTrafficWithoutAGateway(t *testing.T) {
	s := production().with(func(s *shop) { s.plain = true })
	live := append(readyPods(t, old, 4), liveDeployment(t, old, 4, ""), liveService(t, "checkout", "sluice.dev/revision: "+old))
	for weight, want := range map[int]int{0: 1, 5: 1, 25: 1, 50: 4, 75: 4, 100: 4} {
		p := planned(t, s, canary(weight), live...)
		assert.Equal(t, want, number(t, p.Objects[youngDeployment], "spec", "replicas"), "at %d %%", weight)
		selector := selectorOf(t, p)
		switch weight {
		case 0:
			assert.Equal(t, old, selector["sluice.dev/revision"])
		case 100:
			assert.Equal(t, old, selector["sluice.dev/revision"], "not before the candidate has the pods")
		default:
			assert.NotContains(t, selector, "sluice.dev/revision")
			assert.Equal(t, "production.checkout", selector["sluice.dev/release"])
		}
	}
	p := planned(t, s, canary(100), append(live, readyPods(t, young, 4)...)...)
	assert.Equal(t, young, selectorOf(t, p)["sluice.dev/revision"])
}

func TestAServiceMovesOnlyTowardsReadyPods(t *testing.T) {
	live := running(t, onlyOld, 4)
	p := planned(t, production(), serving(young), live...)
	assert.Equal(t, old, selectorOf(t, p)["sluice.dev/revision"])
	assert.Contains(t, p.Held, "revision bbbb2222 has 0 ready pods")
	p = planned(t, production(), serving(young), append(live, readyPods(t, young, 1)...)...)
	assert.Equal(t, young, selectorOf(t, p)["sluice.dev/revision"])
}

func TestAnAdoptedServiceSelectsWhatItSelectedUntilARevisionIsReady(t *testing.T) {
	adopted := object(t, `{apiVersion: v1, kind: Service, metadata: {name: checkout, namespace: shop}, spec: {selector: {app: checkout}}}`)
	p := planned(t, production(), serving(young), adopted)
	assert.Equal(t, map[string]string{"app": "checkout"}, selectorOf(t, p))
	p = planned(t, production(), serving(young), append(readyPods(t, young, 1), adopted)...)
	assert.Equal(t, young, selectorOf(t, p)["sluice.dev/revision"])
}

func TestAServiceForScrapingIsNotPinned(t *testing.T) {
	s := production().with(func(s *shop) {
		s.extra = []string{`
apiVersion: v1
kind: Service
metadata: {name: metrics, annotations: {sluice.dev/pin-selector: "false"}}
spec: {selector: {app: checkout}, ports: [{port: 9090}]}
`}
	})
	p := planned(t, s, serving(old))
	selector, _, _ := unstructured.NestedStringMap(p.Objects["Service shop/metrics"].Object, "spec", "selector")
	assert.Equal(t, map[string]string{"app": "checkout"}, selector)
}

func TestAnEmptyRenderIsRefused(t *testing.T) {
	for _, manifests := range []map[string]render.Output{nil, {old: {}}, {young: production().render(t, young)}} {
		_, err := cluster.Plan(checkout, serving(old), manifests, production().options())
		assert.ErrorIs(t, err, cluster.ErrEmpty)
	}
}

func TestPlanningLeavesTheManifestsAlone(t *testing.T) {
	manifests := both(t, production())
	before := fmt.Sprint(manifests[young].Workload[0].Object, manifests[young].Shared[0].Object)
	_, err := cluster.Plan(checkout, canary(50), manifests, production().options(), running(t, onlyOld, 0)...)
	require.NoError(t, err)
	assert.Equal(t, before, fmt.Sprint(manifests[young].Workload[0].Object, manifests[young].Shared[0].Object))
}

func TestSecretsAreAppliedInTheFormInWhichTheyAreRead(t *testing.T) {
	s := production().with(func(s *shop) {
		s.extra = []string{"\napiVersion: v1\nkind: Secret\nmetadata: {name: token}\nstringData: {token: abc}\n"}
	})
	p := planned(t, s, serving(old))
	secret := p.Objects["Secret shop/token"]
	require.NotNil(t, secret)
	assert.NotContains(t, secret.Object, "stringData")
	assert.Equal(t, map[string]any{"token": "YWJj"}, secret.Object["data"])
}

// inCluster is everything that a plan applies, as if it were there.
func inCluster(p cluster.Planned) []*unstructured.Unstructured {
	return slices.Collect(maps.Values(p.Objects))
}

func TestARevisionThatIsDroppedGoesWhole(t *testing.T) {
	all := inCluster(planned(t, production(), canary(50), running(t, onlyOld, 4)...))
	live := append(running(t, onlyOld, 0), readyPods(t, old, 1)...)
	got, err := cluster.Prune(checkout, serving(old), both(t, production()), production().options(), all, live)
	require.NoError(t, err)
	assert.ElementsMatch(t, []string{youngDeployment, "Service shop/checkout-" + young, "ConfigMap shop/settings-" + young}, got.Remove)
	assert.Empty(t, got.Guarded)
	assert.False(t, got.Waiting)
}

func TestWhatTrafficCanReachIsNotPruned(t *testing.T) {
	all := inCluster(planned(t, production(), canary(50), running(t, onlyOld, 4)...))
	for name, live := range map[string][]*unstructured.Unstructured{
		"the route names it":      running(t, atFive, 4),
		"the apex Service does":   append(running(t, onlyOld, 4)[:4], liveService(t, "checkout", "sluice.dev/revision: "+young)),
		"a weight of 0 names too": running(t, `[{name: checkout-aaaa1111, port: 80, weight: 1}, {name: checkout-bbbb2222, port: 80, weight: 0}]`, 4),
	} {
		t.Run(name, func(t *testing.T) {
			got, err := cluster.Prune(checkout, serving(old), both(t, production()), production().options(), all, live)
			require.NoError(t, err)
			assert.NotContains(t, got.Remove, youngDeployment)
			assert.True(t, got.Waiting)
		})
	}
}

func TestMoreThanAFewVanishedObjectsWaitForAPerson(t *testing.T) {
	for vanished, guarded := range map[int]bool{1: false, 5: false, 6: true, 30: true} {
		inventoried := inCluster(planned(t, production(), serving(old)))
		for i := range vanished {
			inventoried = append(inventoried, object(t, fmt.Sprintf("{apiVersion: v1, kind: ConfigMap, metadata: {name: extra-%d, namespace: shop, uid: u%d}}", i, i)))
		}
		got, err := cluster.Prune(checkout, serving(old), both(t, production()), production().options(), inventoried, nil)
		require.NoError(t, err)
		assert.Equal(t, guarded, got.Guarded != "", "%d vanished", vanished)
		if guarded {
			assert.Empty(t, got.Remove)
		} else {
			assert.Len(t, got.Remove, vanished)
		}
	}
}

func TestDataAndOtherPeoplesObjectsAreNeverPruned(t *testing.T) {
	inventoried := []*unstructured.Unstructured{
		object(t, "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: data, namespace: shop}}"),
		object(t, "{apiVersion: v1, kind: Namespace, metadata: {name: shop}}"),
		object(t, "{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: a.example.com}}"),
		object(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: settings, namespace: shop}}"),
	}
	got, err := cluster.Prune(checkout, release.State{Retired: true}, nil, production().options(), inventoried, nil)
	require.NoError(t, err)
	assert.Equal(t, []string{"ConfigMap shop/settings"}, got.Remove)
	assert.Len(t, got.Release, 3)
}

func TestARetiredReleaseLosesItsRouteBeforeItsServicesBeforeItsPods(t *testing.T) {
	live := running(t, onlyOld, 0)
	all := slices.DeleteFunc(slices.Clone(live), func(o *unstructured.Unstructured) bool {
		return o.GetKind() == "Pod" || o.GetKind() == "EndpointSlice"
	})
	steps := [][]string{
		{route},
		{apexService, "Service shop/checkout-" + old, "Service shop/checkout-" + young},
		{oldDeployment},
	}
	for _, want := range steps {
		got, err := cluster.Prune(checkout, release.State{Retired: true}, nil, production().options(), all, live)
		require.NoError(t, err)
		assert.ElementsMatch(t, want, got.Remove)
		gone := func(o *unstructured.Unstructured) bool {
			return slices.Contains(got.Remove, o.GetKind()+" shop/"+o.GetName())
		}
		all, live = slices.DeleteFunc(all, gone), slices.DeleteFunc(live, gone)
	}
	assert.Empty(t, all)
}
