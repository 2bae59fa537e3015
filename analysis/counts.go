package analysis

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Arm is what one side of the comparison served during one tick, or, added up,
// during a longer window.
type Arm struct {
	// Requests counts the requests that are judged.
	Requests int64 `json:"n,omitempty"`
	// Errors counts the judged requests that failed.
	Errors int64 `json:"k,omitempty"`
	// Unjudged counts requests that say nothing about the arm's quality: those the
	// client gave up (HTTP 499) and those of pods that were warming up. They are
	// traffic all the same, so the share check uses them.
	Unjudged int64 `json:"o,omitempty"`
	// Silent means that the arm had no counter at all, which is not the same as a
	// counter that did not move.
	Silent bool `json:"x,omitempty"`
}

// Traffic counts everything that was routed to the arm.
func (a Arm) Traffic() int64 { return a.Requests + a.Unjudged }

// Rate is the failed fraction (0 to 1) of the judged requests; 0 without requests.
func (a Arm) Rate() float64 {
	if a.Requests <= 0 {
		return 0
	}
	return float64(a.Errors) / float64(a.Requests)
}

func (a Arm) plus(b Arm) Arm {
	return Arm{
		Requests: a.Requests + b.Requests,
		Errors:   a.Errors + b.Errors,
		Unjudged: a.Unjudged + b.Unjudged,
	}
}

// maxCount keeps sums far from overflow: no arm serves 10¹² requests in a tick.
const maxCount = 1_000_000_000_000

func (a Arm) sane() bool { return a.within(maxCount) }

func (a Arm) within(most int64) bool {
	return a.Requests >= 0 && a.Errors >= 0 && a.Unjudged >= 0 &&
		a.Errors <= a.Requests && a.Requests <= most && a.Unjudged <= most
}

// Tick is one reading of both arms: the raw counts of one window of time.
type Tick struct {
	// At is the end of the window.
	At time.Time `json:"t"`
	// Seconds is the length of the window.
	Seconds float64 `json:"d,omitempty"`
	// Step is the index of the rollout's step that the window lies in.
	Step int `json:"s,omitempty"`
	// Stable and Candidate are the two arms; in the first deployment of a service
	// Stable is empty.
	Stable    Arm `json:"b,omitzero"`
	Candidate Arm `json:"c,omitzero"`
	// Weight is the share of the traffic (0 to 1) that the candidate can be given
	// by the route or the replica counts; it means nothing unless Steered.
	Weight float64 `json:"w,omitempty"`
	// Steered is false for workloads whose traffic nobody splits (workers).
	Steered bool `json:"r,omitempty"`
	// Up says that the candidate was ready to serve during the window.
	Up bool `json:"u,omitempty"`
	// Unknown says why there are no counts; the arms are then ignored.
	Unknown Unknown `json:"e,omitempty"`
}

// sane says whether the tick can have been measured in a rollout of that many steps.
func (t Tick) sane(steps int) bool {
	return t.Step >= 0 && t.Step < steps && t.Stable.sane() && t.Candidate.sane() &&
		t.Seconds > 0 && t.Seconds <= maxTickSeconds &&
		t.Weight >= 0 && t.Weight <= 1 && !math.IsNaN(t.Weight)
}

// maxTickSeconds is a year: anything longer is a damaged record, not a window.
const maxTickSeconds = 366 * 24 * 3600

// Unknown is the reason why a reading gave no counts. Unknown never passes and
// never fails a rollout.
type Unknown string

// The reasons.
const (
	Unreachable   Unknown = "unreachable"     // no answer, or an answer that is an error
	Denied        Unknown = "denied"          // the source refused our credentials
	TimedOut      Unknown = "timed-out"       // no complete answer in time
	Partial       Unknown = "partial"         // the source says its answer is incomplete
	Empty         Unknown = "empty"           // an answer without a single counter
	NotANumber    Unknown = "not-a-number"    // NaN or infinite
	NotACounter   Unknown = "not-a-counter"   // negative, fractional or beyond exact integers
	TooManySeries Unknown = "too-many-series" // more series than a release can have
	TooLarge      Unknown = "too-large"       // an answer beyond the size limit
	Malformed     Unknown = "malformed"       // not the shape that was asked for
	Stale         Unknown = "stale"           // values of another moment than the one asked for
	Inconsistent  Unknown = "inconsistent"    // counts that contradict each other
	NoBaseline    Unknown = "no-baseline"     // stable has no counters to compare with
)

// ReadError is a failed reading together with its reason.
type ReadError struct {
	Reason Unknown
	Err    error
}

func (e *ReadError) Error() string {
	if e.Err == nil {
		return string(e.Reason)
	}
	return fmt.Sprintf("%s: %v", e.Reason, e.Err)
}

func (e *ReadError) Unwrap() error { return e.Err }

// ReasonOf is the reason carried by err; an error without one is Unreachable,
// because nothing that can be judged was read.
func ReasonOf(err error) Unknown {
	if err == nil {
		return ""
	}
	var read *ReadError
	if errors.As(err, &read) {
		return read.Reason
	}
	return Unreachable
}
