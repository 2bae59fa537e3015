package main

import (
	"context"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func TestAnObserverWritesNothing(t *testing.T) {
	t.Parallel()
	s := newScene(t, []string{"observed"})
	s.begin()
	pr := s.propose(s.forge, good)
	s.awaitSettled(s.production(), first)
	s.awaitSettled("dev/"+s.forge.service, good)
	s.kill()
	s.approveAndMerge(s.forge, pr)
	before := s.everything()

	s.start("--observe")
	s.until("the observer to say what it would do", func(context.Context) (bool, string, error) {
		log, err := os.ReadFile(s.path("logs/sluice.log"))
		return strings.Contains(string(log), "it would be deployed if this daemon did not only observe"), "nothing said", err
	})
	s.kill()
	assert.Equal(t, before, s.everything())

	s.start()
	s.awaitSettled(s.production(), good)
}

// everything is every trace that writing would leave: versions of the records,
// generations and writers of what runs, references and statuses in the forge.
func (s *scene) everything() []string {
	s.t.Helper()
	out := strings.Split(s.git("for-each-ref"), "\n")
	for _, status := range s.forge.environments.Statuses(s.git("rev-parse", "main^2")) {
		out = append(out, status.Context+" "+string(status.State)+" "+status.Description)
	}
	for _, namespace := range s.namespaces() {
		for _, kind := range []schema.GroupVersionKind{
			{Version: "v1", Kind: "ConfigMap"}, {Version: "v1", Kind: "Service"}, {Version: "v1", Kind: "ServiceAccount"},
			{Group: "apps", Version: "v1", Kind: "Deployment"}, {Group: "policy", Version: "v1", Kind: "PodDisruptionBudget"},
			{Group: "autoscaling", Version: "v2", Kind: "HorizontalPodAutoscaler"},
			{Group: "gateway.networking.k8s.io", Version: "v1", Kind: "HTTPRoute"},
		} {
			out = append(out, s.traces(namespace, kind)...)
		}
	}
	slices.Sort(out)
	return out
}

func (s *scene) traces(namespace string, kind schema.GroupVersionKind) (out []string) {
	s.t.Helper()
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(kind)
	require.NoError(s.t, s.kube.objects.List(s.t.Context(), list, client.InNamespace(namespace)))
	for _, o := range list.Items {
		trace := []string{namespace, kind.Kind, o.Name, string(o.UID), strconv.FormatInt(o.Generation, 10)}
		if kind.Kind == "ConfigMap" {
			trace = append(trace, o.ResourceVersion) // nothing else writes to it
		}
		for _, m := range o.ManagedFields {
			if m.Manager == "sluice" {
				trace = append(trace, m.Time.String())
			}
		}
		out = append(out, strings.Join(trace, " "))
	}
	return out
}
