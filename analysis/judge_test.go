package analysis_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/analysis"
)

func TestJudgeGivesTheVerdictThatTheTicksCallFor(t *testing.T) {
	healthy, worse := arm(30, 0), arm(30, 6)
	stable := arm(570, 6)
	for name, c := range map[string]struct {
		ticks *rollout
		step  int
		want  analysis.Outcome
		says  string
	}{
		"no ticks is never a pass":              {begin(), 0, analysis.Collecting, "Measured for 0s of 5m0s"},
		"before the step's end nothing is said": {begin().times(9, 0, stable, healthy), 0, analysis.Collecting, "4m30s of 5m0s"},
		"equal arms pass":                       {begin().times(10, 0, stable, healthy), 0, analysis.Pass, "No evidence against the candidate"},
		"ticks of an earlier step do not count for this one": {
			begin().times(10, 0, stable, healthy).times(3, 1, stable, healthy), 1, analysis.Collecting, "1m30s"},
		"a step that has just begun is collecting": {begin().times(10, 0, stable, healthy), 1, analysis.Collecting, "0s of"},
		"a bad candidate fails before the step's end": {begin().times(3, 0, stable, worse), 0, analysis.Fail,
			"20.00 % of its"},
		"one bad tick is not enough": {begin().times(1, 0, stable, arm(30, 25)), 0, analysis.Collecting, ""},
		"errors only at 50 % are found in the step's window": {
			begin().times(40, 0, arm(3000, 30), arm(150, 1)).times(4, 1, arm(300, 3), arm(300, 12)), 1, analysis.Fail, "in this step"},
		"an improved candidate passes": {begin().times(10, 0, arm(570, 60), healthy), 0, analysis.Pass, ""},
		"a difference below the limit passes, however certain": {
			begin().times(10, 0, arm(950_000, 9500), arm(50_000, 700)), 0, analysis.Pass, "+0.40 points (limit +0.50)"},
		"no errors at all pass":             {begin().times(10, 0, arm(570, 0), healthy), 0, analysis.Pass, "0.00 %"},
		"stable without errors can convict": {begin().times(4, 0, arm(570, 0), arm(30, 3)), 0, analysis.Fail, ""},
		"too few candidate requests are inconclusive": {
			begin().times(10, 0, stable, arm(4, 0)), 0, analysis.Inconclusive, "served 40 requests in this step, 50 are needed"},
		"a candidate without requests for want of traffic is inconclusive": {
			begin().times(10, 0, arm(3, 0), arm(0, 0)), 0, analysis.Inconclusive, "served 0 requests"},
		"an idle service is inconclusive": {begin().times(10, 0, arm(0, 0), arm(0, 0)), 0, analysis.Inconclusive, ""},
		"too few stable requests are inconclusive": {
			begin().times(10, 0, arm(4, 0), healthy), 0, analysis.Inconclusive, "Stable served 40 requests"},
		"a suspicion is inconclusive": {
			begin().times(10, 0, arm(190, 2), arm(10, 0)).times(9, 1, arm(190, 2), arm(10, 0)).add(1, arm(190, 2), arm(10, 4)),
			1, analysis.Inconclusive, "short of proof"},
		"a query that fails is metrics-down": {
			begin().times(9, 0, stable, healthy).unknown(0, analysis.TimedOut), 0, analysis.MetricsDown, "timed-out"},
		"a partial answer is metrics-down, though the step's time is over": {
			begin().times(10, 0, stable, healthy).unknown(0, analysis.Partial), 0, analysis.MetricsDown, "partial"},
		"both silent is metrics-down": {
			begin().times(10, 0, analysis.Arm{Silent: true}, analysis.Arm{Silent: true}), 0, analysis.MetricsDown, "empty"},
		"stable silent is metrics-down": {
			begin().tick(analysis.Tick{Weight: 0.05, Steered: true, Up: true, Stable: analysis.Arm{Silent: true}, Candidate: healthy}),
			0, analysis.MetricsDown, "no-baseline"},
		"reading resumes after an outage": {
			begin().times(5, 0, stable, healthy).unknown(0, analysis.Unreachable).times(5, 0, stable, healthy), 0, analysis.Pass, ""},
		"an outage does not count as measured time": {
			begin().times(5, 0, stable, healthy).unknown(0, analysis.Unreachable).times(4, 0, stable, healthy), 0, analysis.Collecting, "4m30s"},
		"an outage does not hide a failure": {
			begin().times(3, 0, stable, worse).unknown(0, analysis.Unreachable), 0, analysis.Fail, ""},
		"recovery does not undo a failure": {
			begin().times(3, 0, stable, worse).times(40, 0, stable, healthy), 0, analysis.Fail, ""},
		"a baseline that fails is not compared with": {
			begin().times(4, 0, arm(570, 200), arm(30, 30)), 0, analysis.BaselineBad, "Stable itself fails 35.09 %"},
		"a baseline that recovers is compared with again": {
			begin().times(2, 0, arm(570, 200), arm(30, 10)).times(10, 0, arm(570, 6), healthy), 0, analysis.Pass, ""},
	} {
		t.Run(name, func(t *testing.T) {
			v := analysis.Judge(c.ticks.input(c.step))
			assert.Equal(t, c.want, v.Outcome, v.Reason)
			assert.Contains(t, v.Reason, c.says)
			assert.True(t, strings.HasSuffix(v.Reason, "."), v.Reason)
		})
	}
}

