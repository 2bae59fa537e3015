package reconciler_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/reconciler"
	"github.com/sluice-cd/sluice/reconciler/intake"
	"github.com/sluice-cd/sluice/reconciler/release"
)

// many puts n services at v1 on the branch.
func (w *world) many(n int) []release.Key {
	wanted := map[string]string{}
	keys := make([]release.Key, n)
	for i := range keys {
		service := service(fmt.Sprintf("s%04d", i))
		w.services[service.Name] = service
		keys[i] = release.Key{Environment: "production", Service: service.Name}
		wanted[keys[i].String()] = "v1"
	}
	w.push(wanted)
	return keys
}

// run starts the daemon as serve does and returns how to stop it and wait.
func (w *world) run(t *testing.T, change ...func(*reconciler.Config)) (stop func() error) {
	t.Helper()
	w.daemon = w.start(change...)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.daemon.Run(ctx) }()
	return func() error {
		cancel()
		return <-ended
	}
}

// alone makes a world safe for the workers: every call takes its turn.
func alone(t *testing.T) *world {
	w := newWorld(t)
	w.turns = make(chan struct{}, 1)
	return w
}

func TestOneHungReleaseDelaysNobody(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := alone(t)
		keys := w.many(20)
		hung := keys[0]
		w.hang[hung] = true
		stop := w.run(t)
		time.Sleep(40 * time.Second)
		w.turn(func() {
			for _, key := range keys[1:] {
				assert.Equal(t, release.Stable, w.record(key).Phase, "%s", key)
			}
			assert.NotEqual(t, release.Stable, w.record(hung).Phase)
			w.hang[hung] = false
		})
		time.Sleep(10 * time.Minute)
		w.turn(func() { assert.Equal(t, "v1", w.record(hung).Stable.Inputs, "it goes on once its pass was ended") })
		require.NoError(t, stop())
	})
}

func TestQuietReleasesCostOnePollAndNothingElse(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := alone(t)
		w.many(100)
		stop := w.run(t)
		time.Sleep(2*time.Minute + time.Second)
		synctest.Wait()
		var calls, polls, changes int
		w.turn(func() { calls, polls = w.calls, w.polls })
		time.Sleep(poll)
		synctest.Wait()
		w.turn(func() {
			assert.Equal(t, 1, w.polls-polls)
			assert.Equal(t, 2, w.calls-calls, "the poll and the look at the open pull requests")
			changes = w.changes
			w.push(map[string]string{"production/s0042": "v1+2"})
		})
		time.Sleep(poll + 10*time.Second)
		w.turn(func() {
			assert.Equal(t, "v1+2", w.record(release.Key{Environment: "production", Service: "s0042"}).Stable.Inputs)
			assert.Equal(t, 1, w.changes-changes, "one release is applied, once")
		})
		require.NoError(t, stop())
	})
}

func TestADaemonThatOnlyFailsCanBeStopped(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := alone(t)
		w.many(20)
		stop := w.run(t)
		time.Sleep(time.Second)
		w.turn(func() {
			w.fault = func(call) (bool, error) { return false, errFault }
		})
		time.Sleep(time.Minute)
		began := time.Now()
		require.NoError(t, stop())
		assert.Zero(t, time.Since(began))
	})
}

func TestFailuresAreRetriedLessAndLessOften(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := alone(t)
		w.many(1)
		w.clusterErr = errFault
		stop := w.run(t)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		w.turn(func() {
			assert.InDelta(t, 22, w.byPort["Cluster.Observe"], 3, "2, 4, 8, 16 and then 30 s apart")
			w.clusterErr = nil
		})
		time.Sleep(31 * time.Second)
		w.turn(func() { assert.Positive(t, w.changes, "and it resumes within half a minute") })
		require.NoError(t, stop())
	})
}

func TestADaemonLooksOnlyAtItsOwnEnvironments(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := alone(t)
		keys := w.many(2)
		stop := w.run(t, func(c *reconciler.Config) { c.Environments = []string{"staging"} })
		w.daemon.Wake(keys[0])
		time.Sleep(2 * time.Minute)
		w.turn(func() { assert.Len(t, w.docs, 1, "only what was read of git") })
		require.NoError(t, stop())
	})
}

func TestTheFirstStartNeedsABaseline(t *testing.T) {
	w := newWorld(t)
	w.push(map[string]string{name: "v1"})
	err := w.start(func(c *reconciler.Config) { c.Genesis = "" }).Run(t.Context())
	require.ErrorContains(t, err, "--genesis")
	assert.Empty(t, w.docs)
}

func TestAFrozenHistoryKeepsWhatRunsUntilATipIsAccepted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.push(map[string]string{name: "v1"})
		w.begin()
		w.settle(checkout)
		w.rewritten = "the branch no longer contains c0"
		require.NoError(t, w.daemon.IntakeOnce(t.Context()))
		w.push(map[string]string{name: "v2"})
		before := w.changes
		w.during(5 * time.Minute)
		assert.Equal(t, before, w.changes)

		w.rewritten = ""
		w.begin() // a restart alone accepts nothing
		w.during(time.Minute)
		assert.Equal(t, "v1", w.stable())
		w.begin(func(c *reconciler.Config) { c.Genesis = "c1" })
		w.settle(checkout)
		assert.Equal(t, "v2", w.stable())
	})
}

func TestWhatWasReadBeforeAnErrorIsKept(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.push(map[string]string{name: "v1"})
		w.begin()
		w.settle(checkout)
		w.push(map[string]string{name: "v2"})
		w.push(map[string]string{name: "v3"})
		w.readable = 2
		err := w.daemon.IntakeOnce(t.Context())
		require.ErrorIs(t, err, errFault)
		doc, err := intake.Decode(w.docs["repository"].data)
		require.NoError(t, err)
		assert.Equal(t, "c1", doc.Mark)

		w.readable = 0
		w.settle(checkout)
		assert.Equal(t, "v3", w.stable())
		w.push(map[string]string{name: "v4"})
		w.settle(checkout)
		doc, err = intake.Decode(w.docs["repository"].data)
		require.NoError(t, err)
		assert.Len(t, doc.Releases[name].Changes, 1, "what is proven is dropped when something new is read")
	})
}

func TestAnotherReaderOfTheBranchIsFollowed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.push(map[string]string{name: "v1"})
		w.begin()
		slow := w.daemon
		w.settle(checkout)
		w.begin()
		w.push(map[string]string{name: "v2"})
		require.NoError(t, w.daemon.IntakeOnce(t.Context()))
		err := slow.IntakeOnce(t.Context())
		require.ErrorIs(t, err, release.ErrConflict)
		require.NoError(t, slow.IntakeOnce(t.Context()), "it has loaded what the other one read")
	})
}

func TestAScratchNeverReachesWhatLiesUnderIt(t *testing.T) {
	w := newWorld(t)
	w.docs["a"] = document{[]byte("under"), 7}
	w.readOnly = true
	s := &reconciler.Scratch{Under: w}
	data, version, err := s.Load(t.Context(), "a")
	require.NoError(t, err)
	assert.Equal(t, "under", string(data))
	mine, err := s.Save(t.Context(), "a", []byte("mine"), version)
	require.NoError(t, err)
	_, err = s.Save(t.Context(), "a", []byte("late"), version)
	require.ErrorIs(t, err, release.ErrConflict)
	data, version, err = s.Load(t.Context(), "a")
	require.NoError(t, err)
	assert.Equal(t, "mine", string(data))
	assert.Equal(t, mine, version)
	_, _, err = s.Load(t.Context(), "b")
	require.ErrorIs(t, err, release.ErrNotFound)
}
