// Package analysis decides whether a candidate is worse than stable.
//
// It is a leaf of plain values and pure functions: no clock, no I/O, no logger,
// nothing but the standard library. Counters come in as Snapshots, two of them
// make a Tick (raw counts per arm), and Judge turns the ticks of a rollout into
// a Verdict. Everything that Judge needs can be encoded as JSON, so a verdict
// can be computed again from the stored record, by this process after a crash
// or by somebody else offline.
//
// # Evidence and magnitude
//
// A candidate fails on two things together. The policy's limit is the magnitude
// a difference must have. A mixture e-process supplies the evidence that the
// difference is real: when both arms fail equally often its mean is at most 1 at
// every tick, so the chance that it ever reaches 1/α is at most α, however often
// it is looked at and however the weights change. The bound is exact for
// independent requests; bursts are met by a dispersion factor that is measured
// on stable before the step (see Dispersion).
//
// # Invariants
//
//   - Judge is a function of its Input alone; the same Input gives the same
//     Verdict, and folding any prefix of the ticks with Compact changes nothing.
//   - A tick that could not be read is never evidence, for or against.
//   - No ticks, too few requests or missing counters never make a pass.
//   - Fail is absorbing: once the condition held, later ticks do not undo it.
//   - Every number in a Verdict is finite, so it can always be stored.
//
// # Concurrency
//
// All functions are pure and may be called from any goroutine. Values that hold
// slices or maps are never modified; results share no memory with later calls.
//
// # What it does not do
//
// It does not fetch (see the subpackage prometheus), wait, roll back, or know
// about policies and phases. Deadlines that follow from a verdict (how long
// silence is tolerated) belong to the caller, who gets Verdict.Since for them.
package analysis
