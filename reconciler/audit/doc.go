// Package audit keeps the evidence of what was decided and done on a branch of
// its own, one signed commit for each record.
//
// The branch only ever grows: a record's file is written once, under a name
// that follows from its id, and appending it again changes nothing. Git's own
// chain of hashes makes a change of the past show.
package audit
