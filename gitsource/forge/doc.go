// Package forge holds what a forge (GitHub and its like) knows about a
// change: pull requests, reviews, checks and people, as plain facts.
//
// It is a leaf: it imports nothing of Sluice and does no I/O. Drivers in the
// packages below it fill the facts in; gates judge them. A fact says what the
// forge answered and nothing more, so a driver never evaluates a rule.
//
// Identity is the numeric id. Logins are for people: they can be renamed and
// reused, so nothing here is compared by login.
package forge
