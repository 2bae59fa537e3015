// Package restore writes the commits that make git say again what runs: after
// a rollback, and after a promotion that was refused.
//
// A commit restores the release's directory byte for byte, touches nothing else
// but the release's control file, and says in its trailers what was measured.
// Whether it is still needed is decided by content on the newest tip, so that a
// commit that is already there is recognised and a newer promotion is never
// undone; the hold is written in any case.
package restore
