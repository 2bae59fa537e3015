package environments_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource/gittest"
	"github.com/sluice-cd/sluice/reconciler/environments"
)

const controlHead = "apiVersion: sluice.dev/v1alpha1\nkind: Control\n"

func paused() map[string]string {
	return map[string]string{control: controlHead + "paused: true\nreason: incident\n"}
}

func holding(digests ...string) map[string]string {
	text := controlHead + "holds:\n"
	for _, d := range digests {
		text += "  - {digest: " + digest(d) + ", reason: errors}\n"
	}
	return map[string]string{control: text}
}

func free() map[string]string { return map[string]string{control: controlHead} }

func (w *world) held() int { return len(w.record.Releases[production].Control.Holds) }

func TestControlFileIsStricterAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	assert.Equal(t, control, environments.ControlPath(key(production)))
	w.exchanges()
	w.push("main", paused())
	w.poll()
	assert.True(t, w.record.Releases[production].Control.Paused)
	assert.Equal(t, "incident", w.record.Releases[production].Control.Reason)
	assert.Empty(t, w.exchanges(), "in an incident nobody is asked")
	assert.Empty(t, w.record.Releases[production].Changes, "a hold is no input")
}

func TestAFreezeStopsEveryReleaseOfItsEnvironment(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	frozen := map[string]string{"production/control.yaml": controlHead + "freeze: {reason: INC-7}\n"}
	w.push("main", frozen)
	w.poll()
	reason := func(name string) string { return w.record.Releases[name].Control.Frozen }
	for name := range w.record.Releases {
		assert.Equal(t, strings.HasPrefix(name, "production/"), reason(name) == "INC-7", name)
	}
	assert.False(t, w.record.Releases[production].Control.Paused, "a freeze is no pause: a policy may let hotfixes pass it")

	w.push("main", map[string]string{"production/control.yaml": controlHead})
	w.settle()
	assert.Equal(t, "INC-7", reason(production), "pushed without a review")

	w.push("main", frozen)
	w.settle()
	w.propose("thaw", map[string]string{"production/control.yaml": controlHead}).approve("bob").merge(gittest.Squash)
	w.settle()
	assert.Empty(t, reason(production))
}

func TestControlFileIsLooserOnlyAfterAReview(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.push("main", holding("bad"))
	w.poll()
	w.push("main", free())
	w.settle()
	assert.Equal(t, 1, w.held(), "pushed without a review")

	w.propose("sly", map[string]string{production + "/kustomization.yaml": overlay(4)}).approve("bob").merge(gittest.Squash)
	w.settle()
	assert.Equal(t, 1, w.held(), "the review of something else lifts nothing")
	w.propose("other", map[string]string{control: controlHead + "# tidy\n"}).approve("bob").merge(gittest.Squash)
	w.settle()
	assert.Equal(t, 1, w.held(), "its reviewers could not see the hold go")

	w.push("main", holding("bad"))
	w.poll()
	w.propose("writer", free()).approve("carol").merge(gittest.Squash)
	w.settle()
	assert.Equal(t, 1, w.held(), "production's approvals are those of its releasers")

	w.push("main", holding("bad"))
	w.poll()
	w.propose("lift", free()).approve("bob").merge(gittest.Squash)
	w.settle()
	assert.Equal(t, 0, w.held())
}

func TestFirstEnvironmentIsLoosenedWithoutApproval(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.push("main", map[string]string{"dev/checkout/control.yaml": controlHead + "paused: true\n"})
	w.poll()
	require.True(t, w.record.Releases["dev/checkout"].Control.Paused)
	w.away(commitPulls)
	w.push("main", map[string]string{"dev/checkout/control.yaml": controlHead})
	w.poll()
	assert.False(t, w.record.Releases["dev/checkout"].Control.Paused)
}

func TestUndecidedLooseningMakesLaterCommitsWait(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	held := w.push("main", holding("bad"))
	w.propose("lift", free()).approve("bob").merge(gittest.Squash)
	tip := w.push("main", w.promotion("two"))
	w.away("GET /repos/{owner}/{repo}/pulls/{number}/reviews")
	after, err := w.envs.Poll(t.Context(), w.record, w.clock())
	require.Error(t, err)
	assert.Equal(t, held, after.Mark)
	w.record = after
	w.forge.ClearFaults()
	assert.Equal(t, tip, w.poll().Mark)
	assert.Equal(t, 0, w.held())
}

