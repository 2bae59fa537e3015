// Package environments reads the environments repository: what git asks for
// and what the forge knows about how it came to ask.
//
// It turns commits into intake steps, release files into revisions, and pull
// requests, reviews and checks into the facts that gates judge. What it reads
// of git is immutable and kept; what it asks of a forge is asked again each
// time, and an answer that did not come is passed on as unknown.
//
// # Invariants
//
//   - What was reviewed is what a pull request adds up to. A state inside of its
//     range never governs and is never proven; one inside of a merged branch is
//     never a base.
//   - An approval is for the difference that its reviewer was shown: an earlier
//     head counts only where that is the one that lands, and no approval counts
//     from before the base of the difference moved into the pull request.
//   - Trust is not inherited from a change that was refused: neither a policy nor
//     a control file is accepted on top of one, whoever approves the newer.
//   - The policy in force judges its own successor and everything that arrives
//     together with it.
//   - No proof depends on what a commit says about itself, its date included.
//   - A file that cannot be used, an odd name and a broken pull request concern
//     their release alone; a question that was not answered is never a refusal.
//
// # Concurrency
//
// A Repository may be used by many goroutines. Its caches are guarded and hold
// nothing that could not be read again.
//
// # What it does not do
//
// An owner who is named by login instead of by team is whoever has that login at
// the moment; forges let people change theirs.
//
// It decides nothing: whether a change was allowed is for package gate, whether
// a release moves is for package release. It writes nothing.
package environments
