package release

import (
	"fmt"
	"strings"
	"time"

	"github.com/sluice-cd/sluice/analysis"
)

// An Explanation answers "why is it not moving?" for people. Whoever shows a
// release only formats it. Times are zero where there is nothing to wait for.
type Explanation struct {
	Release string `json:"release"`
	Phase   Phase  `json:"phase"`
	// Title is one line: what happens, or why nothing does.
	Title string    `json:"title"`
	Since time.Time `json:"since"`
	// Reason is how it came to be in its phase, or what was measured last in it.
	Reason string `json:"reason,omitempty"`
	// Blocked lists what keeps it from moving, one sentence each.
	Blocked []string `json:"blocked,omitempty"`
	// Next is what happens next, and At when, if time alone brings it about.
	Next string    `json:"next,omitempty"`
	At   time.Time `json:"at,omitzero"`
	// Person is who has to act or what to do, when it does not go on by itself.
	Person string `json:"person,omitempty"`

	Stable    *Named `json:"stable,omitempty"`
	Candidate *Named `json:"candidate,omitempty"`
	// Waiting is the promotion that comes after the candidate, and WaitsFor what
	// keeps it from taking the candidate's place.
	Waiting  *Named   `json:"waiting,omitempty"`
	WaitsFor []string `json:"waitsFor,omitempty"`

	// InPlace: only scale or shared objects change, so that nothing is split.
	InPlace     bool      `json:"inPlace,omitempty"`
	Step        *Stage    `json:"step,omitempty"`
	ReadyBy     time.Time `json:"readyBy,omitzero"`
	WindowEnds  time.Time `json:"windowEnds,omitzero"`
	SilentUntil time.Time `json:"silentUntil,omitzero"`
	Deadline    time.Time `json:"deadline,omitzero"`
	PausedSince time.Time `json:"pausedSince,omitzero"`

	Gates []Gate `json:"gates,omitempty"`
	// Verdict is the newest one of the rollout.
	Verdict  *analysis.Verdict `json:"verdict,omitempty"`
	Rollback *Rollback         `json:"rollback,omitempty"`
	Moments  []Moment          `json:"moments,omitempty"`
	Holds    []Hold            `json:"holds,omitempty"`
	Owed     []Debt            `json:"owed,omitempty"`
	// Backfills is what hotfixes owe, oldest first.
	Backfills []Backfill `json:"backfills,omitempty"`
}

// A Named is a revision as people know it.
type Named struct {
	ID          string     `json:"id"`
	Version     string     `json:"version,omitempty"`
	Commit      string     `json:"commit"`
	Artifacts   []Artifact `json:"artifacts,omitempty"`
	PullRequest int        `json:"pullRequest,omitempty"`
	URL         string     `json:"url,omitempty"`
}

// A Stage is a step of a rollout. Number counts from 1 to Of; Weight is in percent.
type Stage struct {
	Number   int       `json:"number"`
	Of       int       `json:"of"`
	Weight   int       `json:"weight"`
	Began    time.Time `json:"began,omitzero"`
	Ends     time.Time `json:"ends,omitzero"`
	Extended bool      `json:"extended,omitempty"`
}

// A Debt is an intent whose effect is not known to be durable.
type Debt struct {
	ID      string     `json:"id"`
	Kind    IntentKind `json:"kind"`
	Since   time.Time  `json:"since"`
	Refused string     `json:"refused,omitempty"`
}

// Explain says in words where a release stands at an instant.
func Explain(r Record, now time.Time) Explanation {
	e := Explanation{
		Release: r.Key.String(), Phase: r.Phase, Since: r.Since, Reason: r.Reason,
		Gates: r.Gates, Holds: r.Holds, PausedSince: r.PausedSince, Stable: named(r.Stable, Promotion{}), Backfills: r.Backfills,
	}
	for _, i := range r.Owed {
		e.Owed = append(e.Owed, Debt{i.ID, i.Kind, i.Since, i.Refused})
	}
	if err := r.check(); err != nil {
		e.Title = "the record is damaged, so nothing is done: " + err.Error()
		e.Person = "restore the record, or delete it and start from git"
		return e
	}
	if r.Candidate != nil {
		e.Candidate = named(&r.Candidate.Revision, r.Candidate.Promotion)
	}
	if r.Next != nil {
		e.Waiting = named(&r.Next.Revision, r.Next.Promotion)
		e.WaitsFor = r.waitsFor()
	}
	if r.rolling() {
		e = e.rollout(r)
	}
	e = e.phase(r, now).hindered(r)
	e.Title = e.title()
	return e
}

