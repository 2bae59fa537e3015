package release

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Backfill is what a hotfix owes for not having waited: by the deadline its
// source has to be on the default branch, and a version that contains it has to
// have come here by the normal flow. It is owed from the moment the rollout
// begins, since that is when the exception is used.
type Backfill struct {
	// ID is unique; the evidence carries it.
	ID       string `json:"id"`
	Incident string `json:"incident,omitempty"`
	Class    string `json:"class,omitempty"`
	// Inputs is what the hotfix brought, from which artifacts and which sources.
	Inputs    string     `json:"inputs"`
	Version   string     `json:"version,omitempty"`
	Artifacts []Artifact `json:"artifacts,omitempty"`
	Sources   []Source   `json:"sources,omitempty"`
	// Commit is the promotion, MergedAt when it got to the branch.
	Commit      string    `json:"commit"`
	MergedAt    time.Time `json:"mergedAt,omitzero"`
	PullRequest int       `json:"pullRequest,omitempty"`
	URL         string    `json:"url,omitempty"`
	ApprovedBy  []string  `json:"approvedBy,omitempty"`

	Opened   time.Time `json:"opened"`
	Deadline time.Time `json:"deadline"`
	// Announced: people were told that the deadline is near. Overdue: that it is
	// over.
	Announced bool `json:"announced,omitempty"`
	Overdue   bool `json:"overdue,omitempty"`
	// Carrier is the last promotion of the normal flow that became stable here
	// since. It pays if it contains what is owed.
	Carrier *Carrier `json:"carrier,omitempty"`
}

// A Source is the commit that an artifact was built from.
type Source struct {
	Repository string `json:"repository"`
	Commit     string `json:"commit"`
}

// A Carrier is a promotion that came by the normal flow.
type Carrier struct {
	Commit      string    `json:"commit"`
	Inputs      string    `json:"inputs"`
	PullRequest int       `json:"pullRequest,omitempty"`
	Sources     []Source  `json:"sources,omitempty"`
	StableAt    time.Time `json:"stableAt"`
}

// Backfilled says that a carrier contains what a hotfix was built from, and that
// this is on its default branch.
type Backfilled struct {
	ID      string // of the backfill
	Carrier string // its promotion commit
}

func (Backfilled) event() {}

// maxBackfills bounds the record. Whoever has used that many exceptions without
// paying one gets no other.
const maxBackfills = 50

// Outcomes of the evidence of an exception.
const (
	exceptionOpened  = "opened"
	exceptionOverdue = "overdue"
	exceptionPaid    = "paid"
	exceptionVoid    = "void"
)

// borrow opens the backfill of the rollout that begins, if it owes one.
func (r Record) borrow(now time.Time) Record {
	plan, want := r.Rollout.Plan, r.Candidate
	if plan.Backfill <= 0 {
		return r
	}
	b := Backfill{
		ID:       fmt.Sprintf("%s-%s-%s-%d", r.Key.Environment, r.Key.Service, want.Revision.ID, r.Attempt),
		Incident: want.Promotion.Incident, Class: want.Promotion.Class,
		Inputs: want.Revision.Inputs, Version: want.Revision.Version, Artifacts: want.Revision.Artifacts, Sources: r.Rollout.Sources,
		Commit: want.Promotion.Commit, MergedAt: want.Promotion.At,
		PullRequest: want.Promotion.PullRequest, URL: want.Promotion.URL, ApprovedBy: want.Promotion.ApprovedBy,
		Opened: now, Deadline: now.Add(plan.Backfill),
	}
	r.Backfills = append(slices.Clone(r.Backfills), b)
	return r.except(b, exceptionOpened, "a hotfix did not wait for everything that a promotion waits for", now)
}

// except owes the evidence of what became of an exception.
func (r Record) except(b Backfill, outcome, reason string, now time.Time) Record {
	return r.owe(WriteEvidence, "backfill "+b.ID+" "+outcome, now, Intent{Evidence: &Evidence{
		Kind: ofException, Outcome: outcome, Reason: clip(reason), Backfill: &b,
	}})
}

