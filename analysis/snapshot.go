package analysis

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Class says what a counter counts.
type Class int

// The classes. Total includes the other two.
const (
	Total Class = iota
	Failed
	Aborted
	classes
)

// Series is the value of one pod's raw counter of one class.
type Series struct {
	Pod   string
	Class Class
	Value float64
}

// Snapshot is every counter of both arms at one instant.
type Snapshot struct {
	At     time.Time
	Series []Series
}

// Carry is cur completed by the counters of s that cur lacks. Use it as the
// earlier snapshot of the next tick: a counter that vanishes for a few scrapes
// and returns is then compared with its last value instead of with nothing,
// and is not taken for the counter of a new pod.
func (s Snapshot) Carry(cur Snapshot) Snapshot {
	type key struct {
		pod   string
		class Class
	}
	present := make(map[key]bool, len(cur.Series))
	for _, one := range cur.Series {
		present[key{one.Pod, one.Class}] = true
	}
	carried := Snapshot{At: cur.At, Series: slices.Clone(cur.Series)}
	for _, one := range s.Series {
		if !present[key{one.Pod, one.Class}] {
			carried.Series = append(carried.Series, one)
		}
	}
	return carried
}

// Life is when a pod started and when it first became ready. First, not last: a
// pod that keeps losing its readiness must not escape the count by warming up
// again and again.
type Life struct {
	Started time.Time `json:"started,omitzero"`
	Ready   time.Time `json:"ready,omitzero"`
}

// Pods says which pods are an arm and which of their counts are to be used.
type Pods struct {
	// Prefix begins the arm's pod names; "" takes all. End it with the hyphen that
	// follows the revision ("checkout-7f3a9c1e-"), or one revision's pods may be
	// taken for another's.
	Prefix string
	// Since is the start of the rollout.
	Since time.Time
	// WarmUp is for how long after its first readiness a pod's requests are not judged.
	WarmUp time.Duration
	// Lives are the pods that the cluster knows.
	Lives map[string]Life
	// AllNew means that pods missing from Lives also began after Since. True for
	// a candidate, whose crashed pods are gone from the cluster but still count.
	AllNew bool
}

func (p Pods) warming(pod string, at time.Time) bool {
	life, known := p.Lives[pod]
	return known && (life.Ready.IsZero() || at.Before(life.Ready.Add(p.WarmUp)))
}

func (p Pods) bornInside(pod string) bool {
	if life, known := p.Lives[pod]; known {
		return !life.Started.Before(p.Since)
	}
	return p.AllNew
}

// Delta counts what the arm served between two snapshots. The error is a
// *ReadError.
//
// Resets are handled per pod: when any counter of a pod went back, its process
// was restarted and all its counters began again at 0. A counter that is new on
// a pod that was already being scraped began at 0 too (error series are often
// born with the first error). A pod that is seen for the first time counts from
// 0 only if it started inside the rollout; otherwise its history is unknown and
// its first values are merely the base of the next tick.
func Delta(prev, cur Snapshot, pods Pods) (Arm, error) {
	deltas, seen, err := podDeltas(prev, cur, pods)
	if err != nil {
		return Arm{}, err
	}
	arm := Arm{Silent: seen == 0}
	for _, one := range deltas {
		sum := arm.plus(one)
		sum.Silent = arm.Silent
		arm = sum
	}
	if !arm.sane() {
		return Arm{}, &ReadError{Reason: Inconsistent, Err: fmt.Errorf("sum counters: %+v", arm)}
	}
	return arm, nil
}

// counters are one pod's values by class; have tells a missing one from 0.
type counters struct {
	value [classes]float64
	have  [classes]bool
}

func (c counters) resetSince(prev counters) bool {
	for i := range c.value {
		if c.have[i] && prev.have[i] && c.value[i] < prev.value[i] {
			return true
		}
	}
	return false
}