// waitsFor says what keeps the next promotion from taking the candidate's place.
func (r Record) waitsFor() (out []string) {
	for _, g := range r.Queued.Gates {
		if g.Verdict != "pass" {
			out = append(out, words(g.Name, g.Reason))
		}
	}
	switch {
	case r.Phase == Reverting || r.Phase == Restoring:
		return []string{"the candidate to leave"}
	case len(out) > 0:
		return out
	case r.Queued.Recheck.IsZero():
		return []string{"its gates, which have not been asked yet"}
	case r.Phase == Verifying:
		return []string{"the candidate, which has all traffic and is proven first"}
	}
	return []string{r.Queued.Reason}
}

func named(v *Revision, p Promotion) *Named {
	if v == nil {
		return nil
	}
	return &Named{
		ID: v.ID, Version: v.Version, Commit: v.Commit, Artifacts: v.Artifacts,
		PullRequest: p.PullRequest, URL: p.URL,
	}
}

// name is the version, or the id where nobody gave it one.
func (n Named) name() string {
	if n.Version == "" {
		return n.ID
	}
	return n.Version
}

// rollout copies what is known of the attempt under way.
func (e Explanation) rollout(r Record) Explanation {
	o := r.Rollout
	e.Deadline, e.WindowEnds, e.SilentUntil = o.Deadline, o.WindowEnds, o.SilentUntil
	e.Rollback, e.Moments, e.InPlace = o.Rollback, o.Moments, o.Plan.InPlace
	if r.Phase == Preparing {
		e.ReadyBy = o.ReadyBy
	} else {
		e.Step = &Stage{o.Step + 1, len(o.Plan.Steps), r.weight(), o.StepBegan, o.StepEnds, o.Extended}
	}
	switch n := len(o.Verdicts); {
	case o.Verdict.Outcome != "":
		e.Verdict = &o.Verdict
	case n > 0:
		e.Verdict = &o.Verdicts[n-1]
	}
	return e
}

// phase says what is happening and what comes next.
func (e Explanation) phase(r Record, now time.Time) Explanation {
	switch r.Phase {
	case Stable:
		return e.stable(r)
	case Pending:
		return e.pending(r, now)
	case Rejected:
		return e.rejected(r)
	case Preparing:
		e.Next, e.At = "without readiness it goes back as not proven", r.Rollout.ReadyBy
	case Progressing:
		return e.progressing(r, now)
	case Verifying:
		return e.verifying(r, now)
	case Reverting:
		e.Next = "as soon as the cluster is seen to send all traffic to stable, git is put right"
		if r.Rollout.Rollback.Cause == Superseded {
			e.Next = "as soon as the cluster is seen to send all traffic to stable, " + e.after()
		}
	case Restoring:
		e.Next = "a commit makes git say again what runs; " + e.after()
	case Frozen:
		return e.frozen(r)
	case Removing:
		e.Next = "once all but the volume claims is gone, it is removed"
	case Removed:
		e.Next = "it comes back when git asks for it"
	}
	return e
}

// after says what follows the rollout under way.
func (e Explanation) after() string {
	if e.Waiting != nil {
		return e.Waiting.name() + " is next"
	}
	return "stable goes on alone"
}

func (e Explanation) stable(r Record) Explanation {
	e.Next = "the next promotion"
	for _, b := range r.Backfills {
		if b.Overdue {
			e.Blocked = append(e.Blocked, b.String())
		}
		if b.Announced && e.Person == "" {
			e.Person = b.remedy()
		}
	}
	if r.Adopted {
		e.Next = "nothing of it is touched before the next promotion"
	}
	return e
}

// pending shows the gates that do not pass, and who can change that.
func (e Explanation) pending(r Record, now time.Time) Explanation {
	var who []string
	for _, g := range r.Gates {
		if g.Verdict == "pass" {
			continue
		}
		e.Blocked = append(e.Blocked, words(g.Name, g.Reason))
		if g.Unblocks != "" {
			who = append(who, words(g.Name, g.Unblocks))
		}
	}
	e.Person = strings.Join(who, "; ")
	e.Next = "the gates are asked"
	if r.Recheck.After(now) {
		e.Next, e.At = "the gates are asked again", r.Recheck
	}
	if at := r.due(); at.After(now) {
		e.Next, e.At = "the time is over that the gates wait for", at
	}
	return e
}

// due is when all gates that wait may have changed their answer by time alone;
// zero where one of them waits for something else.
func (r Record) due() (at time.Time) {
	for _, g := range r.Gates {
		switch {
		case g.Verdict == "pass":
		case g.Until.IsZero():
			return time.Time{}
		case g.Until.After(at):
			at = g.Until
		}
	}
	return at
}

func (e Explanation) rejected(r Record) Explanation {
	for _, g := range r.Gates {
		if g.Verdict == "fail" {
			e.Blocked = append(e.Blocked, words(g.Name, g.Reason))
		}
	}
	for _, i := range r.Owed {
		if i.Kind == CommitReject {
			e.Next = "a commit takes the promotion out of git again"
			return e
		}
	}
	e.Person = "take the promotion out of git, or merge one that passes; the policy leaves that to you"
	return e
}

