package release

import (
	"errors"
	"slices"
	"time"

	"github.com/sluice-cd/sluice/analysis"
)

// A Soak is what a stable revision has shown since it became stable. Only time
// in which it was looked at, measured and healthy counts: what nobody saw proves
// nothing.
type Soak struct {
	Healthy  time.Duration `json:"healthy,omitempty"`
	Requests int64         `json:"requests,omitempty"`
	Errors   int64         `json:"errors,omitempty"`
	// Watched begins the unbroken run of looks that found it ready, and Seen is
	// the last look; Measured is the end of the last tick of the run.
	Watched  time.Time `json:"watched,omitzero"`
	Seen     time.Time `json:"seen,omitzero"`
	Measured time.Time `json:"measured,omitzero"`
	// Failed is why everything before FailedAt does not count any more.
	Failed   string    `json:"failed,omitempty"`
	FailedAt time.Time `json:"failedAt,omitzero"`
}

// Soaked is one look at the stable revision.
type Soaked struct {
	Inputs string    // what was looked at
	At     time.Time // when the cluster was asked
	// Ready: all that is wanted of it runs and none of it fails. Failed says why
	// it failed, which is more than not being ready.
	Ready  bool
	Failed string
	// Metered: there are counters, so only what they measured counts as time.
	Metered bool
	// Ticks were read since the last look of the run.
	Ticks []analysis.Tick
	// Every is how often somebody means to look.
	Every time.Duration
}

func (Soaked) event() {}

// Soaking is the proof of what is stable, and whether it can be soaked now: no
// candidate shares its traffic.
func Soaking(r Record) (Proof, bool) {
	switch r.Phase {
	case Stable, Pending, Rejected:
		if i := r.openProof(); i >= 0 {
			return r.Proven[i], true
		}
	case Preparing, Progressing, Verifying, Reverting, Restoring, Frozen, Removing, Removed:
	}
	return Proof{}, false
}

// openProof is the index of the proof of what is stable, or -1.
func (r Record) openProof() int {
	if r.Stable == nil {
		return -1
	}
	return slices.IndexFunc(r.Proven, func(p Proof) bool { return p.Inputs == r.Stable.Inputs && p.Until.IsZero() })
}

func (r Record) soaked(e Soaked) Record {
	proof, ok := Soaking(r)
	if !ok || proof.Inputs != e.Inputs || e.At.IsZero() {
		return r
	}
	var s Soak
	if proof.Soak != nil {
		s = *proof.Soak
	}
	e.At = plain(e.At)
	if !e.At.After(s.Seen) {
		return r
	}
	s = s.look(e)
	r.Proven = slices.Clone(r.Proven)
	r.Proven[r.openProof()].Soak = &s
	return r
}

// look adds one look. A run ends when it is not ready, and when nobody looked
// for so long that anything can have happened; a failure takes back all of it.
func (s Soak) look(e Soaked) Soak {
	const patience = 3
	broken := s.Watched.IsZero() || e.At.Sub(s.Seen) > patience*e.Every
	since := e.At.Sub(s.Seen)
	s.Seen = e.At
	switch {
	case e.Failed != "":
		return Soak{Seen: e.At, Failed: clip(e.Failed), FailedAt: e.At}
	case !e.Ready:
		s.Watched, s.Measured = time.Time{}, time.Time{}
	case broken:
		s.Watched, s.Measured = e.At, e.At
	case e.Metered:
		return s.count(e.Ticks)
	default:
		s.Healthy += since
	}
	return s
}

// count adds what was measured. A tick without counts moves nothing but the
// place where the next one begins.
func (s Soak) count(ticks []analysis.Tick) Soak {
	for _, t := range ticks {
		at := plain(t.At)
		if !at.After(s.Measured) {
			continue
		}
		window := at.Sub(s.Measured)
		s.Measured = at
		arm := t.Candidate
		if t.Unknown != "" || arm.Silent || !finite(t.Seconds) || t.Seconds <= 0 || arm.Errors < 0 || arm.Requests < arm.Errors {
			continue
		}
		s.Healthy += min(window, time.Duration(min(t.Seconds, maxLost.Seconds())*float64(time.Second)))
		s.Requests += arm.Requests
		s.Errors += arm.Errors
	}
	return s
}

// check says why a soak cannot have been measured.
func (s *Soak) check() error {
	if s != nil && (s.Healthy < 0 || s.Errors < 0 || s.Requests < s.Errors) {
		return errors.New("a soak that nobody can have measured")
	}
	return nil
}
