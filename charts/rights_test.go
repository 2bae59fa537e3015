package charts_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/sluice-cd/sluice/reconciler/release"
)

var (
	deployments  = schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"}
	statefulSets = schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "StatefulSet"}
	replicaSets  = schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "ReplicaSet"}
	services     = schema.GroupVersionKind{Version: "v1", Kind: "Service"}
	configMaps   = schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}
	secrets      = schema.GroupVersionKind{Version: "v1", Kind: "Secret"}
	pods         = schema.GroupVersionKind{Version: "v1", Kind: "Pod"}
	budgets      = schema.GroupVersionKind{Group: "policy", Version: "v1", Kind: "PodDisruptionBudget"}
	routes       = schema.GroupVersionKind{Group: "gateway.networking.k8s.io", Version: "v1", Kind: "HTTPRoute"}
)

// TestAccountMayDoAllThatAReleaseNeedsAndNothingElse plays the life of a release
// with the chart's own rights, and compares what was asked with what is granted.
func TestAccountMayDoAllThatAReleaseNeedsAndNothingElse(t *testing.T) {
	x := newSite(t)
	x.settle(serving(old))
	x.settle(release.State{
		Workloads: []release.Workload{{Revision: old, KeepSize: true, Share: 100}, {Revision: young, Share: 25}},
		Shared:    young, Traffic: release.Traffic{Stable: old, Candidate: young, Weight: 25},
	})
	x.settle(serving(young))
	require.Eventually(t, func() bool { return x.gone(deployments, "checkout-"+old) }, patience, beat)
	version, err := x.sluice.Save(t.Context(), x.key.Environment+".checkout", []byte(`{}`), "")
	require.NoError(t, err)
	_, err = x.sluice.Save(t.Context(), x.key.Environment+".checkout", []byte(`{"a":1}`), version)
	require.NoError(t, err)
	_, err = x.sluice.List(t.Context())
	require.NoError(t, err)
	x.settle(release.State{Retired: true})
	require.Eventually(t, func() bool { return x.gone(deployments, "checkout-"+young) && x.gone(services, "checkout") }, patience, beat)

	x.wire.mu.Lock()
	defer x.wire.mu.Unlock()
	assert.Empty(t, x.wire.forbidden)
	all := manifests(t, x.system, values(t, "namespaces: ["+x.app+"]"))
	asked := x.wire.used[x.system+"/configmaps"]
	assert.ElementsMatch(t, rules(t, all, "sluice")[0].Verbs, slices.Collect(maps.Keys(asked)), "ConfigMaps of its own")
	onReleases := map[string]bool{}
	for at, verbs := range x.wire.used {
		namespace, resource, _ := strings.Cut(at, "/")
		if verbs["watch"] {
			verbs["list"] = true // what client-go does where the API server does not stream lists
		}
		if namespace != x.app {
			assert.Equal(t, x.system+"/configmaps", at, "nothing else is asked for")
			continue
		}
		if resource == "pods" || resource == "endpointslices" {
			assert.Equal(t, []string{"list", "watch"}, slices.Sorted(maps.Keys(verbs)), resource)
			continue
		}
		maps.Copy(onReleases, verbs)
	}
	assert.ElementsMatch(t, verbsFor(rules(t, all, "sluice-releases"), "deployments"), slices.Collect(maps.Keys(onReleases)))
}

func TestAccountHasNoRightsElsewhere(t *testing.T) {
	x := newSite(t)
	account := x.account()
	elsewhere := &unstructured.Unstructured{}
	elsewhere.SetGroupVersionKind(secrets)
	elsewhere.SetNamespace("default")
	_, err := x.as(account, elsewhere).List(t.Context(), metav1.ListOptions{})
	assert.True(t, apierrors.IsForbidden(err), "Secrets of other namespaces: %v", err)
	elsewhere.SetNamespace("")
	_, err = x.as(account, elsewhere).List(t.Context(), metav1.ListOptions{})
	assert.True(t, apierrors.IsForbidden(err), "Secrets of all namespaces: %v", err)
	elsewhere.SetNamespace(x.system)
	_, err = x.as(account, elsewhere).List(t.Context(), metav1.ListOptions{})
	assert.True(t, apierrors.IsForbidden(err), "its own credentials, which it reads as files: %v", err)
	binding := "{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: more}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}}"
	assert.True(t, apierrors.IsForbidden(x.create(account, binding)), "more rights")
}

func rules(t testing.TB, all []*unstructured.Unstructured, role string) []rbacv1.PolicyRule {
	t.Helper()
	var out rbacv1.Role
	convert(t, one(t, all, "Role", role), &out)
	return out.Rules
}

func verbsFor(rules []rbacv1.PolicyRule, resource string) []string {
	for _, r := range rules {
		if slices.Contains(r.Resources, resource) {
			return r.Verbs
		}
	}
	return nil
}
