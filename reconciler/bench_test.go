package reconciler_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"         //nolint:depguard // a real store needs a namespace of its own
	"k8s.io/client-go/tools/clientcmd" //nolint:depguard // the same

	"github.com/sluice-cd/sluice/reconciler"
	"github.com/sluice-cd/sluice/reconciler/cluster"
	"github.com/sluice-cd/sluice/reconciler/intake"
	"github.com/sluice-cd/sluice/reconciler/release"
)

// fleet is how many releases the targets speak of.
const fleet = 1000

// standing is a world in which all releases are stable and nothing is to be done.
func standing(b *testing.B, n int) (*world, []release.Key) {
	b.Helper()
	w := newWorld(b)
	w.turns = make(chan struct{}, 1)
	keys := w.many(n)
	now := time.Now().UTC()
	for _, key := range keys {
		place := release.Place{Namespace: key.Service + "-production", Service: key.Service, Traffic: "gateway", Route: key.Service}
		v := revision("v1", "c0")
		v.Workload, v.Manifest = "v1", "rv1/v1//"+place.Namespace+"/"
		r := release.Next(release.New(key, now), release.Adopted{Revision: v, Same: true, Ours: true, Place: place}, now)
		r = release.Next(r, release.Done{ID: r.Owed[0].ID}, now)
		data, err := release.Encode(r)
		require.NoError(b, err)
		w.docs[key.Environment+"."+key.Service] = document{data, 1}
		w.live[key] = runs{State: release.Desired(r), Place: place, Hash: map[string]string{"rv1": v.Manifest}}
	}
	data, err := intake.Encode(intake.Begin("c0", now, w.commits[0].releases))
	require.NoError(b, err)
	w.docs["repository"] = document{data, 1}
	return w, keys
}

// reaches waits for a condition, for at most a minute.
func (w *world) reaches(b *testing.B, what func() bool) {
	b.Helper()
	for range 60_000 {
		done := false
		w.turn(func() { done = what() })
		if done {
			return
		}
		time.Sleep(time.Millisecond)
	}
	b.Fatal("it does not get there")
}

// BenchmarkStart is from the start of a daemon to the end of its first look at
// every one of 1000 releases.
func BenchmarkStart(b *testing.B) {
	b.Run("store=memory", func(b *testing.B) {
		for range b.N {
			w, _ := standing(b, fleet)
			benchmarkStart(b, w)
		}
	})
	b.Run("store=cluster", func(b *testing.B) {
		kube := realStore(b)
		for range b.N {
			b.StopTimer()
			w, _ := standing(b, fleet)
			for name, doc := range w.docs {
				_, version, _ := kube.Load(b.Context(), name)
				_, err := kube.Save(b.Context(), name, doc.data, version)
				require.NoError(b, err)
			}
			w.store = kube
			b.StartTimer()
			benchmarkStart(b, w)
		}
	})
}

func benchmarkStart(b *testing.B, w *world) {
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	daemon := w.start()
	ended := make(chan error, 1)
	began := time.Now()
	go func() { ended <- daemon.Run(ctx) }()
	w.reaches(b, func() bool { return w.byPort["Cluster.Converge"] >= fleet })
	b.ReportMetric(time.Since(began).Seconds(), "s/start")
	b.ReportMetric(float64(w.changes), "applied")
	b.ReportMetric(float64(w.saves), "saves")
	cancel()
	require.NoError(b, <-ended)
}

// BenchmarkOneChange promotes one release of 1000 by a change of scale, from the
// poll that finds it until it is stable.
func BenchmarkOneChange(b *testing.B) {
	w, keys := standing(b, fleet)
	w.daemon = w.start()
	require.NoError(b, w.daemon.Recover(b.Context()))
	for _, key := range keys {
		_, err := w.daemon.Once(b.Context(), key)
		require.NoError(b, err)
	}
	for i := range b.N {
		key := keys[i%fleet]
		w.push(map[string]string{key.String(): "v1+" + string(rune('a'+i%26))})
		builds, changes, saves, loads := w.builds, w.changes, w.saves, w.byPort["Store.Load"]
		require.NoError(b, w.daemon.IntakeOnce(b.Context()))
		for w.record(key).Attempt == 0 || w.record(key).Phase != release.Stable || len(w.record(key).Owed) > 0 {
			if wake, err := w.daemon.Once(b.Context(), key); err != nil || time.Until(wake) > time.Minute {
				break
			}
			w.live[key] = w.live[key].older(readyAfter)
		}
		b.ReportMetric(float64(w.builds-builds), "renders/op")
		b.ReportMetric(float64(w.changes-changes), "applies/op")
		b.ReportMetric(float64(w.saves-saves), "saves/op")
		b.ReportMetric(float64(w.byPort["Store.Load"]-loads), "loads/op")
	}
}

// BenchmarkIdlePoll is what the loop itself costs when nothing is new.
func BenchmarkIdlePoll(b *testing.B) {
	w, _ := standing(b, fleet)
	w.daemon = w.start()
	require.NoError(b, w.daemon.Recover(b.Context()))
	before := w.calls
	for b.Loop() {
		require.NoError(b, w.daemon.IntakeOnce(b.Context()))
	}
	b.ReportMetric(float64(w.calls-before)/float64(b.N), "calls/op")
}

// realStore is the API server of make bench.
func realStore(b *testing.B) reconciler.Store {
	b.Helper()
	path := os.Getenv("SLUICE_DEVCLUSTER")
	if path == "" {
		b.Skip("needs a cluster: run make bench")
	}
	data, err := os.ReadFile(path)
	require.NoError(b, err)
	var facts struct {
		Kubeconfig string `json:"kubeconfig"`
	}
	require.NoError(b, json.Unmarshal(data, &facts))
	config, err := clientcmd.BuildConfigFromFlags("", facts.Kubeconfig)
	require.NoError(b, err)
	raw, err := dynamic.NewForConfig(config)
	require.NoError(b, err)
	namespaces := raw.Resource(schema.GroupVersionResource{Version: "v1", Resource: "namespaces"})
	namespace, err := namespaces.Create(b.Context(), &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"generateName": "bench-"},
	}}, metav1.CreateOptions{})
	require.NoError(b, err)
	b.Cleanup(func() { _ = namespaces.Delete(context.Background(), namespace.GetName(), metav1.DeleteOptions{}) })
	kube, err := cluster.New(cluster.Config{REST: config, Namespace: namespace.GetName(), Log: slog.New(slog.DiscardHandler)})
	require.NoError(b, err)
	return kube
}
