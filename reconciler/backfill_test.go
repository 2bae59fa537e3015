package reconciler_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/reconciler"
	"github.com/sluice-cd/sluice/reconciler/release"
	"github.com/sluice-cd/sluice/schemas"
)

// hurried returns a world in which v2 is the hotfix of an incident, has become
// stable, and owes its way through the normal flow within two hours.
func hurried(t *testing.T) (*world, *bytes.Buffer) {
	t.Helper()
	w, log := newWorld(t), new(bytes.Buffer)
	production := w.policy.Environments[0]
	production.Hotfix = schemas.Hotfix{Backfill: schemas.Duration(2 * time.Hour)}
	staging := production
	staging.Name = "staging"
	w.policy.Environments = []schemas.Environment{staging, production}
	w.hotfixes["v2"], w.hotfixes["v3"] = true, true
	w.push(map[string]string{name: "v1", staged.String(): "v1"})
	w.begin(logging(log))
	w.settle(staged)
	w.settle(checkout)
	w.ship("v2")
	return w, log
}

func logging(log *bytes.Buffer) func(*reconciler.Config) {
	return func(c *reconciler.Config) { c.Log = slog.New(slog.NewTextHandler(log, nil)) }
}

// ship brings inputs through staging to production, where they become stable.
func (w *world) ship(inputs string) {
	w.t.Helper()
	w.offer(inputs)
	w.settle(checkout)
	require.Equal(w.t, inputs, w.stable())
}

func (w *world) offer(inputs string) {
	w.t.Helper()
	w.push(map[string]string{staged.String(): inputs})
	w.settle(staged)
	require.Equal(w.t, inputs, w.record(staged).Stable.Inputs)
	w.push(map[string]string{name: inputs})
}

// exceptions lists what became of them, in order.
func (w *world) exceptions() (out []string) {
	for _, id := range w.order {
		var e release.Evidence
		require.NoError(w.t, json.Unmarshal([]byte(w.evidence[id]), &e))
		if e.Kind == "exception" {
			out = append(out, e.Outcome+" "+e.Backfill.Version)
		}
	}
	return out
}

func TestAHotfixStopsTheNormalFlowUntilItIsBackfilled(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, log := hurried(t)
		r := w.record(checkout)
		require.Len(t, r.Backfills, 1)
		assert.Equal(t, "INC-7", r.Backfills[0].Incident)
		assert.Equal(t, []release.Source{{Repository: "acme/checkout", Commit: "source-v2"}}, r.Backfills[0].Sources)
		assert.Empty(t, w.record(staged).Backfills, "nothing is waived in the first environment")

		w.ship("v4")
		w.during(100 * time.Minute)
		assert.False(t, r.Backfills[0].Announced)
		assert.Contains(t, log.String(), `level=WARN msg="a hotfix is due to come by the normal flow soon" release=production/checkout hotfix="v2 for INC-7"`)
		w.begin(logging(log)) // a restart in the middle
		w.during(20 * time.Minute)
		assert.Equal(t, 1, strings.Count(log.String(), "due to come by the normal flow soon"))
		assert.Equal(t, 1, strings.Count(log.String(), "level=ERROR msg=\"a hotfix has not come by the normal flow in time"))
		assert.Equal(t, []string{"opened v2", "overdue v2"}, w.exceptions())

		w.offer("v5")
		w.during(time.Hour)
		assert.Equal(t, release.Pending, w.record(checkout).Phase)
		assert.Contains(t, w.gate("backfill"), "wait: hotfix v2 for INC-7 is overdue since")
		assert.Equal(t, "v5", w.asked(name).Inputs, "it waits in git, nobody's review is lost")
		assert.Contains(t, w.why(), "does not bring it back")

		w.brings["v6"] = []string{"v2"}
		w.ship("v6")
		assert.Empty(t, w.record(checkout).Backfills)
		assert.Equal(t, []string{"opened v2", "overdue v2", "paid v2"}, w.exceptions())
		w.ship("v7")
	})
}

func TestAnotherHotfixPassesWhileOneIsOverdueAndPaysNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, _ := hurried(t)
		w.during(130 * time.Minute)
		w.brings["v3"] = []string{"v2"}
		w.ship("v3")
		assert.Len(t, w.record(checkout).Backfills, 2, "a hotfix that contains the other one is no normal flow")

		w.brings["v4"] = []string{"v2"}
		w.ship("v4")
		require.Len(t, w.record(checkout).Backfills, 1, "v3 has a time of its own")
		w.brings["v5"] = []string{"v2", "v3"}
		w.ship("v5")
		assert.Empty(t, w.record(checkout).Backfills)
		assert.Equal(t, []string{"opened v2", "overdue v2", "opened v3", "paid v2", "paid v3"}, w.exceptions())
	})
}

func TestAForgeThatIsAwayPaysNothingAndIsAskedAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, log := hurried(t)
		w.brings["v4"] = []string{"v2"}
		w.offer("v4")
		w.fault = func(c call) (bool, error) {
			if c.port == "Facts.Backfilled" {
				return false, errFault
			}
			return true, nil
		}
		w.during(30 * time.Minute)
		require.Equal(t, "v4", w.stable(), "it is not overdue, so not knowing stops nothing")
		require.Len(t, w.record(checkout).Backfills, 1)
		assert.Contains(t, log.String(), "whether a hotfix was backfilled could not be asked")
		asked := w.byPort["Facts.Backfilled"]
		w.during(time.Hour)
		assert.InDelta(t, 12, w.byPort["Facts.Backfilled"]-asked, 2, "it is asked every few minutes")

		w.during(time.Hour)
		w.offer("v5")
		w.during(10 * time.Minute)
		assert.Contains(t, w.gate("backfill"), "wait: whether it contains hotfix v2 for INC-7, which is overdue, could not be asked")
		w.push(map[string]string{name: "v4"})
		w.fault = nil
		w.during(10 * time.Minute)
		assert.Empty(t, w.record(checkout).Backfills, "v4 had come by the normal flow")
		assert.Equal(t, []string{"opened v2", "overdue v2", "paid v2"}, w.exceptions())
	})
}

func TestACommitThatGetsToTheDefaultBranchLaterPaysThen(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, _ := hurried(t)
		w.ship("v4")
		require.Len(t, w.record(checkout).Backfills, 1)
		w.brings["v4"] = []string{"v2"}
		w.during(6 * time.Minute)
		assert.Empty(t, w.record(checkout).Backfills)
	})
}
