package cluster_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/sluice-cd/sluice/reconciler/cluster"
	"github.com/sluice-cd/sluice/reconciler/release"
	"github.com/sluice-cd/sluice/reconciler/render"
)

const (
	patience = 15 * time.Second // longer than any convergence on a busy machine
	beat     = 50 * time.Millisecond
)

// apiServer is how the tests reach the real API server.
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

// A wire counts and disturbs the requests of one Cluster.
type wire struct {
	next http.RoundTripper

	mu    sync.Mutex // guards the following
	log   []string   // "PATCH checkout", without watches, lists and discovery
	fault func(*http.Request) (*http.Response, error)
	// streams end the watches that are under way.
	streams []context.CancelFunc
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	fault := w.fault
	if segments := strings.Split(r.URL.Path, "/"); r.Method != http.MethodGet || strings.Contains(r.URL.Path, "/namespaces/") {
		w.log = append(w.log, r.Method+" "+segments[len(segments)-1])
	}
	if r.URL.Query().Get("watch") != "" {
		ctx, cancel := context.WithCancel(r.Context())
		w.streams = append(w.streams, cancel)
		r = r.WithContext(ctx)
	}
	w.mu.Unlock()
	if fault != nil {
		if response, err := fault(r); response != nil || err != nil {
			return response, err
		}
	}
	return w.next.RoundTrip(r)
}

// hangUp closes the connections that watches run on.
func (w *wire) hangUp() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, cancel := range w.streams {
		cancel()
	}
	w.streams = nil
}

func (w *wire) disturb(fault func(*http.Request) (*http.Response, error)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fault = fault
}

// since returns the requests made while do ran.
func (w *wire) since(do func()) []string {
	w.mu.Lock()
	w.log = nil
	w.mu.Unlock()
	do()
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log
}

func answer(r *http.Request, code int, body string) *http.Response {
	return &http.Response{
		StatusCode: code, Status: http.StatusText(code), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), Request: r,
	}
}

// A site is a Cluster at work in namespaces of its own.
type site struct {
	*cluster.Cluster
	t      testing.TB
	wire   *wire
	raw    dynamic.Interface // somebody else's client
	system string
	woken  chan release.Key
	shop   shop
	stop   func()
}

func newSite(t testing.TB, s shop) *site {
	t.Helper()
	config := apiServer(t)
	raw, err := dynamic.NewForConfig(config)
	require.NoError(t, err)
	x := &site{t: t, raw: raw, shop: s, woken: make(chan release.Key, 1024)}
	// Releases are cluster-wide names: tests beside each other need their own.
	id := strings.ToLower(rand.Text()[:8])
	x.shop.key = release.Key{Environment: "env" + id, Service: "checkout"}
	x.shop.namespace, x.system = "shop-"+id, "system-"+id
	for _, name := range []string{x.shop.namespace, x.system} {
		o := object(t, "{apiVersion: v1, kind: Namespace, metadata: {name: "+name+"}}")
		_, err := raw.Resource(resource("namespaces")).Create(t.Context(), o, metav1.CreateOptions{})
		require.NoError(t, err)
		t.Cleanup(func() {
			_ = raw.Resource(resource("namespaces")).Delete(context.Background(), name, metav1.DeleteOptions{})
		})
	}
	x.restart()
	return x
}

// restart is a new process: nothing in memory survives.
func (x *site) restart() {
	if x.stop != nil {
		x.stop()
	}
	config := apiServer(x.t)
	x.wire = &wire{}
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		x.wire.next = next
		return x.wire
	})
	c, err := cluster.New(cluster.Config{
		REST: config, Namespace: x.system, Log: slog.New(slog.DiscardHandler),
		Wake: func(key release.Key) {
			select {
			case x.woken <- key:
			default:
			}
		},
	})
	require.NoError(x.t, err)
	x.Cluster = c
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = c.Run(ctx) })
	x.stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
	})
	x.t.Cleanup(x.stop)
}

func resource(name string) schema.GroupVersionResource {
	switch name {
	case "deployments", "statefulsets":
		return schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: name}
	case "horizontalpodautoscalers":
		return schema.GroupVersionResource{Group: "autoscaling", Version: "v2", Resource: name}
	case "poddisruptionbudgets":
		return schema.GroupVersionResource{Group: "policy", Version: "v1", Resource: name}
	case "endpointslices":
		return schema.GroupVersionResource{Group: "discovery.k8s.io", Version: "v1", Resource: name}
	case "httproutes":
		return schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: name}
	}
	return schema.GroupVersionResource{Version: "v1", Resource: name}
}

func (x *site) objects(kind string) dynamic.ResourceInterface {
	return x.raw.Resource(resource(kind)).Namespace(x.shop.namespace)
}

// any reaches whatever kind an object is of.
func (x *site) any(o *unstructured.Unstructured) dynamic.ResourceInterface {
	return x.objects(strings.ToLower(o.GetKind()) + "s")
}

func (x *site) get(kind, name string) *unstructured.Unstructured {
	x.t.Helper()
	o, err := x.objects(kind).Get(x.t.Context(), name, metav1.GetOptions{})
	require.NoError(x.t, err)
	return o
}

func (x *site) exists(kind, name string) bool {
	x.t.Helper()
	_, err := x.objects(kind).Get(x.t.Context(), name, metav1.GetOptions{})
	require.True(x.t, err == nil || apierrors.IsNotFound(err), "%v", err)
	return err == nil
}

func (x *site) manifests() map[string]render.Output {
	return both(x.t, x.shop)
}

func (x *site) converge(state release.State) error {
	return x.Converge(x.t.Context(), x.shop.key, state, x.manifests(), x.shop.options())
}

func (x *site) observe(state release.State) release.Observed {
	x.t.Helper()
	o, err := x.Observe(x.t.Context(), x.shop.key, state, x.manifests(), x.shop.options())
	require.NoError(x.t, err)
	return o
}

// settle converges until everything is as state says, and ready.
func (x *site) settle(state release.State) release.Observed {
	x.t.Helper()
	var o release.Observed
	var last error
	manifests := x.manifests()
	done := func() bool {
		if last = x.Converge(x.t.Context(), x.shop.key, state, manifests, x.shop.options()); last != nil {
			return false
		}
		if o, last = x.Observe(x.t.Context(), x.shop.key, state, manifests, x.shop.options()); last != nil {
			return false
		}
		for _, w := range state.Workloads {
			if o.Revisions[w.Revision].Readiness != release.Ready {
				return false
			}
		}
		return o.Converged && o.Route.Accepted
	}
	for deadline := time.Now().Add(patience); !done(); time.Sleep(beat) {
		if time.Now().After(deadline) {
			require.Fail(x.t, "does not settle", "%.2000s\n%.2000s", fmt.Sprint(last), fmt.Sprintf("%+v", o))
		}
	}
	return o
}

// eventually converges on state until the condition holds.
func (x *site) eventually(state release.State, condition func() bool, why string) {
	x.t.Helper()
	require.Eventually(x.t, func() bool {
		_ = x.converge(state)
		return condition()
	}, patience, beat, why)
}

func (x *site) liveWeights() map[string]int {
	x.t.Helper()
	shares, _, _, err := cluster.RouteFacts(x.get("httproutes", "checkout"), "checkout")
	require.NoError(x.t, err)
	return shares
}

func gateway() shop {
	return production().with(func(s *shop) { s.replicas = 2 })
}

var errReset = fmt.Errorf("read tcp 127.0.0.1: connection reset by peer")
