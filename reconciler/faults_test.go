package reconciler_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/reconciler"
	"github.com/sluice-cd/sluice/reconciler/environments"
	"github.com/sluice-cd/sluice/reconciler/intake"
	"github.com/sluice-cd/sluice/reconciler/release"
	"github.com/sluice-cd/sluice/schemas"
)

// running is a world in which v1 is stable and v2 was promoted and is at 25 %.
func running(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.push(map[string]string{name: "v1"})
	w.begin()
	w.settle(checkout)
	w.push(map[string]string{name: "v2"})
	w.reach(release.Progressing)
	return w
}

// reach runs until the release is in a phase.
func (w *world) reach(phase release.Phase) {
	w.t.Helper()
	w.until(checkout, func(time.Time) bool { return w.record(checkout).Phase == phase })
}

// during runs for a time.
func (w *world) during(d time.Duration) {
	w.t.Helper()
	end := time.Now().Add(d)
	for time.Now().Before(end) {
		_ = w.once(w.daemon.IntakeOnce)
		_ = w.once(func(ctx context.Context) error { _, err := w.daemon.Once(ctx, checkout); return err })
		time.Sleep(time.Second)
	}
}

func (w *world) stable() string {
	r := w.record(checkout)
	require.Equal(w.t, release.Stable, r.Phase, r.Reason)
	return r.Stable.Inputs
}

func bubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, test)
}

func TestWithoutTheForgeNothingNewBeginsAndWhatRunsGoesOn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := running(t)
		w.forgeAway = "no answer in 10 s"
		w.settle(checkout)
		assert.Equal(t, "v2", w.stable(), "a rollout that was proven finishes")

		w.push(map[string]string{name: "v3"})
		before := w.changes
		w.during(10 * time.Minute)
		assert.Equal(t, release.Pending, w.record(checkout).Phase)
		assert.Equal(t, before, w.changes)
		assert.Contains(t, release.Explain(w.record(checkout), time.Now()).Text(), "no answer in 10 s")

		w.forgeAway = ""
		w.settle(checkout)
		assert.Equal(t, "v3", w.stable())
	})
}

func TestWithoutCountersTheRolloutHolds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := running(t)
		w.meterDown = true
		w.during(20 * time.Minute)
		r := w.record(checkout)
		assert.Equal(t, release.Progressing, r.Phase, "longer than its deadline, and not rolled back")
		assert.Equal(t, 25, w.live[checkout].State.Traffic.Weight)
		assert.Contains(t, release.Explain(r, time.Now()).Text(), "no answer in 10 s", "why it holds can be seen")

		w.meterDown = false
		w.settle(checkout)
		assert.Equal(t, "v2", w.stable())
		assert.Empty(t, w.record(checkout).Trouble)
	})
}

func TestWithoutTheClusterTrafficStaysWhereItIs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := running(t)
		before := w.live[checkout]
		w.clusterErr = errors.New("state of the cluster is not known")
		w.during(5 * time.Minute)
		assert.Equal(t, before, w.live[checkout])
		assert.Contains(t, w.record(checkout).Trouble, "not known")

		w.clusterErr = nil
		w.during(30 * time.Second)
		assert.Empty(t, w.record(checkout).Trouble)
		w.settle(checkout)
		assert.Equal(t, "v2", w.stable())
	})
}

func TestWithoutTheGitServerTrafficGoesBackAllTheSame(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := running(t)
		w.gitAway = errors.New("connection refused")
		w.fault = func(c call) (bool, error) {
			if c.port == "Committer.Commit" || c.port == "Ledger.Append" {
				return false, w.gitAway
			}
			return true, nil
		}
		w.sick["rv2"] = true
		w.during(2 * time.Minute)
		assert.Equal(t, release.Restoring, w.record(checkout).Phase)
		assert.Equal(t, release.Traffic{Stable: "rv1"}, w.live[checkout].State.Traffic)
		assert.Contains(t, w.record(checkout).Trouble, "connection refused")

		w.gitAway, w.fault = nil, nil
		w.settle(checkout)
		assert.Equal(t, "v1", w.stable())
		assert.Equal(t, "v1", w.asked(name).Inputs)
	})
}

