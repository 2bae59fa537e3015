package analysis

import "time"

// Pace is when counters are read. All durations shrink together in a
// demonstration; DefaultPace is for production.
type Pace struct {
	// Interval is the wanted length of a tick.
	Interval time.Duration `json:"interval"`
	// Scrape is how often the source collects counters.
	Scrape time.Duration `json:"scrape"`
	// Lag is how long after a scrape its values can be read, with a margin.
	Lag time.Duration `json:"lag"`
	// Settle is how long after a change of weight nothing is counted, because
	// requests of the old weight are still under way.
	Settle time.Duration `json:"settle"`
	// WarmUp is how long after its first readiness a pod's requests are not judged.
	WarmUp time.Duration `json:"warmUp"`
}

// DefaultPace fits a source that scrapes every 15 s.
func DefaultPace() Pace {
	return Pace{
		Interval: 30 * time.Second,
		Scrape:   15 * time.Second,
		Lag:      10 * time.Second,
		Settle:   15 * time.Second,
		WarmUp:   60 * time.Second,
	}
}

// Length of a tick: the interval, but never less than two scrapes, or a tick
// could begin and end inside one and count nothing.
func (p Pace) Length() time.Duration { return max(p.Interval, 2*p.Scrape) }

// Next is the next window to read, or ok false when it is too early. last is the
// end of the previous tick (zero before the first), changed the last change of
// weight. No window reaches across a change. After an interruption the windows
// that were missed come one by one, the same as without it. A clock that goes
// back only delays the next window.
func (p Pace) Next(last, changed, now time.Time) (from, to time.Time, ok bool) {
	from = changed.Add(p.Settle)
	if last.After(from) {
		from = last
	}
	readable := now.Add(-p.Scrape - p.Lag)
	to = from.Add(p.Length())
	return from, to, !to.After(readable)
}
