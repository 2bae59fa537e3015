package environments_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkPollOneAmongThousand reads one promotion in a repository of a
// thousand releases.
func BenchmarkPollOneAmongThousand(b *testing.B) {
	w := newWorld(b)
	files := map[string]string{}
	for i := range 1000 {
		name := fmt.Sprintf("service-%d", i)
		files["services/"+name+"/base/x"] = name
	}
	base := w.push("main", files)
	clear(files)
	release := func(digest string) string {
		return file{digest: digest, source: w.built, base: base}.String()
	}
	for i := range 1000 {
		files[fmt.Sprintf("production/service-%d/release.yaml", i)] = release("one")
	}
	w.push("main", files)
	w.poll()
	require.Len(b, w.record.Releases, 1003)

	changed := 0
	n := 0
	for b.Loop() {
		b.StopTimer()
		n++
		before := w.record.Releases
		w.push("main", map[string]string{"production/service-7/release.yaml": release(fmt.Sprint(n))})
		b.StartTimer()
		w.poll()
		b.StopTimer()
		for name, of := range w.record.Releases {
			if before[name].Commit != of.Commit {
				changed++
			}
		}
		b.StartTimer()
	}
	require.Equal(b, n, changed)
	b.ReportMetric(float64(changed)/float64(n), "releases/poll")
}
