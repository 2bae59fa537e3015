package reconciler_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/reconciler"
	"github.com/sluice-cd/sluice/reconciler/intake"
	"github.com/sluice-cd/sluice/reconciler/release"
	"github.com/sluice-cd/sluice/schemas"
)

func TestACommitThatIsRefusedCallsAPersonOnceAndIsTriedAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := running(t)
		var log bytes.Buffer
		w.begin(func(c *reconciler.Config) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) })
		w.fault = func(c call) (bool, error) {
			if c.port == "Committer.Commit" {
				return false, fmt.Errorf("%w: the branch is protected", reconciler.ErrRefused)
			}
			return true, nil
		}
		w.sick["rv2"] = true
		w.during(5 * time.Minute)
		r := w.record(checkout)
		assert.Equal(t, release.Restoring, r.Phase)
		assert.Contains(t, release.Explain(r, time.Now()).Text(), "the branch is protected")
		assert.Equal(t, 1, strings.Count(log.String(), "a person is needed"))
		assert.Equal(t, release.Traffic{Stable: "rv1"}, w.live[checkout].State.Traffic)

		w.fault = nil
		w.settle(checkout)
		assert.Equal(t, "v1", w.stable())
		assert.Equal(t, "v1", w.asked(name).Inputs)
	})
}

func TestAPullRequestThatWaitsIsNamedUntilGitSaysWhatRuns(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := running(t)
		var log bytes.Buffer
		w.begin(func(c *reconciler.Config) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) })
		w.fault = func(c call) (bool, error) {
			if c.port == "Committer.Commit" {
				return false, &reconciler.ProposedError{
					PullRequest: forge.PullRequest{Number: 12, URL: "https://forge/pull/12"}, Err: errors.New("the branch is protected"),
				}
			}
			return true, nil
		}
		w.sick["rv2"] = true
		w.during(5 * time.Minute)
		r := w.record(checkout)
		assert.Equal(t, release.Restoring, r.Phase)
		assert.Equal(t, "diverged: merge #12, https://forge/pull/12: the branch is protected", r.Reason)
		assert.Equal(t, "merge #12; until then git does not say what runs", release.Explain(r, time.Now()).Person)
		assert.Equal(t, 1, strings.Count(log.String(), "a person is needed"))

		w.commit(map[string]intake.Snapshot{name: {Inputs: "v1"}}) // somebody merges it
		w.fault = nil
		w.settle(checkout)
		assert.Equal(t, "v1", w.stable())
		assert.Empty(t, release.Owed(w.record(checkout)))
	})
}

func TestAPauseStopsTheRolloutAndNotTheWayBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := running(t)
		w.commit(map[string]intake.Snapshot{name: {Inputs: "v2", Control: intake.Control{Paused: true, Reason: "incident"}}})
		w.during(30 * time.Minute)
		assert.Equal(t, release.Progressing, w.record(checkout).Phase)
		assert.Equal(t, 25, w.live[checkout].State.Traffic.Weight)

		w.sick["rv2"] = true
		w.during(2 * time.Minute)
		assert.Equal(t, "v1", w.stable())
	})
}

// What staging has proven is read from its record, whoever follows staging.
func TestTheEnvironmentBeforeIsAskedWhoeverFollowsIt(t *testing.T) {
	own := map[string][]string{"this daemon": nil, "another one": {"production"}}
	for whose, environments := range own {
		t.Run(whose, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld(t)
				staging := w.policy.Environments[0]
				staging.Name = "staging"
				w.policy.Environments = []schemas.Environment{staging, w.policy.Environments[0]}
				w.push(map[string]string{"staging/checkout": "v1"})
				w.begin()
				w.settle(release.Key{Environment: "staging", Service: "checkout"})

				w.begin(func(c *reconciler.Config) { c.Environments = environments })
				w.forgeAway = "no answer"
				w.push(map[string]string{name: "v1"})
				w.during(time.Minute)
				assert.Contains(t, w.gate("artifact"), "pass: every image is pinned, by the digests known in staging")

				w.hidden = "staging.checkout"
				w.during(time.Minute)
				assert.Contains(t, w.gate("artifact"), "wait: what staging has proven could not be read")
			})
		})
	}
}

// gate is what a gate said last.
func (w *world) gate(name string) string {
	gates := w.record(checkout).Gates
	i := slices.IndexFunc(gates, func(g release.Gate) bool { return g.Name == name })
	require.GreaterOrEqual(w.t, i, 0, "%+v", w.record(checkout))
	return gates[i].Verdict + ": " + gates[i].Reason
}

func TestWithoutAGatewayTheShareIsWhatTheReplicasGive(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		s := service("checkout")
		s.Traffic = schemas.Traffic{Kind: schemas.TrafficReplicas, Service: "checkout"}
		w.services["checkout"] = s
		w.achievable = 40
		w.push(map[string]string{name: "v1"})
		w.begin()
		w.settle(checkout)
		w.push(map[string]string{name: "v2"})
		w.reach(release.Progressing)
		w.during(8 * time.Second)
		ticks := w.record(checkout).Rollout.Analysis.Ticks
		require.NotEmpty(t, ticks)
		assert.InDelta(t, 0.4, ticks[0].Weight, 0.001, "25 % was asked for")
		assert.True(t, ticks[0].Up)
	})
}

func TestALostLookAtTheClusterMeasuresNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := running(t)
		w.during(4 * time.Second)
		w.clusterErr = errFault
		before := w.byPort["Meter.Ticks"]
		w.during(10 * time.Second)
		assert.Equal(t, before, w.byPort["Meter.Ticks"])
		_, err := w.daemon.Once(context.WithoutCancel(t.Context()), checkout)
		require.ErrorIs(t, err, errFault)
	})
}
