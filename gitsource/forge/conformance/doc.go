// Package conformance holds what every driver of package forge has to say about
// the same things that people do, whatever the forge calls them.
//
// A World is a forge under test: people act on it, and a Driver tells what it
// knows of that. Run plays each behaviour in a fresh repository of the World:
//
//	behaviour                                   what the driver has to tell
//	an open pull request                        its sides and its author, for its base alone
//	a merge, a squash, a rebase                 the pull request of the merge commit; head, merger, time
//	the commits of a rebase merge               their pull request, and which commit ended it
//	a push to the head branch after the merge   the head as it was merged
//	a direct push, another base                 that there is no pull request
//	a change of the base branch                 when that was
//	approve, comment, object, dismiss           each review in order, for the head of its time, by a person
//	authors and co-authors                      the accounts; nobody for an e-mail that no account has
//	pushes before and after the opening         who pushed the head, who need not have written it
//	checks, repeated, running, by another       each run, its reporter, and which is the latest
//	more checks than a page of 50 holds         all of them
//	a status                                    nothing: it is set once and changed
//	a protected branch, a missing one           its tip and protection; not found
//	commits of a branch and of others           what the branch contains, whatever branches are called
//	teams and permissions, a renamed account    who is in and may write, by id
//	a protected branch, a missing approval      what it proposed: opened once, replaced, merged or refused
//
// The suite needs no knowledge of how a forge answers: faults belong to the
// tests of each driver.
package conformance
