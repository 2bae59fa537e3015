// Package rehearsal plays promotions that somebody made up against a policy, so
// that a change of the policy shows what it changes before it is in force.
//
// A case says in what it differs from a promotion that only lacks its approvals.
// It is turned into the facts that gates are asked with, and the gates are those
// of the daemon: nothing is decided here.
//
// # Invariants
//
//   - Gates that a case does not name have to pass: a new gate cannot be forgotten.
//   - The same file and policy give the same answer at any time.
//
// Every function is pure and may be used by several goroutines. It does not read
// files, and it knows no cluster, forge or repository: how facts are gathered is
// not rehearsed.
package rehearsal
