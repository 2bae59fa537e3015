package cluster_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkConverge measures a release of four objects and its four edits: the
// requests for each object that changed and for each that did not.
func BenchmarkConverge(b *testing.B) {
	x := newSite(b, gateway())
	x.settle(serving(old))
	manifests := x.manifests()
	b.Run("unchanged", func(b *testing.B) {
		requests := len(x.wire.since(func() {
			for b.Loop() {
				require.NoError(b, x.Converge(context.Background(), x.shop.key, serving(old), manifests, x.shop.options()))
			}
		}))
		b.ReportMetric(float64(requests)/float64(b.N), "requests/object")
	})
	b.Run("changed", func(b *testing.B) {
		n := 0
		requests := len(x.wire.since(func() {
			for b.Loop() {
				n++
				manifests[old].Shared[0].SetAnnotations(map[string]string{"example.com/n": fmt.Sprint(n)})
				require.NoError(b, x.Converge(context.Background(), x.shop.key, serving(old), manifests, x.shop.options()))
			}
		}))
		b.ReportMetric(float64(requests)/float64(b.N), "requests/object")
	})
}

// BenchmarkTrafficBack measures from the call to the moment when the route is
// written.
func BenchmarkTrafficBack(b *testing.B) {
	x := newSite(b, gateway())
	x.settle(serving(old))
	manifests := x.manifests()
	var worst time.Duration
	for b.Loop() {
		b.StopTimer()
		x.settle(canary(50))
		b.StartTimer()
		began := time.Now()
		require.NoError(b, x.Converge(context.Background(), x.shop.key, canary(0), manifests, x.shop.options()))
		worst = max(worst, time.Since(began))
	}
	b.ReportMetric(float64(worst.Milliseconds()), "worst-ms")
}
