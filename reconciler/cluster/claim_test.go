package cluster_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sluice-cd/sluice/reconciler/cluster"
	"github.com/sluice-cd/sluice/reconciler/release"
)

const (
	handMadeService = "{apiVersion: v1, kind: Service, metadata: {name: checkout}, spec: {selector: {app: checkout}, ports: [{name: http, port: 80}]}}"
	handMadeConfig  = "{apiVersion: v1, kind: ConfigMap, metadata: {name: limits}, data: {most: a}}"
	renderedConfig  = "\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: limits}\ndata: {most: b}\n"
)

// byHand creates an object as a person with kubectl would.
func (x *site) byHand(kind, manifest string) {
	x.t.Helper()
	_, err := x.objects(kind).Create(x.t.Context(), object(x.t, manifest), metav1.CreateOptions{FieldManager: "kubectl-create"})
	require.NoError(x.t, err)
}

// give marks an object as one that the release may take over.
func (x *site) give(kind, name string) {
	x.t.Helper()
	o := x.get(kind, name)
	o.SetAnnotations(map[string]string{"sluice.dev/adopt": x.shop.key.String()})
	_, err := x.objects(kind).Update(x.t.Context(), o, metav1.UpdateOptions{FieldManager: "kubectl-annotate"})
	require.NoError(x.t, err)
}

// refused converges until there is an answer, which has to be a refusal.
func (x *site) refused(state release.State) error {
	x.t.Helper()
	var err error
	x.eventually(state, func() bool { err = x.converge(state); return err != nil && !isUnknown(err) }, "it answers")
	require.ErrorIs(x.t, err, cluster.ErrRefused)
	return err
}

func TestAnObjectThatNobodyGaveToTheReleaseIsRefusedBeforeAnythingIsWritten(t *testing.T) {
	x := newSite(t, gateway().with(func(s *shop) { s.extra = []string{renderedConfig} }))
	x.byHand("services", handMadeService)
	x.byHand("configmaps", handMadeConfig)
	before := x.get("services", "checkout").GetResourceVersion()

	err := x.refused(serving(old))
	namespace, release := x.shop.namespace, x.shop.key.String()
	assert.ErrorContains(t, err, "Service "+namespace+"/checkout: it is there and Sluice did not create it")
	assert.ErrorContains(t, err, fmt.Sprintf("kubectl -n %s annotate --overwrite service checkout sluice.dev/adopt=%s; or delete it, or render it under another name", namespace, release))
	assert.ErrorContains(t, err, "annotate --overwrite configmap limits sluice.dev/adopt="+release)
	assert.Equal(t, before, x.get("services", "checkout").GetResourceVersion())
	assert.False(t, x.exists("deployments", "checkout-"+old))
	assert.False(t, x.exists("configmaps", "settings-"+old))

	x.give("services", "checkout")
	err = x.refused(serving(old))
	assert.NotContains(t, err.Error(), "Service ", "it was given to the release")
	require.NoError(t, x.objects("configmaps").Delete(t.Context(), "limits", metav1.DeleteOptions{}))
	x.settle(serving(old))
}

func TestAnObjectThatIsGivenToAnotherReleaseIsRefused(t *testing.T) {
	x := newSite(t, gateway())
	x.byHand("services", strings.Replace(handMadeService, "name: checkout}", "name: checkout, annotations: {sluice.dev/adopt: production/cart}}", 1))
	assert.ErrorContains(t, x.refused(serving(old)), "Sluice did not create it")
}

func TestAnObjectThatIsGivenToTheReleaseIsTakenOverWithoutAnOutage(t *testing.T) {
	x := newSite(t, gateway())
	x.shop.behaviour = "ready-after=2"
	x.byHand("services", handMadeService)
	x.give("services", "checkout")
	x.eventually(serving(old), func() bool { return x.get("services", "checkout").GetLabels() != nil }, "it is adopted")
	assert.NotContains(t, x.selector(), "sluice.dev/revision")
	x.settle(serving(old))
	assert.Equal(t, old, x.selector()["sluice.dev/revision"])
}

// selector is the apex Service's.
func (x *site) selector() map[string]any {
	x.t.Helper()
	return x.get("services", "checkout").Object["spec"].(map[string]any)["selector"].(map[string]any)
}

func TestWhatWasAdoptedIsNeverDeleted(t *testing.T) {
	x := newSite(t, gateway().with(func(s *shop) {
		s.extra = []string{renderedConfig, "\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: own}\n"}
	}))
	x.byHand("configmaps", handMadeConfig)
	x.give("configmaps", "limits")
	x.settle(serving(old))
	assert.Equal(t, "b", x.get("configmaps", "limits").Object["data"].(map[string]any)["most"], "git decides what is in it")

	// Neither the inventory nor the annotation alone decides.
	require.NoError(t, x.raw.Resource(resource("configmaps")).Namespace(x.system).
		Delete(t.Context(), x.shop.key.Environment+".checkout.inventory", metav1.DeleteOptions{}))
	x.restart()
	x.settle(serving(old))
	o := x.get("configmaps", "limits")
	o.SetAnnotations(nil)
	_, err := x.objects("configmaps").Update(t.Context(), o, metav1.UpdateOptions{FieldManager: "somebody"})
	require.NoError(t, err)
	x.settle(serving(old))
	x.eventually(serving(old), func() bool {
		return x.get("configmaps", "limits").GetAnnotations()["sluice.dev/adopt"] == x.shop.key.String()
	}, "the mark is put right like any other drift")

	x.shop.extra = nil
	x.settle(serving(old))
	assert.True(t, x.exists("configmaps", "limits"))
	assert.False(t, x.exists("configmaps", "own"), "what Sluice created goes")
}

func TestAnObjectOfSluiceThatLostItsLabelIsPutRight(t *testing.T) {
	x := newSite(t, gateway())
	x.settle(serving(old))
	o := x.get("services", "checkout")
	o.SetLabels(nil)
	_, err := x.objects("services").Update(t.Context(), o, metav1.UpdateOptions{FieldManager: "somebody"})
	require.NoError(t, err)
	x.eventually(serving(old), func() bool { return x.get("services", "checkout").GetLabels() != nil }, "it is Sluice's own by its UID")
	x.settle(serving(old))
	assert.Empty(t, x.get("services", "checkout").GetAnnotations()["sluice.dev/adopt"])
}