func TestNothingBeginsOnWhatWasReadLongAgo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.push(map[string]string{name: "v1"})
		w.begin()
		w.settle(checkout)
		w.push(map[string]string{name: "v2"})
		require.NoError(t, w.daemon.IntakeOnce(t.Context()))
		w.gitAway = errors.New("connection refused")
		for range 5 {
			time.Sleep(2 * time.Minute)
			_, err := w.daemon.Once(t.Context(), checkout)
			require.NoError(t, err)
		}
		assert.Equal(t, "v1", w.record(checkout).Stable.Inputs)
		assert.Equal(t, release.Pending, w.record(checkout).Phase)
		assert.Contains(t, w.record(checkout).Reason, "a hold may have come meanwhile")

		w.gitAway = nil
		w.settle(checkout)
		assert.Equal(t, "v2", w.stable())
	})
}

// Two daemons share a store. The first is stopped in the middle of a rollout and
// wakes up long after the second has finished it.
func TestADaemonThatWasStoppedUndoesNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := running(t)
		stopped := w.daemon
		w.begin()
		w.settle(checkout)
		require.Equal(t, "v2", w.stable())
		before := w.changes

		_, err := stopped.Once(t.Context(), checkout)
		require.NoError(t, err)
		assert.Equal(t, before, w.changes, "what it remembers is not applied")
		assert.Equal(t, "v2", w.stable())
	})
}

func TestTwoDaemonsAtOnceDoEverythingOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.badRates["v3"] = 0.3
		w.push(map[string]string{name: "v1"})
		w.begin()
		other := w.daemon
		w.begin()
		for _, inputs := range []string{"v1", "v2", "v3"} {
			w.push(map[string]string{name: inputs})
			w.until(checkout, func(time.Time) bool {
				_ = other.IntakeOnce(t.Context())
				_, _ = other.Once(t.Context(), checkout)
				r := w.record(checkout)
				return w.read() && r.Phase == release.Stable && len(r.Owed) == 0 && r.Attempt > 0 &&
					(r.Stable.Inputs == inputs || inputs == "v3" && len(r.Holds) > 0)
			})
		}
		assert.Equal(t, "v2", w.stable())
		assert.Len(t, w.commits, 5, "one rollback commit")
		assert.Len(t, w.evidence, 4)
	})
}

// The service's file, or its whole environment, leaves the policy while a
// rollout runs: it can still be judged, finished and rolled back.
func TestARolloutOutlivesItsPlaceInThePolicy(t *testing.T) {
	gone := map[string]func(*environments.Rules){
		"the service": func(r *environments.Rules) {
			delete(r.Services, "checkout")
			r.Broken["checkout"] = "line 3: kind is missing"
		},
		"the environment": func(r *environments.Rules) {
			r.Policy.Environments[0].Name = "elsewhere"
		},
		"the namespace": func(r *environments.Rules) { r.Policy.Environments[0].Namespace = "moved" },
	}
	for what, change := range gone {
		t.Run(what, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := running(t)
				w.badRates["v2"] = 0.3
				w.govern(change)
				w.during(2 * time.Minute)
				assert.Equal(t, release.Stable, w.record(checkout).Phase)
				assert.Equal(t, release.Traffic{Stable: "rv1"}, w.live[checkout].State.Traffic)
				assert.Equal(t, "checkout-production", w.live[checkout].Place.Namespace)
				assert.Equal(t, "v1", w.asked(name).Inputs)
			})
		})
	}
}

func TestAPolicyThatCannotBeReadLeavesTheWayBackOpen(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := running(t)
		w.noRules = errors.New("object not found")
		w.sick["rv2"] = true
		w.during(2 * time.Minute)
		r := w.record(checkout)
		assert.Equal(t, release.Stable, r.Phase)
		assert.Equal(t, "v1", r.Stable.Inputs)
		assert.Contains(t, r.Trouble, "object not found")
	})
}

func TestAnotherClusterIsRefusedInWords(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.policy.Environments[0].Cluster = schemas.Cluster{Context: "eu"}
		w.push(map[string]string{name: "v1"})
		w.begin()
		w.during(10 * time.Second)
		assert.Contains(t, w.record(checkout).Trouble, "the daemon's own cluster only")
		assert.Empty(t, w.live)
	})
}

