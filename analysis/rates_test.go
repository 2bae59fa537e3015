package analysis_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/sluice-cd/sluice/analysis"
)

// failures counts the simulated rollouts that are rolled back. A verdict of fail
// is absorbing, so judging once at the end is judging at every tick.
func failures(rollouts int, judge func() analysis.Verdict) int {
	failed := 0
	for range rollouts {
		if judge().Outcome == analysis.Fail {
			failed++
		}
	}
	return failed
}

func simulate(m traffic, d analysis.Dispersion) analysis.Verdict {
	in := begin().input(len(m.weights) - 1)
	in.Steps = 3
	in.Dispersion = []analysis.Dispersion{d, d, d}
	in.Need = time.Duration(m.ticksPerStep) * 30 * time.Second
	in.Ticks = m.ticks()
	return analysis.Judge(in)
}

func TestIdenticalVersionsAreRolledBackNoMoreOftenThanAlpha(t *testing.T) {
	const rollouts = 1000
	for _, rps := range []float64{4, 20, 100} {
		rng := rand.New(rand.NewPCG(uint64(rps), 1))
		failed := failures(rollouts, func() analysis.Verdict {
			return simulate(traffic{
				rng: rng, rps: rps, weights: []float64{0.05, 0.25, 0.5}, stable: 0.01, candidate: 0.01, ticksPerStep: 10,
			}, measured(1))
		})
		t.Logf("%3.0f rps: %.2f %% rolled back", rps, 100*float64(failed)/rollouts)
		// One metric of two has half of α.
		assert.LessOrEqual(t, failed, rollouts/40, "%v requests per second", rps)
	}
}

func TestHealthyRolloutsPass(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	passed := 0
	for range 300 {
		v := simulate(traffic{rng: rng, rps: 20, weights: []float64{0.05, 0.25, 0.5}, stable: 0.01, candidate: 0.01, ticksPerStep: 10}, measured(1))
		if v.Outcome == analysis.Pass {
			passed++
		}
	}
	assert.GreaterOrEqual(t, passed, 285)
}

func TestFivePointsAreFoundAtFivePercentWeightWithinAQuarterOfAnHour(t *testing.T) {
	const rollouts = 600
	rng := rand.New(rand.NewPCG(20, 5))
	found := failures(rollouts, func() analysis.Verdict {
		return simulate(traffic{
			rng: rng, rps: 20, weights: []float64{0.05}, stable: 0.01, candidate: 0.06, ticksPerStep: 30,
		}, measured(1))
	})
	t.Logf("missed %.1f %%", 100-100*float64(found)/rollouts)
	assert.GreaterOrEqual(t, found, 594)
}

func TestABetterCandidateIsNeverRolledBack(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	failed := failures(300, func() analysis.Verdict {
		return simulate(traffic{
			rng: rng, rps: 20, weights: []float64{0.05, 0.25, 0.5}, stable: 0.05, candidate: 0.01, ticksPerStep: 10,
		}, measured(1))
	})
	assert.Zero(t, failed)
}

// bursty draws failures that come in bursts of their own in each pod: one tick in
// ten has six times the usual rate.
func bursty(rng *rand.Rand, n int64) analysis.Arm {
	rate := 0.01 * 4 / 9
	if rng.Float64() < 0.1 {
		rate = 0.06
	}
	return arm(n, binomial(rng, n, rate))
}

func TestMeasuredDispersionKeepsBurstyServicesFromFalseRollbacks(t *testing.T) {
	const rollouts = 600
	rng := rand.New(rand.NewPCG(11, 13))
	once := func(d func([]analysis.Cell) analysis.Dispersion) int {
		return failures(rollouts, func() analysis.Verdict {
			var history []analysis.Cell
			for tick := range 60 {
				for pod := range 3 {
					a := bursty(rng, 200)
					history = append(history, analysis.Cell{
						Pod: fmt.Sprint(pod), At: start.Add(time.Duration(tick) * 30 * time.Second), Requests: a.Requests, Errors: a.Errors,
					})
				}
			}
			r := begin()
			for step, n := range []int64{30, 200, 600} {
				for range 10 {
					stable := analysis.Arm{}
					for range 3 {
						one := bursty(rng, 200)
						stable.Requests += one.Requests
						stable.Errors += one.Errors
					}
					r.add(step, stable, bursty(rng, n))
				}
			}
			in := r.input(2)
			phi := d(history)
			in.Dispersion = []analysis.Dispersion{phi, phi, phi}
			return analysis.Judge(in)
		})
	}
	ignored := once(func([]analysis.Cell) analysis.Dispersion { return measured(1) })
	minded := once(analysis.DispersionOf)
	t.Logf("rolled back: %.1f %% without dispersion, %.1f %% with", 100*float64(ignored)/rollouts, 100*float64(minded)/rollouts)
	assert.Greater(t, ignored, 60, "the bursts are strong enough to deceive the bare test")
	assert.LessOrEqual(t, minded, 15)
}

func BenchmarkJudgeTwoHours(b *testing.B) {
	weights := make([]float64, 24)
	for i := range weights {
		weights[i] = float64(i+1) / 25
	}
	m := traffic{rng: rand.New(rand.NewPCG(1, 2)), rps: 100, weights: weights, stable: 0.01, candidate: 0.01, ticksPerStep: 10}
	in := begin().input(23)
	in.Steps, in.Ticks = 24, m.ticks()
	b.ReportMetric(float64(len(in.Ticks)), "ticks")
	b.ReportAllocs()
	for b.Loop() {
		analysis.Judge(in)
	}
}