// carry notes a promotion that became stable by the normal flow as the one that
// may pay what was owed before. A hotfix and a return pay nothing.
func (r Record) carry(now time.Time) Record {
	if r.Rollout.Plan.Exception || r.Candidate.Promotion.Genesis || r.Candidate.Return {
		return r
	}
	c := Carrier{
		Commit: r.Candidate.Promotion.Commit, Inputs: r.Candidate.Revision.Inputs,
		PullRequest: r.Candidate.Promotion.PullRequest, Sources: r.Rollout.Sources, StableAt: now,
	}
	r.Backfills = slices.Clone(r.Backfills)
	for i := range r.Backfills {
		r.Backfills[i].Carrier = &c
	}
	return r
}

// backfilled ends what was paid.
func (r Record) backfilled(e Backfilled, now time.Time) Record {
	i := slices.IndexFunc(r.Backfills, func(b Backfill) bool {
		return b.ID == e.ID && b.Carrier != nil && b.Carrier.Commit == e.Carrier
	})
	if i < 0 {
		return r
	}
	b := r.Backfills[i]
	r.Backfills = without(r.Backfills, func(o Backfill) bool { return o.ID == b.ID })
	return r.except(b, exceptionPaid, "a version that contains it has come by the normal flow", now)
}

// void ends what is owed for something that does not run any more because it was
// taken back: nothing of it is left to bring through the normal flow.
func (r Record) void(reason string, now time.Time, gone func(Backfill) bool) Record {
	for _, b := range r.Backfills {
		if gone(b) {
			r = r.except(b, exceptionVoid, reason, now)
		}
	}
	r.Backfills = without(r.Backfills, gone)
	return r
}

func without(backfills []Backfill, gone func(Backfill) bool) []Backfill {
	kept := slices.DeleteFunc(slices.Clone(backfills), gone)
	if len(kept) == 0 {
		return nil
	}
	return kept
}

// maxNotice is how long before a deadline people are told; less where the whole
// term is short.
const maxNotice = 4 * time.Hour

// notice is when people are told that the deadline is near.
func (b Backfill) notice() time.Time {
	return b.Deadline.Add(-min(maxNotice, b.Deadline.Sub(b.Opened)/6))
}

// ageBackfills lets the time pass for what is owed. No pause stops it.
func (r Record) ageBackfills(now time.Time) Record {
	for i, b := range r.Backfills {
		near := !b.Announced && !now.Before(b.notice())
		over := !b.Overdue && !now.Before(b.Deadline)
		if !near && !over {
			continue
		}
		b.Announced, b.Overdue = true, b.Overdue || over
		r.Backfills = slices.Clone(r.Backfills)
		r.Backfills[i] = b
		if over {
			r = r.except(b, exceptionOverdue, "the normal flow has not brought it by "+moment(b.Deadline), now)
		}
	}
	return r
}

// Name is the hotfix as people know it.
func (b Backfill) Name() string {
	name := b.Version
	if name == "" {
		name = b.ID
	}
	if b.Incident != "" {
		name += " for " + b.Incident
	}
	return oneLine(name)
}

// String says what is owed and until when.
func (b Backfill) String() string {
	if b.Overdue {
		return fmt.Sprintf("hotfix %s has not come by the normal flow, which was due %s; until then only what contains it is promoted", b.Name(), moment(b.Deadline))
	}
	return fmt.Sprintf("hotfix %s is due to come by the normal flow by %s", b.Name(), moment(b.Deadline))
}

// remedy is what pays it.
func (b Backfill) remedy() string {
	var commits []string
	for _, s := range b.Sources {
		commits = append(commits, fmt.Sprintf("%.12s of %s", s.Commit, s.Repository))
	}
	if len(commits) == 0 {
		return "promote a version that contains hotfix " + b.Name()
	}
	return fmt.Sprintf("merge %s into the default branch and promote a version that contains it", strings.Join(commits, " and "))
}

func checkBackfills(all []Backfill) error {
	for i, b := range all {
		switch {
		case b.ID == "" || slices.ContainsFunc(all[:i], func(o Backfill) bool { return o.ID == b.ID }):
			return fmt.Errorf("backfill %q is owed twice or has no name", b.ID)
		case b.Opened.IsZero() || !b.Deadline.After(b.Opened):
			return fmt.Errorf("backfill %s has no time to be paid in", b.ID)
		case b.Carrier != nil && b.Carrier.Commit == "":
			return errors.New("what may pay backfill " + b.ID + " has no commit")
		}
	}
	return nil
}
