package cluster_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/sluice-cd/sluice/reconciler/cluster"
	"github.com/sluice-cd/sluice/reconciler/release"
)

// rehome is the State at the beginning of an adopted release's first rollout.
func rehome() release.State {
	state := serving(old)
	state.Rehome = true
	return state
}

// adopted is a shop that was applied by hand and serves from three pods.
func adopted(t *testing.T) *site {
	t.Helper()
	x := newSite(t, handMade())
	x.applyByHand()
	x.change("deployments", "checkout", `{"spec":{"replicas":3}}`)
	require.Eventually(t, func() bool {
		return x.readyEndpoints("checkout") == 3 && x.routeServes() == ""
	}, patience, beat, "it serves")
	return x
}

// readyEndpoints asks for a Service's ready endpoints, of any owner.
func (x *site) readyEndpoints(service string) int {
	list, err := x.objects("endpointslices").List(context.Background(), metav1.ListOptions{LabelSelector: "kubernetes.io/service-name=" + service})
	if err != nil {
		return -1
	}
	ready := map[string]bool{}
	for _, slice := range list.Items {
		endpoints, _, _ := unstructured.NestedSlice(slice.Object, "endpoints")
		for _, e := range endpoints {
			if ok, _, _ := unstructured.NestedBool(e.(map[string]any), "conditions", "ready"); ok {
				name, _, _ := unstructured.NestedString(e.(map[string]any), "targetRef", "name")
				ready[name] = true
			}
		}
	}
	return len(ready)
}

// routeServes is what is wrong with the route: a backend with a weight and
// without ready endpoints; "" when nothing is.
func (x *site) routeServes() string {
	o, err := x.objects("httproutes").Get(context.Background(), "checkout", metav1.GetOptions{})
	if err != nil {
		return err.Error()
	}
	rules, _, _ := unstructured.NestedSlice(o.Object, "spec", "rules")
	for _, rule := range rules {
		refs, _, _ := unstructured.NestedSlice(rule.(map[string]any), "backendRefs")
		for _, ref := range refs {
			name, _, _ := unstructured.NestedString(ref.(map[string]any), "name")
			weight, _, _ := unstructured.NestedInt64(ref.(map[string]any), "weight")
			if weight > 0 && x.readyEndpoints(name) < 1 {
				return "backend " + name + " has no ready endpoints"
			}
		}
	}
	return ""
}

// A watchman looks at the shop again and again, and keeps what he must not see.
type watchman struct {
	looks int
	wrong []string
	stop  func()
}

func (x *site) watched() *watchman {
	w := &watchman{}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		for ctx.Err() == nil {
			w.looks++
			if n := x.readyEndpoints("checkout"); n < 1 {
				w.wrong = append(w.wrong, fmt.Sprintf("the Service has %d ready endpoints", n))
			}
			if reason := x.routeServes(); reason != "" {
				w.wrong = append(w.wrong, reason)
			}
			for _, kind := range []string{"horizontalpodautoscalers", "poddisruptionbudgets"} {
				if list, err := x.objects(kind).List(context.Background(), metav1.ListOptions{}); err != nil || len(list.Items) > 1 {
					w.wrong = append(w.wrong, fmt.Sprintf("%d %s, %v", len(list.Items), kind, err))
				}
			}
			time.Sleep(5 * time.Millisecond)
		}
	})
	w.stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
	})
	x.t.Cleanup(w.stop)
	return w
}

// names lists the objects of a kind.
func (x *site) names(kind string) []string {
	x.t.Helper()
	list, err := x.objects(kind).List(x.t.Context(), metav1.ListOptions{})
	require.NoError(x.t, err)
	var names []string
	for _, o := range list.Items {
		names = append(names, o.GetName())
	}
	return names
}

func TestAnAdoptedWorkloadIsRehomedWithoutAnOutage(t *testing.T) {
	x := adopted(t)
	before := x.everything()
	found, differs := x.compare()
	require.True(t, found)
	require.Empty(t, differs)
	require.NoError(t, x.converge(release.State{Observed: true}))
	require.Equal(t, before, x.everything(), "adoption writes nothing")

	x.shop.behaviour = "ready-after=1"
	watchman := x.watched()
	o := x.settle(rehome())
	assert.Empty(t, o.Rehoming)
	for _, kind := range []string{"deployments", "horizontalpodautoscalers", "poddisruptionbudgets"} {
		assert.Equal(t, []string{"checkout-" + old}, x.names(kind), kind)
	}
	assert.Equal(t, old, x.selector()["sluice.dev/revision"])
	assert.Equal(t, map[string]int{old: 100}, x.liveWeights())
	assert.Equal(t, 3, number(t, x.get("deployments", "checkout-"+old), "spec", "replicas"), "the size that ran")
	assert.True(t, x.exists("configmaps", "settings"), "data is left to its authors")

	watchman.stop()
	assert.Empty(t, watchman.wrong)
	assert.Greater(t, watchman.looks, 5)

	x.settle(canary(25))
	x.settle(canary(0))
	x.settle(serving(old))
	assert.Equal(t, []string{"checkout-" + old}, x.names("deployments"), "a rollback ends at the re-homed revision")
	assert.Equal(t, 3, number(t, x.get("deployments", "checkout-"+old), "spec", "replicas"))
	retired := release.State{Retired: true}
	x.eventually(retired, func() bool { return x.observe(retired).Converged }, "it is retired")
	assert.Empty(t, x.names("deployments"))
	assert.True(t, x.exists("services", "checkout"), "it was there before Sluice")
}

