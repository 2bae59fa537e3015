package analysis

import "math"

const (
	// shareTicks in a row with a wrong share are a routing fault: a single one is
	// a scrape that came late.
	shareTicks = 3
	// missed requests are a fact rather than bad luck: with ten expected, none
	// arrives by chance once in 22 000 times.
	missed = 10
	// shareSigmas is the width of the share check in standard deviations.
	shareSigmas = 4
)

// expected is how many requests of a tick the candidate should have had, judged
// by what stable had; 0 where stable tells nothing. Where nobody splits the
// traffic, a tick of a busy stable counts so much that three of them suffice.
func (t Tick) expected() float64 {
	served := float64(t.Stable.Traffic())
	switch {
	case !t.Up || served == 0:
		return 0
	case !t.Steered:
		return missed/float64(shareTicks) + 1
	case t.Weight < 1:
		return served * t.Weight / (1 - t.Weight)
	default:
		return served
	}
}

// deviation is by how much the candidate's share of the traffic is above (or,
// negative, below) what routing should give it, as far as chance cannot explain it.
func (t Tick) deviation(slack float64) float64 {
	n := float64(t.Stable.Traffic() + t.Candidate.Traffic())
	if n == 0 {
		return 0
	}
	off := float64(t.Candidate.Traffic())/n - t.Weight
	if math.Abs(off) <= max(slack, shareSigmas*math.Sqrt(t.Weight*(1-t.Weight)/n)) {
		return 0
	}
	return off
}

// watchTraffic follows whether the candidate gets the traffic it should, and
// whether its counters are there at all.
func (s State) watchTraffic(t Tick, in *Input) State {
	expected := t.expected()
	s.Silent = s.Silent.at(t.Candidate.Silent && t.Up, t, expected)
	nothing := !t.Candidate.Silent && t.Candidate.Traffic() == 0
	s.Starved = s.Starved.at(nothing && t.Up && t.Steered, t, expected)

	var off float64
	if t.Steered && !t.Candidate.Silent && !in.Alone {
		off = t.deviation(in.Limits.ShareSlack)
	}
	s.Over = s.Over.at(off > 0, t, 0)
	s.Under = s.Under.at(off < 0, t, 0)
	return s
}
