// Package audit keeps the evidence of what was decided and done on a branch of
// its own, one signed commit for each record.
//
// # Invariants
//
//   - The branch only ever grows: a record's file is written once, below the
//     release's name, and appending the same record again changes nothing. Git's
//     own chain of hashes makes a change of the past show.
//   - A record is complete in itself: nothing else is needed to read it, and the
//     schema beside this file describes it. Its file's name follows from the
//     record, so equal records have equal names.
//   - A commit is dated when the thing happened, and never in the future.
//
// A Ledger may be used by several goroutines and several daemons at once:
// whoever loses the race for the branch appends behind the winner.
//
// # What it does not do
//
// It does not decide what is evidence, and it does not read the branch back.
//
//go:generate go run ./internal/generate
package audit
