package cluster_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sluice-cd/sluice/reconciler/render"
)

const (
	budget   = "\napiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: checkout}\nspec: {maxUnavailable: 1, selector: {matchLabels: {app: checkout}}}\n"
	password = "\napiVersion: v1\nkind: Secret\nmetadata: {name: database}\nstringData: {dsn: hunter2}\n"
)

// handMade is a shop with everything that adoption has to deal with.
func handMade() shop {
	return gateway().with(func(s *shop) { s.extra = []string{autoscaler, budget} })
}

// plain renders the shop's first version as its authors would apply it.
func (x *site) plain() render.Output {
	return x.shop.with(func(s *shop) { s.version = "1" }).render(x.t, "")
}

// applyByHand is `kubectl apply` of the whole shop.
func (x *site) applyByHand() {
	x.t.Helper()
	plain := x.plain()
	for _, o := range slices.Concat(plain.Workload, plain.Shared) {
		_, err := x.any(o).Apply(x.t.Context(), o.GetName(), o, metav1.ApplyOptions{FieldManager: "kubectl", Force: true})
		require.NoError(x.t, err)
	}
}

// change is `kubectl patch`.
func (x *site) change(kind, name, patch string) {
	x.t.Helper()
	_, err := x.objects(kind).Patch(x.t.Context(), name, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: "kubectl-edit"})
	require.NoError(x.t, err)
}

// compare compares with what would be rendered, until there is an answer.
func (x *site) compare() (bool, string) {
	x.t.Helper()
	var found bool
	var differs string
	var err error
	require.Eventually(x.t, func() bool {
		found, differs, err = x.Compare(x.t.Context(), x.shop.key, x.plain())
		return err == nil
	}, patience, beat)
	return found, differs
}

func TestWhatWasAppliedByHandAndEqualsGitIsRecognised(t *testing.T) {
	x := newSite(t, handMade().with(func(s *shop) { s.extra = append(s.extra, password) }))
	found, differs := x.compare()
	assert.False(t, found, "nothing runs")
	assert.Empty(t, differs)

	x.applyByHand()
	x.change("deployments", "checkout", `{"spec":{"replicas":7,"template":{"metadata":{"annotations":{"kubectl.kubernetes.io/restartedAt":"2026-01-01T00:00:00Z"}}}}}`)
	x.change("horizontalpodautoscalers", "checkout", `{"spec":{"maxReplicas":20}}`)
	require.Eventually(t, func() bool {
		return x.get("deployments", "checkout").GetAnnotations()["deployment.kubernetes.io/revision"] == "2"
	}, patience, beat, "the deployment controller has noted the restart")
	before := x.everything()
	found, differs = x.compare()
	assert.True(t, found)
	assert.Empty(t, differs, "size and restarts are no content")
	assert.Equal(t, before, x.everything(), "nothing was written")
}

func TestWhatWasAppliedByHandAndDiffersIsNamed(t *testing.T) {
	x := newSite(t, handMade().with(func(s *shop) { s.extra = append(s.extra, password) }))
	x.applyByHand()
	in := x.shop.namespace
	for _, tt := range []struct{ name, kind, object, patch, want string }{
		{"an image", "deployments", "checkout", `{"spec":{"template":{"spec":{"containers":[{"name":"app","image":"other"}]}}}}`,
			"Deployment " + in + `/checkout: spec.template.spec.containers[app].image is "other" and git says "registry.example.com/shop/checkout@sha256:6d1c`},
		{"a container that git does not know", "deployments", "checkout", `{"spec":{"template":{"spec":{"containers":[{"name":"spy","image":"spy"}]}}}}`,
			"Deployment " + in + `/checkout: spec.template.spec.containers[spy] is {"image":"spy"`},
		{"configuration", "configmaps", "settings", `{"data":{"mode":"9"}}`, "ConfigMap " + in + `/settings: data.mode is "9" and git says "1"`},
		{"a secret", "secrets", "database", `{"stringData":{"dsn":"correct horse"}}`, "Secret " + in + "/database: data.dsn differs"},
		{"what scales it", "horizontalpodautoscalers", "checkout", `{"spec":{"metrics":[{"type":"Resource","resource":{"name":"cpu","target":{"type":"Utilization","averageUtilization":50}}}]}}`,
			"HorizontalPodAutoscaler " + in + "/checkout: spec.metrics[0].resource.target.averageUtilization is 50 and git says 70"},
		{"its service", "services", "checkout", `{"spec":{"ports":[{"port":80,"targetPort":9090}]}}`, "Service " + in + "/checkout: spec.ports[http].targetPort is 9090 and git says 8080"},
		{"an owner", "deployments", "checkout", `{"metadata":{"annotations":{"argocd.argoproj.io/tracking-id":"web:apps/Deployment:a/b"}}}`,
			"Deployment " + in + "/checkout belongs to Argo CD application web; to hand it over: argocd app delete web --cascade=false"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x.t = t
			x.change(tt.kind, tt.object, tt.patch)
			found, differs := x.compare()
			assert.True(t, found)
			assert.Contains(t, differs, tt.want)
			assert.NotContains(t, differs, "hunter2")
			assert.NotContains(t, differs, "Y29ycmVjdCBob3JzZQ==")
			require.NoError(t, x.objects(tt.kind).Delete(t.Context(), tt.object, metav1.DeleteOptions{}))
			x.applyByHand()
			_, differs = x.compare()
			assert.Empty(t, differs, "and it is put right again")
		})
	}
	x.t = t
	require.NoError(t, x.objects("horizontalpodautoscalers").Delete(t.Context(), "checkout", metav1.DeleteOptions{}))
	x.byHand("horizontalpodautoscalers", strings.Replace(autoscaler, "name: checkout}\nspec", "name: other}\nspec", 1))
	_, differs := x.compare()
	assert.Contains(t, differs, "HorizontalPodAutoscaler "+in+"/checkout is in git and not in the cluster")
	assert.Contains(t, differs, "HorizontalPodAutoscaler "+in+"/other acts on Deployment "+in+"/checkout and is not in git")
}

// everything is the version of each object of the shop.
func (x *site) everything() map[string]string {
	x.t.Helper()
	versions := map[string]string{}
	plain := x.plain()
	for _, o := range slices.Concat(plain.Workload, plain.Shared) {
		found, err := x.any(o).Get(x.t.Context(), o.GetName(), metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			continue
		}
		require.NoError(x.t, err)
		versions[o.GetKind()+" "+o.GetName()] = specOf(found)
	}
	return versions
}

// specOf is all of an object that anybody but its controller writes.
func specOf(o *unstructured.Unstructured) string {
	o = o.DeepCopy()
	o.SetResourceVersion("")
	o.SetManagedFields(slices.DeleteFunc(o.GetManagedFields(), func(e metav1.ManagedFieldsEntry) bool { return e.Subresource != "" }))
	delete(o.Object, "status")
	raw, _ := o.MarshalJSON()
	return string(raw)
}
