// Package github asks GitHub, or a server that speaks its REST API, for the
// facts of package forge.
//
// Invariants:
//   - Unknown is an error, never an empty list. Every list is read to its end;
//     a list that ends early (a full last page, a missing link, a count that
//     does not add up, an empty or non-JSON body) is a *forge.TransientError.
//   - An error is a *forge.TransientError, which says when to ask again, or a
//     *forge.RejectedError, which a person has to resolve, or one of the facts
//     forge.ErrNoPullRequest, forge.ErrNoRecord and forge.ErrPusherUnknown. None
//     carries a credential.
//   - What package transport promises: the server's limits are kept, and
//     credentials go to the configured host alone.
//   - Identity is the numeric id; a login that has moved to another account is
//     noticed.
//
// A Client is safe for concurrent use and starts no goroutine. Reads are
// repeated a few times when a gateway fails; writes never are, because the
// caller repeats them and they are idempotent.
//
// As a gitsource.Pusher it makes commits, and it opens and merges pull requests.
// A branch moves only from the tip that the commit was decided on, and only to a
// tree that is the decided one to the last byte.
//
// It judges nothing: whether an approval or a check counts is decided by the
// gates.
package github