func TestANamespaceIsNotMovedByARollout(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.push(map[string]string{name: "v1"})
		w.begin()
		w.settle(checkout)
		w.govern(func(r *environments.Rules) { r.Policy.Environments[0].Namespace = "moved" })
		w.push(map[string]string{name: "v2"})
		w.during(2 * time.Minute)
		r := w.record(checkout)
		assert.Equal(t, release.Pending, r.Phase)
		assert.Contains(t, r.Reason, "retire it first")
	})
}

// After an upgrade everything renders a little differently.
func TestWhatRunsIsKeptWhenItRendersDifferently(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.push(map[string]string{name: "v1"})
		w.begin()
		w.settle(checkout)
		verified := w.live[checkout].Hash["rv1"]

		w.salt = "upgraded"
		w.begin()
		w.settle(checkout)
		assert.Equal(t, verified, w.live[checkout].Hash["rv1"])
		assert.Contains(t, w.record(checkout).Trouble, "rv1 renders to something else")

		w.badRates["v2"] = 0.3
		w.push(map[string]string{name: "v2"})
		w.reach(release.Progressing)
		assert.Equal(t, verified, w.live[checkout].Hash["rv1"])
		w.settle(checkout)
		assert.Equal(t, "v1", w.stable(), "and traffic goes back")
		assert.Equal(t, verified, w.live[checkout].Hash["rv1"])

		w.push(map[string]string{name: "v3"})
		w.settle(checkout)
		assert.Equal(t, "v3", w.stable())
		assert.Empty(t, w.record(checkout).Trouble)
	})
}

func TestACandidateThatRendersDifferentlyThanItWasJudgedIsNotApplied(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.push(map[string]string{name: "v1"})
		w.begin()
		w.settle(checkout)
		w.push(map[string]string{name: "v2"})
		w.fault = func(c call) (bool, error) {
			if c.port == "Cluster.Converge" && c.effect {
				w.salt = "upgraded" // between the decision and its effect
				return false, errFault
			}
			return true, nil
		}
		w.during(3 * time.Second)
		require.Equal(t, release.Preparing, w.record(checkout).Phase)
		w.fault = nil
		w.during(15 * time.Minute)
		assert.NotContains(t, w.live[checkout].Hash, "rv2")
		assert.Equal(t, "v1", w.stable())
	})
}

func TestALostRecordNeverReplacesWhatRuns(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := running(t)
		before := w.live[checkout]
		delete(w.docs, "production.checkout")
		w.decoded = map[release.Key]decoded{}
		w.begin()
		w.during(5 * time.Minute)
		r := w.record(checkout)
		assert.Equal(t, release.Frozen, r.Phase)
		assert.Contains(t, r.Reason, "revision rv1 runs and git says rv2")
		assert.Equal(t, before, w.live[checkout])
	})
}

func TestTheBaselineIsAdoptedOnlyWhenNothingElseRuns(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.push(map[string]string{name: "v1"})
		w.begin()
		w.settle(checkout)
		w.docs, w.decoded = map[string]document{}, map[release.Key]decoded{}
		w.evidence = map[string]string{}
		w.begin()
		w.settle(checkout)
		assert.Equal(t, "v1", w.stable(), "rebuilt from git and the cluster")
		assert.Equal(t, "checkout-production", w.record(checkout).Place.Namespace)
		assert.Equal(t, 0, w.record(checkout).Attempt)
	})
}

func TestFilesThatCannotBeUsedConcernTheirReleaseAlone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		other := release.Key{Environment: "production", Service: "cart"}
		w.services["cart"] = service("cart")
		w.push(map[string]string{name: "v1", "production/cart": "v1"})
		w.begin()
		w.settle(checkout)
		w.settle(other)
		before := w.live[checkout]
		w.commit(map[string]intake.Snapshot{
			name:              {Problem: "production/checkout/release.yaml:3:1: unknown field"},
			"production/cart": {Inputs: "v2"},
		})
		w.settle(other)
		w.settle(checkout)
		assert.Equal(t, "v2", w.record(other).Stable.Inputs)
		assert.Equal(t, before, w.live[checkout])
		assert.Contains(t, release.Explain(w.record(checkout), time.Now()).Text(), "release.yaml:3:1")
	})
}

