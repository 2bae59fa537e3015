package gate

import "time"

// A Cause is the kind of a gate's answer.
type Cause string

// The causes.
const (
	Met       Cause = "met"       // nothing is in the way
	Refused   Cause = "refused"   // the change itself is not acceptable
	Short     Cause = "short"     // approvals are missing, or somebody objects
	Missing   Cause = "missing"   // a check has not reported or is running
	Concluded Cause = "concluded" // a check has ended without success
	Later     Cause = "later"     // it is right, but not yet
	Unknown   Cause = "unknown"   // something could not be asked
)

// rerunGrace is how long a failed check may be repeated after the merge: a
// flaky run is usually repeated within minutes, and git should not say for
// longer that something runs which does not.
const rerunGrace = 30 * time.Minute

// A meaning is what a cause leads to.
type meaning struct {
	before Verdict // on the pull request
	status Status
	after  Verdict // once it is merged
	grace  time.Duration
}

// meanings is the only place that says what a gate that does not pass leads to.
func meanings(c Cause) meaning {
	switch c {
	//                        on the pull request     after the merge
	case Met:
		return meaning{before: Pass, status: StatusSuccess, after: Pass}
	case Refused:
		return meaning{before: Fail, status: StatusFailure, after: Fail}
	case Short:
		return meaning{before: Wait, status: StatusPending, after: Fail}
	case Missing:
		return meaning{before: Wait, status: StatusPending, after: Wait}
	case Concluded:
		return meaning{before: Fail, status: StatusFailure, after: Fail, grace: rerunGrace}
	case Later:
		return meaning{before: Wait, status: StatusSuccess, after: Wait}
	case Unknown:
	}
	return meaning{before: Wait, status: StatusPending, after: Wait}
}

// A finding is a gate's answer before its consequences are looked up.
type finding struct {
	cause    Cause
	reason   string
	evidence []Evidence
	unblocks string
	// since is when a check concluded or its change was merged, whichever came
	// later; grace counts from it.
	since time.Time
	// next is when time alone can change the answer.
	next time.Time
}

func (f finding) because(evidence ...Evidence) finding {
	f.evidence = append(f.evidence, evidence...)
	return f
}

// until says when time changes the answer, if it does.
func (f finding) until(words string) finding {
	if !f.next.IsZero() {
		f.reason += ", " + words + " " + instant(f.next)
	}
	return f
}

func met(reason string) finding { return finding{cause: Met, reason: reason} }

func refused(reason, unblocks string) finding {
	return finding{cause: Refused, reason: reason, unblocks: unblocks}
}

func unknown(reason, unblocks string) finding {
	return finding{cause: Unknown, reason: reason, unblocks: unblocks}
}

// result looks the consequences of a finding up.
func (f finding) result(gate string, merged bool, now time.Time) Result {
	r := Result{
		Gate:     gate,
		Cause:    f.cause,
		Unknown:  f.cause == Unknown,
		Reason:   line(f.reason, maxReason),
		Evidence: clean(f.evidence),
		Unblocks: line(f.unblocks, maxReason),
	}
	m := meanings(f.cause)
	if !merged {
		r.Verdict, r.Status = m.before, m.status
		if r.Verdict == Wait {
			r.NextCheck = f.next
		}
		return r
	}
	r.Verdict = m.after
	if r.Verdict == Wait {
		r.NextCheck = f.next
	}
	if until := f.since.Add(m.grace); m.grace > 0 && now.Before(until) {
		r.Verdict, r.NextCheck = Wait, until
		f.next = until
		r.Reason = line(f.until("a repetition counts until").reason, maxReason)
	}
	r.Final = r.Verdict == Fail
	r.Outcome = outcomeOf(r.Verdict)
	return r
}

func outcomeOf(v Verdict) Outcome {
	switch v {
	case Pass:
		return OutcomeDeploy
	case Fail:
		return OutcomeReject
	case Wait:
	}
	return OutcomeWait
}

// worst returns the finding that decides, with the evidence of all: a clear no
// comes before a wait, and a wait before a pass.
func worst(findings []finding) finding {
	decides := findings[0]
	var evidence []Evidence
	for _, f := range findings {
		evidence = append(evidence, f.evidence...)
		if f.worseThan(decides) {
			decides = f
		}
	}
	decides.evidence = evidence
	return decides
}

func (f finding) worseThan(other finding) bool {
	if f.cause == Concluded && other.cause == Concluded {
		return f.since.Before(other.since)
	}
	return severity(f.cause) > severity(other.cause)
}

func severity(c Cause) int {
	switch c {
	case Met:
		return 0
	case Later:
		return 1
	case Missing:
		return 2
	case Concluded:
		return 4
	case Short:
		return 5
	case Refused:
		return 6
	case Unknown:
	}
	return 3
}
