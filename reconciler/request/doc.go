// Package request writes what people ask Sluice for: promotions, returns to an
// earlier state, holds and pauses. Each becomes one commit with the change to a
// release's own files and, where the policy wants it reviewed, a pull request.
//
// # Invariants
//
//   - A request is decided on the newest tip and by content alone. Asking again
//     for the same finds the branch and the pull request of the first time.
//   - A release's file keeps every byte but those of the fields that the request
//     is about, and a control file everything that people wrote. The result is
//     decoded again and has to mean exactly what was asked for; what cannot be
//     edited so is refused with the remedy.
//   - Nothing is asked of the daemon and nothing is told to it: a request is
//     worth what its pull request is worth. What is refused here is refused to
//     spare people a pull request that could not pass.
//   - No branch of anybody else is overwritten, and no other pull request is
//     closed.
//
// # Concurrency
//
// A Clerk keeps nothing and may be used by several goroutines.
//
// # What it does not do
//
// It approves and merges nothing, and believes nothing: what the evidence on the
// audit branch says was stable decides what a return offers, and the daemon's own
// records decide what becomes of it.
package request
