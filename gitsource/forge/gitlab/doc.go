// Package gitlab asks a GitLab server for the facts of package forge.
//
// Invariants:
//   - Unknown is an error, never an empty list. A list ends where the server
//     names no next page, and has as many items as the server counts where it
//     counts; anything else is a *forge.TransientError.
//   - An error is a *forge.TransientError, which says when to ask again, or a
//     *forge.RejectedError, which a person has to resolve, or one of the facts
//     forge.ErrNoPullRequest, forge.ErrPusherUnknown and forge.ErrNoRecord. None
//     carries a credential. Package transport keeps the rest of the manners.
//   - Identity is the numeric id, by which GitLab answers everything that is asked
//     about people.
//
// What GitLab does differently, and what is made of it:
//   - A merge request ends with its merge commit; without one, with the squash
//     commit; without that, its head was the commit that the branch moved to.
//   - An approval names no commit. It counts for the head of the merge request's
//     last version before it: for what the server showed then, which is not proof
//     that the page of who approved was up to date. What fell into the same moment
//     as a new version counts for the version before.
//   - Whether an approval or a request for changes still stands is what the lists
//     of approvals and reviewers say; when it was made is in the server's own
//     notes, or is an error. One that was taken back, reset by a push or followed
//     by another of its kind is dismissed. Notes of an import count for nothing.
//     GitLab itself takes a request for changes back when its author is asked for
//     another review or is no reviewer any more, whoever sees to that.
//   - Commits have e-mails, not accounts. Most credentials find an account by its
//     public address alone; everybody else, the private noreply addresses
//     included, is nobody.
//   - Who pushed is in the project's events, which tell nothing of pushes of many
//     branches at once and are deleted after some years.
//   - A changed target is in the notes; that a target was rewritten is recorded
//     nowhere.
//   - Statuses that were reported from outside stand in for check runs: the
//     account that reported one is the app. Jobs of GitLab CI name nobody, so they
//     never satisfy a check that names an app: they run what the branch itself
//     says, in the name of whoever started them.
//   - A team is a group ("group/team"), with those who inherit membership.
//     Developers may write, maintainers administer. A member who is blocked or
//     waits is none.
//   - Commits are not made through the API, and attestations are not read.
//
// The driver was held to package conformance on a stand-in for the server that
// has real git behind it and GitLab's shapes as they are documented. No test
// compares them with GitLab's own description, and the driver has not been run
// against a real GitLab.
//
// The credentials need the scope api and an account that may merge, with the role
// Maintainer where the branch asks for it, and that sees the groups that policies
// name.
//
// A Client is safe for concurrent use and starts no goroutine. It judges
// nothing: whether an approval or a check counts is decided by the gates.
package gitlab
