package analysis_test

import (
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/analysis"
)

// snap is a snapshot so many seconds after the start of the rollout.
func snap(seconds int, series ...analysis.Series) analysis.Snapshot {
	return analysis.Snapshot{At: start.Add(time.Duration(seconds) * time.Second), Series: series}
}

func total(pod string, v float64) analysis.Series {
	return analysis.Series{Pod: pod, Class: analysis.Total, Value: v}
}

func failed(pod string, v float64) analysis.Series {
	return analysis.Series{Pod: pod, Class: analysis.Failed, Value: v}
}

func aborted(pod string, v float64) analysis.Series {
	return analysis.Series{Pod: pod, Class: analysis.Aborted, Value: v}
}

// old is a pod from before the rollout, young one of the rollout.
func pods() analysis.Pods {
	return analysis.Pods{
		Since:  start,
		WarmUp: 60 * time.Second,
		Lives: map[string]analysis.Life{
			"old":   {Started: start.Add(-time.Hour), Ready: start.Add(-time.Hour)},
			"young": {Started: start.Add(time.Second), Ready: start.Add(10 * time.Second)},
		},
	}
}

func TestDeltaCountsWhatHappenedBetweenTwoSnapshots(t *testing.T) {
	for name, c := range map[string]struct {
		prev, cur analysis.Snapshot
		want      analysis.Arm
	}{
		"growth": {
			snap(100, total("old", 1000), failed("old", 5)),
			snap(130, total("old", 1200), failed("old", 9)), arm(200, 4)},
		"no growth is zero, not silence": {
			snap(100, total("old", 1000)), snap(130, total("old", 1000)), arm(0, 0)},
		"no counter is silence": {snap(100, total("old", 1000)), snap(130), analysis.Arm{Silent: true}},
		"sum over pods": {
			snap(100, total("old", 10), total("young", 20)),
			snap(130, total("old", 11), total("young", 22)), arm(3, 0)},
		"a reset counts from zero": {
			snap(100, total("old", 1000), failed("old", 5)),
			snap(130, total("old", 40), failed("old", 1)), arm(40, 1)},
		"a restart resets the pod's other counters, even those that are higher now": {
			snap(100, total("old", 1000), failed("old", 5)),
			snap(130, total("old", 40), failed("old", 7)), arm(40, 7)},
		"a reset of one pod leaves the other": {
			snap(100, total("old", 1000), total("young", 500)),
			snap(130, total("old", 1010), total("young", 3)), arm(13, 0)},
		"the first error of a known pod counts": {
			snap(100, total("old", 1000)), snap(130, total("old", 1100), failed("old", 2)), arm(100, 2)},
		"a new pod's first counts count": {
			snap(100), snap(130, total("young", 7), failed("young", 3)), arm(7, 3)},
		"an old pod's first counts are history": {
			snap(100), snap(130, total("old", 70000), failed("old", 300)), arm(0, 0)},
		"a pod that nobody knows is history": {
			snap(100), snap(130, total("ghost", 70000)), arm(0, 0)},
		"a pod that died adds nothing": {
			snap(100, total("old", 10), total("young", 20)), snap(130, total("old", 15)), arm(5, 0)},
		"warming pods are not judged, but they are traffic": {
			snap(60, total("young", 5)), snap(90, total("young", 50), failed("young", 45)), analysis.Arm{Unjudged: 45}},
		"a tick that begins at the end of the warm-up counts": {
			snap(70, total("young", 5)), snap(100, total("young", 50)), arm(45, 0)},
		"aborted requests are not judged": {
			snap(100, total("old", 100), aborted("old", 10)),
			snap(130, total("old", 200), aborted("old", 30), failed("old", 4)),
			analysis.Arm{Requests: 80, Errors: 4, Unjudged: 20}},
		"a scrape between two increments is forgiven": {
			snap(100, total("old", 100), failed("old", 0)),
			snap(130, total("old", 101), failed("old", 2)), arm(1, 1)},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := analysis.Delta(c.prev, c.cur, pods())
			require.NoError(t, err)
			assert.Equal(t, c.want, got)
		})
	}
}

