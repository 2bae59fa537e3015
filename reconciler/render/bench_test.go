package render_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/reconciler/render"
)

func BenchmarkBuild(b *testing.B) {
	in := shop()
	build(b, in)
	b.ReportAllocs()
	for b.Loop() {
		build(b, in)
	}
}

func BenchmarkPoolBuild(b *testing.B) {
	p := pool(b, "worker", 2)
	in := shop()
	n := 0
	for b.Loop() {
		n++
		in.Revision = fmt.Sprintf("r%d", n)
		_, err := p.Build(b.Context(), in)
		require.NoError(b, err)
	}
}

func BenchmarkPoolUnchanged(b *testing.B) {
	p := pool(b, "worker", 1)
	in := shop()
	in.FilesID = "same"
	b.ReportAllocs()
	for b.Loop() {
		_, err := p.Build(b.Context(), in)
		require.NoError(b, err)
	}
}

// BenchmarkOneChangeAmong1000 asks for a thousand releases of which one has changed.
func BenchmarkOneChangeAmong1000(b *testing.B) {
	p := pool(b, "worker", 2)
	ask := func(i int, id string) {
		in := shop()
		in.Release, in.FilesID = fmt.Sprintf("production/checkout-%d", i), id
		_, err := p.Build(b.Context(), in)
		require.NoError(b, err)
	}
	for i := range 1000 {
		ask(i, "first")
	}
	round, before := 0, p.Builds()
	for b.Loop() {
		round++
		for i := range 1000 {
			if i == 500 {
				ask(i, fmt.Sprintf("changed %d", round))
				continue
			}
			ask(i, "first")
		}
	}
	b.ReportMetric(float64(p.Builds()-before)/float64(round), "builds/op")
	require.EqualValues(b, round, p.Builds()-before)
}

func BenchmarkRefuseBomb(b *testing.B) {
	in := with(b, map[string]string{"services/checkout/bomb.yaml": "a: &a [1,2,3,4,5,6,7,8,9]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d,*d,*d]\n"})
	in.Revision = ""
	b.ReportAllocs()
	for b.Loop() {
		_, err := render.Build(b.Context(), in)
		require.Error(b, err)
	}
}
