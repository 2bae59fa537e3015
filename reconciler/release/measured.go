package release

import (
	"math"
	"slices"
	"time"

	"github.com/sluice-cd/sluice/analysis"
)

// maxTicks bounds the record. Older ticks are folded into sums that judge the
// same, at the price that they can no longer be looked at one by one.
const maxTicks = 600

// analysis makes the empty analysis of a rollout; alone is a first deployment.
func (p Plan) analysis(alone bool) analysis.Input {
	return analysis.Input{
		Metric: analysis.Metric{Kind: analysis.ErrorRate, Share: 1},
		Limits: p.Limits, Steps: len(p.Steps), Need: p.Interval, Alone: alone,
	}
}

// measured adds ticks to the rollout and acts on what they prove.
func (r Record) measured(e Measured, now time.Time) Record {
	if e.Attempt != r.Attempt || e.Step != r.Rollout.Step || !r.comparing() {
		return r
	}
	in := r.Rollout.Analysis
	in.Step, in.Extended = e.Step, r.Rollout.Extended
	in.Dispersion = freeze(in.Dispersion, e.Step, e.Dispersion)
	fresh := newer(in.Ticks, e)
	in.Ticks = append(slices.Clone(in.Ticks), fresh...)
	if len(in.Ticks) > maxTicks {
		in = analysis.Compact(in, maxTicks/2)
	}
	r.Rollout.Analysis = in
	r.Rollout.Verdict = r.judge()
	if r.PausedSince.IsZero() { // else the pause shifts them all
		r = r.shift(unmeasurable(fresh))
	}
	return r.listen().act(now)
}

// comparing reports whether ticks mean anything now: while traffic is split,
// after a first deployment, which has only a plain limit to meet, and until shared
// objects that changed in place were judged.
func (r Record) comparing() bool {
	if !r.Rollout.Plan.Measured || r.Rollout.StepBegan.IsZero() {
		return false
	}
	return r.Phase == Progressing || r.Phase == Verifying && (r.Stable == nil || BeforeAfter(r) && !r.sharedJudged())
}

// Measuring reports whether ticks of the current step are of use.
func Measuring(r Record) bool { return r.comparing() }

// freeze keeps the dispersion that a step began with: measured later it would
// contain the candidate's own effect.
func freeze(known []analysis.Dispersion, step int, d analysis.Dispersion) []analysis.Dispersion {
	if len(known) > step {
		return known
	}
	out := slices.Clone(known)
	if !finite(d.Phi) {
		d = analysis.Dispersion{} // the judge then assumes a cautious one
	}
	for len(out) <= step {
		out = append(out, d)
	}
	return out
}

// finite reports a number that can be stored.
func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// newer drops ticks that the record has, so that reading a window twice counts
// it once, and those of another step. One that could not be stored tells nothing.
func newer(known []analysis.Tick, e Measured) []analysis.Tick {
	var last time.Time
	if len(known) > 0 {
		last = known[len(known)-1].At
	}
	var out []analysis.Tick
	for _, t := range e.Ticks {
		if t.Step != e.Step || !t.At.After(last) {
			continue
		}
		t.At = plain(t.At)
		if !finite(t.Seconds) || !finite(t.Weight) {
			t = analysis.Tick{At: t.At, Step: t.Step, Unknown: analysis.NotANumber}
		}
		out = append(out, t)
		last = t.At
	}
	return out
}

// unmeasurable is the time that must not count against the candidate.
func unmeasurable(ticks []analysis.Tick) time.Duration {
	var lost time.Duration
	for _, t := range ticks {
		if t.Unknown != "" && t.Seconds > 0 {
			lost += time.Duration(min(t.Seconds, maxLost.Seconds()) * float64(time.Second))
		}
	}
	return min(lost, maxLost)
}

// maxLost bounds what one event can add to a deadline.
const maxLost = 24 * time.Hour

