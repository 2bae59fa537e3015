// Package meter reads a rollout's counters and makes ticks of them.
//
// It keeps nothing between calls: where the next tick begins follows from the
// last one in the record, and counters of the past can be read again, so a
// restart neither loses a tick nor counts one twice.
//
// # Concurrency
//
// A Meter may be used by many goroutines.
//
// # What it does not do
//
// It judges nothing. What cannot be read becomes a tick that says why.
package meter
