package charts_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"
	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/sluice-cd/sluice/reconciler/cluster"
	"github.com/sluice-cd/sluice/reconciler/release"
	"github.com/sluice-cd/sluice/reconciler/render"
)

const (
	patience = 30 * time.Second // longer than any convergence on a busy machine
	beat     = 50 * time.Millisecond
	// commanders are the break-glass group of testdata/values.yaml.
	commanders = "acme:incident-commanders"
)

// A site is the chart installed on the real API server, with a release that the
// real cluster package runs as the chart's ServiceAccount.
type site struct {
	t           testing.TB
	config      *rest.Config // the administrator's, in system:masters
	system, app string       // namespaces of Sluice and of the release
	key         release.Key
	wire        *wire
	log         journal
	sluice      *cluster.Cluster
}

// A journal keeps what Sluice logs.
type journal struct {
	mu   sync.Mutex // guards the following
	text strings.Builder
}

func (j *journal) Write(line []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(line)
}

func (j *journal) says(text string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Contains(j.text.String(), text)
}

// apiServer is how the tests reach the real API server, as its administrator.
func apiServer(t testing.TB) *rest.Config {
	t.Helper()
	path := os.Getenv("SLUICE_DEVCLUSTER")
	if path == "" {
		t.Skip("needs a cluster: run make test")
	}
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	var facts struct {
		Kubeconfig string `json:"kubeconfig"`
	}
	require.NoError(t, json.Unmarshal(data, &facts))
	config, err := clientcmd.BuildConfigFromFlags("", facts.Kubeconfig)
	require.NoError(t, err)
	config.QPS = -1
	return config
}

func newSite(t testing.TB, changes ...string) *site {
	t.Helper()
	id := strings.ToLower(rand.Text()[:8])
	x := &site{
		t: t, config: apiServer(t), system: "sluice-" + id, app: "app-" + id,
		key: release.Key{Environment: "env" + id, Service: "checkout"},
	}
	for _, name := range []string{x.system, x.app} {
		x.apply(object(t, "{apiVersion: v1, kind: Namespace, metadata: {name: "+name+"}}"))
	}
	changes = append(changes, "namespaces: ["+x.app+"]")
	chart := manifests(t, x.system, values(t, changes...))
	t.Cleanup(func() { x.remove(chart) })
	for _, o := range chart {
		x.apply(o)
	}
	x.start()
	return x
}

// remove uninstalls, the guard first: it would outlive its test otherwise.
func (x *site) remove(chart []*unstructured.Unstructured) {
	for _, kind := range []string{"ValidatingAdmissionPolicyBinding", "ValidatingAdmissionPolicy"} {
		for _, o := range chart {
			if o.GetKind() == kind {
				_ = x.as(x.config, o).Delete(context.Background(), o.GetName(), metav1.DeleteOptions{})
			}
		}
	}
	for _, name := range []string{x.system, x.app} {
		o := &unstructured.Unstructured{}
		o.SetAPIVersion("v1")
		o.SetKind("Namespace")
		_ = x.as(x.config, o).Delete(context.Background(), name, metav1.DeleteOptions{})
	}
}

// apply is a server-side apply by the administrator, as helm does it.
func (x *site) apply(o *unstructured.Unstructured) {
	x.t.Helper()
	_, err := x.as(x.config, o).Apply(x.t.Context(), o.GetName(), o, metav1.ApplyOptions{FieldManager: "helm", Force: true})
	require.NoError(x.t, err, "%s %s", o.GetKind(), o.GetName())
}

// as is somebody's client for objects of o's kind and namespace.
func (x *site) as(who *rest.Config, o *unstructured.Unstructured) dynamic.ResourceInterface {
	x.t.Helper()
	client, err := dynamic.NewForConfig(who)
	require.NoError(x.t, err)
	gvr, _ := meta.UnsafeGuessKindToResource(o.GroupVersionKind())
	if o.GetNamespace() == "" {
		return client.Resource(gvr)
	}
	return client.Resource(gvr).Namespace(o.GetNamespace())
}

// user is somebody with all rights that RBAC knows, in groups of their own.
func (x *site) user(name string, groups ...string) *rest.Config {
	own := rest.CopyConfig(x.config)
	own.Impersonate = rest.ImpersonationConfig{UserName: name, Groups: append(groups, "system:masters", "system:authenticated")}
	return own
}

