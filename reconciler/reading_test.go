package reconciler_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/reconciler"
	"github.com/sluice-cd/sluice/reconciler/environments"
	"github.com/sluice-cd/sluice/reconciler/intake"
	"github.com/sluice-cd/sluice/reconciler/release"
)

// reading is what the store holds of the branch.
func (w *world) reading() intake.Repository {
	w.t.Helper()
	r, err := intake.Decode(w.docs["repository"].data)
	require.NoError(w.t, err)
	return r
}

func TestAReadingThatNeedsAPersonSaysSoOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var logged bytes.Buffer
		w := newWorld(t)
		w.push(map[string]string{name: "v1"})
		w.begin(func(c *reconciler.Config) { c.Log = slog.New(slog.NewTextHandler(&logged, nil)) })
		w.settle(checkout)
		w.push(map[string]string{name: "v2"})
		require.NoError(t, w.daemon.IntakeOnce(t.Context()))
		w.gitAway = fmt.Errorf("read commit c2: %w: team acme/platform cannot be read", environments.ErrStuck)
		for range 10 {
			time.Sleep(poll)
			require.NoError(t, w.daemon.IntakeOnce(t.Context()))
		}
		assert.Contains(t, w.reading().Waiting, "team acme/platform cannot be read")
		assert.Equal(t, 1, strings.Count(logged.String(), "level=ERROR"), "once:\n%s", &logged)
		_, err := w.daemon.Once(t.Context(), checkout)
		require.NoError(t, err)
		assert.Contains(t, release.Explain(w.record(checkout), time.Now()).Text(), "team acme/platform cannot be read", "nothing begins meanwhile, and it says why")

		w.gitAway = nil
		require.NoError(t, w.daemon.IntakeOnce(t.Context()))
		assert.Empty(t, w.reading().Troubles())
		w.settle(checkout)
		assert.Equal(t, "v2", w.stable())
	})
}

func TestABranchThatOutgrowsTheStoreKeepsWhatIsInForceUntilItFitsAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.push(map[string]string{name: "v1"})
		w.begin()
		w.settle(checkout)
		read := w.reading().Mark
		flood, ebb := map[string]intake.Snapshot{}, map[string]intake.Snapshot{}
		for i := range 1999 {
			other := fmt.Sprintf("production/s%d", i)
			flood[other] = intake.Snapshot{Inputs: digest(other), Problem: ""}
			ebb[other] = intake.Snapshot{Inputs: digest(other), Problem: digest(other+"x") + digest(other+"y") + digest(other+"z")}
		}
		w.commit(flood)
		w.commit(ebb)
		for range 3 {
			require.NoError(t, w.daemon.IntakeOnce(t.Context()))
		}
		assert.Equal(t, read, w.reading().Mark)
		assert.Contains(t, w.reading().Waiting, "too large")
		assert.Contains(t, w.reading().Waiting, "take out of the branch what fills it")

		gone := map[string]intake.Snapshot{name: {Inputs: "v2"}}
		for other := range flood {
			gone[other] = intake.Snapshot{Inputs: digest(other)}
		}
		tip := w.commit(gone)
		require.NoError(t, w.daemon.IntakeOnce(t.Context()))
		assert.Equal(t, tip, w.reading().Mark)
		assert.Empty(t, w.reading().Troubles())
		w.settle(checkout)
		assert.Equal(t, "v2", w.stable())
	})
}
