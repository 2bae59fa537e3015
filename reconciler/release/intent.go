package release

import (
	"fmt"
	"time"

	"github.com/sluice-cd/sluice/analysis"
)

// IntentKind is what has to be done once.
type IntentKind string

// The kinds of intent.
const (
	// CommitReject restores the release's directory after a refused promotion.
	CommitReject IntentKind = "commit-reject"
	// CommitRollback restores it after traffic went back, and writes the hold.
	CommitRollback IntentKind = "commit-rollback"
	// CommitHold writes the hold of what somebody went back from.
	CommitHold IntentKind = "commit-hold"
	// WriteEvidence appends a record to the audit branch.
	WriteEvidence IntentKind = "write-evidence"
)

// An Intent is an effect outside the cluster that is owed. It is saved before
// it is tried and stays until its effect is known to be durable, so it may run
// more than once and every effect has to find out whether it already happened.
type Intent struct {
	// ID never repeats with different content.
	ID   string     `json:"id"`
	Kind IntentKind `json:"kind"`
	// Since is when it became owed.
	Since time.Time `json:"since"`
	// Refused is why it was refused for good, when it was.
	Refused string `json:"refused,omitempty"`
	// PullRequest is the one that holds the effect and waits for a person; 0 for none.
	PullRequest int `json:"pullRequest,omitempty"`
	// Commit is set for the kinds of commit.
	Commit *Commit `json:"commit,omitempty"`
	// Evidence is set for WriteEvidence.
	Evidence *Evidence `json:"evidence,omitempty"`
}

// A Commit is what git should say again.
type Commit struct {
	// Bad are the inputs that must no longer be wanted. When the branch asks
	// for others already, the directory is left alone.
	Bad Want `json:"bad"`
	// Good is the commit that the directory is restored from; "" when git has
	// nothing to go back to, so that only the hold is to be written.
	Good string `json:"good"`
	// Previous is the revision that Good asks for: the stable one, or the candidate
	// where what waited behind it was refused. Nil when there was none.
	Previous *Revision `json:"previous,omitempty"`
	Rollback *Rollback `json:"rollback,omitempty"`
	// Verdict is the newest one of the analysis, where there was one.
	Verdict analysis.Verdict `json:"verdict,omitzero"`
	Hold    *Hold            `json:"hold,omitempty"`
	Gates   []Gate           `json:"gates,omitempty"`
	Reason  string           `json:"reason"`
	// Propose leaves it to a person to merge the commit: the policy wants so.
	Propose bool `json:"propose,omitempty"`
}

// Evidence is the record of something finished, complete in itself.
type Evidence struct {
	// Kind is "rollout", "rejection", "hold", "revocation" or "exception".
	Kind    string    `json:"kind"`
	Release string    `json:"release"`
	At      time.Time `json:"at"`
	// Outcome is "stable", "rolled-back", "superseded", "returned" or "adopted" of a
	// rollout (a return counts as the failure of what it left, which is Previous
	// where the return was a rollout, and Candidate where it ended one),
	// "rejected", "held" and "lifted" of the next three; an exception is "opened" when
	// a hotfix begins, then "overdue", and in the end "paid", or "void" once what it
	// brought was taken back.
	Outcome   string    `json:"outcome"`
	Reason    string    `json:"reason,omitempty"`
	Candidate *Want     `json:"candidate,omitempty"`
	Previous  *Revision `json:"previous,omitempty"`
	Decision  string    `json:"decision,omitempty"`
	Gates     []Gate    `json:"gates,omitempty"`
	Rollout   *Rollout  `json:"rollout,omitempty"`
	Hold      *Hold     `json:"hold,omitempty"`
	// Backfill is what the exception is about.
	Backfill *Backfill `json:"backfill,omitempty"`
}

// The kinds of evidence.
const (
	ofRollout    = "rollout"
	ofRejection  = "rejection"
	ofHold       = "hold"
	ofRevocation = "revocation"
	ofException  = "exception"
)

func (r Record) intentID(kind IntentKind, about string) string {
	return fmt.Sprintf("%s/%s/%d/%s", r.Key, about, r.Attempt, kind)
}
