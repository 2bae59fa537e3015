// Package gitea asks a Gitea server for the facts of package forge.
//
// Invariants:
//   - Unknown is an error, never an empty list. The server says how many items
//     a list has; a list with another number, or one that changes while it is
//     read, is a *forge.TransientError.
//   - An error is a *forge.TransientError, which says when to ask again, or a
//     *forge.RejectedError, which a person has to resolve, or one of the facts
//     forge.ErrNoPullRequest, forge.ErrPusherUnknown and forge.ErrNoRecord. None
//     carries a credential. Package transport keeps the rest of the manners.
//   - Identity is the numeric id; a login that has moved to another account is
//     noticed. Names that look like a commit are never asked about in its place.
//
// What Gitea does differently, and what is made of it:
//   - Commit statuses stand in for check runs: the account that reported one is
//     the app (App is its login, AppID its id), and the context is the name.
//     Statuses of Gitea Actions and of deleted accounts name nobody, so they
//     never satisfy a check that names an app.
//   - The API answers the branch's present tip as the head of a merged pull
//     request. The head is read from refs/pull/N/head, which stops at the merge.
//   - A review counts from when it was last changed: its creation may be that of
//     a draft from long before it was submitted.
//   - An account has no kind; one that the search for people finds is a "User".
//     Only reviewers are asked about: Kind is empty elsewhere.
//   - Who pushed is in the repository's feed and in the pull request's timeline.
//     The feed hides people who keep their activity private, the timeline begins
//     when the pull request is opened; where neither tells, it is unknown.
//   - A changed base is in the timeline; that a base was rewritten is recorded
//     nowhere.
//   - There are no attestations, and a status has no external id: where an
//     artifact was built is proven by signed statements alone.
//   - Commits are not made through the API: the daemon pushes. Pull requests are.
//   - After each push the server looks for conflicts in its own time. Until then
//     it refuses a merge, which is a *forge.TransientError.
//   - There are no check runs: a report is shown as a status.
//
// The credentials need the scopes read:user, read:organization, write:issue and
// write:repository, and an account that administers the repository (only that
// may ask for permissions) and sees the teams that policies name.
//
// A Client is safe for concurrent use and starts no goroutine. It judges
// nothing: whether an approval or a check counts is decided by the gates.
package gitea