func TestARetirementThatIsNotProvenIsAskedAboutOncePerPoll(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.push(map[string]string{name: "v1"})
		w.begin()
		w.settle(checkout)
		w.forgeAway = "no answer"
		w.push(map[string]string{name: "retired"})
		before := w.byPort["Facts.Facts"]
		w.during(5 * time.Minute)
		assert.LessOrEqual(t, w.byPort["Facts.Facts"]-before, 11)
		assert.Contains(t, w.record(checkout).Kept, "retirement is not allowed")
		assert.Equal(t, "v1", w.stable())

		w.forgeAway = ""
		w.reach(release.Removed)
		assert.Empty(t, w.live[checkout].State.Workloads)
	})
}

func TestObservingWritesNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := running(t)
		w.readOnly = true
		w.begin(func(c *reconciler.Config) { c.Observe = true })
		w.push(map[string]string{name: "v3"})
		w.during(10 * time.Minute)
		_ = w.once(w.daemon.PreviewOnce)
		w.push(map[string]string{name: "retired"})
		w.during(10 * time.Minute)
	})
}

func TestAnObserverOfAFreshRepositoryWritesNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.readOnly = true
		w.push(map[string]string{name: "v1"})
		w.begin(func(c *reconciler.Config) { c.Observe = true })
		w.during(10 * time.Minute)
		assert.Empty(t, w.docs)
	})
}

func TestWhatTheBranchDoesNotNameIsLeftAlone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.push(map[string]string{name: "v1"})
		w.begin()
		_, err := w.daemon.Once(t.Context(), release.Key{Environment: "production", Service: "stranger"})
		require.NoError(t, err)
		assert.NotContains(t, w.docs, "production.stranger")
	})
}

func TestAHoldIsLiftedOnlyWhenNothingIsRefusedAnyMore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.badRates["v2"] = 0.3
		w.push(map[string]string{name: "v1"})
		w.begin()
		w.settle(checkout)
		w.push(map[string]string{name: "v2"})
		w.settle(checkout)
		require.Len(t, w.record(checkout).Holds, 1)
		id := w.record(checkout).Holds[0].ID
		lifted := func() bool {
			return slices.ContainsFunc(w.order, func(id string) bool { return strings.Contains(id, "/lifted ") })
		}

		held := w.asked(name)
		held.Control.Holds = slices.Clone(held.Control.Holds)
		held.Control.Holds[0].Rollback = "INC-7"
		w.commit(map[string]intake.Snapshot{name: held})
		w.settle(checkout)
		require.Len(t, w.record(checkout).Holds, 1)
		assert.False(t, lifted(), "the digest is still refused")

		held.Control.Holds = []intake.Hold{{Rollback: id, Digest: digest("other"), Reason: "no"}}
		w.commit(map[string]intake.Snapshot{name: held})
		w.settle(checkout)
		assert.Empty(t, w.record(checkout).Holds)
		assert.True(t, lifted(), "the id alone refuses nothing")
	})
}

func TestARollbackRestoresTheDirectoryThatWasReviewed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.badRates["v3"] = 0.3
		w.push(map[string]string{name: "v1"})
		w.begin()
		w.settle(checkout)
		inner := w.push(map[string]string{name: "v2"})
		w.ends = w.commit(map[string]intake.Snapshot{})
		w.settle(checkout)
		stable := w.record(checkout).Stable
		assert.NotEqual(t, inner, stable.Commit, "a state inside of a rebased pull request was reviewed by nobody")
		assert.Equal(t, w.ends, stable.Commit)
		assert.Equal(t, w.ends, stable.Base, "the first environment reads the base from the same commit")
		attempt := w.record(checkout).Attempt
		w.settle(checkout)
		assert.Equal(t, attempt, w.record(checkout).Attempt, "git still names the inner commit, which is the same promotion")

		w.ends = ""
		w.push(map[string]string{name: "v3"})
		w.settle(checkout)
		assert.Equal(t, "v2", w.asked(name).Inputs)
		assert.Equal(t, stable.Commit, w.record(checkout).Stable.Commit)
	})
}
