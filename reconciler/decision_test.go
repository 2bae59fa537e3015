package reconciler_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/reconciler"
	"github.com/sluice-cd/sluice/reconciler/environments"
	"github.com/sluice-cd/sluice/reconciler/release"
)

// looks lets the release be looked at every second, without a look at the branch.
func (w *world) looks(d time.Duration) {
	w.t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Second) {
		require.NoError(w.t, w.once(func(ctx context.Context) error { _, err := w.daemon.Once(ctx, checkout); return err }))
	}
}

func TestNothingBeginsOnABranchThatWasReadMoreThanAMinuteAgo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.push(map[string]string{name: "v1"})
		w.begin(func(c *reconciler.Config) { c.Poll = 10 * time.Minute })
		w.settle(checkout)
		w.push(map[string]string{name: "v2"})
		w.forgeAway = "HTTP 503"
		require.NoError(t, w.once(w.daemon.IntakeOnce))
		w.looks(2 * time.Minute)
		require.Equal(t, release.Pending, w.record(checkout).Phase)

		w.forgeAway = ""
		w.looks(20 * time.Minute)
		r := w.record(checkout)
		assert.Equal(t, release.Pending, r.Phase, "a hold or a freeze may have come")
		assert.Contains(t, r.Reason, "has not been read to its end since")

		require.NoError(t, w.once(w.daemon.IntakeOnce))
		w.looks(15 * time.Second)
		assert.NotEqual(t, release.Pending, w.record(checkout).Phase, w.record(checkout).Reason)
	})
}

func TestNothingIsRetiredOnABranchThatWasReadMoreThanAMinuteAgo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.push(map[string]string{name: "v1"})
		w.begin(func(c *reconciler.Config) { c.Poll = 10 * time.Minute })
		w.settle(checkout)
		w.push(map[string]string{name: "retired"})
		require.NoError(t, w.once(w.daemon.IntakeOnce))
		time.Sleep(2 * time.Minute)
		w.looks(2 * time.Minute)
		r := w.record(checkout)
		assert.Equal(t, release.Stable, r.Phase, "somebody may have taken it back")
		assert.Contains(t, r.Kept, "its retirement is allowed, but")

		require.NoError(t, w.once(w.daemon.IntakeOnce))
		w.looks(15 * time.Second)
		assert.Equal(t, release.Removed, w.record(checkout).Phase)
	})
}

// decided is the decision about the second revision of a world.
func decided(t *testing.T, change func(*world)) string {
	t.Helper()
	decision := ""
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.push(map[string]string{name: "v1"})
		w.begin()
		w.settle(checkout)
		change(w)
		w.push(map[string]string{name: "v2"})
		w.during(2 * time.Second)
		require.NotEqual(t, release.Pending, w.record(checkout).Phase, w.record(checkout).Reason)
		decision = w.record(checkout).Decision
	})
	require.NotEmpty(t, decision)
	return decision
}

func TestADecisionIsAboutExactlyWhatWasJudged(t *testing.T) {
	usual := decided(t, func(*world) {})
	assert.Equal(t, usual, decided(t, func(*world) {}), "the same facts are the same decision")
	for what, change := range map[string]func(*world){
		"the commit":    func(w *world) { w.push(nil) },
		"the manifests": func(w *world) { w.salt = "upgraded" },
		"the class":     func(w *world) { w.hotfixes["v2"] = true },
	} {
		assert.NotEqual(t, usual, decided(t, change), what)
	}
	// Either puts one commit before the promotion.
	same, other := func(w *world) { w.push(nil) }, func(w *world) { w.govern(func(*environments.Rules) {}) }
	assert.NotEqual(t, decided(t, same), decided(t, other), "the policy in force")
}
