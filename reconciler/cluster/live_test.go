package cluster_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/sluice-cd/sluice/analysis"
	"github.com/sluice-cd/sluice/reconciler/cluster"
	"github.com/sluice-cd/sluice/reconciler/release"
)

func pod(t testing.TB, name, revision, status string) *unstructured.Unstructured {
	return object(t, fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: %s, namespace: shop, labels: {app: checkout, sluice.dev/release: production.checkout, sluice.dev/revision: %s}}
status: %s`, name, revision, status))
}

func TestPodFacts(t *testing.T) {
	for _, tt := range []struct {
		name, status string
		want         func(t *testing.T, ready, been bool, restarts int, crash, oom, lost bool)
	}{
		{"a pod that serves", `{startTime: "2026-01-01T00:00:00Z", conditions: [{type: Ready, status: "True", lastTransitionTime: "2026-01-01T00:00:09Z"}]}`,
			func(t *testing.T, ready, been bool, _ int, crash, oom, lost bool) {
				assert.True(t, ready && been)
				assert.False(t, crash || oom || lost)
			}},
		{"a pod that is still starting was never ready", `{startTime: "2026-01-01T00:00:00Z", conditions: [{type: Ready, status: "False", lastTransitionTime: "2026-01-01T00:00:00Z"}]}`,
			func(t *testing.T, ready, been bool, _ int, _, _, _ bool) { assert.False(t, ready || been) }},
		{"a pod that lost its readiness had been ready", `{startTime: "2026-01-01T00:00:00Z", conditions: [{type: Ready, status: "False", lastTransitionTime: "2026-01-01T00:01:00Z"}]}`,
			func(t *testing.T, ready, been bool, _ int, _, _, _ bool) { assert.True(t, !ready && been) }},
		{"a pod in a crash loop after it ran out of memory", `{containerStatuses: [
			{name: app, restartCount: 3, state: {waiting: {reason: CrashLoopBackOff}}, lastState: {terminated: {reason: OOMKilled, exitCode: 137}}},
			{name: sidecar, restartCount: 1, state: {}}]}`,
			func(t *testing.T, _, _ bool, restarts int, crash, oom, _ bool) {
				assert.Equal(t, 4, restarts)
				assert.True(t, crash && oom)
			}},
		{"an evicted pod", `{phase: Failed, reason: Evicted}`,
			func(t *testing.T, _, _ bool, _ int, _, _, lost bool) { assert.True(t, lost) }},
		{"a pod whose node is going", `{conditions: [{type: DisruptionTarget, status: "True", reason: DeletionByTaintManager}]}`,
			func(t *testing.T, _, _ bool, _ int, _, _, lost bool) { assert.True(t, lost) }},
		{"a pod without a status", `{}`,
			func(t *testing.T, ready, been bool, _ int, crash, _, lost bool) {
				assert.False(t, ready || been || crash || lost)
			}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := cluster.PodFacts(pod(t, "a", old, tt.status))
			require.NoError(t, err)
			tt.want(t, p.Ready, p.BeenReady, p.Restarts, p.CrashLoop, p.OOMKilled, p.Lost)
		})
	}
}

func TestHostileStatusIsAnErrorNotAPanic(t *testing.T) {
	for _, status := range []string{`[]`, `"text"`, `{containerStatuses: {a: 1}}`, `{conditions: "x"}`} {
		_, err := cluster.PodFacts(pod(t, "a", old, status))
		assert.Error(t, err, status)
	}
}

func liveRoute(t testing.TB, refs, status string) *unstructured.Unstructured {
	return object(t, fmt.Sprintf(`
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: checkout, namespace: shop, generation: 4, uid: route, resourceVersion: "7", labels: {sluice.dev/release: production.checkout}}
spec:
  parentRefs: [{name: edge}, {name: inner}]
  rules: [{backendRefs: %s}]
