package analysis

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// Kind is what a metric measures.
type Kind string

// ErrorRate compares the fraction of failed requests.
const ErrorRate Kind = "error-rate"

// Metric is one comparison of a rollout.
type Metric struct {
	Kind Kind `json:"kind"`
	// Share is this metric's part of α: 1 divided by the number of metrics that
	// may roll the rollout back.
	Share float64 `json:"share"`
}

// Limits are the policy's numbers, frozen when the rollout starts.
type Limits struct {
	// Alpha bounds the chance of rolling back a healthy candidate, per rollout.
	Alpha float64 `json:"alpha"`
	// IncreasePoints is the increase of the error rate, in percentage points, that
	// is not tolerated.
	IncreasePoints float64 `json:"points"`
	// MaxErrorRate (0 to 1) is the limit when there is no stable to compare with.
	MaxErrorRate float64 `json:"maxErrorRate"`
	// MaxBaselineRate (0 to 1): above it, stable is failing itself.
	MaxBaselineRate float64 `json:"maxBaselineRate"`
	// MinRequests per arm and step for a pass.
	MinRequests int64 `json:"minRequests"`
	// MinErrors of the candidate for a failure.
	MinErrors int64 `json:"minErrors"`
	// ShareSlack (0 to 1) is how far the candidate's share of the traffic may
	// always be off.
	ShareSlack float64 `json:"shareSlack"`
}

// DefaultLimits are those of POL-007 and of the judge itself.
func DefaultLimits() Limits {
	return Limits{
		Alpha:           0.05,
		IncreasePoints:  0.5,
		MaxErrorRate:    0.01,
		MaxBaselineRate: 0.20,
		MinRequests:     50,
		MinErrors:       3,
		ShareSlack:      0.02,
	}
}

// Input is all that a verdict depends on.
type Input struct {
	Metric Metric `json:"metric"`
	Limits Limits `json:"limits"`
	// Steps is how many steps the plan has, Step the index of the one judged.
	Steps int `json:"steps"`
	Step  int `json:"step"`
	// Need is for how long a step must have been measured; twice that once Extended.
	Need     time.Duration `json:"need"`
	Extended bool          `json:"extended,omitempty"`
	// Alone is the first deployment of a service: without stable, the candidate is
	// held against Limits.MaxErrorRate.
	Alone bool `json:"alone,omitempty"`
	// Dispersion by step, each frozen when its step began. A missing one is assumed.
	Dispersion []Dispersion `json:"dispersion,omitempty"`
	// Past stands for the ticks that were folded, Ticks are those since then, in
	// their order.
	Past  State  `json:"past,omitzero"`
	Ticks []Tick `json:"ticks,omitempty"`
}

// maxSteps bounds what a damaged record can make Judge allocate.
const maxSteps = 1000

// Check says what makes an input unusable: numbers that no comparison can be
// made with.
func (in *Input) Check() error {
	l := in.Limits
	switch {
	case in.Metric.Kind != ErrorRate:
		return fmt.Errorf("metric kind %q is not known", in.Metric.Kind)
	case !upTo(in.Metric.Share, 1) || in.Metric.Share == 0:
		return fmt.Errorf("metric share %v is not in (0, 1]", in.Metric.Share)
	case !upTo(l.Alpha, 1) || l.Alpha == 0:
		return fmt.Errorf("alpha %v is not in (0, 1]", l.Alpha)
	case !upTo(l.IncreasePoints, 100):
		return fmt.Errorf("increase of %v points is not in [0, 100]", l.IncreasePoints)
	case in.Alone && (!upTo(l.MaxErrorRate, 1) || l.MaxErrorRate == 0 || l.MaxErrorRate == 1):
		return fmt.Errorf("largest error rate %v is not in (0, 1)", l.MaxErrorRate)
	case !upTo(l.MaxBaselineRate, 1):
		return fmt.Errorf("largest baseline rate %v is not in [0, 1]", l.MaxBaselineRate)
	case !upTo(l.ShareSlack, 1):
		return fmt.Errorf("share slack %v is not in [0, 1]", l.ShareSlack)
	case in.Steps < 1 || in.Steps > maxSteps || in.Step < 0 || in.Step >= in.Steps:
		return fmt.Errorf("step %d of %d does not exist", in.Step, in.Steps)
	case !in.Past.sane():
		return errors.New("folded ticks hold impossible counts")
	case in.Past.Step < 0 || in.Past.Step > in.Step || len(in.Past.Done) > in.Past.Step:
		return fmt.Errorf("folded ticks of step %d do not precede step %d", in.Past.Step, in.Step)
	}
	return nil
}

// upTo is false for what is no number.
func upTo(x, high float64) bool { return x >= 0 && x <= high }

// Judge gives the verdict on one metric.
func Judge(in Input) Verdict {
	if err := in.Check(); err != nil {
		return Verdict{Metric: in.Metric.Kind, Outcome: Inconclusive, Step: in.Step, Suspect: true,
			Reason: fmt.Sprintf("The analysis cannot be made: %v.", err)}
	}
	s := in.Past
	for _, t := range in.Ticks {
		s = s.add(t, &in)
	}
	if s.Failed == nil {
		s = s.enter(in.Step)
	}
	return s.verdict(&in)
}

// Compact folds all ticks but the last keep of the step being judged. Judge gives
// the same verdict on the result, now and after any further ticks, as long as
// Metric, Limits, Steps, Alone and the Dispersion of the folded steps stay.
func Compact(in Input, keep int) Input {
	if in.Check() != nil {
		return in
	}
	cut := slices.IndexFunc(in.Ticks, func(t Tick) bool { return t.Step > in.Step })
	if cut < 0 {
		cut = len(in.Ticks)
	}
	for cut > 0 && keep > 0 && in.Ticks[cut-1].Step == in.Step {
		cut--
		keep--
	}
	for _, t := range in.Ticks[:cut] {
		in.Past = in.Past.add(t, &in)
	}
	in.Ticks = slices.Clone(in.Ticks[cut:])
	return in
}

func (in *Input) dispersion(step int) Dispersion {
	if step < len(in.Dispersion) {
		return in.Dispersion[step].usable()
	}
	return assumed(0)
}

// threshold is the tolerated difference as a fraction.
func (in *Input) threshold() float64 {
	if in.Alone {
		return 0
	}
	return in.Limits.IncreasePoints / 100
}

// logNeeded is the ln E from which on the difference is real.
func (in *Input) logNeeded() float64 {
	return -math.Log(in.Limits.Alpha * in.Metric.Share)
}

// need is how long the current step must be measured.
func (in *Input) need() time.Duration {
	if in.Extended {
		return 2 * in.Need
	}
	return in.Need
}

// unknown says why a tick is not evidence; "" when it is. A tick of an earlier
// step than the last one belongs to something else than this rollout's course.
func (in *Input) unknown(t Tick, step int) Unknown {
	switch {
	case t.Unknown != "":
		return t.Unknown
	case !t.sane(in.Steps) || t.Step < step:
		return Inconsistent
	case in.Alone || !t.Stable.Silent:
		return ""
	case t.Candidate.Silent:
		return Empty
	case t.Steered && t.Weight >= 1:
		return "" // stable has no traffic any more, as intended
	}
	return NoBaseline
}
