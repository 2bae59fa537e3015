package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/sluice-cd/sluice/reconciler/release"
	"github.com/sluice-cd/sluice/reconciler/render"
)

const (
	// requestTimeout bounds one request. Admission webhooks may take 10 s each
	// by default; an API server that needs longer than this is away.
	requestTimeout = 15 * time.Second
	// concurrency is how many requests one Converge has in flight. More gains
	// nothing against one API server and starves other releases.
	concurrency = 8
)

// Errors that a caller branches on.
var (
	// ErrUnknown: the API server or its watches are away or have not caught
	// up yet. Nothing follows from it; ask again.
	ErrUnknown = errors.New("state of the cluster is not known")
	// ErrStale: somebody else wrote in between. Load the record again first.
	ErrStale = errors.New("object was changed since it was read")
	// ErrRejected: the API server will never take this object as it is.
	ErrRejected = errors.New("rejected by the API server")
	// ErrRefused: Sluice does not touch the object; the error says what a
	// person can do.
	ErrRefused = errors.New("refused")
)

// A Config says which cluster and where Sluice keeps its documents in it.
type Config struct {
	REST      *rest.Config
	Namespace string // Sluice's own, for records and inventories; it has to exist
	// Namespaces are those that releases may run in. Nothing outside of them is
	// read, so that rights in them are enough. Empty means all.
	Namespaces []string
	// BreakGlass leaves what a person changed alone while an incident and an end
	// are written on the object. Somebody else has to guard who may write them.
	BreakGlass bool
	Log        *slog.Logger
	// Wake, if set, is called with a release whose objects or pods changed. It
	// is a hint, may come more than once, and must not block.
	Wake func(release.Key)
}

type resourceClient = dynamic.ResourceInterface

// A Cluster is one Kubernetes cluster.
type Cluster struct {
	client     *dynamic.DynamicClient
	kinds      *kinds
	namespace  string
	namespaces []string
	breakGlass bool
	log        *slog.Logger
	watches    *watches
	contests   *contests

	ready       sync.Map // release.Key → map[string]time.Time: when each pod was first ready
	inventories sync.Map // release.Key → inventory, as last saved or loaded
	verified    sync.Map // identity → string: object version and hash that were found in place
	sent        sync.Map // identity → string: hash of our last apply
	kept        sync.Map // identity → string: hash, and what the API server made of it, if it keeps less than was sent
	told        sync.Map // identity → exception: those that the log has told of
}

// New connects to nothing and starts nothing.
func New(config Config) (*Cluster, error) {
	own := rest.CopyConfig(config.REST)
	// The server's priority and fairness is the limit; a second one here would
	// only hold back a rollback behind other releases.
	own.QPS, own.Burst = -1, 0
	if own.UserAgent == "" {
		own.UserAgent = fieldManager
	}
	client, err := dynamic.NewForConfig(own)
	if err != nil {
		return nil, fmt.Errorf("configure Kubernetes client: %w", err)
	}
	discoverer, err := discovery.NewDiscoveryClientForConfig(own)
	if err != nil {
		return nil, fmt.Errorf("configure Kubernetes discovery: %w", err)
	}
	return &Cluster{
		client:     client,
		kinds:      newKinds(discoverer),
		namespace:  config.Namespace,
		namespaces: slices.Clone(config.Namespaces),
		breakGlass: config.BreakGlass,
		log:        config.Log,
		watches:    newWatches(config.Log, config.Wake),
		contests:   &contests{corrected: map[identity][]time.Time{}},
	}, nil
}

// Run keeps the informers running until ctx ends.
func (c *Cluster) Run(ctx context.Context) error {
	for _, gvk := range basics() {
		_, _ = c.kinds.mapping(gvk) // asks for it; a failure is told to whoever needs the kind
	}
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() { c.watches.run(ctx) })
	c.kinds.run(ctx, c.follow)
	return ctx.Err()
}