func (e Explanation) progressing(r Record, now time.Time) Explanation {
	o := r.Rollout
	then := fmt.Sprintf("step %d of %d, %d %%", o.Step+2, len(o.Plan.Steps), o.Plan.Steps[o.Step+1])
	switch {
	case o.StepBegan.IsZero():
		e.Next = fmt.Sprintf("the step's %s begin when the cluster is seen to give it %d %%", o.Plan.Interval, r.weight())
	case !o.SilentUntil.IsZero():
		e.Next, e.At = "without counters it goes back as not proven", o.SilentUntil
	case now.Before(o.StepEnds):
		e.Next, e.At = then, o.StepEnds
	default:
		e.Next, e.At = then+" once the step is measured and nothing speaks against the candidate; else it goes back as not proven", o.Deadline
	}
	return e
}

func (e Explanation) verifying(r Record, now time.Time) Explanation {
	o := r.Rollout
	switch {
	case o.StepBegan.IsZero():
		e.Next, e.At = "the window begins when the cluster is seen to give it 100 %; else it goes back as not proven", o.Deadline
	case now.Before(o.WindowEnds) || r.mayFinish():
		e.Next, e.At = "it becomes stable", o.WindowEnds
		if e.Waiting != nil {
			e.Next += ", and " + e.after()
		}
	default:
		e.Next, e.At = "it becomes stable once it was measured; else it goes back as not proven", o.Deadline
	}
	return e
}

func (e Explanation) frozen(r Record) Explanation {
	if r.FrozenFrom == Removing {
		e.Person = "delete what may go by hand, or ask for the release in git again"
		return e
	}
	e.Person = "make what runs and the baseline agree, or remove what runs"
	return e
}

// hindered adds what can hold any phase up.
func (e Explanation) hindered(r Record) Explanation {
	if !r.PausedSince.IsZero() {
		e = e.paused(r)
	}
	if r.Kept != "" {
		e.Blocked = append(e.Blocked, "what runs is kept: "+r.Kept)
	}
	if r.Lacking != "" {
		e.Blocked = append(e.Blocked, r.Lacking)
	}
	if r.Trouble != "" {
		e.Blocked = append(e.Blocked, "something could not be asked or done: "+r.Trouble)
	}
	for _, i := range r.Owed {
		if i.Refused != "" {
			e.Blocked = append(e.Blocked, fmt.Sprintf("%s was refused: %s", i.Kind, i.Refused))
			e.Person = "take what refuses it out of the way; it is tried again"
			if i.PullRequest != 0 {
				e.Person = fmt.Sprintf("merge #%d; until then git does not say what runs", i.PullRequest)
				if i.Kind == CommitHold {
					e.Person = fmt.Sprintf("merge #%d; until then the hold is not in git", i.PullRequest)
				}
			}
		}
	}
	return e
}

// paused replaces what would come next in a rollout; the way back goes on.
func (e Explanation) paused(r Record) Explanation {
	switch r.Phase {
	case Preparing, Progressing, Verifying:
		e.Blocked = append(e.Blocked, "paused in control.yaml since "+moment(r.PausedSince))
		e.Next, e.At = "it goes on where it was, with its deadlines moved", time.Time{}
		e.Person = "take the pause out of control.yaml"
	case Stable, Pending, Rejected, Reverting, Restoring, Frozen, Removing, Removed:
	}
	return e
}

// title joins what is going on with the first thing that hinders it.
func (e Explanation) title() string {
	title := e.doing()
	if len(e.Blocked) > 0 {
		title = words(title, e.Blocked[0])
		if n := len(e.Blocked) - 1; n > 0 {
			title += fmt.Sprintf(" (and %d more)", n)
		}
		return title
	}
	return words(title, e.Reason)
}

func (e Explanation) doing() string {
	switch e.Phase {
	case Stable:
		if e.Stable == nil {
			return "nothing is deployed"
		}
		return e.Stable.name() + " is stable"
	case Pending:
		return e.Candidate.name() + " waits"
	case Rejected:
		return e.Candidate.name() + " is rejected"
	case Preparing:
		return e.Candidate.name() + " is made ready, without traffic"
	case Progressing:
		return fmt.Sprintf("%s is in step %d of %d, %d %%", e.Candidate.name(), e.Step.Number, e.Step.Of, e.Step.Weight)
	case Verifying:
		if e.InPlace {
			return e.Candidate.name() + " is applied in place"
		}
		return e.Candidate.name() + " has all traffic and is watched"
	case Reverting:
		return e.Candidate.name() + " is taken out of traffic"
	case Restoring:
		return e.Candidate.name() + " is rolled back, and git does not say so yet"
	case Frozen:
		return "frozen"
	case Removing:
		return "it is being removed"
	case Removed:
		return "removed"
	}
	return string(e.Phase)
}