func TestJudgeNamesTheTickAtWhichAFailureBegan(t *testing.T) {
	v := analysis.Judge(begin().times(2, 0, arm(570, 6), arm(30, 0)).times(4, 0, arm(570, 6), arm(30, 12)).input(0))
	require.Equal(t, analysis.Fail, v.Outcome)
	assert.Equal(t, start.Add(90*time.Second), v.Since, "the third tick is the first that meets all conditions")
	assert.Equal(t, arm(120, 24), v.Candidate, "the numbers are those of the conviction, not of later ticks")
	assert.GreaterOrEqual(t, v.Evidence, v.Needed)
	assert.InDelta(t, 40, v.Needed, 1e-9)
	assert.LessOrEqual(t, v.P, 1/v.Needed)
	assert.Less(t, v.Low, v.Delta)
	assert.Less(t, v.Delta, v.High)
}

func TestJudgeFindsASlowLeakInTheWholeWindow(t *testing.T) {
	r := begin()
	for step := range 12 {
		r.times(10, step, arm(95, 1), arm(5, 0)).times(1, step, arm(95, 1), arm(5, 2))
	}
	in := r.input(11)
	in.Steps, in.Dispersion = 12, nil
	for range 12 {
		in.Dispersion = append(in.Dispersion, measured(1))
	}
	v := analysis.Judge(in)
	require.Equal(t, analysis.Fail, v.Outcome, v.Reason)
	assert.True(t, v.Whole)
	assert.Contains(t, v.Reason, "since the rollout began")
}

func TestJudgeConvictsOnlyOnTwoTicksInARow(t *testing.T) {
	r := begin().times(5, 0, arm(570, 6), arm(30, 0))
	shock := r.add(0, arm(570, 6), arm(30, 30))
	assert.NotEqual(t, analysis.Fail, analysis.Judge(shock.input(0)).Outcome)

	// The other arm's part of the same outage is scraped one tick later.
	cleared := shock.add(0, arm(570, 570), arm(30, 0))
	assert.NotEqual(t, analysis.Fail, analysis.Judge(cleared.input(0)).Outcome)
}

func TestJudgeDoesNotTrustOneTickWhenDispersionIsAssumed(t *testing.T) {
	r := begin().add(0, arm(570, 6), arm(30, 20)).times(4, 0, arm(570, 6), arm(30, 0))
	in := r.input(0)
	require.Equal(t, analysis.Fail, analysis.Judge(in).Outcome, "with a measured dispersion one burst and the memory of it suffice")

	in.Dispersion = nil
	v := analysis.Judge(in)
	assert.NotEqual(t, analysis.Fail, v.Outcome)
	assert.InDelta(t, 2, v.Dispersion.Phi, 0)

	r.add(0, arm(570, 6), arm(30, 20)).add(0, arm(570, 6), arm(30, 20))
	in.Ticks = r.ticks
	assert.Equal(t, analysis.Fail, analysis.Judge(in).Outcome, "errors in a second tick convict")
}

