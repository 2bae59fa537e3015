package release

import "time"

// Carrying is the candidate that gets all of the traffic and has been healthy with
// it for as long as a step takes, although its window is not over. It proves less
// than what became stable, and somebody in a hurry may do with less.
func Carrying(r Record, now time.Time) (revision Revision, since time.Time, ok bool) {
	o := r.Rollout
	switch {
	case r.Phase != Verifying || r.Candidate == nil || o.StepBegan.IsZero() || !r.PausedSince.IsZero():
		return Revision{}, time.Time{}, false
	case o.Health.Count > 0 || now.Before(o.StepBegan.Add(o.Plan.Interval)) || !r.mayFinish():
		return Revision{}, time.Time{}, false
	}
	return r.Candidate.Revision, o.StepBegan, true
}
