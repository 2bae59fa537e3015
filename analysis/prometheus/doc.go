// Package prometheus reads the counters of a release through Prometheus's HTTP
// API (Prometheus, Thanos, Mimir, VictoriaMetrics).
//
// It asks for raw counters at instants, never for rate() or increase(): those
// lose the first increment of a new series, which for a canary is its first
// error. Differences, resets and births are handled in package analysis.
//
// # Invariants
//
//   - An answer that is late, partial, too large, or not a set of counters is an
//     error with a reason (*analysis.ReadError), never a zero and never half of
//     the counters.
//   - An answer without any counter is an empty snapshot: what that means depends
//     on the rollout, so package analysis decides it.
//   - No request is sent anywhere but to the configured address; redirects are
//     not followed, so a token cannot leak to another host.
//   - Credentials are read from files and appear in no error.
//
// # Concurrency
//
// A Source may be used by many goroutines. It starts none and logs nothing.
//
// # What it does not do
//
// It does not retry (the next tick does), cache, or choose the instants.
package prometheus
