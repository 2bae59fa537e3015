package main

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/sluice-cd/sluice/gitsource/gittest"
	"github.com/sluice-cd/sluice/reconciler/release"
)

// claim gives each service a volume to lose.
func claim(files map[string]string, services []string) {
	for _, service := range services {
		base := "services/" + service + "/base/"
		files[base+"claim.yaml"] = strings.ReplaceAll(`apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: NAME}
spec:
  accessModes: [ReadWriteOnce]
  resources: {requests: {storage: 1Gi}}
`, "NAME", service)
		files[base+"kustomization.yaml"] = strings.Replace(files[base+"kustomization.yaml"], "resources:\n", "resources:\n  - claim.yaml\n", 1)
	}
}

func TestARetiredReleaseGoesAndItsClaimsStay(t *testing.T) {
	t.Parallel()
	s := newScene(t, []string{"retired", "sneaked", "deleted"}, claim)
	s.begin()
	retired, sneaked, deleted := s.forge, s.forge.of(s.services[1]), s.forge.of(s.services[2])

	s.mergeUnread(sneaked, s.retire(sneaked))
	s.delete(deleted)
	s.approveAndMerge(retired, s.retire(retired))

	s.await(s.production(), "removed", func(r release.Record) bool { return r.Phase == release.Removed })
	s.until("everything but the claim to be gone", func(ctx context.Context) (bool, string, error) {
		left := s.left(retired.service + "-production")
		return assert.ObjectsAreEqual([]string{"PersistentVolumeClaim " + retired.service}, left), strings.Join(left, ", "), nil
	})
	dev, _ := s.record("dev/" + retired.service)
	assert.True(t, dev.Phase == release.Stable && runs(dev.Stable, first), "dev is another release")

	for _, kept := range []struct {
		of     *hub
		reason string
	}{{sneaked, "its retirement is not allowed"}, {deleted, "`state: retired`"}} {
		name := "production/" + kept.of.service
		r := s.await(name, "is kept", func(r release.Record) bool { return strings.Contains(r.Kept, kept.reason) })
		assert.True(t, r.Phase == release.Stable && runs(r.Stable, first))
		assert.Contains(t, s.explanation(name), kept.reason)
		assert.Subset(t, s.left(kept.of.service+"-production"), []string{
			"Deployment " + kept.of.service + "-" + r.Stable.ID, "HTTPRoute " + kept.of.service,
			"PersistentVolumeClaim " + kept.of.service, "Service " + kept.of.service,
		}, "it serves on")
	}
}

// retire opens a pull request that takes production's release away.
func (s *scene) retire(h *hub) (pr int) {
	s.t.Helper()
	path := h.path("production", "release.yaml")
	return s.change(h, "retire-"+h.service, map[string]string{path: s.file(h, path) + "\nstate: retired\n"})
}

// delete pushes the deletion of production's directory.
func (s *scene) delete(h *hub) {
	s.t.Helper()
	files := map[string]gittest.File{}
	for path := range strings.Lines(s.git("ls-tree", "-r", "--name-only", "main", "production/"+h.service+"/")) {
		files[strings.TrimSpace(path)] = gittest.File{Delete: true}
	}
	require.NotEmpty(s.t, files)
	_, err := h.environments.Git().CommitFiles("main", "tidy up", "", files)
	require.NoError(s.t, err)
}

// left lists what Sluice manages of a namespace, by kind and name.
func (s *scene) left(namespace string) []string {
	s.t.Helper()
	var out []string
	for kind, list := range map[string]client.ObjectList{
		"Deployment": &appsv1.DeploymentList{}, "HTTPRoute": &gatewayv1.HTTPRouteList{},
		"PersistentVolumeClaim": &corev1.PersistentVolumeClaimList{}, "Service": &corev1.ServiceList{},
	} {
		require.NoError(s.t, s.kube.objects.List(s.t.Context(), list, client.InNamespace(namespace)))
		out = append(out, named(kind, list)...)
	}
	return out
}

func named(kind string, list client.ObjectList) (names []string) {
	_ = meta.EachListItem(list, func(object runtime.Object) error { // the function returns no error
		names = append(names, kind+" "+object.(client.Object).GetName())
		return nil
	})
	return names
}