status: %s`, refs, status))
}

func accepted(generations ...int) string {
	out := "{parents: ["
	for i, g := range generations {
		out += fmt.Sprintf(`{controllerName: example.com/gateway, parentRef: {name: gateway-%d}, conditions: [
			{type: Accepted, status: "True", reason: Accepted, message: "", lastTransitionTime: "2026-01-01T00:00:00Z", observedGeneration: %d},
			{type: ResolvedRefs, status: "True", reason: ResolvedRefs, message: "", lastTransitionTime: "2026-01-01T00:00:00Z", observedGeneration: %d}]},`, i, g, g)
	}
	return out + "]}"
}

func TestARouteCountsOnlyWhenEveryParentHasAcceptedThisGeneration(t *testing.T) {
	refs := `[{name: checkout-aaaa1111, port: 80, weight: 75}, {name: checkout-bbbb2222, port: 80, weight: 25}]`
	for _, tt := range []struct{ name, status, reason string }{
		{"both have", accepted(4, 4), ""},
		{"one has not answered", accepted(4), "1 of 2 gateways have answered"},
		{"one is behind", accepted(4, 3), "gateway gateway-1: Accepted is of generation 3, the route is at 4"},
		{"nobody has answered", `{}`, "0 of 2 gateways have answered"},
		{"references are not resolved", `{parents: [{parentRef: {name: a}, controllerName: c, conditions: [
			{type: Accepted, status: "True", observedGeneration: 4}, {type: ResolvedRefs, status: "False", reason: BackendNotFound, message: gone, observedGeneration: 4}]},
			{parentRef: {name: b}, controllerName: c}]}`, "gateway a: ResolvedRefs is False (BackendNotFound): gone"},
		{"no conditions", `{parents: [{parentRef: {name: a}, controllerName: c}, {parentRef: {name: b}, controllerName: c}]}`, "gateway a: Accepted is not reported yet"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			shares, ok, reason, err := cluster.RouteFacts(liveRoute(t, refs, tt.status), "checkout")
			require.NoError(t, err)
			assert.Equal(t, tt.reason, reason)
			assert.Equal(t, tt.reason == "", ok)
			assert.Equal(t, map[string]int{old: 75, young: 25}, shares)
		})
	}
}

func TestOwnedFollowsTheManagedFieldsEntry(t *testing.T) {
	applied := object(t, `
