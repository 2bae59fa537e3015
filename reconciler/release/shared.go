package release

import (
	"time"

	"github.com/sluice-cd/sluice/analysis"
)

// Shared objects serve both revisions, so no step can limit what a bad one does.
// They are judged for one interval before anything else changes: what stable
// serves under them, against what it served before.

// beforeAfterAlpha bounds the chance of refusing shared objects that are well.
// Two times differ more than two revisions at the same time do.
const beforeAfterAlpha = 0.01

// lull is the part of an interval for which nobody may call by chance: nothing else
// carries the traffic that shared objects have shut off, so their deadline would be
// a long outage.
const lull = 4

// beforeAfter makes the empty analysis of shared objects. The shares of two times
// say nothing about routing.
func (p Plan) beforeAfter() analysis.Input {
	in := p.analysis(false)
	in.Steps, in.Limits.Alpha, in.Limits.ShareSlack = 1, beforeAfterAlpha, 1
	return in
}

// BeforeAfter reports whether the ticks of a record compare what stable serves
// with what it served before its shared objects changed.
func BeforeAfter(r Record) bool {
	o := r.Rollout
	return o.Plan.Shared && (r.Phase == Progressing && o.Step == 0 || r.Phase == Verifying && o.Plan.InPlace)
}

// judge is the verdict on what was measured, in words that say what was compared.
func (r Record) judge() analysis.Verdict {
	v := analysis.Judge(r.Rollout.Analysis)
	if BeforeAfter(r) {
		v.Reason = `Shared objects, with "stable" before and "candidate" after the change: ` + v.Reason
	}
	return v
}

// baseless reports that there is nothing to compare with: for a whole interval
// the past was read and had no counters. Health alone decides then.
func (r Record) baseless() bool {
	if !BeforeAfter(r) {
		return false
	}
	var silent time.Duration
	for _, t := range r.Rollout.Analysis.Ticks {
		switch {
		case t.Unknown != "":
		case !t.Stable.Silent:
			return false
		default:
			silent += time.Duration(t.Seconds * float64(time.Second))
		}
	}
	return silent > 0 && silent >= r.Rollout.Plan.Interval
}

// sharedJudged reports that the comparison in place is over.
func (r Record) sharedJudged() bool {
	v := r.Rollout.Verdict
	return v.Outcome == analysis.Pass || v.Outcome == analysis.Inconclusive && !v.Suspect || r.baseless()
}

// part closes the analysis of the shared objects and begins the candidate's: the
// counts of the one would outweigh those of the other.
func (r Record) part() Record {
	if r.Rollout.Plan.Measured {
		before := r.Rollout.Analysis
		r.Rollout.Before = &before
		r.Rollout.Analysis = r.Rollout.Plan.analysis(false)
	}
	return r
}

// present is what ails pods now. Nothing was restarted for the sake of shared
// objects, so what a pod went through before says nothing about them.
func present(pods []analysis.Pod) []analysis.Pod {
	out := make([]analysis.Pod, len(pods))
	for i, p := range pods {
		p.Restarts, p.OOMKilled = 0, false
		out[i] = p
	}
	return out
}
