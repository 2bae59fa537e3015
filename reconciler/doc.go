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
// record loaded again. The queue gives one release to one worker at a time.
//
// # What it does not do
//
// It decides nothing itself. Package release decides what follows from an
// event, package gate whether a candidate may go, package analysis whether it is
// worse than stable. The loop asks, saves and carries out.
package reconciler
