package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// claim looks for the objects that Sluice is about to apply for the first time
// under a name that is not its own. One that somebody else manages, or that
// nobody gave to the release, refuses the whole pass before anything is
// written. One that may be taken over is taken as it is, so the plan has to
// know its selector and weights.
func (c *Cluster) claim(ctx context.Context, p *pass) error {
	var missing []*wanted
	for _, w := range p.enlisted() {
		if w.plainlyNamed() && p.seen[w.id] == nil {
			missing = append(missing, w)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	var mu sync.Mutex // guards p.claimed
	failed := make([]error, len(missing))
	var asking errgroup.Group
	asking.SetLimit(concurrency)
	for n, w := range missing {
		asking.Go(func() error {
			l, err := c.unclaimed(ctx, p, w)
			failed[n] = err
			if l != nil {
				mu.Lock()
				defer mu.Unlock()
				p.claimed[w.id] = l
			}
			return nil
		})
	}
	_ = asking.Wait() // failures are kept one by one
	if err := errors.Join(failed...); err != nil || len(p.claimed) == 0 {
		return err
	}
	return c.look(p)
}

// plainlyNamed reports an object whose name does not carry its revision, so
// that anybody may have created it.
func (w *wanted) plainlyNamed() bool {
	return w.revision == "" || !strings.HasSuffix(w.id.Name, "-"+w.revision)
}

// unclaimed returns the object that stands where w is to be applied, nil when
// there is none, and an error when it may not be taken over.
func (c *Cluster) unclaimed(ctx context.Context, p *pass, w *wanted) (*live, error) {
	object, err := c.ask(ctx, w.object, w.id)
	if object == nil || err != nil {
		return nil, err
	}
	if o := owner(object, labelOf(p.key)); o != nil {
		return nil, o
	}
	l, err := digest(object)
	if err != nil {
		return nil, err
	}
	if !p.made(l) && !l.adoptedBy(p.key) && !p.state.Rehome {
		return nil, p.foreign(object)
	}
	return l, nil
}

// ask gets an object from the API server; nil when there is none.
func (c *Cluster) ask(ctx context.Context, like *unstructured.Unstructured, id identity) (*unstructured.Unstructured, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	resource, err := c.resource(like.GroupVersionKind(), id.Namespace)
	if err != nil {
		return nil, err
	}
	object, err := resource.Get(ctx, id.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for %s: %w", id, err)
	}
	return object, nil
}

// made reports an object that Sluice applied before: it has the release's label
// and the cache is behind, or it has lost the label and the inventory knows it.
func (p *pass) made(l *live) bool {
	e, known := p.inventory.entries[l.identity()]
	return l.release() == labelOf(p.key) || known && e.UID == string(l.UID)
}

// foreign refuses an object that nobody gave to the release.
func (p *pass) foreign(o *unstructured.Unstructured) error {
	return fmt.Errorf("apply %s: it is there and Sluice did not create it; to let %s take it over: %s %s=%s; or delete it, or render it under another name: %w",
		identify(o), p.key, kubectl(o, "annotate --overwrite"), annotationAdopt, p.key, ErrRefused)
}
