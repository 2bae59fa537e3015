package cluster_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestAChangeThatCannotStandBesideGitIsPutRight(t *testing.T) {
	x := newSite(t, gateway())
	x.settle(serving(old))
	for name, c := range map[string]struct{ kind, object, patch string }{
		"a renumbered port": {"services", "checkout", `{"spec":{"ports":[{"name":"http","port":82,"targetPort":8080}]}}`},
		"a value from elsewhere": {"deployments", "checkout-" + old, `{"spec":{"template":{"spec":{"containers":[{"name":"app",
			"image":"registry.example.com/other:1","env":[{"name":"VERSION","valueFrom":{"fieldRef":{"fieldPath":"metadata.name"}}}]}]}}}}`},
	} {
		t.Run(name, func(t *testing.T) {
			before := x.get(c.kind, c.object)
			x.edit(c.kind, c.object, c.patch)
			require.NotEqual(t, before.Object["spec"], x.get(c.kind, c.object).Object["spec"])
			x.eventually(serving(old), func() bool {
				return assert.ObjectsAreEqual(before.Object["spec"], x.get(c.kind, c.object).Object["spec"])
			}, "it is as git says again")
			x.settle(serving(old))
			assert.Empty(t, x.observe(serving(old)).Contested)
		})
	}
}

func TestWhatStandsInTheWayOfAChangeInGitIsTakenOut(t *testing.T) {
	odd := "\napiVersion: v1\nkind: Service\nmetadata: {name: odd}\nspec: {ports: [{name: http, port: 80}"
	x := newSite(t, gateway().with(func(s *shop) { s.extra = []string{odd + "]}\n"} }))
	x.settle(serving(old))
	x.edit("services", "odd", `{"spec":{"sessionAffinity":"ClientIP","ports":[{"name":"http","port":80,"targetPort":80},{"name":"debug","port":81,"targetPort":81}]}}`)
	x.settle(serving(old))
	assert.Len(t, ports(x.get("services", "odd")), 2, "what stands beside git may stay")

	x.shop.extra = []string{odd + ", {name: debug, port: 6060}]}\n"}
	x.settle(serving(old))
	service := x.get("services", "odd")
	assert.Equal(t, []int64{80, 6060}, ports(service))
	affinity, _, _ := unstructured.NestedString(service.Object, "spec", "sessionAffinity")
	assert.Equal(t, "ClientIP", affinity, "what does not collide stays")
}

func ports(service *unstructured.Unstructured) (all []int64) {
	list, _, _ := unstructured.NestedSlice(service.Object, "spec", "ports")
	for _, p := range list {
		all = append(all, p.(map[string]any)["port"].(int64))
	}
	return all
}

func TestASizeThatSomebodyElseDecidesOutlivesACollision(t *testing.T) {
	x := newSite(t, gateway().with(func(s *shop) { s.extra = []string{autoscaler} }))
	x.settle(serving(old))
	_, err := x.objects("deployments").Patch(t.Context(), "checkout-"+old, "application/merge-patch+json", []byte(`{"spec":{"replicas":5}}`),
		metav1.PatchOptions{FieldManager: "somebody"}, "scale")
	require.NoError(t, err)
	x.edit("deployments", "checkout-"+old, `{"spec":{"template":{"spec":{"containers":[{"name":"app",
		"image":"registry.example.com/other:1","env":[{"name":"VERSION","valueFrom":{"fieldRef":{"fieldPath":"metadata.name"}}}]}]}}}}`)
	x.settle(serving(old))
	assert.Equal(t, 5, number(t, x.get("deployments", "checkout-"+old), "spec", "replicas"))
}
