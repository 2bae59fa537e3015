// Package schemas holds the files that people write in an environments
// repository: Policy, Service, Release and Control, their defaults, a strict
// decoder and their JSON Schemas.
//
// # An empty policy is the strict one
//
// Decoding starts from POL-007's numbers, so leaving a setting out never
// loosens it. Mappings are merged over the defaults key by key; a list that is
// written, and provenance, which is a list of what is accepted, replaces its
// default as a whole; a key without a value is an
// error, since it would be read as "none" by one reader and as "default" by
// another. A policy without environments has dev, staging and production.
//
// Environments are a list, so their defaults depend on the place in it:
//
//   - The first environment is where an artifact arrives. It is deployed in one
//     step and asks for nothing: no approvals, checks, windows, verification.
//   - Every later environment starts with all of POL-007: approvals, checks,
//     provenance, windows, canary steps, rollback triggers, verification. Staging is held to
//     the same rules as production unless the policy says otherwise, because a
//     rule that follows the position "last" would loosen production as soon as
//     somebody appends an environment after it.
//   - Soak is the condition to leave an environment. It is the default for every
//     environment between the first and the last, and for the one before the
//     last even if that is the first. The environment that follows one that
//     soaks by default also asks for its end-to-end test ("staging-e2e").
//
// # Invariants
//
// Unknown fields, duplicate keys, aliases, tags, several documents in one file,
// files above MaxFileBytes and control characters in single-line values are
// refused. All problems of a file are reported at once, with their position.
// Values that come out of a Decode function without an error are valid.
//
// # Concurrency
//
// Every function is pure and every value may be read by several goroutines;
// there is no package state.
//
// # What it does not do
//
// It reads no files, follows no references between them (package catalog does)
// and decides nothing. Settings that this version decodes but does not enforce
// are listed by NotEnforced; strategies and traffic kinds that it cannot carry
// out are errors.
package schemas
