package reconciler_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/reconciler/intake"
	"github.com/sluice-cd/sluice/reconciler/release"
)

// outcomes lists how the rollouts and refusals ended, in the order of their
// evidence.
func (w *world) outcomes() (out []string) {
	w.t.Helper()
	for _, id := range w.order {
		var e release.Evidence
		require.NoError(w.t, json.Unmarshal([]byte(w.evidence[id]), &e))
		if e.Candidate != nil && e.Outcome != "held" {
			out = append(out, e.Candidate.Revision.Inputs+" "+e.Outcome)
		}
	}
	return out
}

// history is what git asked for, commit by commit.
func (w *world) history() (out []string) {
	for _, c := range w.commits {
		out = append(out, c.releases[name].Inputs)
	}
	return out
}

func TestAPushPastTheGatesDisturbsNoRollout(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := running(t)
		w.push(map[string]string{name: "unpinned3"})
		w.settle(checkout)
		assert.Equal(t, "v2", w.stable())
		assert.Equal(t, []string{"v1", "v2", "unpinned3", "v2"}, w.history(), "git asks for the candidate again, not for what was before it")
		assert.Equal(t, []string{"v1 stable", "unpinned3 rejected", "v2 stable"}, w.outcomes())
	})
}

func TestAPushPastTheGatesInTheWindowLeavesGitAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := running(t)
		w.reach(release.Verifying)
		w.push(map[string]string{name: "unpinned3"})
		require.NoError(t, w.daemon.IntakeOnce(t.Context()))
		w.settle(checkout)
		assert.Equal(t, "v2", w.stable())
		assert.Equal(t, []string{"v1", "v2", "unpinned3", "v2"}, w.history())
		assert.Equal(t, []string{"v1 stable", "unpinned3 rejected", "v2 stable"}, w.outcomes())
	})
}

func TestACandidateThatFailsAfterAnotherWasRefusedGoesBackToStable(t *testing.T) {
	writing := map[string]bool{"git was put right": true, "git could not be put right": false}
	for what, written := range writing {
		t.Run(what, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := running(t)
				w.fault = func(c call) (bool, error) {
					if c.port == "Committer.Commit" && !written {
						return false, errFault
					}
					return true, nil
				}
				w.push(map[string]string{name: "unpinned3"})
				require.NoError(t, w.daemon.IntakeOnce(t.Context()))
				w.during(2 * time.Second)
				w.sick["rv2"] = true
				w.until(checkout, func(time.Time) bool { return w.record(checkout).Phase != release.Progressing })
				w.fault = nil
				w.settle(checkout)
				assert.Equal(t, "v1", w.stable())
				assert.Equal(t, "v1", w.asked(name).Inputs)
				assert.Len(t, w.asked(name).Control.Holds, 1)
			})
		})
	}
}

func TestAPromotionThatPassesItsGatesTakesTheCandidatesPlace(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := running(t)
		w.push(map[string]string{name: "v3"})
		w.settle(checkout)
		assert.Equal(t, "v3", w.stable())
		assert.Equal(t, []string{"v1 stable", "v2 superseded", "v3 stable"}, w.outcomes())
	})
}

func TestWhatWaitsForTheForgeLeavesTheRolloutAlone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := running(t)
		w.forgeAway = "no answer in 10 s"
		w.push(map[string]string{name: "v3"})
		before := len(w.asks)
		require.NoError(t, w.daemon.IntakeOnce(t.Context()))
		w.during(10 * time.Second)
		r := w.record(checkout)
		assert.Equal(t, release.Progressing, r.Phase)
		assert.Equal(t, "v3", r.Next.Revision.Inputs)
		assert.Contains(t, release.Explain(r, time.Now()).Text(), "no answer in 10 s")
		assert.Len(t, w.asks, before+1, "asked once per poll")

		w.reach(release.Pending)
		assert.Equal(t, "v2", w.record(checkout).Stable.Inputs)
		w.forgeAway = ""
		w.settle(checkout)
		assert.Equal(t, "v3", w.stable())
	})
}

func TestAForgeThatHangsDoesNotKeepASickCandidateInTraffic(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := running(t)
		w.forgeHangs = true
		w.push(map[string]string{name: "v3"})
		require.NoError(t, w.daemon.IntakeOnce(t.Context()))
		w.sick["rv2"] = true
		began := time.Now()
		w.reach(release.Reverting)
		assert.LessOrEqual(t, time.Since(began), 15*time.Second, "two failures a few seconds apart, and one hung question between them")
		assert.Zero(t, w.live[checkout].State.Traffic.Weight)
	})
}

func TestAGitServerThatHangsDoesNotKeepASickCandidateInTraffic(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := running(t)
		w.fault = func(c call) (bool, error) {
			if c.port == "Committer.Commit" {
				time.Sleep(10 * time.Second) // as long as anybody listens
				return false, errFault
			}
			return true, nil
		}
		w.push(map[string]string{name: "unpinned3"})
		require.NoError(t, w.daemon.IntakeOnce(t.Context()))
		w.sick["rv2"] = true
		began := time.Now()
		w.reach(release.Reverting)
		assert.LessOrEqual(t, time.Since(began), 20*time.Second)
		assert.Equal(t, 1, w.byPort["Committer.Commit"], "it is not tried in every pass")
	})
}

func TestBehindARolloutOnlyWhatCameAfterTheCandidateIsAskedAbout(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := running(t)
		last := w.asks[len(w.asks)-1]
		require.Equal(t, "v2", last.Want.Revision.Inputs)
		assert.Equal(t, "v1", last.Stable.Inputs)

		w.push(map[string]string{name: "v3"})
		require.NoError(t, w.daemon.IntakeOnce(t.Context()))
		before := len(w.asks)
		w.during(time.Second)
		require.Greater(t, len(w.asks), before)
		next := w.asks[before]
		assert.Equal(t, "v3", next.Want.Revision.Inputs)
		assert.Equal(t, "v2", next.Stable.Inputs)
		require.Len(t, next.Changes, 1)
		assert.Equal(t, "c2", next.Changes[0].Commit)

		w.reach(release.Pending)
		w.reach(release.Preparing)
		again := w.asks[len(w.asks)-1]
		assert.Equal(t, "v1", again.Stable.Inputs, "once the candidate is gone, all since stable counts")
		assert.Len(t, again.Changes, 2)
	})
}

func TestAnybodyMayEndARolloutByAskingForWhatIsStable(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := running(t)
		w.forgeAway = "no answer"
		w.commit(map[string]intake.Snapshot{name: {Inputs: "v1"}})
		w.settle(checkout)
		assert.Equal(t, "v1", w.stable())
		assert.Equal(t, []string{"v1 stable", "v2 superseded"}, w.outcomes())
		assert.Empty(t, w.record(checkout).Holds)
	})
}