// account is the chart's ServiceAccount, by a token of its own.
func (x *site) account() *rest.Config {
	x.t.Helper()
	client, err := kubernetes.NewForConfig(x.config)
	require.NoError(x.t, err)
	token, err := client.CoreV1().ServiceAccounts(x.system).CreateToken(x.t.Context(), "sluice",
		&authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	require.NoError(x.t, err)
	own := rest.AnonymousClientConfig(x.config)
	own.BearerToken = token.Status.Token
	own.QPS = -1
	return own
}

// start runs the cluster package as the chart's ServiceAccount.
func (x *site) start() {
	x.t.Helper()
	config := x.account()
	x.wire = &wire{used: map[string]map[string]bool{}}
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		x.wire.next = next
		return x.wire
	})
	var err error
	x.sluice, err = cluster.New(cluster.Config{
		REST: config, Namespace: x.system, Namespaces: []string{x.app}, BreakGlass: true, Log: slog.New(slog.NewTextHandler(&x.log, nil)),
	})
	require.NoError(x.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = x.sluice.Run(ctx) })
	x.t.Cleanup(func() {
		cancel()
		running.Wait()
	})
}

// A wire notes which verbs were used on which resources.
type wire struct {
	next http.RoundTripper

	mu        sync.Mutex                 // guards the following
	used      map[string]map[string]bool // "namespace/resource" → verbs
	forbidden []string
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := w.next.RoundTrip(r)
	if err != nil {
		return response, err
	}
	_, path, namespaced := strings.Cut(r.URL.Path, "/namespaces/")
	parts := strings.Split(path, "/")
	if !namespaced || len(parts) < 2 {
		return response, nil
	}
	verb := map[string]string{http.MethodPost: "create", http.MethodPut: "update", http.MethodPatch: "patch", http.MethodDelete: "delete"}[r.Method]
	switch {
	case r.URL.Query().Get("watch") != "":
		verb = "watch"
	case r.Method == http.MethodGet && len(parts) == 2:
		verb = "list"
	case r.Method == http.MethodGet:
		verb = "get"
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	at := parts[0] + "/" + parts[1]
	if w.used[at] == nil {
		w.used[at] = map[string]bool{}
	}
	w.used[at][verb] = true
	if r.Method == http.MethodPatch && response.StatusCode == http.StatusCreated {
		w.used[at]["create"] = true
	}
	if response.StatusCode == http.StatusForbidden {
		w.forbidden = append(w.forbidden, verb+" "+at)
	}
	return response, nil
}

const (
	old   = "aaaa1111"
	young = "bbbb2222"
)

const shop = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: checkout, labels: {app: checkout}}
spec:
  selector: {matchLabels: {app: checkout}}
  template:
    metadata: {labels: {app: checkout}}
    spec:
      serviceAccountName: checkout
      containers:
      - name: app
        image: registry.example.com/shop/checkout@sha256:6d1c6d1c6d1c6d1c6d1c6d1c6d1c6d1c6d1c6d1c6d1c6d1c6d1c6d1c6d1c6d1c
        ports: [{containerPort: 8080}]
        env: [{name: VERSION, value: REVISION}]
        envFrom: [{configMapRef: {name: settings}}, {secretRef: {name: keys}}]
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: checkout}}
---
{apiVersion: v1, kind: Secret, metadata: {name: keys}, stringData: {key: REVISION}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {mode: REVISION}}
---
apiVersion: v1
kind: Service
metadata: {name: checkout}
spec: {selector: {app: checkout}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: checkout}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: checkout}
  minReplicas: 2
  maxReplicas: 10
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 70}}}]
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: checkout}
spec: {maxUnavailable: 1, selector: {matchLabels: {app: checkout}}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: checkout}
spec: {podSelector: {matchLabels: {app: checkout}}, policyTypes: [Ingress]}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: report}
spec:
  schedule: "0 3 * * *"
  jobTemplate:
    spec:
      template:
        spec:
          restartPolicy: Never
          containers:
          - name: app
            image: registry.example.com/shop/checkout@sha256:6d1c6d1c6d1c6d1c6d1c6d1c6d1c6d1c6d1c6d1c6d1c6d1c6d1c6d1c6d1c6d1c
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: checkout}
spec:
  parentRefs: [{name: devcluster, namespace: default}]
  rules:
  - matches: [{path: {type: PathPrefix, value: /}}]
    backendRefs: [{name: checkout, port: 80}]
