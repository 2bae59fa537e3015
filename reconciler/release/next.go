package release

import (
	"reflect"
	"slices"
	"strings"
	"time"
)

// New is the record of a release that was never seen before.
func New(key Key, now time.Time) Record {
	return Record{Schema: Schema, Key: key, Phase: Stable, Since: now, Reason: "nothing is deployed yet"}
}

// Next is the record after an event. It is total: an event that is stale, that
// repeats itself or that is about something else returns r unchanged, and so
// does every event for a record that Decode would refuse.
func Next(r Record, e Event, now time.Time) Record {
	if r.check() != nil {
		return r
	}
	n := r.apply(e, plain(now))
	if reflect.DeepEqual(n, r) {
		return r
	}
	n.Seq = r.Seq + 1
	return n
}

func (r Record) apply(e Event, now time.Time) Record {
	switch e := e.(type) {
	case Wanted:
		return r.wanted(e, now)
	case Kept:
		r.Kept = clip(e.Reason)
		return r
	case Adopted:
		return r.adopt(e, now)
	case Judged:
		return r.judged(e, now)
	case Seen:
		return r.seen(e.Observed, now)
	case Measured:
		return r.measured(e, now)
	case Controlled:
		return r.controlled(e, now)
	case Done:
		return r.done(e, now)
	case Erred:
		return r.erred(e)
	case Backfilled:
		return r.backfilled(e, now)
	case Soaked:
		return r.soaked(e)
	case Troubled:
		return r.troubled(e, now)
	case Tick:
		return r.tick(now)
	}
	return r
}

// plain is an instant as it is stored: what is compared with a loaded record
// must not differ from it by a clock reading or a zone's name.
func plain(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Round(0)
}

// maxReason bounds what others say, in bytes: it is copied into evidence and
// the record has to stay small.
const maxReason = 1000

func clip(s string) string {
	if len(s) <= maxReason {
		return s
	}
	return strings.ToValidUTF8(s[:maxReason], "") + "…"
}

// enter moves the record to a phase. A rollout remembers when and why.
func (r Record) enter(phase Phase, reason string, now time.Time) Record {
	r.Phase, r.Since, r.Reason, r.Lacking = phase, now, reason, ""
	if r.rolling() {
		return r.remember(reason, now)
	}
	return r
}

// remember adds a moment to the rollout's story. When the story is full the
// oldest moment but the first gives way: how it began is worth more than how
// often it was extended.
func (r Record) remember(text string, now time.Time) Record {
	m := Moment{At: now, Phase: r.Phase, Weight: r.desired().Traffic.Weight, Text: text}
	moments := slices.Clone(r.Rollout.Moments)
	if len(moments) >= maxMoments {
		moments = slices.Delete(moments, 1, 2)
	}
	r.Rollout.Moments = append(moments, m)
	return r
}

// rolling reports whether the candidate has objects in the cluster.
func (r Record) rolling() bool {
	switch r.Phase {
	case Preparing, Progressing, Verifying, Reverting, Restoring:
		return true
	case Stable, Pending, Rejected, Frozen, Removing, Removed:
		return false
	}
	return false
}

func (r Record) stableInputs() string {
	if r.Stable == nil {
		return ""
	}
	return r.Stable.Inputs
}

// forget drops the candidate and everything that was about it.
func (r Record) forget() Record {
	r = r.unqueue()
	r.Candidate, r.Rollout = nil, Rollout{}
	r.Gates, r.Decision, r.Recheck = nil, "", time.Time{}
	r.FrozenFrom, r.Guarded = "", ""
	return r
}

// pend makes want the candidate and asks the gates anew.
func (r Record) pend(want Want, now time.Time) Record {
	r = r.moot().forget()
	want.Return = Returns(r, want.Revision.Inputs, now)
	r.Candidate = &want
	reason := "waiting for the gates"
	switch {
	case want.Promotion.Genesis:
		reason = "part of the baseline, nothing runs yet"
	case want.Return:
		reason = "going back to what was stable here; waiting for the gates"
	}
	return r.enter(Pending, reason, now)
}

// settle ends the candidate's time without making it stable.
func (r Record) settle(reason string, now time.Time) Record {
	if r.Candidate != nil {
		r.Settled = r.Candidate.Promotion.Commit
		r = r.void(reason, now, func(b Backfill) bool { return b.Commit == r.Settled })
	}
	return r.rest(reason, now)
}

// rest is stable without a candidate, or with the one that waited.
func (r Record) rest(reason string, now time.Time) Record {
	next := r.Next
	r = r.forget().enter(Stable, reason, now)
	if next != nil {
		return r.pend(*next, now)
	}
	return r
}

// Fresh reports whether nothing was ever decided about the release, so that
// what runs may still be adopted.
func (r Record) Fresh() bool {
	untouched := r.Stable == nil && r.Candidate == nil && r.Attempt == 0 && r.Settled == ""
	return untouched && (r.Phase == Stable || r.Phase == Frozen && r.FrozenFrom == Stable)
}

// adopt takes the baseline as stable when it is what runs, starts it when
// nothing runs, and otherwise waits until a person made the two agree.
func (r Record) adopt(e Adopted, now time.Time) Record {
	if !r.Fresh() || !e.Revision.known() {
		return r
	}
	frozen := r.Phase == Frozen
	r.FrozenFrom = ""
	switch {
	case e.Same:
		revision := e.Revision
		r.Stable, r.Adopted, r.Place = &revision, !e.Ours, e.Place
		r.Proven = []Proof{proofOf(revision, now)}
		r = r.enter(Stable, "adopted: what runs equals the baseline", now)
		return r.owe(WriteEvidence, revision.Inputs, now, Intent{Evidence: &Evidence{
			Kind: ofRollout, Outcome: "adopted", Reason: r.Reason, Candidate: &Want{Revision: revision, Promotion: Promotion{Commit: revision.Commit, Genesis: true}},
		}})
	case e.Differs != "":
		r.FrozenFrom = Stable
		reason := clip("what runs differs from the baseline: " + e.Differs)
		if frozen && r.Reason == reason {
			return r
		}
		return r.enter(Frozen, reason, now)
	case frozen:
		// Git may have moved on while it was frozen, so what it asks for now is
		// proven like any other wish unless it is the baseline still.
		return r.enter(Stable, "nothing runs any more", now)
	}
	return r.pend(Want{Revision: e.Revision, Promotion: Promotion{Commit: e.Revision.Commit, Genesis: true}}, now)
}

func proofOf(v Revision, since time.Time) Proof {
	return Proof{Artifacts: v.Artifacts, BaseTree: v.BaseTree, Inputs: v.Inputs, Commit: v.Commit, Since: since}
}

// owe adds an intent unless it is owed already.
func (r Record) owe(kind IntentKind, about string, now time.Time, i Intent) Record {
	i.ID, i.Kind, i.Since = r.intentID(kind, about), kind, now
	if i.Evidence != nil {
		i.Evidence.Release, i.Evidence.At = r.Key.String(), now
	}
	if slices.ContainsFunc(r.Owed, func(o Intent) bool { return o.ID == i.ID }) {
		return r
	}
	r.Owed = append(slices.Clone(r.Owed), i)
	return r
}

// moot takes back the commit that a refusal owes, because git has moved on or what
// it would go back to has.
func (r Record) moot() Record {
	r.Owed = slices.DeleteFunc(slices.Clone(r.Owed), func(o Intent) bool { return o.Kind == CommitReject })
	if len(r.Owed) == 0 {
		r.Owed = nil
	}
	return r
}
