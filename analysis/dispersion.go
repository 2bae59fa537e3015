package analysis

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Dispersion is how much more the failures of a healthy service vary than
// independent requests would. Evidence is divided by it: without it, a service
// whose errors come in bursts is rolled back for nothing. It is measured before
// a step and frozen in the record.
type Dispersion struct {
	// Phi is at least 1; 1 means independent requests.
	Phi float64 `json:"phi"`
	// DF is the number of degrees of freedom that it was measured with.
	DF int `json:"df,omitempty"`
	// Source says where it comes from, for the reader of the evidence.
	Source string `json:"source,omitempty"`
}

const (
	thinPhi = 2  // what is assumed while there is too little history
	maxPhi  = 20 // beyond that, history is broken rather than bursty
	enough  = 20 // degrees of freedom

	// minExpected failures per cell: below that Pearson's statistic has no
	// distribution to speak of, so neighbouring cells are pooled.
	minExpected = 0.5
)

// Thin says that Phi is assumed, not measured. Failures in a single tick are
// then never enough: they may be one burst.
func (d Dispersion) Thin() bool { return d.DF < enough }

// usable replaces what cannot be a dispersion by the cautious assumption.
func (d Dispersion) usable() Dispersion {
	if !(d.Phi >= 1) || d.Phi > maxPhi {
		return assumed(0)
	}
	return d
}

func assumed(df int) Dispersion {
	return Dispersion{Phi: thinPhi, DF: df, Source: "assumed: too little history"}
}

// Cell is what one stable pod served in one tick of the past.
type Cell struct {
	Pod      string
	At       time.Time
	Requests int64
	Errors   int64
}

// Cells counts the history of an arm, pod by pod. Pairs of snapshots that cannot
// be compared are left out.
func Cells(history []Snapshot, pods Pods) []Cell {
	var cells []Cell
	var prev Snapshot
	for i, cur := range history {
		if i > 0 {
			deltas, _, err := podDeltas(prev, cur, pods)
			if err != nil {
				deltas = nil
			}
			for pod, arm := range deltas {
				cells = append(cells, Cell{Pod: pod, At: cur.At, Requests: arm.Requests, Errors: arm.Errors})
			}
		}
		prev = prev.Carry(cur)
	}
	slices.SortFunc(cells, byPodAndTime)
	return cells
}

func byPodAndTime(a, b Cell) int {
	return cmp.Or(cmp.Compare(a.Pod, b.Pod), a.At.Compare(b.At))
}

// DispersionOf is Pearson's X² over its degrees of freedom, between 1 and 20,
// for the hypothesis that all cells fail at one rate.
func DispersionOf(history []Cell) Dispersion {
	cells := slices.Clone(history)
	slices.SortStableFunc(cells, byPodAndTime)
	var total Arm
	for _, c := range cells {
		total = total.plus(Arm{Requests: c.Requests, Errors: c.Errors})
	}
	rate := total.Rate()
	if total.Requests <= 0 || rate <= 0 || rate >= 1 {
		return assumed(0)
	}
	pooled := pool(cells, rate)
	df := len(pooled) - 1
	if df < enough {
		return assumed(max(df, 0))
	}
	var x2 float64
	for _, arm := range pooled {
		expected := float64(arm.Requests) * rate
		off := float64(arm.Errors) - expected
		x2 += off * off / (expected * (1 - rate))
	}
	phi := math.Min(math.Max(1, x2/float64(df)), maxPhi)
	return Dispersion{Phi: phi, DF: df, Source: "measured on stable"}
}

// pool joins neighbouring cells, first in time and then across pods, until each
// expects enough failures; a remainder joins the last one.
func pool(cells []Cell, rate float64) []Arm {
	var pooled []Arm
	var open Arm
	for _, c := range cells {
		open = open.plus(Arm{Requests: c.Requests, Errors: c.Errors})
		if float64(open.Requests)*rate >= minExpected {
			pooled = append(pooled, open)
			open = Arm{}
		}
	}
	if open.Requests > 0 && len(pooled) > 0 {
		pooled[len(pooled)-1] = pooled[len(pooled)-1].plus(open)
	}
	return pooled
}
