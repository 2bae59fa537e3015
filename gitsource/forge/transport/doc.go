// Package transport is how drivers speak HTTP with a forge: the manners and the
// suspicion that are the same for all of them.
//
// Invariants of a stack that New builds:
//   - An answer is complete JSON or an error; what is cut off, empty, endless
//     or not JSON never reaches a driver as a success.
//   - No request is sent before the instant that the server permitted last
//     (Retry-After, x-ratelimit-reset); until then requests are refused at once.
//   - Credentials go to the configured host alone: redirects are never followed
//     and an error or log never carries one.
//   - Reads are repeated a few times when a gateway fails and are conditional
//     when the server named an ETag. Writes are never repeated, and keep their
//     distance from one another.
//
// Classify turns what went wrong into one of forge's two error types. The
// package knows no forge: what is asked, and what an answer means, belongs to
// the drivers. A stack is safe for concurrent use and starts no goroutine.
package transport
