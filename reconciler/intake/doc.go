// Package intake turns the commits of the environments repository into what
// each release is wanted to be.
//
// Commits are folded one by one, in first-parent order, into one
// Repository record: how far it was read, which policy is in force, and for
// every release what git asks for and every change since its last verified
// inputs that still has to be proven. Fold is pure; whoever calls it gathers
// the facts, saves the result and only then acts on it.
//
// # Invariants
//
//   - The mark only moves forward along the first parents of the branch.
//   - A change to a release's inputs stays listed until the inputs were verified
//     at or after it: an unreviewed commit is not washed clean by a reviewed one
//     that follows.
//   - A policy that was not accepted changes nothing, and neither does a
//     control file that loosens something without review.
//   - A file that cannot be read blocks its own release alone, which keeps
//     running what it runs.
//
// # What it does not do
//
// It does not read git or ask a forge, it does not decide whether a change was
// reviewed, and it knows nothing of what runs.
package intake
