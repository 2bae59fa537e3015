package reconciler_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/reconciler/environments"
	"github.com/sluice-cd/sluice/reconciler/intake"
	"github.com/sluice-cd/sluice/reconciler/release"
	"github.com/sluice-cd/sluice/schemas"
)

// settled returns a world in which v1 is stable. Bubbles begin on Saturday,
// 2000-01-01.
func settled(t *testing.T, change func(*schemas.Environment)) *world {
	t.Helper()
	w := newWorld(t)
	change(&w.policy.Environments[0])
	w.push(map[string]string{name: "v1"})
	w.begin()
	w.settle(checkout)
	return w
}

func onWorkdays(e *schemas.Environment) {
	e.Windows = schemas.Windows{Timezone: "Europe/Berlin", Open: []schemas.Window{{Cron: "0 8 * * MON-THU", Duration: schemas.Duration(10 * time.Hour)}}}
	e.Hotfix = schemas.Hotfix{Steps: []int{50, 100}, Interval: schemas.Duration(4 * time.Second)}
}

func TestWhatWaitedForAWindowBeginsAsItOpens(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := settled(t, onWorkdays)
		w.push(map[string]string{name: "v2"})
		w.during(time.Minute)
		r := w.record(checkout)
		assert.Equal(t, release.Pending, r.Phase)
		assert.Contains(t, release.Explain(r, time.Now()).Title, "the change window opens Mon 08:00 Europe/Berlin")

		opening := time.Date(2000, 1, 3, 7, 0, 0, 0, time.UTC)
		time.Sleep(time.Until(opening.Add(-5*time.Minute - 7*time.Second)))
		w.reach(release.Progressing)
		assert.WithinDuration(t, opening, w.record(checkout).Rollout.Began, 0, "not at the next poll")
	})
}

func TestAWindowThatClosesStopsNoRollout(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := settled(t, onWorkdays)
		time.Sleep(time.Until(time.Date(2000, 1, 3, 16, 59, 50, 0, time.UTC)))
		w.push(map[string]string{name: "v2"})
		w.settle(checkout)
		assert.Equal(t, "v2", w.stable())
		assert.Greater(t, w.record(checkout).Since, time.Date(2000, 1, 3, 17, 0, 0, 0, time.UTC))
	})
}

func TestAHotfixHasItsOwnStepsAndPassesTheWindowOnlyWhereThePolicySaysSo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := settled(t, onWorkdays)
		w.hotfixes["v2"] = true
		w.push(map[string]string{name: "v2"})
		w.during(time.Minute)
		e := release.Explain(w.record(checkout), time.Now())
		assert.Equal(t, release.Pending, e.Phase)
		assert.Contains(t, e.Person, "by listing window in hotfix.waives of production")

		w.govern(func(r *environments.Rules) { r.Policy.Environments[0].Hotfix.Waives = []string{"window"} })
		w.reach(release.Progressing)
		r := w.record(checkout)
		assert.Equal(t, []int{50, 100}, r.Rollout.Plan.Steps)
		assert.Equal(t, 4*time.Second, r.Rollout.Plan.Interval)
		assert.Equal(t, "INC-7", r.Candidate.Promotion.Incident)
		w.settle(checkout)
		assert.Equal(t, "v2", w.stable())
	})
}

func TestAFreezeStopsWhatRunsAndAHotfixThatThePolicyExempts(t *testing.T) {
	for _, exempt := range []bool{false, true} {
		bubble(t, func(t *testing.T) {
			w := settled(t, func(e *schemas.Environment) {
				if exempt {
					e.Hotfix.Waives = []string{"freeze"}
				}
			})
			w.push(map[string]string{name: "v2"})
			w.reach(release.Progressing)
			w.commit(map[string]intake.Snapshot{name: {Inputs: "v2", Control: intake.Control{Frozen: "INC-7"}}})
			w.during(10 * time.Minute)
			require.Equal(t, release.Progressing, w.record(checkout).Phase, "a standard change stands still")
			assert.Equal(t, 25, w.live[checkout].State.Traffic.Weight)

			w.hotfixes["v3"] = true
			w.push(map[string]string{name: "v3"})
			w.during(10 * time.Minute)
			if exempt {
				assert.Equal(t, "v3", w.stable())
				return
			}
			assert.Equal(t, release.Progressing, w.record(checkout).Phase, "what it may not take the place of stays where it is")
			assert.Contains(t, release.Explain(w.record(checkout), time.Now()).Text(), "production is frozen: INC-7")
		})
	}
}
