package release

import (
	"time"

	"github.com/sluice-cd/sluice/analysis"
)

// A Rollout is one attempt to make a candidate stable.
type Rollout struct {
	Plan Plan `json:"plan"`
	// Step is the index into Plan.Steps; meaningless before progressing.
	Step int `json:"step"`
	// StepBegan is when the step's share was first seen in the cluster. The
	// step's clock starts there, not when the share was wanted.
	StepBegan time.Time `json:"stepBegan,omitzero"`
	StepEnds  time.Time `json:"stepEnds,omitzero"`
	// Deadline ends the attempt as not proven; WindowEnds ends verification.
	Began      time.Time `json:"began,omitzero"`
	Deadline   time.Time `json:"deadline,omitzero"`
	WindowEnds time.Time `json:"windowEnds,omitzero"`
	// ReadyBy is when a candidate that is not ready goes back; SilentUntil when
	// one without counters does, zero while it has some.
	ReadyBy     time.Time `json:"readyBy,omitzero"`
	SilentUntil time.Time `json:"silentUntil,omitzero"`

	// Sources is what the candidate's artifacts were built from.
	Sources []Source `json:"sources,omitempty"`

	// Analysis holds every tick of the rollout, so that its verdicts can be
	// reached again by anybody; Verdict is the newest and Verdicts the last one
	// of each step that ended.
	Analysis analysis.Input `json:"analysis,omitzero"`
	// Before is the analysis of shared objects that changed together with the
	// workload: stable against its own past. Its verdict is the first one.
	Before   *analysis.Input    `json:"before,omitempty"`
	Verdict  analysis.Verdict   `json:"verdict,omitzero"`
	Verdicts []analysis.Verdict `json:"verdicts,omitempty"`
	// Health counts the candidate's failures in a row.
	Health analysis.Streak `json:"health,omitzero"`
	// Extended: the step was given its length once more, for want of evidence.
	Extended bool `json:"extended,omitempty"`

	Rollback *Rollback `json:"rollback,omitempty"`
	// Moments is what happened, oldest first, bounded.
	Moments []Moment `json:"moments,omitempty"`
}

// A Plan is the policy as it was when the rollout began. A policy that changes
// meanwhile changes the next rollout, not this one.
type Plan struct {
	// Steps are percentages, rising to 100. Where shared objects change together
	// with the workload they begin with 0.
	Steps    []int         `json:"steps"`
	Interval time.Duration `json:"interval"`
	// Prepare bounds the time to readiness, Deadline the whole attempt.
	Prepare  time.Duration `json:"prepare"`
	Deadline time.Duration `json:"deadline"`
	Window   time.Duration `json:"window"`
	// InPlace: the workload is unchanged, so only scale and shared objects are
	// applied, at once and without steps.
	InPlace bool `json:"inPlace,omitempty"`
	// Shared: shared objects change, which no step can limit, so that they are
	// judged before and after.
	Shared bool `json:"shared,omitempty"`
	// Measured is false where the service names no metric; health decides then.
	Measured bool            `json:"measured,omitempty"`
	Limits   analysis.Limits `json:"limits,omitzero"`
	// Silence bounds how long a candidate without counters may go on.
	Silence time.Duration `json:"silence,omitempty"`
	// HealthFailures in a row roll back; HealthEvery is the time between two.
	HealthFailures int           `json:"healthFailures"`
	HealthEvery    time.Duration `json:"healthEvery"`
	OnReject       string        `json:"onReject,omitempty"`
	// Exception: it is a hotfix, which does not wait for all that others wait for
	// and has to come by the normal flow within the time of Backfill, 0 for never.
	Exception bool          `json:"exception,omitempty"`
	Backfill  time.Duration `json:"backfill,omitempty"`
}

// Cause is why traffic went back.
type Cause string

// The causes. Those from not-proven on say nothing against the candidate, so they
// do not put it on hold.
const (
	AnalysisFailed Cause = "analysis-failed"
	HealthFailed   Cause = "health-failed"
	OverExposed    Cause = "over-exposed"
	Returned       Cause = "returned" // somebody went back in git
	NotProven      Cause = "not-proven"
	Superseded     Cause = "superseded"
)

// A Rollback is a rollout's way back.
type Rollback struct {
	// ID is unique; the hold and the commit carry it.
	ID    string `json:"id"`
	Cause Cause  `json:"cause"`
	// Measurement says in one line what was measured.
	Measurement string    `json:"measurement"`
	DetectedAt  time.Time `json:"detectedAt"`
	// TrafficBackAt is when the cluster was seen to send everything to stable.
	TrafficBackAt time.Time `json:"trafficBackAt,omitzero"`
	// Commit is the rollback commit, once it is on the remote.
	Commit      string    `json:"commit,omitempty"`
	CommittedAt time.Time `json:"committedAt,omitzero"`
	// Holds reports whether the inputs go on hold.
	Holds bool `json:"holds"`
}

// A Moment is one thing that happened in a rollout.
type Moment struct {
	At     time.Time `json:"at"`
	Phase  Phase     `json:"phase"`
	Weight int       `json:"weight"`
	Text   string    `json:"text,omitempty"`
}

// maxMoments bounds the memory of a rollout that is extended again and again.
const maxMoments = 64
