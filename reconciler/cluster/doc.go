// Package cluster makes a Kubernetes cluster look like a release.State and says
// what it is like. It is the only package with a Kubernetes client; it also
// keeps the reconciler's documents, in ConfigMaps.
//
// # Invariants
//
//   - An object that differs costs one PATCH, one that does not costs no
//     request. What is in place is known from two things that an informer keeps
//     of each object: the hash of the content that was applied (an annotation,
//     so a restart knows it too), and Sluice's own managedFields entry, from
//     which the API server takes every field that anybody else changes.
//   - Nothing waits. A step that needs something first (endpoints, a deletion
//     that is under way) is left to a later call.
//   - A revision is given more traffic only when its Service exists and has
//     ready endpoints for its share; a Service's selector moves only towards
//     ready pods; references go before the Service, and the Service before the
//     pods. When traffic goes back to stable, the route is the first request.
//   - The route, pinned Services and remembered sizes are written only over the
//     version that was read (ErrStale otherwise).
//   - What may be deleted comes from the inventory and the State alone. The
//     inventory is saved with everything new in it before anything is applied,
//     and without an object only when the object is verified gone by its UID.
//     Namespaces, CustomResourceDefinitions and claims are never deleted; more
//     than 5 objects or 20 % that merely are no longer rendered wait for a
//     person. Nothing is deleted after an error or from a cache that is behind.
//   - Unknown is not absent: while caches are empty or watches fail, Observe
//     answers ErrUnknown.
//
// # Other owners
//
// A shared object keeps the name that its author gave it, so Sluice looks
// before it applies one for the first time (one GET in the object's life). An
// object that Argo CD, Flux, Helm, a controller or another release manages
// refuses the pass before anything is written, with the command that releases
// it. So does an object that nobody manages, such as one that was applied by
// hand, until a person gives it to the release with the annotation
// sluice.dev/adopt: <environment>/<service>. Then it is adopted: its fields
// become the rendered ones (others stay, as always in server-side apply), except
// that a Service goes on selecting what it selected, and a route goes on naming
// it, until the revision has ready endpoints. An adopted object is never
// deleted; the annotation and the inventory both remember it. Objects of a
// revision have the revision in their name; one that exists already and is
// managed by anybody is refused.
//
// Somebody else's change of a field that Sluice applied is put right. Where the
// API server refuses git's fields beside what others added, as it does with a port
// that was renumbered, what others own around the missing fields is taken out, but
// never a size that Sluice does not decide. After five times in ten minutes an
// object is contested: it is reported with the name of the last writer, and left
// alone. With BreakGlass, a change that a person declared on the object stays until
// the end that was written, four hours at most; then it is put right and the
// declaration taken off. What Sluice itself decides meanwhile, such as a rollback,
// goes before it.
//
// # Adoption
//
// Compare recognises a workload that runs under the names its authors gave it.
// A Rehome makes its content again as a revision, as large as what runs and
// without what scales or protects it; moves the Services and the route there
// once it is ready; deletes what ran before, autoscaler and budget first; and
// gives the revision its own. What is deleted then is named by its UID before
// anything is applied, and deleted only once no endpoint of it is left in front
// of anybody. ConfigMaps, Secrets and claims under their old names stay.
//
// # Without a gateway
//
// With replicas, the number of pods divides the traffic: the apex Services
// select both revisions from the first step to the last, and one at 0 and at
// 100 %. RouteStatus.Achievable is the share of the ready pods.
//
// # Concurrency
//
// A Cluster may be used by any number of goroutines, but by one at a time for
// any one release. Run has to be running for Converge and Observe to get
// anywhere; both answer ErrUnknown before.
//
// # What it does not do
//
// It decides nothing about a release, waits for nothing, runs no Jobs, and does
// not create namespaces. It takes over no pods: what was adopted is made again.
package cluster
