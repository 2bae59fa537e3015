package analysis

import "math"

// alternatives is how many ratios of failure rates the mixture spreads its bet
// over. Few and far apart: each costs the others a factor in evidence.
const alternatives = 8

func ratios() [alternatives]float64 {
	return [alternatives]float64{1.2, 1.5, 2, 3, 5, 10, 30, 100}
}

// evidence is the log likelihood ratio of each alternative against "no worse",
// divided by the dispersion. The zero value is no evidence either way.
type evidence [alternatives]float64

// log is ln E, E being the mean of the alternatives' likelihood ratios.
func (e evidence) log() float64 {
	return logMean(e[:])
}

// against adds a tick's evidence that the candidate fails more often than stable.
//
// Given all failures of a tick, the candidate's part is binomial with its share
// of the requests when both fail equally often, so neither the common rate nor
// its changes over time matter.
func (e evidence) against(stable, candidate Arm, phi float64) evidence {
	requests := candidate.Requests + stable.Requests
	failures := float64(candidate.Errors + stable.Errors)
	if failures == 0 {
		return e
	}
	share := float64(candidate.Requests) / float64(requests)
	for i, r := range ratios() {
		e[i] += (float64(candidate.Errors)*math.Log(r) - failures*math.Log1p((r-1)*share)) / phi
	}
	return e
}

// above adds a tick's evidence that the candidate's failure rate is above limit
// (between 0 and 1), for when there is nothing to compare with.
func (e evidence) above(candidate Arm, limit, phi float64) evidence {
	failed := float64(candidate.Errors)
	served := float64(candidate.Requests - candidate.Errors)
	for i, r := range ratios() {
		rate := math.Min(r*limit, (1+limit)/2)
		e[i] += (failed*math.Log(rate/limit) + served*(math.Log1p(-rate)-math.Log1p(-limit))) / phi
	}
	return e
}

// logMean is ln(mean(exp(x))) without overflow.
func logMean(x []float64) float64 {
	top := math.Inf(-1)
	for _, v := range x {
		top = math.Max(top, v)
	}
	if math.IsInf(top, 0) || math.IsNaN(top) {
		return top
	}
	var sum float64
	for _, v := range x {
		sum += math.Exp(v - top)
	}
	return top + math.Log(sum/float64(len(x)))
}

// logCombine is the ln E of a whole rollout: half of it from the window since
// the start, which finds a slow leak, and half from the steps' own windows, which
// find what begins with one step. A step that has not begun counts 1. A mean of
// processes of mean ≤ 1 is one too, so the bound holds for the combination.
func logCombine(all float64, done []float64, current float64, steps int) float64 {
	terms := make([]float64, 0, steps)
	terms = append(terms, done...)
	terms = append(terms, current)
	for len(terms) < steps {
		terms = append(terms, 0)
	}
	return logMean([]float64{all, logMean(terms)})
}