apiVersion: apps/v1
kind: Deployment
metadata: {name: checkout, namespace: shop, labels: {app: checkout}, annotations: {}}
spec:
  replicas: 2
  selector: {matchLabels: {app: checkout}}
  template:
    spec:
      containers:
      - name: app
        ports: [{containerPort: 8080}]
        args: [a, b]
      finalizers: [x.example.com/y]`).Object
	const complete = `{"f:metadata":{"f:labels":{"f:app":{}}},"f:spec":{"f:replicas":{},"f:selector":{},` +
		`"f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"app\"}":{".":{},"f:name":{},"f:args":{},` +
		`"f:ports":{"k:{\"containerPort\":8080,\"protocol\":\"TCP\"}":{".":{},"f:containerPort":{}}}}},` +
		`"f:finalizers":{"v:\"x.example.com/y\"":{}}}}}}`
	assert.True(t, cluster.Owned(complete, applied))
	for name, lost := range map[string]string{
		"a scalar":             `"f:replicas":{},`,
		"an atomic map":        `"f:selector":{},`,
		"a label":              `"f:app":{}`,
		"a field of a list":    `"f:args":{},`,
		"an element of a set":  `"v:\"x.example.com/y\"":{}`,
		"a key's whole entity": `"k:{\"containerPort\":8080,\"protocol\":\"TCP\"}":{".":{},"f:containerPort":{}}`,
	} {
		t.Run(name, func(t *testing.T) {
			assert.False(t, cluster.Owned(remove(t, complete, lost), applied))
		})
	}
	assert.False(t, cluster.Owned("", applied), "no entry")
	assert.False(t, cluster.Owned(`[1]`, applied), "no object")
	assert.False(t, cluster.Owned(`{"f:metadata":1,"f:spec":null}`, applied), "no nodes")
}

// remove takes a field out of a FieldsV1, leaving the emptied node as the API
// server does: with a mark of its own, since a node without any is a leaf.
func remove(t *testing.T, fields, part string) string {
	t.Helper()
	at := 0
	for ; at+len(part) <= len(fields); at++ {
		if fields[at:at+len(part)] == part {
			break
		}
	}
	require.LessOrEqual(t, at+len(part), len(fields), "%s is not in %s", part, fields)
	rest := fields[at+len(part):]
	if fields[at-1] == '{' && rest[0] == '}' {
		return fields[:at] + `".":{}` + rest
	}
	return fields[:at] + rest
}

func TestAnObjectIsPutRightFiveTimesInTenMinutes(t *testing.T) {
	c := cluster.NewContests()
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range 5 {
		assert.False(t, c.Exhausted("a", start))
		assert.True(t, c.Spend("a", start.Add(time.Duration(i)*time.Minute)))
	}
	assert.False(t, c.Spend("a", start.Add(5*time.Minute)))
	assert.True(t, c.Exhausted("a", start.Add(9*time.Minute)))
	assert.True(t, c.Spend("b", start), "another object has its own budget")
	assert.True(t, c.Spend("a", start.Add(10*time.Minute)), "the first correction is out of the window")
	assert.False(t, c.Spend("a", start.Add(10*time.Minute)))
}

func TestOwnersAreNamedWithWhatReleasesTheObject(t *testing.T) {
	for _, tt := range []struct{ name, metadata, owner, remedy string }{
		{"Argo CD annotation", `annotations: {argocd.argoproj.io/tracking-id: "shop:/Service:shop/checkout"}`, "Argo CD application shop", "argocd app delete shop --cascade=false"},
		{"Argo CD label", `labels: {argocd.argoproj.io/instance: shop}`, "Argo CD application shop", "argocd app delete shop --cascade=false"},
		{"Flux Kustomization", `labels: {kustomize.toolkit.fluxcd.io/name: apps, kustomize.toolkit.fluxcd.io/namespace: flux-system}`, "Flux Kustomization flux-system/apps", "flux -n flux-system delete kustomization apps"},
		{"Flux HelmRelease", `labels: {helm.toolkit.fluxcd.io/name: shop, helm.toolkit.fluxcd.io/namespace: shop}`, "Flux HelmRelease shop/shop", "delete helmrelease shop --cascade=orphan"},
		{"Helm", `annotations: {meta.helm.sh/release-name: shop, meta.helm.sh/release-namespace: web}`, "Helm release shop", "helm -n web uninstall shop"},
		{"another release", `labels: {sluice.dev/release: production.cart}`, "release production/cart", "remove it from that release's manifests first"},
		{"a controller", `ownerReferences: [{apiVersion: example.com/v1, kind: Shop, name: main, uid: u, controller: true}]`, "Shop main", "delete it or take it out of what that controller creates"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := cluster.Owner(object(t, "apiVersion: v1\nkind: Service\nmetadata: {name: checkout, namespace: shop, "+tt.metadata+"}"), "production.checkout")
			require.NotNil(t, err)
			assert.Equal(t, tt.owner, err.Owner)
			assert.Contains(t, err.Error(), tt.remedy)
			assert.ErrorIs(t, err, cluster.ErrRefused)
		})
	}
	for _, own := range []string{`labels: {sluice.dev/release: production.checkout}`, `labels: {app.kubernetes.io/instance: shop}`, `annotations: {}`} {
		assert.Nil(t, cluster.Owner(object(t, "apiVersion: v1\nkind: Service\nmetadata: {name: checkout, namespace: shop, "+own+"}"), "production.checkout"))
	}
}

func TestAFlappingPodIsAsOldAsItsFirstReadiness(t *testing.T) {
	read := func(status string) map[string]release.RevisionStatus {
		p, err := cluster.PodFacts(pod(t, "a", young, `{startTime: "2026-01-01T00:00:00Z", conditions: [`+status+`]}`))
		require.NoError(t, err)
		return map[string]release.RevisionStatus{young: {Pods: []analysis.Pod{p}}}
	}
	starting := read(`{type: Ready, status: "False", lastTransitionTime: "2026-01-01T00:00:00Z"}`)
	first := read(`{type: Ready, status: "True", lastTransitionTime: "2026-01-01T00:00:09Z"}`)
	lost := read(`{type: Ready, status: "False", lastTransitionTime: "2026-01-01T00:05:00Z"}`)
	again := read(`{type: Ready, status: "True", lastTransitionTime: "2026-01-01T00:06:00Z"}`)
	cluster.RememberReady(release.Key{Environment: "production", Service: "checkout"}, starting, first, lost, again)

	assert.True(t, starting[young].Pods[0].Life.Ready.IsZero())
	at := time.Date(2026, 1, 1, 0, 0, 9, 0, time.UTC)
	for _, look := range []map[string]release.RevisionStatus{first, lost, again} {
		assert.Equal(t, at, look[young].Pods[0].Life.Ready.UTC())
	}
	assert.Equal(t, at.Add(-9*time.Second), again[young].Pods[0].Life.Started.UTC())
}
