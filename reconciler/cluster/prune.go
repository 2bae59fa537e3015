package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sluice-cd/sluice/reconciler/release"
)

// Limits on deleting objects that merely vanished from the manifests. Objects
// of a revision that the State drops, and of a retired release, were named for
// deletion and do not count.
const (
	pruneCap     = 5
	prunePercent = 20
)

// neverPruned reports kinds whose deletion destroys data or other people's
// objects. They leave the inventory and stay in the cluster.
func neverPruned(id identity) bool {
	switch id.Kind {
	case "Namespace":
		return id.Group == ""
	case "CustomResourceDefinition":
		return id.Group == "apiextensions.k8s.io"
	case "PersistentVolumeClaim", "PersistentVolume":
		return id.Group == ""
	}
	return false
}

// A pruning is what should go and why some of it may not yet.
type pruning struct {
	remove  []entry
	release []entry // leave the inventory without being deleted
	guarded string  // "" when nothing was refused
	waiting bool    // something has to go first
}

// obsolete decides what of the inventory goes. It looks at the State and the
// inventory, never at labels or at what a cache happens to lack.
func obsolete(i inventory, p *plan) pruning {
	var out pruning
	var vanished []entry
	for id, e := range i.entries {
		switch {
		case p.wants(id):
		case e.Former:
			p.addFormer(&out, e, i)
		case e.Adopted, neverPruned(id):
			out.release = append(out.release, e)
		case p.inUse(e, i):
			out.waiting = true
		case p.state.Retired || p.dropped(e):
			out.remove = append(out.remove, e)
		default:
			vanished = append(vanished, e)
		}
	}
	if limit := max(pruneCap, len(i.entries)*prunePercent/100); len(vanished) > limit {
		out.guarded = fmt.Sprintf("%d of %d objects are no longer rendered and %d may be deleted at once; "+
			"put them back, or delete the unneeded ones yourself (first: %s)",
			len(vanished), len(i.entries), limit, slices.MinFunc(vanished, byName).identity())
		return out
	}
	out.remove = append(out.remove, vanished...)
	return out
}

// addFormer decides about what ran before its release was adopted. Where it is not
// being re-homed, it is its authors' again.
func (p *plan) addFormer(out *pruning, e entry, i inventory) {
	switch now, ever := p.superseded(e, i); {
	case now:
		out.remove = append(out.remove, e)
	case ever:
		out.waiting = true
	default:
		out.release = append(out.release, e)
	}
}

func byName(a, b entry) int {
	switch x, y := a.identity().String(), b.identity().String(); {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

// prune deletes what is obsolete and saves the inventory: with the UIDs that
// are known by now, without whatever is verified gone. One object that cannot
// be deleted keeps no other from going.
func (c *Cluster) prune(ctx context.Context, key release.Key, i inventory, p *plan) error {
	left, changed := i.union(p.enlisted(), p.seen)
	obsolete := obsolete(i, p)
	for _, e := range obsolete.release {
		delete(left, e.identity())
		c.logKept(e)
	}
	gone := make([]bool, len(obsolete.remove))
	failed := make([]error, len(obsolete.remove))
	var deleting errgroup.Group
	deleting.SetLimit(concurrency)
	for n, e := range obsolete.remove {
		deleting.Go(func() error {
			cached := p.seen[e.identity()]
			if e.Former {
				cached = p.former[e.identity()]
			}
			gone[n], failed[n] = c.remove(ctx, key, e, cached)
			return nil
		})
	}
	_ = deleting.Wait() // failures are kept one by one
	for n, e := range obsolete.remove {
		if gone[n] {
			delete(left, e.identity())
		}
	}
	if changed || len(left) < len(i.entries) {
		_, err := c.saveInventory(ctx, key, i.version, left)
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}

func (c *Cluster) logKept(e entry) {
	reason := "a " + e.Kind + " is never deleted"
	if e.Adopted || e.Former {
		reason = "it was there before Sluice; delete it yourself if nobody needs it"
	}
	c.log.Info("object kept", "object", e.identity().String(), "reason", reason)
}

// remove deletes one object and reports whether it is verified gone. A cached
// object is deleted by its UID and version, which the API server checks; one
// that the cache lacks is asked for, since the cache may be wrong.
func (c *Cluster) remove(ctx context.Context, key release.Key, e entry, cached *live) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	resource, err := c.resource(e.gvk(), e.Namespace)
	if err != nil {
		return false, err
	}
	found := cached
	if found == nil {
		object, err := resource.Get(ctx, e.Name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return true, nil
		}
		if err != nil {
			return false, fmt.Errorf("look at %s: %w", e.identity(), err)
		}
		if found, err = digest(object); err != nil {
			return false, err
		}
	}
	if e.UID != "" && string(found.UID) != e.UID {
		return true, nil // somebody else's object of the same name
	}
	if found.release() != labelOf(key) && !e.Former {
		return e.UID == "", unlabelled(key, e)
	}
	if found.DeletionTimestamp != nil {
		return false, nil
	}
	return c.delete(ctx, resource, e, found)
}

func unlabelled(key release.Key, e entry) error {
	if e.UID == "" {
		return nil // it never became ours
	}
	return fmt.Errorf("delete %s: it lost its label %s=%s; delete it yourself or put the label back: %w",
		e.identity(), labelRelease, labelOf(key), ErrRefused)
}

func (c *Cluster) delete(ctx context.Context, resource resourceClient, e entry, found *live) (bool, error) {
	background := metav1.DeletePropagationBackground
	uid, version := found.UID, found.ResourceVersion
	err := resource.Delete(ctx, e.Name, metav1.DeleteOptions{
		PropagationPolicy: &background,
		Preconditions:     &metav1.Preconditions{UID: &uid, ResourceVersion: &version},
	})
	switch {
	case apierrors.IsNotFound(err):
		return true, nil
	case err != nil:
		return false, fmt.Errorf("delete %s: %w", e.identity(), err)
	}
	c.sent.Delete(e.identity())
	c.log.Info("object pruned", "object", e.identity().String(), "revision", e.Revision)
	c.watches.forget(found, c.now())
	return false, nil
}
