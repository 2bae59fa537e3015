package reconciler_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/reconciler/environments"
	"github.com/sluice-cd/sluice/reconciler/intake"
	"github.com/sluice-cd/sluice/reconciler/release"
)

// replaced returns a world in which v2 has replaced v1 and v1 is gone.
func replaced(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.push(map[string]string{name: "v1"})
	w.begin()
	w.settle(checkout)
	w.push(map[string]string{name: "v2"})
	w.settle(checkout)
	require.Equal(t, "v2", w.stable())
	return w
}

// rollouts lists how they ended.
func (w *world) rollouts() (out []string) {
	for _, id := range w.order {
		var e release.Evidence
		require.NoError(w.t, json.Unmarshal([]byte(w.evidence[id]), &e))
		if e.Kind == "rollout" {
			out = append(out, e.Candidate.Revision.Version+" "+e.Outcome)
		}
	}
	return out
}

func TestAReturnGoesAtOnceAndHoldsWhatItLeft(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := replaced(t)
		w.badRates["v1"] = 0.5 // nobody measures what was proven
		w.commit(map[string]intake.Snapshot{name: {Inputs: "v1", Control: intake.Control{Frozen: "INC-7", Paused: true}}})
		began := time.Now()
		w.settle(checkout)
		assert.Less(t, time.Since(began), 45*time.Second, "no step, no window, no freeze and no pause")
		assert.Equal(t, "v1", w.stable())
		assert.Equal(t, []string{"v1 stable", "v2 stable", "v1 returned"}, w.rollouts())
		tip := w.asked(name)
		assert.Equal(t, "v1", tip.Inputs)
		require.Len(t, tip.Control.Holds, 1)
		assert.Equal(t, digest("v2"), tip.Control.Holds[0].Digest)
		assert.Equal(t, "INC-7", tip.Control.Frozen)

		w.commit(map[string]intake.Snapshot{name: {Inputs: "v2", Control: intake.Control{Holds: tip.Control.Holds}}})
		w.settle(checkout)
		assert.Equal(t, "v1", w.stable(), "what was left is on hold, and no return comes around that")
		assert.Equal(t, "v1", w.asked(name).Inputs)

		w.badRates["v3"] = 0.3
		w.push(map[string]string{name: "v3"})
		w.settle(checkout)
		assert.Equal(t, "v1", w.stable(), "it goes back to what nobody holds")
	})
}

func TestAReturnThatCrashesAnywhereEndsTheSame(t *testing.T) {
	for _, every := range []int{13, 17, 23, 29} {
		bubble(t, func(t *testing.T) {
			w := replaced(t)
			w.fault = func(c call) (bool, error) {
				if c.n%every != 0 {
					return true, nil
				}
				w.crashed = true
				w.kill()
				return false, errFault
			}
			w.push(map[string]string{name: "v1"})
			w.settle(checkout)
			w.fault = nil
			w.settle(checkout)
			require.Equal(t, "v1", w.stable(), every)
			assert.Equal(t, []string{"v1 stable", "v2 stable", "v1 returned"}, w.rollouts(), every)
			assert.Len(t, w.asked(name).Control.Holds, 1, fmt.Sprint(every))
			assert.Empty(t, w.record(checkout).Owed)
		})
	}
}

func TestAReturnWithOtherSharedObjectsIsNotJudgedEither(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.push(map[string]string{name: "v1~1"})
		w.begin()
		w.settle(checkout)
		w.push(map[string]string{name: "v1~2"})
		w.settle(checkout)
		w.push(map[string]string{name: "v2~3"})
		w.settle(checkout)
		require.Equal(t, "v2~3", w.stable())
		w.badRates["~1"] = 0.5
		w.push(map[string]string{name: "v1~1"})
		w.settle(checkout)
		assert.Equal(t, "v1~1", w.stable())
	})
}

func TestAPullRequestThatReturnsIsPreviewedAsOne(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := replaced(t)
		w.commit(map[string]intake.Snapshot{name: {Inputs: "v2", Control: intake.Control{Frozen: "INC-7"}}})
		require.NoError(t, w.once(w.daemon.IntakeOnce))
		for inputs, says := range map[string]string{"v1": "success: Ready: all", "v9": "production is frozen: INC-7"} {
			w.proposals = []environments.Proposal{proposed(7, "head-"+inputs, map[string]string{"checkout": inputs})}
			require.NoError(t, w.once(w.daemon.PreviewOnce))
			assert.Contains(t, w.statuses[len(w.statuses)-1], says)
		}
	})
}
