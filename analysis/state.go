package analysis

import (
	"slices"
	"time"
)

// Window is the sum of the ticks of a step or of the whole rollout: all that the
// test needs to remember of them.
type Window struct {
	Evidence  evidence `json:"l"`
	Stable    Arm      `json:"b,omitzero"`
	Candidate Arm      `json:"c,omitzero"`
	// ErrorTicks counts the ticks in which the candidate failed at all.
	ErrorTicks int     `json:"e,omitempty"`
	Ticks      int     `json:"n,omitempty"`
	Seconds    float64 `json:"d,omitempty"`
}

// Run is an unbroken sequence of ticks that share a property.
type Run struct {
	Since time.Time `json:"t,omitzero"`
	Ticks int       `json:"n,omitempty"`
	// Expected is how many candidate requests the run should have had.
	Expected float64 `json:"x,omitempty"`
}

// at extends the run by a tick, or ends it.
func (r Run) at(holds bool, t Tick, expected float64) Run {
	if !holds {
		return Run{}
	}
	if r.Ticks == 0 {
		r.Since = t.At
	}
	r.Ticks++
	r.Expected += expected
	return r
}

// Failure is the moment at which the candidate was found to be worse.
type Failure struct {
	At time.Time `json:"t"`
	// Since is the first of the two ticks.
	Since time.Time `json:"s"`
	// Whole says that the difference shows in the window since the rollout's start
	// rather than in the step's own.
	Whole bool `json:"w,omitempty"`
}

// State is everything that Judge remembers of the ticks it has seen. The zero
// value is a rollout without ticks. Folding ticks into it loses only what no
// verdict depends on, so a record keeps a State for the past and ticks for the
// step that is running.
type State struct {
	Step int `json:"s,omitempty"`
	// Done is ln E of the finished steps.
	Done []float64 `json:"e,omitempty"`
	All  Window    `json:"a,omitzero"`
	Live Window    `json:"l,omitzero"`
	// Top is the largest ln E so far, which gives the always-valid p-value.
	Top float64 `json:"m,omitempty"`
	// Hot is the run of ticks that met all conditions of a failure.
	Hot    Run      `json:"h,omitzero"`
	Failed *Failure `json:"f,omitempty"`

	Down     Run     `json:"d,omitzero"`
	Why      Unknown `json:"w,omitempty"`
	Silent   Run     `json:"x,omitzero"`
	Starved  Run     `json:"g,omitzero"`
	Over     Run     `json:"o,omitzero"`
	Under    Run     `json:"u,omitzero"`
	Sick     Run     `json:"i,omitzero"`
	Baseline []Arm   `json:"b,omitempty"`
}

// maxSum bounds the counts of a whole rollout; see maxCount.
const maxSum = 1_000_000 * maxCount

// sane says whether the state can be the sum of ticks.
func (s State) sane() bool {
	arms := append(slices.Clone(s.Baseline), s.All.Stable, s.All.Candidate, s.Live.Stable, s.Live.Candidate)
	return !slices.ContainsFunc(arms, func(a Arm) bool { return !a.within(maxSum) })
}

// recent is how many ticks of stable say whether it is failing now.
const recent = 3

// add is the state after one more tick.
func (s State) add(t Tick, in *Input) State {
	if s.Failed != nil {
		return s
	}
	why := in.unknown(t, s.Step)
	s.Down = s.Down.at(why != "", t, 0)
	s.Why = why
	if why != "" {
		return s
	}
	s = s.enter(t.Step)
	s.Live = s.Live.add(t, in)
	s.All = s.All.add(t, in)
	logE := s.logE(in)
	s.Top = max(s.Top, logE)
	s = s.watchTraffic(t, in)
	s = s.watchBaseline(t, in)
	return s.decide(t, in, logE)
}

// enter closes the steps before the given one.
func (s State) enter(step int) State {
	if step <= s.Step {
		return s
	}
	done := slices.Clone(s.Done)
	done = append(done, s.Live.Evidence.log())
	for len(done) < step {
		done = append(done, 0) // a step without ticks is evidence of nothing
	}
	s.Done, s.Live, s.Step, s.Baseline = done, Window{}, step, nil
	return s
}

func (s State) logE(in *Input) float64 {
	return logCombine(s.All.Evidence.log(), s.Done, s.Live.Evidence.log(), in.Steps)
}

func (w Window) add(t Tick, in *Input) Window {
	phi := in.dispersion(t.Step).Phi
	if in.Alone {
		w.Evidence = w.Evidence.above(t.Candidate, in.Limits.MaxErrorRate, phi)
	} else {
		w.Evidence = w.Evidence.against(t.Stable, t.Candidate, phi)
	}
	w.Stable = w.Stable.plus(t.Stable)
	w.Candidate = w.Candidate.plus(t.Candidate)
	if t.Candidate.Errors > 0 {
		w.ErrorTicks++
	}
	w.Ticks++
	w.Seconds += t.Seconds
	return w
}

// excess is by how much the candidate's failure rate is above what it is
// compared with.
func (w Window) excess(in *Input) float64 {
	if in.Alone {
		return w.Candidate.Rate() - in.Limits.MaxErrorRate
	}
	return w.Candidate.Rate() - w.Stable.Rate()
}

// worse says whether the difference is as large as the policy's limit.
func (w Window) worse(in *Input) bool {
	if w.Candidate.Requests == 0 || !in.Alone && w.Stable.Requests == 0 {
		return false
	}
	excess := w.excess(in)
	return excess > 0 && excess >= in.threshold()
}

// damning says whether the window alone is enough for a failure, evidence apart.
func (w Window) damning(in *Input, d Dispersion) bool {
	if d.Thin() && w.ErrorTicks < 2 {
		return false
	}
	return w.Candidate.Errors >= in.Limits.MinErrors && w.worse(in)
}

// decide records a failure on the second tick in a row that meets the
// conditions. One is not enough: the arms are scraped at different moments, so an
// outage of both appears in one of them first.
func (s State) decide(t Tick, in *Input, logE float64) State {
	d := in.dispersion(t.Step)
	step, whole := s.Live.damning(in, d), s.All.damning(in, d)
	met := (step || whole) && logE >= in.logNeeded() && !s.sick(in)
	s.Hot = s.Hot.at(met, t, 0)
	if s.Hot.Ticks >= 2 {
		s.Failed = &Failure{At: t.At, Since: s.Hot.Since, Whole: !step}
	}
	return s
}

func (s State) watchBaseline(t Tick, in *Input) State {
	if in.Alone {
		return s
	}
	s.Baseline = append(slices.Clone(s.Baseline), t.Stable)
	if len(s.Baseline) > recent {
		s.Baseline = s.Baseline[len(s.Baseline)-recent:]
	}
	s.Sick = s.Sick.at(s.sick(in), t, 0)
	return s
}

// sick says that stable itself is failing, which makes it no measure of anything.
func (s State) sick(in *Input) bool {
	sum := s.baseline()
	return sum.Requests >= max(in.Limits.MinRequests, 1) && sum.Rate() > in.Limits.MaxBaselineRate
}

// baseline is what stable served in the last few ticks.
func (s State) baseline() Arm {
	var sum Arm
	for _, arm := range s.Baseline {
		sum = sum.plus(arm)
	}
	return sum
}
