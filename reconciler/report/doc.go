// Package report writes what people read on a pull request: before the merge
// what each gate says and what would change in the cluster, afterwards how the
// deployment went.
//
// # Invariants
//
//   - The same facts give the same text, to the byte, so that a text is posted
//     only when it says something new. No text depends on when it is made.
//   - What others wrote shows as what it is: it makes no link, mention, markup,
//     table cell or line of its own, and nothing in it is invisible.
//   - No value of a Secret appears, nor anything from which it could be told.
//   - A text that would be too long says what it leaves out.
//
// # Concurrency
//
// Every function is pure and keeps nothing.
//
// # What it does not do
//
// It posts nothing, and decides neither what a gate's answer leads to nor when a
// text is due.
package report
