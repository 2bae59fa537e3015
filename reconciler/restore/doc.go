// Package restore writes the commits that make git say again what runs: after
// a rollback, and after a promotion that was refused.
//
// A commit restores the release's directory byte for byte, touches nothing else
// but the release's control file, and says in its trailers what was measured.
//
// # Invariants
//
//   - Whether a commit is still needed is decided by content, on the newest tip:
//     one that is already there is recognised, and a newer promotion is never
//     undone.
//   - The hold is written even where there is nothing left to restore.
//   - What people wrote into the control file keeps its bytes. A control file
//     that cannot be read is left as it is and does not delay the directory: the
//     hold then stays owed, with an error that says what to mend.
//   - Where the branch takes no pushes, the same commit goes into a pull request of
//     its own, which Sluice merges if it may. There is never a second one for the
//     same change, nothing is merged but exactly what was decided, and it is done
//     only when the branch itself shows it.
//   - Text from outside (versions, logins, reasons) can neither add a line nor a
//     trailer to a message.
//
// A Committer may be used by several goroutines.
//
// # What it does not do
//
// It does not move traffic, which has happened before, it does not decide what
// is good, and nobody recognises its commits by their messages.
package restore