func (s Snapshot) byPod(prefix string) (map[string]counters, error) {
	pods := make(map[string]counters)
	for _, one := range s.Series {
		if !strings.HasPrefix(one.Pod, prefix) {
			continue
		}
		if math.IsNaN(one.Value) || math.IsInf(one.Value, 0) {
			return nil, &ReadError{Reason: NotANumber, Err: fmt.Errorf("counter of pod %q", one.Pod)}
		}
		if one.Value < 0 || one.Class < 0 || one.Class >= classes {
			return nil, &ReadError{Reason: NotACounter, Err: fmt.Errorf("counter of pod %q is %v", one.Pod, one.Value)}
		}
		c := pods[one.Pod]
		c.value[one.Class] += one.Value
		c.have[one.Class] = true
		pods[one.Pod] = c
	}
	return pods, nil
}

// podDeltas counts per pod; seen is the number of pods that had a counter in
// cur, including those that cannot be counted yet.
func podDeltas(prev, cur Snapshot, pods Pods) (deltas map[string]Arm, seen int, err error) {
	if !cur.At.After(prev.At) {
		return nil, 0, &ReadError{Reason: Inconsistent, Err: fmt.Errorf("snapshot of %s does not follow that of %s", cur.At, prev.At)}
	}
	before, err := prev.byPod(pods.Prefix)
	if err != nil {
		return nil, 0, err
	}
	after, err := cur.byPod(pods.Prefix)
	if err != nil {
		return nil, 0, err
	}
	deltas = make(map[string]Arm, len(after))
	for pod, now := range after {
		base, known := before[pod]
		if !known && !pods.bornInside(pod) {
			continue
		}
		if now.resetSince(base) {
			base = counters{}
		}
		arm, err := now.since(base)
		if err != nil {
			return nil, 0, fmt.Errorf("count requests of pod %q: %w", pod, err)
		}
		if pods.warming(pod, prev.At) {
			arm = Arm{Unjudged: arm.Traffic()}
		}
		deltas[pod] = arm
	}
	return deltas, len(after), nil
}

// race is how many requests a program may have counted as failed but not yet as
// requests at the moment of a scrape.
const race = 2

func (c counters) since(base counters) (Arm, error) {
	var grown [classes]int64
	for i := range c.value {
		if !c.have[i] {
			continue
		}
		rise := c.value[i] - base.value[i]
		if rise > maxCount {
			return Arm{}, &ReadError{Reason: NotACounter, Err: fmt.Errorf("grew by %g in one tick", rise)}
		}
		grown[i] = int64(math.Round(rise))
	}
	if grown[Failed]+grown[Aborted] > grown[Total]+race {
		return Arm{}, &ReadError{Reason: Inconsistent, Err: fmt.Errorf("%d failed and %d aborted of %d", grown[Failed], grown[Aborted], grown[Total])}
	}
	aborted := min(grown[Aborted], grown[Total])
	requests := grown[Total] - aborted
	return Arm{Requests: requests, Errors: min(grown[Failed], requests), Unjudged: aborted}, nil
}

// Situation is what is true of a tick besides its counts; see the fields of Tick.
type Situation struct {
	Step    int
	Weight  float64
	Steered bool
	Up      bool
}

// Measure makes a tick of two snapshots. It has no error: what cannot be
// measured becomes a tick with a reason.
func Measure(prev, cur Snapshot, stable, candidate Pods, s Situation) Tick {
	tick := UnknownTick(prev.At, cur.At, s, "")
	var err error
	if tick.Stable, err = Delta(prev, cur, stable); err == nil {
		tick.Candidate, err = Delta(prev, cur, candidate)
	}
	if err != nil {
		return UnknownTick(prev.At, cur.At, s, ReasonOf(err))
	}
	return tick
}

// UnknownTick is a tick of the window (from, to] that could not be read.
func UnknownTick(from, to time.Time, s Situation, why Unknown) Tick {
	return Tick{
		At: to, Seconds: to.Sub(from).Seconds(),
		Step: s.Step, Weight: s.Weight, Steered: s.Steered, Up: s.Up,
		Unknown: why,
	}
}
