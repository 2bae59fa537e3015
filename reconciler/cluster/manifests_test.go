package cluster_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/sluice-cd/sluice/reconciler/cluster"
	"github.com/sluice-cd/sluice/reconciler/release"
	"github.com/sluice-cd/sluice/reconciler/render"
)

var checkout = release.Key{Environment: "production", Service: "checkout"}

const gatewayRoute = `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: checkout}
spec:
  parentRefs: [{name: devcluster, namespace: default}]
  rules:
  - matches: [{path: {type: PathPrefix, value: /}}]
    backendRefs: [{name: checkout, port: 80}]
`

const autoscaler = `
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: checkout}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: checkout}
  minReplicas: 2
  maxReplicas: 10
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 70}}}]
`

// shop describes a rendered service.
type shop struct {
	key       release.Key
	namespace string
	replicas  int
	version   string   // what makes two revisions differ
	behaviour string   // of the simulated pods
	plain     bool     // without the route
	extra     []string // more documents
}

func production() shop {
	return shop{key: checkout, namespace: "shop", replicas: 4, behaviour: "ready"}
}

func (s shop) with(change func(*shop)) shop {
	change(&s)
	return s
}

func (s shop) resources() string {
	documents := []string{fmt.Sprintf(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: checkout, labels: {app: checkout}}
spec:
  replicas: %d
  selector: {matchLabels: {app: checkout}}
  template:
    metadata:
      labels: {app: checkout}
      annotations: {devcluster.sluice.dev/behaviour: %q}
    spec:
      containers:
      - name: app
        image: registry.example.com/shop/checkout@sha256:6d1c6d1c6d1c6d1c6d1c6d1c6d1c6d1c6d1c6d1c6d1c6d1c6d1c6d1c6d1c6d1c
        ports: [{containerPort: 8080}]
        env: [{name: VERSION, value: %q}]
        envFrom: [{configMapRef: {name: settings}}]
        resources: {requests: {cpu: "0.10"}}
`, s.replicas, s.behaviour, s.version), `
apiVersion: v1
kind: Service
metadata: {name: checkout}
spec:
  selector: {app: checkout}
  ports: [{name: http, port: 80, targetPort: 8080}]
`, `
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {mode: "` + s.version + `"}
`}
	if !s.plain {
		documents = append(documents, gatewayRoute)
	}
	return strings.Join(append(documents, s.extra...), "---")
}

// render renders the shop as the revision.
func (s shop) render(t testing.TB, revision string) render.Output {
	t.Helper()
	dir := s.key.String()
	out, err := render.Build(context.Background(), render.Input{
		Release: s.key.String(), Dir: dir, Service: s.key.Service, Namespace: s.namespace, Revision: revision,
		Files: fstest.MapFS{
			dir + "/kustomization.yaml":                     {Data: []byte("resources: [all.yaml]\n")},
			dir + "/all.yaml":                               {Data: []byte(s.resources())},
			"services/" + s.key.Service + "/base/.gitkeep":  {},
			"services/" + s.key.Service + "/service.yaml":   {Data: []byte("kind: Service\n")},
			"services/" + s.key.Service + "/base/empty.txt": {},
		},
	})
	require.NoError(t, err)
	return out
}

func (s shop) options() cluster.Options {
	if s.plain {
		return cluster.Options{Service: "checkout", Namespace: s.namespace, Traffic: cluster.Replicas}
	}
	return cluster.Options{Service: "checkout", Namespace: s.namespace, Traffic: cluster.Gateway, Route: "checkout"}
}

// Revisions of the tests.
const (
	old   = "aaaa1111"
	young = "bbbb2222"
)

// serving is a State with one stable revision.
func serving(revision string) release.State {
	return release.State{
		Workloads: []release.Workload{{Revision: revision, Share: 100}},
		Shared:    revision,
		Traffic:   release.Traffic{Stable: revision},
	}
}

// canary is a State with the candidate young at a weight beside old.
func canary(weight int) release.State {
	return release.State{
		Workloads: []release.Workload{
			{Revision: old, KeepSize: true, Share: 100},
			{Revision: young, Share: weight},
		},
		Shared:  young,
		Traffic: release.Traffic{Stable: old, Candidate: young, Weight: weight},
	}
}

func object(t testing.TB, manifest string) *unstructured.Unstructured {
	t.Helper()
	o := &unstructured.Unstructured{}
	require.NoError(t, yaml.Unmarshal([]byte(manifest), &o.Object))
	raw, err := o.MarshalJSON()
	require.NoError(t, err)
	require.NoError(t, o.UnmarshalJSON(raw)) // numbers as the API server's client reads them
	return o
}
