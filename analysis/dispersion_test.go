package analysis_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/sluice-cd/sluice/analysis"
)

func history(ticks, pods int, draw func() analysis.Arm) []analysis.Cell {
	var cells []analysis.Cell
	for tick := range ticks {
		for pod := range pods {
			a := draw()
			cells = append(cells, analysis.Cell{
				Pod: fmt.Sprint(pod), At: at(30 * tick), Requests: a.Requests, Errors: a.Errors,
			})
		}
	}
	return cells
}

func TestDispersionIsMeasuredOnStable(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 8))
	independent := analysis.DispersionOf(history(60, 3, func() analysis.Arm { return arm(200, binomial(rng, 200, 0.01)) }))
	assert.False(t, independent.Thin())
	assert.InDelta(t, 1.1, independent.Phi, 0.3)
	assert.Equal(t, "measured on stable", independent.Source)

	uneven := analysis.DispersionOf(history(60, 3, func() analysis.Arm { return bursty(rng, 200) }))
	assert.Greater(t, uneven.Phi, 2.0)

	broken := analysis.DispersionOf(history(60, 3, func() analysis.Arm { return arm(10_000, 10_000*rng.Int64N(2)) }))
	assert.InDelta(t, 20, broken.Phi, 0, "cut")

	even := analysis.DispersionOf(history(60, 3, func() analysis.Arm { return arm(100, 1) }))
	assert.InDelta(t, 1, even.Phi, 0, "less variation than chance is still chance")
}

func TestDispersionOfTooLittleHistoryIsAssumed(t *testing.T) {
	for name, cells := range map[string][]analysis.Cell{
		"nothing":           nil,
		"no errors":         history(60, 3, func() analysis.Arm { return arm(200, 0) }),
		"nothing but":       history(60, 3, func() analysis.Arm { return arm(200, 200) }),
		"no requests":       history(60, 3, func() analysis.Arm { return arm(0, 0) }),
		"few ticks":         history(10, 2, func() analysis.Arm { return arm(200, 2) }),
		"too few to pool":   history(60, 3, func() analysis.Arm { return arm(1, 0) }),
		"impossible counts": history(60, 3, func() analysis.Arm { return arm(-5, 3) }),
	} {
		d := analysis.DispersionOf(cells)
		assert.True(t, d.Thin(), name)
		assert.InDelta(t, 2, d.Phi, 0, name)
		assert.Contains(t, d.Source, "assumed", name)
	}
}

func TestRareErrorsArePooledUntilTheyCanBeCompared(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	d := analysis.DispersionOf(history(60, 4, func() analysis.Arm { return arm(100, binomial(rng, 100, 0.002)) }))
	assert.False(t, d.Thin())
	assert.InDelta(t, 80, d.DF, 45, "240 cells of about 0.2 expected errors are pooled by twos to fours")
	assert.InDelta(t, 1, d.Phi, 0.6)
}

func TestADamagedDispersionIsReplacedByTheAssumption(t *testing.T) {
	for _, phi := range []float64{0, 0.5, -1, 21, math.NaN(), math.Inf(1)} {
		in := begin().times(3, 0, arm(570, 6), arm(30, 6)).input(0)
		in.Dispersion[0] = analysis.Dispersion{Phi: phi, DF: 60}
		assert.InDelta(t, 2, analysis.Judge(in).Dispersion.Phi, 0, "%v", phi)
	}
}

func TestCellsAreCountedPodByPod(t *testing.T) {
	ready := analysis.Life{Started: start.Add(-time.Hour), Ready: start.Add(-time.Hour)}
	known := analysis.Pods{Since: start, Lives: map[string]analysis.Life{"a": ready, "b": ready}}
	cells := analysis.Cells([]analysis.Snapshot{
		snap(0, total("a", 100), total("b", 10)),
		snap(30, total("a", 150), failed("a", 1)),
		snap(60, total("a", 150), total("b", 30), failed("a", 1)),
		snap(90, total("a", math.NaN())),
		snap(120, total("a", 200), total("b", 31), failed("a", 1)),
	}, known)
	assert.Equal(t, []analysis.Cell{
		{Pod: "a", At: at(30), Requests: 50, Errors: 1},
		{Pod: "a", At: at(60)},
		{Pod: "b", At: at(60), Requests: 20},
	}, cells, "a pair with an unusable snapshot is left out")
}
