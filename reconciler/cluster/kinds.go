package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/restmapper"
)

const (
	// kindsRetry is the pause before an API server that did not answer is
	// asked again which kinds it serves.
	kindsRetry = time.Second
	// missingRetry is the pause before it is asked again for a kind that it
	// does not serve: somebody may have installed it by then.
	missingRetry = 15 * time.Second
)

// kinds knows how kinds are reached. Only Run asks the API server, since that
// can take long when it is away; everybody else is told what is known.
type kinds struct {
	discoverer discovery.DiscoveryInterface
	added      chan struct{} // a hint that wanted has grown

	mu     sync.Mutex // guards the following
	wanted map[schema.GroupKind]schema.GroupVersionKind
	found  map[schema.GroupKind]*meta.RESTMapping
	// failed is why a wanted kind is not found yet.
	failed map[schema.GroupKind]error
}

func newKinds(discoverer discovery.DiscoveryInterface) *kinds {
	return &kinds{
		discoverer: discoverer,
		added:      make(chan struct{}, 1),
		wanted:     map[schema.GroupKind]schema.GroupVersionKind{},
		found:      map[schema.GroupKind]*meta.RESTMapping{},
		failed:     map[schema.GroupKind]error{},
	}
}

// mapping is how the kind is reached. An ErrUnknown says that the API server
// has not been asked yet or did not answer.
func (k *kinds) mapping(gvk schema.GroupVersionKind) (*meta.RESTMapping, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	kind := gvk.GroupKind()
	if found := k.found[kind]; found != nil {
		return found, nil
	}
	if _, known := k.wanted[kind]; !known {
		k.wanted[kind] = gvk
		select {
		case k.added <- struct{}{}:
		default:
		}
	}
	err := k.failed[kind]
	switch {
	case err == nil:
		return nil, fmt.Errorf("%w: kind %s is being looked up", ErrUnknown, kind)
	case meta.IsNoMatchError(err) && !errors.Is(err, ErrUnknown):
		return nil, fmt.Errorf("look up kind %s: the cluster does not serve it; install its CustomResourceDefinition: %w", kind, err)
	}
	return nil, fmt.Errorf("%w: look up kind %s: %w", ErrUnknown, kind, err)
}

// run looks up what is wanted until ctx ends, and calls found with each kind.
func (k *kinds) run(ctx context.Context, found func(*meta.RESTMapping)) {
	for {
		var again <-chan time.Time
		if pause := k.lookUp(found); pause > 0 {
			again = time.After(pause)
		}
		select {
		case <-ctx.Done():
			return
		case <-k.added:
		case <-again:
		}
	}
}

// lookUp asks for all kinds that are wanted; the answer is the pause before it
// is worth asking again, 0 when nothing is missing.
func (k *kinds) lookUp(found func(*meta.RESTMapping)) time.Duration {
	k.mu.Lock()
	open := len(k.wanted) > len(k.found)
	k.mu.Unlock()
	if !open {
		return 0
	}
	groups, err := restmapper.GetAPIGroupResources(k.discoverer)
	mapper := restmapper.NewDiscoveryRESTMapper(groups)
	if err == nil {
		// Something else than an API server may answer {} to everything.
		_, err = mapper.ResourceFor(schema.GroupVersionResource{Version: "v1", Resource: "pods"})
	}
	if err != nil {
		err = fmt.Errorf("%w: list the kinds that are served: %w", ErrUnknown, err)
	}
	var fresh []*meta.RESTMapping
	pause := k.settle(mapper, err, &fresh)
	for _, mapping := range fresh {
		found(mapping)
	}
	return pause
}

func (k *kinds) settle(mapper meta.RESTMapper, failure error, fresh *[]*meta.RESTMapping) time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	pause := time.Duration(0)
	for kind, gvk := range k.wanted {
		if k.found[kind] != nil {
			continue
		}
		if failure != nil {
			k.failed[kind], pause = failure, kindsRetry
			continue
		}
		mapping, err := mapper.RESTMapping(kind, gvk.Version)
		if err != nil {
			k.failed[kind], pause = err, max(pause, missingRetry)
			continue
		}
		k.found[kind] = mapping
		delete(k.failed, kind)
		*fresh = append(*fresh, mapping)
	}
	return pause
}