func TestARehomingGoesOnAfterAnyNumberOfCrashes(t *testing.T) {
	x := adopted(t)
	watchman := x.watched()
	manifests, done := x.manifests(), false
	for range 60 {
		var err error
		x.eventually(release.State{Observed: true}, func() bool {
			err = x.Converge(t.Context(), x.shop.key, rehome(), manifests, x.shop.options())
			return !isUnknown(err)
		}, "its caches fill")
		o, err := x.Observe(t.Context(), x.shop.key, rehome(), manifests, x.shop.options())
		if done = err == nil && o.Converged && o.Revisions[old].Readiness == release.Ready; done {
			break
		}
		x.restart()
	}
	assert.True(t, done)
	watchman.stop()
	assert.Empty(t, watchman.wrong)
	assert.Equal(t, []string{"checkout-" + old}, x.names("deployments"))
	assert.Equal(t, []string{"checkout-" + old}, x.names("horizontalpodautoscalers"))
}

func TestWhatIsNotReadyReplacesNothing(t *testing.T) {
	x := adopted(t)
	watchman := x.watched()
	x.shop.behaviour = "never-ready"
	x.eventually(rehome(), func() bool { return x.exists("deployments", "checkout-"+old) }, "it is made")
	for range 20 {
		require.NoError(t, x.converge(rehome()))
		time.Sleep(beat)
	}
	o := x.observe(rehome())
	assert.False(t, o.Converged)
	assert.Equal(t, "revision "+old+" has 0 ready pods and needs 3 to be selected", o.Rehoming)
	assert.True(t, x.exists("deployments", "checkout"))
	assert.Equal(t, []string{"checkout"}, x.names("horizontalpodautoscalers"))
	assert.NotContains(t, x.selector(), "sluice.dev/revision")
	watchman.stop()
	assert.Empty(t, watchman.wrong)
}

func TestAWorkloadThatTurnsUpWhileAnotherIsRehomedIsNotReplaced(t *testing.T) {
	x := adopted(t)
	x.shop.behaviour = "never-ready"
	x.eventually(rehome(), func() bool { return x.exists("deployments", "checkout-"+old) }, "it begins")
	require.NoError(t, x.objects("deployments").Delete(t.Context(), "checkout", metav1.DeleteOptions{}))
	x.shop.behaviour = "ready"
	x.applyByHand()
	err := x.refused(rehome())
	assert.ErrorContains(t, err, "replace Deployment "+x.shop.namespace+"/checkout: it is not the one that was adopted")
	assert.Contains(t, x.observe(rehome()).Rehoming, "kubectl -n "+x.shop.namespace+" annotate --overwrite deployment.apps checkout sluice.dev/adopt="+x.shop.key.String())
	x.give("deployments", "checkout")
	x.settle(rehome())
	assert.Equal(t, []string{"checkout-" + old}, x.names("deployments"))
}

func TestAnAdoptedWorkloadThatSomebodyElseManagesIsNotReplaced(t *testing.T) {
	x := adopted(t)
	x.change("deployments", "checkout", `{"metadata":{"annotations":{"argocd.argoproj.io/tracking-id":"web:apps/Deployment:a/b"}}}`)
	err := x.refused(rehome())
	var owned *cluster.OwnedError
	require.ErrorAs(t, err, &owned)
	assert.False(t, x.exists("deployments", "checkout-"+old))
}

const statefulSet = `
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: queue}
spec:
  replicas: 1
  serviceName: queue
  selector: {matchLabels: {app: queue}}
  template:
    metadata: {labels: {app: queue}, annotations: {devcluster.sluice.dev/behaviour: ready}}
    spec: {containers: [{name: queue, image: "registry.example.com/queue@sha256:6d1c6d1c6d1c6d1c6d1c6d1c6d1c6d1c6d1c6d1c6d1c6d1c6d1c6d1c6d1c6d1c"}]}
`

func TestAnAdoptedWorkloadThatKeepsItsNameIsTakenOverWhereItIs(t *testing.T) {
	x := newSite(t, gateway().with(func(s *shop) { s.extra = []string{statefulSet} }))
	x.applyByHand()
	found, differs := x.compare()
	require.True(t, found)
	require.Empty(t, differs)
	before := x.get("statefulsets", "queue")
	x.settle(rehome())
	after := x.get("statefulsets", "queue")
	assert.Equal(t, before.GetUID(), after.GetUID())
	assert.Equal(t, old, after.GetLabels()["sluice.dev/revision"])
	retired := release.State{Retired: true}
	x.eventually(retired, func() bool { return x.observe(retired).Converged }, "it is retired")
	assert.True(t, x.exists("statefulsets", "queue"), "it was there before Sluice")
}
