// Package release is the state machine of one release: what was decided about
// it, and what follows from the next thing observed.
//
// Everything in here is a pure function of a Record, an Event and the time.
// Next is the record after an event, Desired what the cluster should look like,
// Owed what has to be done once outside the cluster, Wake when to look again,
// Explain why it is where it is. A crash needs no code of its own: whoever loads
// the record derives the same things from it.
//
// # The drawing
//
// These are all the ways from one phase to another. An arrow within a phase is
// the next step, or another candidate. A test compares the lines with what Next
// does.
//
//	from         to           event     cause
//	stable       pending      Wanted    git asks for other inputs
//	stable       pending      Adopted   nothing runs of the baseline
//	stable       frozen       Adopted   something else than the baseline runs
//	stable       removing     Wanted    retired
//	stable       removed      Wanted    retired, and nothing runs
//	pending      pending      Wanted    git asks for yet other inputs
//	pending      stable       Wanted    git asks for the stable inputs again
//	pending      preparing    Judged    every gate passes
//	pending      rejected     Judged    a gate failed for good
//	pending      removing     Wanted    retired
//	rejected     stable       Done      git was put right
//	rejected     stable       Wanted    somebody put git right
//	rejected     pending      Wanted    git asks for other inputs
//	rejected     removing     Wanted    retired
//	preparing    progressing  Seen      ready without traffic
//	preparing    verifying    Seen      ready, and the only step is 100 %
//	preparing    reverting    Seen      the workload or its health failed
//	preparing    reverting    Tick      not ready in time
//	preparing    reverting    Judged    a newer promotion passes every gate
//	preparing    reverting    Wanted    git asks for the stable inputs again, or retired
//	progressing  progressing  Tick      the step is over and nothing speaks against the candidate
//	progressing  verifying    Tick      the same before 100 %
//	progressing  reverting    Measured  worse than stable, over-exposed, or silent for too long
//	progressing  reverting    Seen      health failed
//	progressing  reverting    Tick      not proven by the deadline
//	progressing  reverting    Judged    a newer promotion passes every gate
//	progressing  reverting    Wanted    git asks for the stable inputs again, or retired
//	verifying    stable       Tick      the window is over: the candidate is stable
//	verifying    pending      Tick      the same, and a newer promotion waited
//	verifying    reverting    Measured  a first deployment over its limit, or stable worse than before its shared objects changed
//	verifying    reverting    Seen      health failed
//	verifying    reverting    Tick      100 % was not reached, or nothing could be measured, by the deadline
//	verifying    reverting    Wanted    git asks for the stable inputs again (the candidate is held), or retired
//	reverting    restoring    Seen      traffic is at stable
//	reverting    stable       Seen      the same, and git needs no commit
//	reverting    pending      Seen      the same, and a newer promotion waited
//	restoring    stable       Done      git says what runs
//	restoring    pending      Done      the same, and a newer promotion waited
//	frozen       stable       Adopted   what runs and the baseline agree, or nothing runs
//	frozen       stable       Wanted    retirement refused a prune, and git asks for the stable inputs again
//	frozen       pending      Wanted    the same for other inputs
//	frozen       removing     Seen      nothing refuses the prune any more
//	frozen       removing     Wanted    retired while what runs was not ours
//	frozen       removed      Seen      somebody removed the rest
//	removing     frozen       Seen      a prune was refused
//	removing     removed      Seen      all is gone
//	removing     stable       Wanted    git asks for the stable inputs again
//	removing     pending      Wanted    git asks for other inputs
//	removed      pending      Wanted    git asks for it again
//
// Going back to what was stable here within 30 days is a return: the same way with
// one step and without a judge, at the end of which what was left is on hold.
//
// What was adopted is not touched before its first rollout. That one begins in
// preparing by making it again under the names of its revision, which is seen
// when it is done; only then is anything of the candidate applied. Where it does
// not succeed in time, what serves by then goes on and the next rollout tries
// again.
//
// # Invariants
//
//   - Stable changes when a candidate leaves verifying after its window, when a
//     baseline is adopted, and when a release is removed. A new baseline with the
//     same inputs moves where it is found, and nothing else does.
//   - A candidate has traffic only in progressing and verifying, and never more
//     than the share of its step.
//   - What was adopted is re-homed before a candidate is applied, and is otherwise
//     left alone.
//   - What is not known neither advances nor reverts. Only a deadline that is
//     written in the record ends the waiting; what could not be measured moves it.
//   - Every phase ends by itself or Explain names who has to act.
//   - An intent's id never stands for two contents.
//   - Seq grows by one when anything changed, and only then. An event that is
//     late, comes twice or is about something else changes nothing.
//   - A record that Next cannot have made is refused by Decode, and nothing
//     follows from it: Next leaves it alone and Desired keeps hands off.
//
// # Concurrency
//
// Nothing in here has state, so everything may be called from any goroutine. A
// Record is a value: Next never changes what its argument points to, and whoever
// holds a Record must not either, since the slices and pointers of one are shared
// with those made from it.
//
// # What it does not do
//
// There is no context, logger, clock or I/O. It does not ask gates, render,
// compare versions or look at the cluster: it is told. It does not repeat
// attempts: what is desired or owed stays so until it is seen or done.
package release