`

func (x *site) manifests() map[string]render.Output {
	x.t.Helper()
	all := map[string]render.Output{}
	for _, revision := range []string{old, young} {
		dir := x.key.String()
		out, err := render.Build(x.t.Context(), render.Input{
			Release: x.key.String(), Dir: dir, Service: x.key.Service, Namespace: x.app, Revision: revision,
			Files: fstest.MapFS{
				dir + "/kustomization.yaml":      {Data: []byte("resources: [all.yaml]\n")},
				dir + "/all.yaml":                {Data: []byte(strings.ReplaceAll(shop, "REVISION", revision))},
				"services/checkout/service.yaml": {Data: []byte("kind: Service\n")},
			},
		})
		require.NoError(x.t, err)
		all[revision] = out
	}
	return all
}

func serving(revision string) release.State {
	return release.State{
		Workloads: []release.Workload{{Revision: revision, Share: 100}}, Shared: revision,
		Traffic: release.Traffic{Stable: revision},
	}
}

// settle converges until everything is as state says, ready and divided.
func (x *site) settle(state release.State) {
	x.t.Helper()
	options := cluster.Options{Service: "checkout", Namespace: x.app, Traffic: cluster.Gateway, Route: "checkout"}
	manifests := x.manifests()
	var last error
	var seen release.Observed
	done := func() bool {
		if last = x.sluice.Converge(x.t.Context(), x.key, state, manifests, options); last != nil {
			return false
		}
		if seen, last = x.sluice.Observe(x.t.Context(), x.key, state, manifests, options); last != nil {
			return false
		}
		for _, w := range state.Workloads {
			if seen.Revisions[w.Revision].Readiness != release.Ready {
				return false
			}
		}
		return seen.Converged
	}
	for deadline := time.Now().Add(patience); !done(); time.Sleep(beat) {
		require.True(x.t, time.Now().Before(deadline), "does not settle: %v\n%.2000s", last, fmt.Sprintf("%+v", seen))
	}
}

// until converges until the condition holds.
func (x *site) until(state release.State, condition func() bool, why string) {
	x.t.Helper()
	options := cluster.Options{Service: "checkout", Namespace: x.app, Traffic: cluster.Gateway, Route: "checkout"}
	manifests := x.manifests()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(beat) {
		err := x.sluice.Converge(x.t.Context(), x.key, state, manifests, options)
		require.True(x.t, time.Now().Before(deadline), "not in time: %s: %v", why, err)
	}
}

// live reads an object as the administrator.
func (x *site) live(kind schema.GroupVersionKind, name string) *unstructured.Unstructured {
	x.t.Helper()
	o, err := x.as(x.config, x.named(kind, name)).Get(x.t.Context(), name, metav1.GetOptions{})
	require.NoError(x.t, err)
	return o
}

func (x *site) gone(kind schema.GroupVersionKind, name string) bool {
	_, err := x.as(x.config, x.named(kind, name)).Get(x.t.Context(), name, metav1.GetOptions{})
	return apierrors.IsNotFound(err)
}

func (x *site) named(kind schema.GroupVersionKind, name string) *unstructured.Unstructured {
	o := &unstructured.Unstructured{}
	o.SetGroupVersionKind(kind)
	o.SetName(name)
	o.SetNamespace(x.app)
	return o
}

// merge is a merge patch, as kubectl's edit, label, annotate and set send them.
func (x *site) merge(who *rest.Config, kind schema.GroupVersionKind, name, patch string, subresource ...string) error {
	x.t.Helper()
	_, err := x.as(who, x.named(kind, name)).Patch(x.t.Context(), name, types.MergePatchType, []byte(patch), metav1.PatchOptions{}, subresource...)
	return err
}

func (x *site) delete(who *rest.Config, kind schema.GroupVersionKind, name string) error {
	x.t.Helper()
	return x.as(who, x.named(kind, name)).Delete(x.t.Context(), name, metav1.DeleteOptions{})
}

func (x *site) create(who *rest.Config, manifest string) error {
	x.t.Helper()
	o := object(x.t, manifest)
	o.SetNamespace(x.app)
	_, err := x.as(who, o).Create(x.t.Context(), o, metav1.CreateOptions{})
	return err
}

func object(t testing.TB, manifest string) *unstructured.Unstructured {
	t.Helper()
	all := decode(t, manifest)
	require.Len(t, all, 1)
	return all[0]
}
