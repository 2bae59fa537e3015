package analysis_test

import (
	"encoding/json"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/analysis"
)

// strange draws a rollout in which everything happens that can happen to ticks.
func strange(rng *rand.Rand) *rollout {
	r := begin()
	rate := []float64{0, 0.01, 0.01, 0.03, 0.4}[rng.IntN(5)]
	sick := []float64{0.01, 0.01, 0.01, 0.3}[rng.IntN(4)]
	astray := rng.IntN(6) == 0
	for step := range 3 {
		if rng.IntN(8) == 0 {
			continue // a step without a single tick
		}
		for range rng.IntN(14) {
			n, m := rng.Int64N(400), rng.Int64N(60)
			tick := analysis.Tick{
				Step: step, Weight: float64(m+1) / float64(n+m+2), Steered: rng.IntN(6) > 0, Up: rng.IntN(10) > 0,
				Stable:    analysis.Arm{Requests: n, Errors: binomial(rng, n, sick), Unjudged: rng.Int64N(5)},
				Candidate: analysis.Arm{Requests: m, Errors: binomial(rng, m, rate), Unjudged: rng.Int64N(3)},
			}
			if astray {
				tick.Weight = 0.001
			}
			switch rng.IntN(18) {
			case 0:
				tick.Unknown = analysis.TimedOut
			case 1:
				tick.Candidate = analysis.Arm{Silent: true}
			case 2:
				tick.Stable = analysis.Arm{Silent: true}
			case 3:
				tick.Candidate = analysis.Arm{}
			case 4:
				tick.Weight = 0.9
			case 5:
				tick.Step = rng.IntN(3)
			}
			r.tick(tick)
		}
	}
	return r
}

func stored(t *testing.T, in analysis.Input) analysis.Input {
	t.Helper()
	raw, err := json.Marshal(in)
	require.NoError(t, err)
	var back analysis.Input
	require.NoError(t, json.Unmarshal(raw, &back))
	return back
}

func TestCompactingAndStoringAtAnyMomentChangesNoVerdict(t *testing.T) {
	rng := rand.New(rand.NewPCG(42, 1))
	outcomes := map[analysis.Outcome]int{}
	for range 200 {
		all := strange(rng).ticks
		whole := begin().input(0)
		whole.Need = 2 * time.Minute
		whole.Dispersion = []analysis.Dispersion{measured(1.5), {}, measured(1)}
		kept := whole
		for _, tick := range all {
			whole.Step = max(whole.Step, tick.Step)
			kept.Step = whole.Step
			whole.Ticks = append(whole.Ticks, tick)
			kept.Ticks = append(kept.Ticks, tick)
			if rng.IntN(3) == 0 {
				kept = stored(t, analysis.Compact(kept, rng.IntN(4)))
			}
			want := analysis.Judge(whole)
			require.Equal(t, want, analysis.Judge(kept))
			outcomes[want.Outcome]++
		}
	}
	t.Log(outcomes)
	for _, o := range []analysis.Outcome{
		analysis.Collecting, analysis.Pass, analysis.Fail, analysis.Inconclusive, analysis.MetricsDown,
		analysis.CandidateSilent, analysis.RoutingOver, analysis.RoutingUnder, analysis.BaselineBad,
	} {
		assert.Positive(t, outcomes[o], "the property was never tried for %s", o)
	}
}

func TestCompactKeepsTheRunningStepsLastTicks(t *testing.T) {
	in := begin().times(10, 0, arm(570, 6), arm(30, 0)).times(6, 1, arm(450, 5), arm(150, 1)).input(1)
	assert.Len(t, analysis.Compact(in, 100).Ticks, 6)
	assert.Len(t, analysis.Compact(in, 4).Ticks, 4)
	assert.Empty(t, analysis.Compact(in, 0).Ticks)
	assert.Len(t, in.Ticks, 16, "the input is not modified")
	in.Step = 0
	assert.Len(t, analysis.Compact(in, 0).Ticks, 6, "ticks of a later step than the one judged are not folded")
}

func TestALongRolloutStaysSmallInTheRecord(t *testing.T) {
	in := begin().input(0)
	in.Steps = 24
	r := begin()
	for step := range 24 {
		in.Step = step
		for range 100 {
			r.add(step, arm(1_234_567, 12_345), arm(345_678, 3_456))
			in.Ticks = append(in.Ticks, r.ticks[len(r.ticks)-1])
			in = analysis.Compact(in, 40)
		}
	}
	raw, err := json.Marshal(in)
	require.NoError(t, err)
	t.Logf("%d ticks, %d bytes", len(r.ticks), len(raw))
	assert.Less(t, len(raw), 16<<10)
}
