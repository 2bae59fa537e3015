package gate

import "time"

// A Verdict is what a gate says.
type Verdict string

// The verdicts.
const (
	Pass Verdict = "pass"
	Fail Verdict = "fail"
	Wait Verdict = "wait"
)

// Status is what a pull request shows before the merge.
type Status string

// The statuses. StatusSuccess means that a merge is right, even where the
// deployment would wait for its time.
const (
	StatusSuccess Status = "success"
	StatusPending Status = "pending"
	StatusFailure Status = "failure"
)

// Outcome is what happens to a promotion after the merge.
type Outcome string

// The outcomes.
const (
	OutcomeDeploy Outcome = "deploy"
	OutcomeWait   Outcome = "wait"
	OutcomeReject Outcome = "reject"
)

// Result is one gate's answer.
type Result struct {
	Gate    string  `json:"gate"`
	Verdict Verdict `json:"verdict"`
	// Cause is the kind of answer, from which everything else follows.
	Cause Cause `json:"cause"`
	// Unknown: it waits because something could not be asked.
	Unknown bool `json:"unknown,omitempty"`
	// Final: it failed after the merge and will not change by itself.
	Final bool `json:"final,omitempty"`
	// Status is set before the merge, Outcome after it.
	Status  Status  `json:"status,omitempty"`
	Outcome Outcome `json:"outcome,omitempty"`
	// Reason is one plain sentence on one line.
	Reason   string     `json:"reason"`
	Evidence []Evidence `json:"evidence,omitempty"`
	// NextCheck is when the answer can change by time alone; zero: only when
	// something happens.
	NextCheck time.Time `json:"nextCheck,omitzero"`
	// Unblocks says who or what can change the answer.
	Unblocks string `json:"unblocks,omitempty"`
}

// Evidence is one fact that an answer rests on.
type Evidence struct {
	Text string `json:"text"`
	URL  string `json:"url,omitempty"` // http or https, or empty
	// ID is what the forge calls it, such as "review 201" or "check 4711". Two
	// facts that read the same are told apart by it.
	ID string `json:"id,omitempty"`
}
