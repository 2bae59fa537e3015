package analysis

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// Outcome is what a verdict asks for.
type Outcome string

// The outcomes. Fail and RoutingOver roll back; Pass advances; Inconclusive is
// for the policy to decide; the others hold.
const (
	Collecting      Outcome = "collecting"          // the step has not been measured for long enough
	Pass            Outcome = "pass"                // nothing speaks against the candidate
	Fail            Outcome = "fail"                // worse than the policy tolerates, and not by chance
	Inconclusive    Outcome = "inconclusive"        // too few requests, or a suspicion
	MetricsDown     Outcome = "metrics-down"        // nothing can be read
	CandidateSilent Outcome = "candidate-silent"    // stable has counters, the candidate has none
	RoutingOver     Outcome = "routing-fault-over"  // the candidate gets more traffic than its step allows
	RoutingUnder    Outcome = "routing-fault-under" // the candidate gets less than its step needs, or nothing
	BaselineBad     Outcome = "baseline-bad"        // stable itself is failing
)

// Verdict is the statement on one metric, with the numbers it rests on. Rates and
// differences are fractions (0 to 1).
type Verdict struct {
	Metric  Kind    `json:"metric"`
	Outcome Outcome `json:"outcome"`
	// Reason is one sentence for people.
	Reason string `json:"reason"`
	// Since is the end of the first tick of which the outcome was true; zero for
	// outcomes that are not a condition that lasts.
	Since time.Time `json:"since,omitzero"`
	Step  int       `json:"step"`
	// Whole says that the numbers are those since the rollout's start, not the step's.
	Whole bool `json:"whole,omitempty"`

	// Evidence is E, StepEvidence that of the step alone, Needed the E of a
	// failure. Evidence is cut at 10⁹, beyond which it says no more.
	Evidence     float64 `json:"evidence"`
	StepEvidence float64 `json:"stepEvidence"`
	Needed       float64 `json:"needed"`
	// P is the always-valid p-value.
	P float64 `json:"p"`

	Stable        Arm     `json:"stable,omitzero"`
	Candidate     Arm     `json:"candidate,omitzero"`
	StableRate    float64 `json:"stableRate"`
	CandidateRate float64 `json:"candidateRate"`
	// Delta is the difference, Low and High its 95 % interval: for the reader, no
	// decision of Judge uses them.
	Delta float64 `json:"delta"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
	// Threshold is the difference that is not tolerated.
	Threshold float64 `json:"threshold"`

	// Ticks and JudgedFor are how much of the step was measured.
	Ticks      int           `json:"ticks"`
	JudgedFor  time.Duration `json:"judgedFor"`
	Dispersion Dispersion    `json:"dispersion"`
	// Suspect says that something speaks against the candidate, short of proof:
	// an inconclusive step must then not advance by default.
	Suspect bool `json:"suspect,omitempty"`
}

const (
	maxEvidence = 1e9
	// suspicion is the evidence in a step above which a difference that is as
	// large as the limit keeps the step from passing.
	suspicion = 3
	// sigmas is the width of a 95 % interval.
	sigmas = 1.96
)

func (s State) verdict(in *Input) Verdict {
	v := s.numbers(in)
	v.Outcome, v.Since, v.Reason = s.outcome(in, v)
	return v
}

func (s State) numbers(in *Input) Verdict {
	w := s.Live
	whole := s.Failed != nil && s.Failed.Whole
	if whole {
		w = s.All
	}
	d := in.dispersion(s.Step)
	v := Verdict{
		Metric: in.Metric.Kind, Step: s.Step, Whole: whole,
		Evidence:     expCut(s.logE(in)),
		StepEvidence: expCut(s.Live.Evidence.log()),
		Needed:       expCut(in.logNeeded()),
		P:            1 / max(1, expCut(s.Top)),
		Stable:       w.Stable, Candidate: w.Candidate,
		StableRate: w.Stable.Rate(), CandidateRate: w.Candidate.Rate(),
		Threshold: in.threshold(),
		Ticks:     s.Live.Ticks, JudgedFor: seconds(s.Live.Seconds),
		Dispersion: d,
	}
	v.Delta = v.CandidateRate - v.StableRate
	wide := sigmas * math.Sqrt(d.Phi*(w.Stable.variance()+w.Candidate.variance()))
	v.Low, v.High = max(-1, v.Delta-wide), min(1, v.Delta+wide)
	if in.Alone {
		v.StableRate, v.Threshold = 0, in.Limits.MaxErrorRate
	}
	v.Suspect = s.Failed != nil || s.Hot.Ticks > 0 ||
		s.Live.worse(in) && (v.StepEvidence >= suspicion || in.Alone)
	return v
}

// variance of the rate. One success and one failure are added, or an arm without
// failures would claim to know its rate exactly.
func (a Arm) variance() float64 {
	if a.Requests <= 0 {
		return 0
	}
	n := float64(a.Requests) + 2
	p := (float64(a.Errors) + 1) / n
	return p * (1 - p) / n
}

// outcome goes from what is certain to what is lacking: a proven failure first,
// then whatever makes the numbers meaningless, then the numbers.
func (s State) outcome(in *Input, v Verdict) (Outcome, time.Time, string) {
	switch {
	case s.Failed != nil:
		return Fail, s.Failed.Since, v.failed(in)
	case s.Down.Ticks > 0:
		return MetricsDown, s.Down.Since, fmt.Sprintf("The metrics cannot be read (%s) since %s.", s.Why, clock(s.Down.Since))
	case s.Over.Ticks >= shareTicks:
		return RoutingOver, s.Over.Since, fmt.Sprintf("The candidate gets more traffic than its step allows: %s of the step's requests.", v.share())
	case s.Silent.Ticks > 0 && s.Silent.Expected >= missed:
		return CandidateSilent, s.Silent.Since, fmt.Sprintf("The candidate is up but has no counters since %s; about %.0f requests were due.", clock(s.Silent.Since), s.Silent.Expected)
	case s.Starved.Ticks > 0 && s.Starved.Expected >= missed:
		return RoutingUnder, s.Starved.Since, fmt.Sprintf("The candidate gets no traffic since %s; about %.0f requests were due.", clock(s.Starved.Since), s.Starved.Expected)
	case s.Under.Ticks >= shareTicks:
		return RoutingUnder, s.Under.Since, fmt.Sprintf("The candidate gets less traffic than its step needs: %s of the step's requests.", v.share())
	case s.Sick.Ticks > 0:
		return BaselineBad, s.Sick.Since, fmt.Sprintf("Stable itself fails %s of its requests; nothing can be said about the candidate.", percent(s.baseline().Rate()))
	case s.Live.Ticks == 0 || v.JudgedFor < in.need():
		return Collecting, time.Time{}, fmt.Sprintf("Measured for %s of %s; %s.", short(v.JudgedFor), short(in.need()), v.compared(in))
	}
	return s.conclusion(in, v)
}

// conclusion is the verdict at the end of a step that could be measured.
func (s State) conclusion(in *Input, v Verdict) (Outcome, time.Time, string) {
	least := in.Limits.MinRequests
	switch {
	case v.Candidate.Requests < least || v.Candidate.Requests == 0:
		return Inconclusive, time.Time{}, fmt.Sprintf("The candidate served %d requests in this step, %d are needed.", v.Candidate.Requests, max(least, 1))
	case !in.Alone && (v.Stable.Requests < least || v.Stable.Requests == 0):
		return Inconclusive, time.Time{}, fmt.Sprintf("Stable served %d requests in this step, %d are needed.", v.Stable.Requests, max(least, 1))
	case v.Suspect:
		return Inconclusive, time.Time{}, fmt.Sprintf("Something speaks against the candidate, short of proof: %s; evidence %s, %s needed.", v.compared(in), number(v.Evidence), number(v.Needed))
	}
	return Pass, time.Time{}, fmt.Sprintf("No evidence against the candidate: %s; evidence %s, %s would be needed.", v.compared(in), number(v.Evidence), number(v.Needed))
}

func (v Verdict) failed(in *Input) string {
	where := "in this step"
	if v.Whole {
		where = "since the rollout began"
	}
	return fmt.Sprintf("The candidate is worse than tolerated %s: %s; evidence %s, %s needed, on two ticks in a row.",
		where, v.compared(in), number(v.Evidence), number(v.Needed))
}

func (v Verdict) compared(in *Input) string {
	candidate := fmt.Sprintf("%s of its %d requests failed", percent(v.CandidateRate), v.Candidate.Requests)
	if in.Alone {
		return fmt.Sprintf("%s (limit %s, no baseline)", candidate, percent(v.Threshold))
	}
	return fmt.Sprintf("%s, %s of stable's %d: %+.2f points (limit %+.2f)",
		candidate, percent(v.StableRate), v.Stable.Requests, 100*v.Delta, 100*v.Threshold)
}

func (v Verdict) share() string {
	all := v.Stable.Traffic() + v.Candidate.Traffic()
	return percent(float64(v.Candidate.Traffic()) / max(1, float64(all)))
}

func expCut(logE float64) float64 {
	if math.IsNaN(logE) {
		return 0
	}
	return math.Min(math.Exp(logE), maxEvidence)
}

// seconds as a duration; what a damaged record may hold beyond a century is cut.
func seconds(s float64) time.Duration {
	const century = 100 * maxTickSeconds
	return time.Duration(math.Round(min(max(s, 0), century) * float64(time.Second)))
}

func percent(rate float64) string { return strconv.FormatFloat(100*rate, 'f', 2, 64) + " %" }

func number(e float64) string {
	if e >= maxEvidence {
		return "over 1e+09"
	}
	return strconv.FormatFloat(e, 'g', 3, 64)
}

func short(d time.Duration) string { return d.Round(100 * time.Millisecond).String() }

func clock(t time.Time) string { return t.UTC().Format(time.TimeOnly + " UTC") }
