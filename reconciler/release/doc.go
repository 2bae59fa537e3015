// Package release is the state machine of one release: what was decided about
// it, and what follows from the next thing observed.
//
// Everything in here is a pure function of a Record, an Event and the time.
// Next is the record after an event, Desired what the cluster should look like,
// Owed what has to be done once outside the cluster, Wake when to look again.
// There is no context, logger, clock or I/O, so that a crash needs no code of
// its own: whoever loads the record derives the same things from it.
package release