// follow watches a kind wherever releases may run.
func (c *Cluster) follow(m *meta.RESTMapping) {
	kind, resource := m.GroupVersionKind.GroupKind(), c.client.Resource(m.Resource)
	namespaces := c.namespaces
	if len(namespaces) == 0 || m.Scope.Name() != meta.RESTScopeNameNamespace {
		namespaces = []string{metav1.NamespaceAll}
	}
	for _, namespace := range namespaces {
		if err := c.watches.add(scope{kind, namespace}, resource.Namespace(namespace)); err != nil {
			c.log.Error("kind not watched", "kind", kind.String(), "namespace", namespace, "reason", err)
		}
	}
}

// reaches refuses a namespace that is not watched: everything in it would look
// as if it were gone.
func (c *Cluster) reaches(namespace string) error {
	if len(c.namespaces) == 0 || slices.Contains(c.namespaces, namespace) {
		return nil
	}
	return fmt.Errorf("namespace %s is not one of those that the daemon may use (%s): add it to cluster.namespaces "+
		"in the daemon's configuration, and give the daemon its rights there: %w",
		namespace, strings.Join(c.namespaces, ", "), ErrRefused)
}

// basics are the kinds that are watched from the start: those that health and
// traffic come from, and those that nearly every release has, so that an
// inventory can be made again.
func basics() []schema.GroupVersionKind {
	v1 := func(kind schema.GroupKind) schema.GroupVersionKind { return kind.WithVersion("v1") }
	return []schema.GroupVersionKind{
		v1(kindPod), v1(kindEndpointSlice), v1(kindService), v1(kindConfigMap), v1(kindSecret), v1(kindAccount),
		v1(kindDeployment), kindAutoscaler.WithVersion("v2"), v1(kindBudget), v1(kindHTTPRoute),
	}
}

// resource is the client for one kind in one namespace.
func (c *Cluster) resource(gvk schema.GroupVersionKind, namespace string) (resourceClient, error) {
	mapping, err := c.kinds.mapping(gvk)
	if err != nil {
		return nil, err
	}
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		return c.client.Resource(mapping.Resource).Namespace(namespace), nil
	}
	return c.client.Resource(mapping.Resource), nil
}

// now is the time for what only this process remembers; no decision that is
// stored depends on it.
func (c *Cluster) now() time.Time { return time.Now() }

// synced makes sure that every kind in use is watched in the namespace and that
// its cache has been filled. An ErrUnknown wraps why not.
func (c *Cluster) synced(namespace string, kinds map[schema.GroupKind]schema.GroupVersionKind) error {
	for kind, gvk := range kinds {
		if _, err := c.kinds.mapping(gvk); err != nil {
			return err
		}
		k := c.watches.at(kind, namespace)
		if k == nil {
			return fmt.Errorf("%w: kind %s is not watched yet", ErrUnknown, kind)
		}
		if !k.informer.HasSynced() {
			return errors.Join(fmt.Errorf("%w: the cache of %s is not filled yet", ErrUnknown, kind), k.trouble())
		}
	}
	return nil
}

// trouble is why the caches may be behind; nil when all of them are current.
func (c *Cluster) trouble(namespace string, kinds map[schema.GroupKind]schema.GroupVersionKind) error {
	for kind, gvk := range kinds {
		if k := c.watches.at(kind, namespace); k != nil && k.trouble() != nil {
			return fmt.Errorf("%w: watch %s: %w", ErrUnknown, gvk.Kind, k.trouble())
		}
	}
	return nil
}

// kindsOf lists the kinds that a pass looks at.
func kindsOf(manifests map[string]render.Output, options Options) map[schema.GroupKind]schema.GroupVersionKind {
	kinds := map[schema.GroupKind]schema.GroupVersionKind{}
	for _, gvk := range basics() {
		if gvk.Group != gatewayGroup || options.Traffic == Gateway {
			kinds[gvk.GroupKind()] = gvk
		}
	}
	for _, output := range manifests {
		for _, o := range output.Workload {
			kinds[o.GroupVersionKind().GroupKind()] = o.GroupVersionKind()
		}
		for _, o := range output.Shared {
			kinds[o.GroupVersionKind().GroupKind()] = o.GroupVersionKind()
		}
	}
	return kinds
}