// listen starts the time that a candidate without counters has, or ends it.
// While nothing can be read it is neither heard nor silent.
func (r Record) listen() Record {
	v := r.Rollout.Verdict
	switch v.Outcome {
	case analysis.CandidateSilent:
		if r.Rollout.SilentUntil.IsZero() {
			r.Rollout.SilentUntil = v.Since.Add(r.Rollout.Plan.Silence)
		}
	case analysis.MetricsDown:
	case analysis.Collecting, analysis.Pass, analysis.Fail, analysis.Inconclusive,
		analysis.RoutingOver, analysis.RoutingUnder, analysis.BaselineBad:
		r.Rollout.SilentUntil = time.Time{}
	}
	return r
}

// act rolls back where the verdict says so. Everything else waits for the end
// of the step.
func (r Record) act(now time.Time) Record {
	v := r.Rollout.Verdict
	switch v.Outcome {
	case analysis.Fail:
		return r.revert(AnalysisFailed, v.Reason, now)
	case analysis.RoutingOver:
		return r.revert(OverExposed, v.Reason, now)
	case analysis.CandidateSilent:
		if r.PausedSince.IsZero() && !now.Before(r.Rollout.SilentUntil) {
			return r.revert(NotProven, v.Reason, now)
		}
	case analysis.RoutingUnder:
		if BeforeAfter(r) && now.Sub(v.Since) >= r.Rollout.Plan.Interval/lull {
			return r.revert(NotProven, "no request arrives any more: "+v.Reason, now)
		}
	case analysis.Pass, analysis.Inconclusive, analysis.Collecting, analysis.MetricsDown, analysis.BaselineBad:
	}
	r.Reason = v.Reason
	return r
}

// advance goes to the next step once this one lasted long enough and nothing
// speaks against the candidate.
func (r Record) advance(now time.Time) Record {
	o := r.Rollout
	if o.StepBegan.IsZero() || now.Before(o.StepEnds) {
		return r
	}
	if !o.Plan.Measured || r.baseless() {
		return r.forward(now)
	}
	switch o.Verdict.Outcome {
	case analysis.Pass:
		return r.forward(now)
	case analysis.Inconclusive:
		return r.inconclusive(now)
	case analysis.Collecting, analysis.Fail, analysis.MetricsDown, analysis.CandidateSilent,
		analysis.RoutingOver, analysis.RoutingUnder, analysis.BaselineBad:
	}
	return r
}

// inconclusive extends the step once. After that the step goes on unless
// something speaks against the candidate, which then has until its deadline.
func (r Record) inconclusive(now time.Time) Record {
	if !r.Rollout.Extended {
		r.Rollout.Extended = true
		r.Rollout.StepEnds = r.Rollout.StepEnds.Add(r.Rollout.Plan.Interval)
		r.Rollout.Analysis.Extended = true
		r.Rollout.Verdict = r.judge()
		return r.remember("extended once: "+r.Rollout.Verdict.Reason, now)
	}
	if r.Rollout.Verdict.Suspect {
		return r
	}
	return r.forward(now)
}

func (r Record) forward(now time.Time) Record {
	if r.Rollout.Plan.Measured {
		r.Rollout.Verdicts = append(slices.Clone(r.Rollout.Verdicts), r.Rollout.Verdict)
	}
	if BeforeAfter(r) {
		r = r.part()
	}
	return r.step(r.Rollout.Step+1, now)
}

// mayFinish reports whether nothing measured after 100 % speaks against the
// candidate. With a stable revision to go back to, the steps have judged it and
// health watches the window; a first deployment has to keep its limit here, and
// shared objects that changed in place have to leave stable as well as it was.
func (r Record) mayFinish() bool {
	switch {
	case !r.Rollout.Plan.Measured:
		return true
	case BeforeAfter(r):
		return r.sharedJudged()
	case r.Stable != nil:
		return true
	}
	v := r.Rollout.Verdict
	return v.Outcome == analysis.Pass || v.Outcome == analysis.Inconclusive && !v.Suspect
}
