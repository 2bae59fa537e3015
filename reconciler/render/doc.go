// Package render turns the kustomization of one release into the objects that
// are applied, without touching a disk, a network or a process of its own
// accord.
//
// Build reads an allow-listed subtree (the release's own directory and
// services/<service>/), refuses what could reach outside of it or exhaust the
// machine, runs kustomize in memory, checks and pins the result, and splits it
// in two: workload objects, which are immutable per revision, and shared
// objects, which every revision of the release uses.
//
// # Invariants
//
//   - Nothing that kustomize could fetch or execute gets as far as kustomize:
//     every reference is resolved against the subtree first. kustomize clones
//     and downloads even from an in-memory file system, so this check, and not
//     the file system, is the defence; a Worker additionally has no transport
//     and no PATH.
//   - The same input gives the same bytes, whatever the order of files.
//   - An error that the input causes is a *Refusal, final for these inputs.
//     Every other error (a cancelled context, ErrWorker) may be retried.
//   - Names, selectors and references are changed for workload objects only.
//     A shared object that would have to change with each revision is refused.
//
// # Concurrency
//
// Build and the helpers are pure and safe for concurrent use. Pool is safe for
// concurrent use; it owns its worker processes and ends them in Close.
//
// # What it does not do
//
// It judges no gate (Report carries the facts), weighs no security context,
// pins no selector to the stable revision and knows no cluster.
package render