func TestDispersionDividesTheEvidence(t *testing.T) {
	in := begin().times(3, 0, arm(570, 6), arm(30, 4)).input(0)
	calm := analysis.Judge(in)
	in.Dispersion[0] = measured(4)
	bursty := analysis.Judge(in)
	assert.Equal(t, analysis.Fail, calm.Outcome)
	assert.NotEqual(t, analysis.Fail, bursty.Outcome)
	assert.Less(t, bursty.Evidence, calm.Evidence)
}

func TestAnExtendedStepNeedsTwiceTheTime(t *testing.T) {
	in := begin().times(10, 0, arm(570, 6), arm(30, 0)).input(0)
	in.Extended = true
	assert.Equal(t, analysis.Collecting, analysis.Judge(in).Outcome)
	in.Ticks = begin().times(20, 0, arm(570, 6), arm(30, 0)).ticks
	assert.Equal(t, analysis.Pass, analysis.Judge(in).Outcome)
}

func TestPauseAndResumeChangeNothingButTheClock(t *testing.T) {
	straight := begin().times(10, 0, arm(570, 6), arm(30, 1))
	paused := begin().times(5, 0, arm(570, 6), arm(30, 1))
	paused.now = paused.now.Add(7 * time.Hour)
	paused.times(5, 0, arm(570, 6), arm(30, 1))
	assert.Equal(t, analysis.Judge(straight.input(0)), analysis.Judge(paused.input(0)))
}

func TestTheLastStepWithoutStableTrafficIsNotAComparison(t *testing.T) {
	r := begin()
	for range 10 {
		r.tick(analysis.Tick{Weight: 1, Steered: true, Up: true, Stable: analysis.Arm{Silent: true}, Candidate: arm(600, 6)})
	}
	v := analysis.Judge(r.input(0))
	assert.Equal(t, analysis.Inconclusive, v.Outcome)
	assert.False(t, v.Suspect)
}

func TestACandidateWithoutCountersIsSilentAndNeverPasses(t *testing.T) {
	silent := func(n int, weight float64, stable analysis.Arm) *rollout {
		r := begin()
		for range n {
			r.tick(analysis.Tick{Weight: weight, Steered: weight > 0, Up: true, Stable: stable, Candidate: analysis.Arm{Silent: true}})
		}
		return r
	}
	v := analysis.Judge(silent(1, 0.05, arm(570, 6)).input(0))
	assert.Equal(t, analysis.CandidateSilent, v.Outcome)
	assert.Equal(t, start.Add(30*time.Second), v.Since)

	for name, c := range map[string]struct {
		ticks *rollout
		want  analysis.Outcome
	}{
		"renamed metric, whole step":           {silent(10, 0.05, arm(570, 6)), analysis.CandidateSilent},
		"too little traffic to expect any":     {silent(10, 0.05, arm(3, 0)), analysis.Inconclusive},
		"workers that nobody splits, one tick": {silent(1, 0, arm(570, 6)), analysis.Collecting},
		"workers that nobody splits, three":    {silent(3, 0, arm(570, 6)), analysis.CandidateSilent},
		"counters came back":                   {silent(5, 0.05, arm(570, 6)).times(10, 0, arm(570, 6), arm(30, 0)), analysis.Pass},
		"workers while stable is idle as well": {silent(10, 0, arm(0, 0)), analysis.Inconclusive},
	} {
		assert.Equal(t, c.want, analysis.Judge(c.ticks.input(0)).Outcome, name)
	}
}

