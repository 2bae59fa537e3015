// Package gitsource reads a git repository through a local bare mirror and
// writes commits to it.
//
// A Mirror follows one branch. Tip asks the server once and fetches only when
// the branch moved; everything else reads immutable objects of commits that
// were fetched, so it is pure: the same SHAs give the same answer for ever. A
// Writer builds commits from tree objects on a fetched tip, without a working
// tree, and pushes them with compare-and-swap.
//
// Invariants:
//   - A SHA that Tip or Fetch returns is complete: its history up to what was
//     known, its tree and every blob in it are on disk before it is returned.
//   - An error changes nothing: the last good state goes on being readable.
//   - A damaged mirror is replaced by a fresh clone beside it; no server
//     answer is ever merged into damaged data.
//   - No credential, and no text of the server that might repeat one, reaches
//     an error or a log.
//   - A commit changes exactly the paths that its plan names.
//
// Everything is safe for concurrent use. Operations on the network run one at a
// time for each Mirror and never block readers. One process owns a mirror
// directory.
//
// It knows nothing of Kubernetes, of what the files mean, or of forges: paths,
// modes and SHAs are all there is.
package gitsource
