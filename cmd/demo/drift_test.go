package main

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/sluice-cd/sluice/reconciler/release"
)

func TestWhatPeopleChangeInTheClusterIsPutRight(t *testing.T) {
	t.Parallel()
	s := newScene(t, []string{"drift"})
	s.begin()
	stable, _ := s.record(s.production())
	service, namespace := s.forge.service, s.forge.service+"-production"
	deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: service + "-" + stable.Stable.ID}}

	s.edit(deployment, func() {
		deployment.Spec.Template.Spec.Containers[0].Image = "registry.example.com/shop/other@" + bad.Digest
		deployment.Spec.Template.Spec.Containers[0].LivenessProbe = nil
	})
	s.until("the Deployment to be put right", func(ctx context.Context) (bool, string, error) {
		err := s.kube.objects.Get(ctx, client.ObjectKeyFromObject(deployment), deployment)
		container := deployment.Spec.Template.Spec.Containers[0]
		right := container.Image == "registry.example.com/shop/"+service+"@"+first.Digest && container.LivenessProbe != nil
		return err == nil && right, container.Image, err
	})
	s.restored(deployment, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: service}})

	// The route is turned to a candidate that is on its way.
	s.promote(s.forge, good)
	s.await(s.production(), "progressing", func(r release.Record) bool { return r.Phase == release.Progressing })
	route := &gatewayv1.HTTPRoute{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: service}}
	s.edit(route, func() {
		for i, ref := range route.Spec.Rules[0].BackendRefs {
			weight := 100 - weightOf(ref)
			route.Spec.Rules[0].BackendRefs[i].Weight = &weight
		}
	})
	s.until("the weights to be put right", func(context.Context) (bool, string, error) {
		r, _ := s.record(s.production())
		want := release.Desired(r).Traffic
		got := s.share(want.Candidate)
		return got == want.Weight, fmt.Sprintf("%d %%, wanted %d %%", got, want.Weight), nil
	})
	s.awaitSettled(s.production(), good)
	s.restored(route)
}

// edit changes an object as kubectl edit does.
func (s *scene) edit(object client.Object, change func()) {
	s.t.Helper()
	s.until("the edit to be accepted", func(ctx context.Context) (bool, string, error) {
		if err := s.kube.objects.Get(ctx, client.ObjectKeyFromObject(object), object); err != nil {
			return false, "", err
		}
		change()
		err := s.kube.objects.Update(ctx, object, client.FieldOwner("kubectl-edit"))
		return err == nil, "", err // a conflict when something else was faster
	})
}

// restored deletes objects and waits until there are new ones in their place.
func (s *scene) restored(objects ...client.Object) {
	s.t.Helper()
	for _, object := range objects {
		require.NoError(s.t, s.kube.objects.Get(s.t.Context(), client.ObjectKeyFromObject(object), object))
		deleted := object.GetUID()
		require.NoError(s.t, s.kube.objects.Delete(s.t.Context(), object))
		s.until(object.GetName()+" to be restored", func(ctx context.Context) (bool, string, error) {
			err := s.kube.objects.Get(ctx, client.ObjectKeyFromObject(object), object)
			return err == nil && object.GetUID() != deleted, "it is gone", err
		})
	}
}