func TestTrafficThatDoesNotFollowTheWeightIsARoutingFault(t *testing.T) {
	share := func(n int, weight float64, stable, candidate analysis.Arm) *rollout {
		r := begin()
		for range n {
			r.tick(analysis.Tick{Weight: weight, Steered: true, Up: true, Stable: stable, Candidate: candidate})
		}
		return r
	}
	unsteered := begin()
	for range 10 {
		unsteered.tick(analysis.Tick{Up: true, Stable: arm(300, 3), Candidate: arm(300, 3)})
	}
	for name, c := range map[string]struct {
		ticks *rollout
		want  analysis.Outcome
	}{
		"over for two ticks is not yet one":        {share(2, 0.05, arm(300, 0), arm(300, 0)), analysis.Collecting},
		"over for three":                           {share(3, 0.05, arm(300, 0), arm(300, 0)), analysis.RoutingOver},
		"traffic before the candidate has weight":  {share(3, 0, arm(570, 0), arm(30, 0)), analysis.RoutingOver},
		"under for three":                          {share(3, 0.5, arm(500, 0), arm(100, 0)), analysis.RoutingUnder},
		"nothing at all":                           {share(1, 0.05, arm(570, 0), arm(0, 0)), analysis.RoutingUnder},
		"nothing, where nothing is likely":         {share(3, 0.05, arm(20, 0), arm(0, 0)), analysis.Collecting},
		"within two points":                        {share(10, 0.05, arm(9350, 0), arm(650, 0)), analysis.Pass},
		"within what chance does to small numbers": {share(10, 0.05, arm(52, 0), arm(8, 0)), analysis.Pass},
		"not steered, not checked":                 {unsteered, analysis.Pass},
		"back to the weight": {
			share(3, 0.05, arm(300, 0), arm(300, 0)).times(10, 0, arm(570, 0), arm(30, 0)), analysis.Pass},
		"requests that are not judged are traffic": {
			share(10, 0.5, arm(300, 0), analysis.Arm{Requests: 100, Unjudged: 200}), analysis.Pass},
	} {
		v := analysis.Judge(c.ticks.input(0))
		assert.Equal(t, c.want, v.Outcome, "%s: %s", name, v.Reason)
	}
}

func TestACandidateThatIsNotUpIsNotBlamedForMissingTraffic(t *testing.T) {
	r := begin()
	for range 3 {
		r.tick(analysis.Tick{Weight: 0.05, Steered: true, Stable: arm(570, 6), Candidate: analysis.Arm{Silent: true}})
	}
	assert.Equal(t, analysis.Collecting, analysis.Judge(r.input(0)).Outcome)
}

func TestAFirstDeploymentIsHeldAgainstAPlainLimit(t *testing.T) {
	first := func(n int, candidate analysis.Arm) analysis.Input {
		r := begin()
		for range n {
			r.tick(analysis.Tick{Weight: 1, Steered: true, Up: true, Candidate: candidate})
		}
		in := r.input(0)
		in.Alone, in.Steps, in.Metric.Share = true, 1, 1
		return in
	}
	for name, c := range map[string]struct {
		in   analysis.Input
		want analysis.Outcome
	}{
		"below the limit":                {first(10, arm(600, 3)), analysis.Pass},
		"far above it":                   {first(3, arm(600, 60)), analysis.Fail},
		"above it, without proof":        {first(10, arm(60, 1)), analysis.Inconclusive},
		"too few requests":               {first(10, arm(4, 0)), analysis.Inconclusive},
		"no traffic":                     {first(10, arm(0, 0)), analysis.Inconclusive},
		"no counters before traffic":     {first(10, analysis.Arm{Silent: true}), analysis.Inconclusive},
		"every request fails":            {first(3, arm(600, 600)), analysis.Fail},
		"not yet measured for so long":   {first(9, arm(600, 3)), analysis.Collecting},
		"far above it, for one tick":     {first(1, arm(600, 60)), analysis.Collecting},
		"more than a fifth is no excuse": {first(3, arm(600, 200)), analysis.Fail},
	} {
		v := analysis.Judge(c.in)
		assert.Equal(t, c.want, v.Outcome, "%s: %s", name, v.Reason)
		assert.NotContains(t, v.Reason, "stable", name)
	}
	assert.True(t, analysis.Judge(first(10, arm(60, 1))).Suspect)
}

