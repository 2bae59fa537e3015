package environments_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/reconciler"
	"github.com/sluice-cd/sluice/reconciler/release"
	"github.com/sluice-cd/sluice/reconciler/render"
)

// documents is a Store in memory.
type documents struct {
	mu       sync.Mutex
	data     map[string][]byte
	versions map[string]int
}

func (d *documents) Load(_ context.Context, name string) ([]byte, string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	data, ok := d.data[name]
	if !ok {
		return nil, "", release.ErrNotFound
	}
	return data, strconv.Itoa(d.versions[name]), nil
}

func (d *documents) Save(_ context.Context, name string, data []byte, _ string) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.data[name] = data
	d.versions[name]++
	return strconv.Itoa(d.versions[name]), nil
}

// here renders in the test's own process.
type here struct{}

func (here) Build(ctx context.Context, in render.Input) (render.Output, error) {
	return render.Build(ctx, in)
}

// daemon is what looks at pull requests, as after a start.
func (w *world) daemon(store reconciler.Store) *reconciler.Reconciler {
	w.t.Helper()
	d := reconciler.New(reconciler.Config{
		Store: store, Source: w.envs, Releases: w.envs, Facts: w.envs, Renderer: here{}, Announcer: w.client,
		Genesis: w.genesis, Poll: 15 * time.Second, Log: slog.New(slog.DiscardHandler),
	})
	require.NoError(w.t, d.Recover(w.t.Context()))
	require.NoError(w.t, d.IntakeOnce(w.t.Context()))
	return d
}

// A bill is what a look at all open pull requests costs. What was posted is read
// again only after a restart and before something new is posted.
type bill struct{ total, counted, writes, posted int }

func (w *world) look(d *reconciler.Reconciler) bill {
	w.t.Helper()
	w.exchanges()
	require.NoError(w.t, d.PreviewOnce(w.t.Context()))
	var b bill
	for _, e := range w.exchanges() {
		b.total++
		if !e.Cached {
			b.counted++
			if e.API == "status" || e.API == "comment" {
				b.posted++
			}
		}
		if e.Method != http.MethodGet {
			b.writes++
		}
	}
	return b
}

// TestFiftyOpenPullRequestsStayWithinTheForgesBudget measures what a look costs;
// how often there is one is in the tests of package reconciler.
func TestFiftyOpenPullRequestsStayWithinTheForgesBudget(t *testing.T) {
	t.Parallel()
	const pulls, looksAnHour, pollsAnHour, budget = 50, 7, 240, 500
	w := newWorld(t)
	for i := range pulls {
		built := w.must(w.source.Push("alice", "main", "build", map[string]string{"main.go": fmt.Sprintf("package main // %d\n", i)}))
		for _, name := range []string{"test", "sast"} {
			w.check(w.source, built, name, "success")
		}
		f := w.file(fmt.Sprint("v", i))
		f.source = built
		p := w.propose(fmt.Sprint("promote-", i), map[string]string{unproven: f.String()})
		if i%2 == 0 {
			p.approve("bob")
		}
	}
	store := &documents{data: map[string][]byte{}, versions: map[string]int{}}
	d := w.daemon(store)
	first := w.look(d)
	assert.Equal(t, 2*pulls+pulls, first.writes, "a status for each of two environments and a comment")
	for number := 1; number <= pulls; number++ {
		require.Len(t, w.repo.Comments(number), 1)
	}
	assert.LessOrEqual(t, w.look(d).counted, 1+pulls, "the comments are updates, too")

	idle := w.look(d)
	assert.Equal(t, bill{total: 1}, idle, "where nothing may have changed only the list is asked for, and it is the same")

	w.look(w.daemon(store)) // a restart reads what was posted
	warm := w.look(w.daemon(store))
	assert.Zero(t, warm.counted, "confirmed answers are not counted")
	assert.Zero(t, warm.writes)

	w.open() // with nothing kept, as when a new token makes the forge forget its tags
	cold := w.look(w.daemon(store))
	assert.Zero(t, cold.writes, "a restart finds that everything is said")

	hour := cold.counted - cold.posted + looksAnHour*warm.counted + pollsAnHour*idle.counted
	t.Logf("first look %+v, with kept answers %+v, without %+v, between looks %+v", first, warm, cold, idle)
	t.Logf("an hour: %d requests that count, %d in all", hour, cold.total+looksAnHour*warm.total+pollsAnHour*idle.total)
	assert.LessOrEqual(t, hour, budget)
}
