package analysis_test

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/sluice-cd/sluice/analysis"
)

var start = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// rollout makes ticks of 30 s, one after the other.
type rollout struct {
	ticks []analysis.Tick
	now   time.Time
}

func begin() *rollout { return &rollout{now: start} }

// arm is n requests of which k failed.
func arm(n, k int64) analysis.Arm { return analysis.Arm{Requests: n, Errors: k} }

// add makes one tick in the given step, with routing that matches the counts.
func (r *rollout) add(step int, stable, candidate analysis.Arm) *rollout {
	weight := 0.0
	if all := stable.Traffic() + candidate.Traffic(); all > 0 {
		weight = float64(candidate.Traffic()) / float64(all)
	}
	return r.tick(analysis.Tick{Step: step, Stable: stable, Candidate: candidate, Weight: weight, Steered: true, Up: true})
}

func (r *rollout) times(n, step int, stable, candidate analysis.Arm) *rollout {
	for range n {
		r.add(step, stable, candidate)
	}
	return r
}

func (r *rollout) tick(t analysis.Tick) *rollout {
	r.now = r.now.Add(30 * time.Second)
	t.At, t.Seconds = r.now, 30
	r.ticks = append(r.ticks, t)
	return r
}

func (r *rollout) unknown(step int, why analysis.Unknown) *rollout {
	return r.tick(analysis.Tick{Step: step, Unknown: why})
}

// input judges the rollout's ticks in a step of five minutes, of independent
// requests, as one of two metrics.
func (r *rollout) input(step int) analysis.Input {
	return analysis.Input{
		Metric: analysis.Metric{Kind: analysis.ErrorRate, Share: 0.5},
		Limits: analysis.DefaultLimits(),
		Steps:  3, Step: step, Need: 5 * time.Minute,
		Dispersion: []analysis.Dispersion{measured(1), measured(1), measured(1)},
		Ticks:      r.ticks,
	}
}

func measured(phi float64) analysis.Dispersion {
	return analysis.Dispersion{Phi: phi, DF: 60, Source: "measured on stable"}
}

// traffic draws the ticks of a rollout at random.
type traffic struct {
	rng               *rand.Rand
	rps               float64
	weights           []float64
	stable, candidate float64 // failure rates
	ticksPerStep      int
}

func (m traffic) ticks() []analysis.Tick {
	r := begin()
	for step, weight := range m.weights {
		for range m.ticksPerStep {
			requests := poisson(m.rng, m.rps*30)
			toCandidate := binomial(m.rng, requests, weight)
			toStable := requests - toCandidate
			r.tick(analysis.Tick{
				Step: step, Weight: weight, Steered: true, Up: true,
				Stable:    arm(toStable, binomial(m.rng, toStable, m.stable)),
				Candidate: arm(toCandidate, binomial(m.rng, toCandidate, m.candidate)),
			})
		}
	}
	return r.ticks
}

// poisson by Knuth's product for small means, by the normal distribution above.
func poisson(rng *rand.Rand, mean float64) int64 {
	if mean > 50 {
		return max(0, int64(math.Round(mean+math.Sqrt(mean)*rng.NormFloat64())))
	}
	var k int64
	for p := rng.Float64(); p > math.Exp(-mean); p *= rng.Float64() {
		k++
	}
	return k
}

// binomial by jumping from success to success, exact and quick for few; by the
// normal distribution for many.
func binomial(rng *rand.Rand, n int64, p float64) int64 {
	if p <= 0 || n <= 0 {
		return 0
	}
	if p > 0.5 {
		return n - binomial(rng, n, 1-p)
	}
	if mean := float64(n) * p; mean > 50 {
		drawn := math.Round(mean + math.Sqrt(mean*(1-p))*rng.NormFloat64())
		return min(n, max(0, int64(drawn)))
	}
	var k int64
	for at := 0.0; ; k++ {
		at += math.Floor(math.Log(1-rng.Float64())/math.Log1p(-p)) + 1
		if at > float64(n) {
			return k
		}
	}
}