func TestImpossibleTicksAreUnknown(t *testing.T) {
	good := analysis.Tick{At: start, Seconds: 30, Weight: 0.05, Steered: true, Up: true, Stable: arm(570, 6), Candidate: arm(30, 0)}
	for name, spoil := range map[string]func(*analysis.Tick){
		"negative requests":         func(t *analysis.Tick) { t.Stable.Requests = -1 },
		"negative errors":           func(t *analysis.Tick) { t.Candidate.Errors = -1 },
		"negative unjudged":         func(t *analysis.Tick) { t.Candidate.Unjudged = -1 },
		"more errors than requests": func(t *analysis.Tick) { t.Candidate.Errors = 31 },
		"more than can be served":   func(t *analysis.Tick) { t.Stable.Requests = math.MaxInt64 },
		"a step that is not there":  func(t *analysis.Tick) { t.Step = 3 },
		"a negative step":           func(t *analysis.Tick) { t.Step = -1 },
		"weight not a number":       func(t *analysis.Tick) { t.Weight = math.NaN() },
		"weight above one":          func(t *analysis.Tick) { t.Weight = 1.01 },
		"no length":                 func(t *analysis.Tick) { t.Seconds = 0 },
		"a clock that went back":    func(t *analysis.Tick) { t.Seconds = -3600 },
		"an endless window":         func(t *analysis.Tick) { t.Seconds = math.Inf(1) },
	} {
		bad := good
		spoil(&bad)
		in := begin().input(0)
		in.Ticks = []analysis.Tick{bad}
		assert.Equal(t, analysis.MetricsDown, analysis.Judge(in).Outcome, name)
	}

	back := begin().add(1, arm(570, 6), arm(30, 0)).add(0, arm(570, 6), arm(30, 0))
	assert.Equal(t, analysis.MetricsDown, analysis.Judge(back.input(1)).Outcome, "a tick of an earlier step")
}

func TestUnusableInputIsNeitherPassNorFail(t *testing.T) {
	for name, spoil := range map[string]func(*analysis.Input){
		"alpha":           func(in *analysis.Input) { in.Limits.Alpha = 0 },
		"alpha NaN":       func(in *analysis.Input) { in.Limits.Alpha = math.NaN() },
		"share":           func(in *analysis.Input) { in.Metric.Share = 1.5 },
		"kind":            func(in *analysis.Input) { in.Metric.Kind = "moon-phase" },
		"increase":        func(in *analysis.Input) { in.Limits.IncreasePoints = -1 },
		"baseline rate":   func(in *analysis.Input) { in.Limits.MaxBaselineRate = 2 },
		"slack":           func(in *analysis.Input) { in.Limits.ShareSlack = math.NaN() },
		"no steps":        func(in *analysis.Input) { in.Steps = 0 },
		"too many steps":  func(in *analysis.Input) { in.Steps = 1 << 40 },
		"no such step":    func(in *analysis.Input) { in.Step = 3 },
		"future state":    func(in *analysis.Input) { in.Past.Step = 2 },
		"impossible past": func(in *analysis.Input) { in.Past.All.Candidate.Errors = 7 },
		"first, no limit": func(in *analysis.Input) { in.Alone, in.Limits.MaxErrorRate = true, 0 },
	} {
		in := begin().times(10, 0, arm(570, 6), arm(30, 30)).input(0)
		spoil(&in)
		v := analysis.Judge(in)
		assert.Equal(t, analysis.Inconclusive, v.Outcome, name)
		assert.True(t, v.Suspect, name)
		assert.Contains(t, v.Reason, "cannot be made", name)
		assert.Len(t, analysis.Compact(in, 0).Ticks, 10, "%s: nothing is folded by rules that do not hold", name)
	}
}

func TestAVerdictSurvivesStorage(t *testing.T) {
	for _, r := range []*rollout{
		begin(),
		begin().times(10, 0, arm(570, 6), arm(30, 0)),
		begin().times(3, 0, arm(1_000_000, 0), arm(1_000_000, 1_000_000)),
	} {
		v := analysis.Judge(r.input(0))
		raw, err := json.Marshal(v)
		require.NoError(t, err)
		var back analysis.Verdict
		require.NoError(t, json.Unmarshal(raw, &back))
		assert.Equal(t, v, back)
	}
}