func TestDeltaRefusesWhatIsNotACount(t *testing.T) {
	good := snap(100, total("old", 1000))
	for name, c := range map[string]struct {
		prev, cur analysis.Snapshot
		want      analysis.Unknown
	}{
		"not a number":                      {good, snap(130, total("old", math.NaN())), analysis.NotANumber},
		"infinite":                          {good, snap(130, total("old", math.Inf(1))), analysis.NotANumber},
		"infinite before":                   {snap(100, total("old", math.Inf(-1))), good, analysis.Inconsistent},
		"not a number before":               {snap(70, total("old", math.NaN())), good, analysis.NotANumber},
		"negative":                          {good, snap(130, total("old", -1)), analysis.NotACounter},
		"unknown class":                     {good, snap(130, analysis.Series{Pod: "old", Class: 9}), analysis.NotACounter},
		"a leap":                            {good, snap(130, total("old", 1e18)), analysis.NotACounter},
		"more errors than requests":         {good, snap(130, total("old", 1010), failed("old", 500)), analysis.Inconsistent},
		"the same instant":                  {good, snap(100, total("old", 1100)), analysis.Inconsistent},
		"a clock that went back":            {good, snap(40, total("old", 1100)), analysis.Inconsistent},
		"errors without a counter of total": {good, snap(130, failed("old", 500)), analysis.Inconsistent},
	} {
		_, err := analysis.Delta(c.prev, c.cur, pods())
		require.Error(t, err, name)
		assert.Equal(t, c.want, analysis.ReasonOf(err), name)
		var read *analysis.ReadError
		assert.ErrorAs(t, err, &read, name)
	}
}

func TestACandidatesPodThatTheClusterForgotStillCounts(t *testing.T) {
	crashed := analysis.Pods{Prefix: "checkout-7f3a9c1e-", Since: start, AllNew: true}
	got, err := analysis.Delta(snap(100), snap(130, total("checkout-7f3a9c1e-x", 9), failed("checkout-7f3a9c1e-x", 9)), crashed)
	require.NoError(t, err)
	assert.Equal(t, arm(9, 9), got)
}

func TestACounterThatVanishesAndReturnsIsCountedOnce(t *testing.T) {
	first := snap(100, total("young", 5000), failed("young", 10))
	gap := snap(130)
	back := snap(160, total("young", 5100), failed("young", 11))

	memory := first.Carry(gap)
	assert.Equal(t, gap.At, memory.At)
	silent, err := analysis.Delta(first, gap, pods())
	require.NoError(t, err)
	assert.True(t, silent.Silent)
	got, err := analysis.Delta(memory, back, pods())
	require.NoError(t, err)
	assert.Equal(t, arm(100, 1), got, "not 5100, as if the pod were new")

	onlyErrors := first.Carry(snap(130, total("young", 5050)))
	got, err = analysis.Delta(onlyErrors, back, pods())
	require.NoError(t, err)
	assert.Equal(t, arm(50, 1), got)
}

func TestArmsAreToldApartByRevision(t *testing.T) {
	all := snap(100, total("checkout-7f3a9c1e-a", 1), total("checkout-7f3a9c1e2-b", 2), total("checkout-aaaa-c", 3))
	later := snap(130, total("checkout-7f3a9c1e-a", 11), total("checkout-7f3a9c1e2-b", 22), total("checkout-aaaa-c", 33))
	stable := analysis.Pods{Prefix: "checkout-aaaa-", Since: start}
	candidate := analysis.Pods{Prefix: "checkout-7f3a9c1e-", Since: start, AllNew: true}
	tick := analysis.Measure(all, later, stable, candidate, analysis.Situation{Step: 1, Weight: 0.25, Steered: true, Up: true})
	assert.Equal(t, analysis.Tick{
		At: later.At, Seconds: 30, Step: 1, Weight: 0.25, Steered: true, Up: true, Stable: arm(30, 0), Candidate: arm(10, 0),
	}, tick, "pods of a superseded revision are nobody's")
}

func TestMeasureKeepsTheReasonOfWhatCannotBeMeasured(t *testing.T) {
	one := analysis.Pods{Prefix: "old", Since: start}
	tick := analysis.Measure(snap(100, total("old", 1)), snap(130, total("old", math.NaN())), one, one, analysis.Situation{Step: 2})
	assert.Equal(t, analysis.Tick{At: start.Add(130 * time.Second), Seconds: 30, Step: 2, Unknown: analysis.NotANumber}, tick)
}

func TestReasonsOfErrors(t *testing.T) {
	cause := errors.New("boom")
	err := fmt.Errorf("read: %w", &analysis.ReadError{Reason: analysis.Partial, Err: cause})
	assert.Equal(t, analysis.Partial, analysis.ReasonOf(err))
	assert.ErrorIs(t, err, cause)
	assert.Equal(t, "read: partial: boom", err.Error())
	assert.Equal(t, "empty", (&analysis.ReadError{Reason: analysis.Empty}).Error())
	assert.Equal(t, analysis.Unreachable, analysis.ReasonOf(cause))
	assert.Empty(t, analysis.ReasonOf(nil))
}
