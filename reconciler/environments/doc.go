// Package environments reads the environments repository: what git asks for
// and what the forge knows about how it came to ask.
//
// It turns commits into intake steps, release files into revisions, and pull
// requests, reviews and checks into the facts that gates judge. What it reads
// of git is immutable and kept; what it asks of a forge is asked again each
// time, and an answer that did not come is passed on as unknown.
//
// # Concurrency
//
// A Repository may be used by many goroutines. Its caches are guarded and hold
// nothing that could not be read again.
//
// # What it does not do
//
// It decides nothing: whether a change was allowed is for package gate, whether
// a release moves is for package release. It writes nothing.
package environments
