// Package catalog reads the tree of one commit of an environments repository and
// checks what its files say about each other.
//
// # Invariants
//
//   - Every problem of a tree is reported in one run, with file, line and column.
//   - A problem names its scope: the release, the service or the environment that
//     it concerns, or the whole repository. A release that no blocking problem
//     concerns can be deployed, whatever is wrong beside it.
//   - Only regular files and directories are read; a symbolic link, a submodule or
//     an odd name in a place that Sluice reads is a problem and never followed.
//   - What a Catalog holds was decoded and validated without an error.
//
// # Concurrency
//
// Load and Inspect only read; they may run at the same time on one file system if
// that allows concurrent reads.
//
// # What it does not do
//
// It renders nothing, asks nobody whether a change was reviewed, and knows neither
// other commits nor what runs: a base commit is checked for its form only.
package catalog
