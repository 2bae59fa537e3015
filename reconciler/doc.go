// Package reconciler is the loop that makes reality follow accepted git.
//
// One pass over a release loads its record, takes what was observed as events,
// saves the new record, makes the cluster look as the record wants and does
// what the record owes. The results of a pass are the events of the next one.
// The record is saved before anything it decides is done, and everything that
// is done may be done again, so that a crash between any two steps is the same
// as a pass that was cut short.
//
// # Ownership
//
// A record belongs to whoever saves it first: Save compares and swaps, and a
// conflict means that somebody else decided, so the pass is given up and the
// record loaded again. Every pass asks for the newest record, because a pass
// that saves nothing is fenced by nothing else. The queue gives one release to
// one worker at a time.
//
// # Faults
//
// What could not be asked is unknown and waits. A pass that failed does what does
// not depend on the failure, is repeated after 2 s and then less and less often,
// and writes its trouble into the record when it fails again. A rollout keeps the
// place, the plan and the service that it began with, so that a policy that
// changes or breaks meanwhile leaves the way back open. What renders to something
// else than was verified is kept as it is while its share of the traffic moves.
//
// What is pushed during a rollout is asked about while the rollout goes on, with
// little patience, since what has traffic is looked at every second. Only once its
// gates pass does it take the candidate's place.
//
// # What it does not do
//
// It decides nothing itself. Package release decides what follows from an
// event, package gate whether a candidate may go, package analysis whether it is
// worse than stable. The loop asks, saves and carries out.
package reconciler
