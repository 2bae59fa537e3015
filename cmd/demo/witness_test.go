package main

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	toolswatch "k8s.io/client-go/tools/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/sluice-cd/sluice/reconciler/release"
)

// A witness writes down every version of the records and of one namespace's
// routes. etcd numbers them all in one row, so it knows which record was saved
// when a route was written.
type witness struct {
	mu sync.Mutex // guards the following
	// saved by release, each in the order in which they were saved.
	saved  map[string][]savedRecord
	routes []writtenRoute
	// changed is closed and replaced at each change.
	changed chan struct{}
}

type savedRecord struct {
	version int64
	release.Record
}

type writtenRoute struct {
	version int64
	at      time.Time // when it was seen here
	// weights in per cent by backend.
	weights map[string]int
}

// observe begins to write down. It ends with ctx.
func observe(t testing.TB, ctx context.Context, k *kube, records, routes string) *witness {
	t.Helper()
	w := &witness{saved: map[string][]savedRecord{}, changed: make(chan struct{})}
	follow(t, ctx, k.objects, &corev1.ConfigMapList{}, records, w.sawRecord)
	follow(t, ctx, k.objects, &gatewayv1.HTTPRouteList{}, routes, w.sawRoute)
	return w
}

// follow calls saw for each version of each object of a namespace from now on.
func follow(t testing.TB, ctx context.Context, c client.WithWatch, list client.ObjectList, namespace string, saw func(any)) {
	t.Helper()
	require.NoError(t, c.List(ctx, list, client.InNamespace(namespace)))
	watcher, err := toolswatch.NewRetryWatcherWithContext(ctx, list.GetResourceVersion(), &cache.ListWatch{
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			return c.Watch(ctx, list.DeepCopyObject().(client.ObjectList), &client.ListOptions{Namespace: namespace, Raw: &options})
		},
	})
	require.NoError(t, err)
	go func() {
		for event := range watcher.ResultChan() {
			saw(event.Object)
		}
	}()
}

func (w *witness) sawRecord(object any) {
	m, ok := object.(*corev1.ConfigMap)
	if !ok || m.Labels["sluice.dev/document"] != "record" {
		return
	}
	environment, service, ok := strings.Cut(m.Name, ".")
	if !ok {
		return // the repository's own
	}
	record, err := release.Decode([]byte(m.Data["document.json"]))
	if err != nil {
		return // not written by this version; the daemon itself complains
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	name := environment + "/" + service
	w.saved[name] = append(w.saved[name], savedRecord{versionOf(m), record})
	w.tellLocked()
}

func (w *witness) sawRoute(object any) {
	route, ok := object.(*gatewayv1.HTTPRoute)
	if !ok || len(route.Spec.Rules) == 0 {
		return
	}
	weights := sharesOf(route)
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := len(w.routes); n > 0 && maps.Equal(w.routes[n-1].weights, weights) {
		return // only the status changed
	}
	w.routes = append(w.routes, writtenRoute{versionOf(route), time.Now(), weights})
	w.tellLocked()
}

func (w *witness) tellLocked() {
	close(w.changed)
	w.changed = make(chan struct{})
}

// sharesOf are the weights of a route in per cent.
func sharesOf(route *gatewayv1.HTTPRoute) map[string]int {
	total, weights := 0, map[string]int{}
	for _, ref := range route.Spec.Rules[0].BackendRefs {
		total += int(weightOf(ref))
	}
	for _, ref := range route.Spec.Rules[0].BackendRefs {
		weights[string(ref.Name)] += 100 * int(weightOf(ref)) / max(total, 1)
	}
	return weights
}

// to is what a route gives a revision.
func (r writtenRoute) to(revision string) int {
	for backend, weight := range r.weights {
		if strings.HasSuffix(backend, "-"+revision) {
			return weight
		}
	}
	return 0
}

func versionOf(object metav1.Object) int64 {
	version, err := strconv.ParseInt(object.GetResourceVersion(), 10, 64)
	if err != nil {
		return 0
	}
	return version
}

// record is the newest saved record of a release.
func (w *witness) record(name string) (release.Record, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := w.saved[name]
	if len(all) == 0 {
		return release.Record{}, false
	}
	return all[len(all)-1].Record, true
}

// history is every saved record of a release.
func (w *witness) history(name string) []savedRecord {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.saved[name])
}

// names are those of all releases that have a record.
func (w *witness) names() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Sorted(maps.Keys(w.saved))
}

func (w *witness) news() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.changed
}

// neverOverExposed asserts that no route ever gave a candidate more than the
// record allowed that was saved when it was written.
func (w *witness) neverOverExposed(t testing.TB, name string) {
	t.Helper()
	records := w.history(name)
	w.mu.Lock()
	routes := slices.Clone(w.routes)
	w.mu.Unlock()
	require.NotEmpty(t, routes)
	for _, route := range routes {
		i, _ := slices.BinarySearchFunc(records, route.version, func(r savedRecord, v int64) int { return int(r.version - v) })
		if !assert.Positive(t, i, "a route was written before any record was saved") {
			continue
		}
		traffic := release.Desired(records[i-1].Record).Traffic
		for backend, weight := range route.weights {
			switch {
			case strings.HasSuffix(backend, "-"+traffic.Stable):
			case traffic.Candidate != "" && strings.HasSuffix(backend, "-"+traffic.Candidate):
				assert.LessOrEqual(t, weight, traffic.Weight, "backend %s in phase %s", backend, records[i-1].Phase)
			default:
				assert.Zero(t, weight, "backend %s is neither stable nor candidate in phase %s", backend, records[i-1].Phase)
			}
		}
	}
}

// neverRepeated asserts that each attempt went through its phases and steps once.
func (w *witness) neverRepeated(t testing.TB, name string) {
	t.Helper()
	order := []release.Phase{
		release.Pending, release.Preparing, release.Progressing, release.Verifying,
		release.Reverting, release.Restoring, release.Stable,
	}
	records := w.history(name)
	for i := 1; i < len(records); i++ {
		before, after := records[i-1], records[i]
		assert.Greater(t, after.Seq, before.Seq, "a record was saved over a newer one")
		assert.GreaterOrEqual(t, after.Attempt, before.Attempt)
		if after.Attempt != before.Attempt || after.Phase == release.Pending {
			continue
		}
		assert.GreaterOrEqual(t, slices.Index(order, after.Phase), slices.Index(order, before.Phase),
			"attempt %d went from %s back to %s", after.Attempt, before.Phase, after.Phase)
		if after.Phase == release.Stable {
			continue // the attempt is over and forgotten
		}
		assert.GreaterOrEqual(t, after.Rollout.Step, before.Rollout.Step, "attempt %d repeated a step", after.Attempt)
		assert.Equal(t, before.Rollout.Began, after.Rollout.Began, "attempt %d began again", after.Attempt)
	}
}
