package render_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/reconciler/render"
)

func pool(t testing.TB, mode string, size int) *render.Pool {
	t.Helper()
	p := render.NewPool([]string{os.Args[0], mode}, size)
	t.Cleanup(func() { assert.NoError(t, p.Close()) })
	return p
}

// copies is a JSON patch that doubles an object at each step.
func copies(t testing.TB, steps int) render.Input {
	t.Helper()
	var patch strings.Builder
	for i := range steps {
		fmt.Fprintf(&patch, "    - {op: copy, from: /data, path: /data/x%d}\n", i)
	}
	return with(t, map[string]string{
		overlay: header + "configMapGenerator: [{name: x, literals: [a=b]}]\npatches:\n- target: {kind: ConfigMap, name: x}\n  patch: |\n" + patch.String(),
	})
}

func TestPoolBuildsLikeBuild(t *testing.T) {
	got, err := pool(t, "worker", 1).Build(t.Context(), shop())
	require.NoError(t, err)
	assert.Equal(t, build(t, shop()), got)
}

func TestPoolBuildsOnlyWhatChanged(t *testing.T) {
	p := pool(t, "worker", 2)
	release := func(i int, log string) render.Input {
		in := with(t, map[string]string{"services/checkout/base/limits.ini": log})
		in.Release = fmt.Sprintf("production/checkout-%d", i)
		return in
	}
	for i := range 20 {
		_, err := p.Build(t.Context(), release(i, "a"))
		require.NoError(t, err)
	}
	require.EqualValues(t, 20, p.Builds())
	for i := range 20 {
		log := "a"
		if i == 7 {
			log = "b"
		}
		_, err := p.Build(t.Context(), release(i, log))
		require.NoError(t, err)
	}
	assert.EqualValues(t, 21, p.Builds())
}

func TestPoolDoesNotReadFilesItKnowsByID(t *testing.T) {
	p := pool(t, "worker", 1)
	in := shop()
	in.FilesID = "4be1d0c 9f2c41e"
	first, err := p.Build(t.Context(), in)
	require.NoError(t, err)
	in.Files = fstest.MapFS{}
	second, err := p.Build(t.Context(), in)
	require.NoError(t, err)
	assert.Equal(t, first, second)
	in.FilesID = "another"
	_, err = p.Build(t.Context(), in)
	var refusal *render.Refusal
	assert.ErrorAs(t, err, &refusal)
}

func TestPoolAnswersCannotBeChanged(t *testing.T) {
	p := pool(t, "worker", 1)
	first, err := p.Build(t.Context(), shop())
	require.NoError(t, err)
	first.Workload[0].SetName("changed")
	second, err := p.Build(t.Context(), shop())
	require.NoError(t, err)
	assert.NotEqual(t, "changed", second.Workload[0].GetName())
}

func TestPoolForgetsWhatIsUnusedForLongest(t *testing.T) {
	p := pool(t, "worker", 1)
	p.Cache = 20 << 10
	revisions := func(names ...string) {
		for _, name := range names {
			in := shop()
			in.Revision = name
			_, err := p.Build(t.Context(), in)
			require.NoError(t, err)
		}
	}
	revisions("a", "b", "c", "d", "e", "f", "g", "h")
	revisions("h")
	require.EqualValues(t, 8, p.Builds())
	revisions("a")
	assert.EqualValues(t, 9, p.Builds())
}

func TestPoolRemembersRefusals(t *testing.T) {
	p := pool(t, "worker", 1)
	in := with(t, map[string]string{overlay: "helmCharts: [{name: x}]"})
	for range 2 {
		_, err := p.Build(t.Context(), in)
		var refusal *render.Refusal
		require.ErrorAs(t, err, &refusal)
		assert.Equal(t, overlay, refusal.File)
	}
	assert.EqualValues(t, 1, p.Builds())
}

func TestPoolReplacesWorkerThatNeedsTooMuchMemory(t *testing.T) {
	p := pool(t, "worker", 1)
	p.Memory = 96 << 20
	_, err := p.Build(t.Context(), copies(t, 40))
	require.ErrorIs(t, err, render.ErrWorker)
	assert.ErrorContains(t, err, "96 MiB")
	_, err = p.Build(t.Context(), shop())
	assert.NoError(t, err)
}

func TestPoolKnowsThatAThreadNeedsMemoryToo(t *testing.T) {
	_, err := pool(t, "threadless", 1).Build(t.Context(), shop())
	require.ErrorIs(t, err, render.ErrWorker)
	assert.ErrorContains(t, err, "it needed more than")
}

func TestPoolReplacesWorkerThatIsTooSlow(t *testing.T) {
	p := pool(t, "hangs", 1)
	p.Timeout = time.Millisecond
	for range 2 {
		_, err := p.Build(t.Context(), shop())
		require.ErrorIs(t, err, render.ErrWorker)
		assert.ErrorContains(t, err, "no answer within 1ms")
	}
	assert.EqualValues(t, 2, p.Builds())
}

func TestPoolSaysWhyWorkerIsGone(t *testing.T) {
	for mode, reason := range map[string]string{"dies": "no such luck", "babbles": "more than"} {
		_, err := pool(t, mode, 1).Build(t.Context(), shop())
		require.ErrorIs(t, err, render.ErrWorker, mode)
		assert.ErrorContains(t, err, reason, mode)
	}
	_, err := render.NewPool([]string{"/nonexistent"}, 1).Build(t.Context(), shop())
	assert.ErrorIs(t, err, render.ErrWorker)
}

func TestPoolObeysItsCaller(t *testing.T) {
	p := pool(t, "hangs", 1)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := p.Build(ctx, shop())
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.NotErrorIs(t, err, render.ErrWorker)
}

func TestPoolServesManyCallers(t *testing.T) {
	p := pool(t, "worker", 2)
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			in := shop()
			in.Revision = fmt.Sprintf("r%d", i)
			out, err := p.Build(t.Context(), in)
			if assert.NoError(t, err) {
				assert.Equal(t, fmt.Sprintf("checkout-config-2db2d52kbb-r%d", i), out.Workload[0].GetName())
			}
		})
	}
	group.Wait()
}

func TestPoolIsClosedForGood(t *testing.T) {
	p := pool(t, "worker", 1)
	_, err := p.Build(t.Context(), shop())
	require.NoError(t, err)
	require.NoError(t, p.Close())
	require.NoError(t, p.Close())
	in := shop()
	in.Revision = "other"
	_, err = p.Build(t.Context(), in)
	assert.ErrorIs(t, err, render.ErrClosed)
}
