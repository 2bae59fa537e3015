// Package provenance reads what a build says about itself: in-toto statements
// with a SLSA provenance predicate, in DSSE envelopes.
//
// Open reads an envelope, Signer says which known key signed it, and Statement
// says which source it names. The three are apart because a signature is needed
// for some statements and another kind of trust for others.
//
// # Invariants
//
//   - What a signature covers is what is read: the payload is decoded once, and
//     the signature is verified over those bytes and their type.
//   - A hint in an envelope about its key decides nothing.
//   - A statement that leaves open which of several repositories or commits the
//     artifact was built from is an error, not a choice.
//   - Everything here is input from strangers: it is bounded, and no input panics.
//
// # Concurrency
//
// Every function is pure.
//
// # What it does not do
//
// It reads no file and asks nobody, and it decides nothing: whether a statement
// fits a release is for package gate. It knows nothing of certificates and
// transparency logs, so of a Sigstore bundle it reads the envelope alone.
package provenance
