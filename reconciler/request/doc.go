// Package request writes what people ask Sluice for: promotions, returns to an
// earlier state, holds and pauses. Each becomes one commit with the change to a
// release's own files and, where the policy wants it reviewed, a pull request.
//
// # Invariants
//
//   - A request is decided on the newest tip and by content alone. Asking again
//     for the same finds the branch and the pull request of the first time.
//   - A file that is edited keeps every byte but those of the fields that the
//     request is about; the result is decoded again and has to mean exactly what
//     was asked for. What cannot be edited so is refused with the remedy.
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
// It approves and merges nothing. Whether a state was stable is for the records
// of the daemon; git alone says what was asked for.
package request