func TestLoosenedInsideOfARebaseIsNotLoosened(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.push("main", holding("bad"))
	w.poll()
	w.propose("sly", free(), with(holding("bad"), nil), map[string]string{"docs/note.md": "n\n"}).approve("bob").merge(gittest.Rebase)
	before := w.record
	w.poll()
	assert.Equal(t, 1, w.held())
	assert.NotEqual(t, before.Mark, w.record.Mark)
}

func TestHoldThatIsPutBackInsideOfARebaseShowsNobodyThatItGoes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.push("main", holding("bad"))
	w.poll()
	w.push("main", free())
	w.settle()
	w.propose("sly", holding("bad"), map[string]string{control: controlHead + "# tidy\n"}).approve("bob").merge(gittest.Rebase)
	w.settle()
	assert.Equal(t, 1, w.held())
}

func TestBrokenControlFileBlocksItsReleaseAndLosesNoHold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.push("main", holding("bad"))
	w.poll()
	w.push("main", map[string]string{control: controlHead + "hold: []\n"})
	w.poll()
	assert.Contains(t, w.record.Releases[production].Problem, "control.yaml:3:1")
	assert.Equal(t, 1, w.held())
	w.propose("fix", free()).approve("bob").merge(gittest.Squash)
	w.wait(time.Minute)
	w.settle()
	assert.Empty(t, w.record.Releases[production].Problem)
	assert.Equal(t, 1, w.held(), "the broken file did not show the hold either")
}

func TestPauseCountsWhateverElseIsBroken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const paused = "apiVersion: sluice.dev/v1alpha1\nkind: Control\npaused: true\nreason: incident\n"
	w.push("main", map[string]string{control: paused, unproven: "typo\n"})
	of := w.poll().Releases[production]
	assert.NotEmpty(t, of.Problem)
	assert.True(t, of.Control.Paused)

	w.push("main", map[string]string{control: "typo\n"})
	assert.True(t, w.poll().Releases[production].Control.Paused, "what cannot be read takes nothing away")
	w.push("main", map[string]string{control: paused, unproven: w.file("one").String()})
	assert.True(t, w.poll().Releases[production].Control.Paused)
}

// Whatever is stopped is let go by what a standard promotion needs: the reviewed
// content, by as many of the releasers as the policy asks.
func TestEveryStopIsLoosenedByTheApprovalsOfAStandardPromotion(t *testing.T) {
	t.Parallel()
	const whole = "production/control.yaml"
	stops := map[string]struct {
		stopped, free map[string]string
		holds         func(*world) bool
	}{
		"pause":  {paused(), free(), func(w *world) bool { return w.record.Releases[production].Control.Paused }},
		"hold":   {holding("bad"), free(), func(w *world) bool { return w.held() == 1 }},
		"freeze": {map[string]string{whole: controlHead + "freeze: {reason: INC-7}\n"}, map[string]string{whole: controlHead}, func(w *world) bool { return w.record.Releases[production].Control.Frozen == "INC-7" }},
	}
	for name, stop := range stops {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			again := func() {
				w.push("main", stop.stopped)
				w.settle()
				require.True(t, stop.holds(w))
			}
			again()
			w.push("main", stop.free)
			w.settle()
			assert.True(t, stop.holds(w), "pushed by somebody")
			again()
			w.propose("alone", stop.free).merge(gittest.Squash)
			w.settle()
			assert.True(t, stop.holds(w), "merged without an approval")
			again()
			w.propose("stranger", stop.free).approve("dave").merge(gittest.Squash)
			w.settle()
			assert.True(t, stop.holds(w), "approved by somebody who is no releaser")
			again()
			w.propose("reviewed", stop.free).approve("erin").merge(gittest.Squash)
			w.settle()
			assert.False(t, stop.holds(w))
		})
	}
}
