package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sluice-cd/sluice/reconciler/release"
	"github.com/sluice-cd/sluice/reconciler/render"
)

// A pass is one Converge or Observe of one release.
type pass struct {
	*plan
	kinds     map[schema.GroupKind]schema.GroupVersionKind
	inventory inventory
	// claimed objects exist and do not carry the release's label yet.
	claimed map[identity]*live
	// stranger is why a Rehome may not replace what it found.
	stranger error
}

// Converge makes the cluster look like state, as far as that can be done
// without waiting. It may be called at any time, also again after an error or
// a crash; what is in place already costs no request. Objects that fail keep no
// others from being applied, but keep everything from being deleted.
//
// It returns nil when nothing failed, which does not mean that the cluster
// looks like state already: see Observe.
func (c *Cluster) Converge(ctx context.Context, key release.Key, state release.State, manifests map[string]render.Output, options Options) error {
	if state.Observed {
		return nil
	}
	p, err := c.open(ctx, request{key: key, state: state, manifests: manifests, options: options})
	if err != nil {
		return fmt.Errorf("converge %s: %w", key, err)
	}
	if err := c.converge(ctx, p); err != nil {
		return fmt.Errorf("converge %s: %w", key, err)
	}
	return nil
}

// open looks at what there is and plans.
func (c *Cluster) open(ctx context.Context, r request) (*pass, error) {
	if err := c.reaches(r.options.Namespace); err != nil {
		return nil, err
	}
	p := &pass{plan: &plan{request: r}, kinds: kindsOf(r.manifests, r.options), claimed: map[identity]*live{}}
	if err := c.synced(p.options.Namespace, p.kinds); err != nil {
		return nil, err
	}
	if err := c.look(p); err != nil {
		return nil, err
	}
	var err error
	if p.inventory, err = c.inventory(ctx, p.key, p.seen); err != nil {
		return nil, err
	}
	for _, e := range p.inventory.entries {
		if !neverPruned(e.identity()) {
			p.kinds[e.gvk().GroupKind()] = e.gvk()
		}
	}
	if err := c.synced(p.options.Namespace, p.kinds); err != nil {
		return nil, err
	}
	if err := c.findFormer(ctx, p); err != nil {
		return nil, err
	}
	return p, c.look(p)
}

// look plans with what the caches say now.
func (c *Cluster) look(p *pass) error {
	seen, err := c.watches.of(labelOf(p.key), c.now())
	if err != nil {
		return err
	}
	for id, l := range p.claimed {
		if seen[id] == nil {
			seen[id] = l
		}
	}
	p.request.adopted = p.inventory.adopted()
	for id, l := range p.claimed {
		if !p.made(l) {
			p.request.adopted[id] = true
		}
	}
	p.plan, err = newPlan(p.request, seen)
	return err
}

func (c *Cluster) converge(ctx context.Context, p *pass) error {
	if err := errors.Join(p.stranger, c.claim(ctx, p)); err != nil {
		return err
	}
	entries, changed := p.inventory.union(p.enlisted(), p.seen)
	if p.enlistFormer(entries) || changed {
		var err error
		if p.inventory, err = c.saveInventory(ctx, p.key, p.inventory.version, entries); err != nil {
			return err
		}
	}
	var failed []error
	early := p.retreats()
	if early {
		failed = append(failed, c.apply(ctx, p, p.route))
	}
	failed = append(failed, c.applyStages(ctx, p))
	if err := c.look(p); err != nil {
		return errors.Join(append(failed, err)...)
	}
	if p.open && !early {
		failed = append(failed, c.apply(ctx, p, p.route))
	}
	if err := errors.Join(failed...); err != nil {
		return err
	}
	if err := c.trouble(p.options.Namespace, p.kinds); err != nil {
		return err // never delete by what a cache said before its watch broke
	}
	return c.settle(ctx, p)
}

// retreats reports that traffic is to leave the candidate and that stable can
// take it: then the route comes before everything else.
func (p *pass) retreats() bool {
	if !p.open || p.held != "" {
		return false
	}
	l := p.seen[p.route.id]
	t := p.state.Traffic
	return l != nil && l.route != nil && t.Stable != "" && l.route.shares(p.options.Service)[t.Stable] < 100-t.Weight
}

// settle deletes what is no longer wanted.
func (c *Cluster) settle(ctx context.Context, p *pass) error {
	if err := c.look(p); err != nil {
		return err
	}
	return c.prune(ctx, p.key, p.inventory, p.plan)
}

// applyStages applies all objects but the route, stage by stage.
func (c *Cluster) applyStages(ctx context.Context, p *pass) error {
	var failed []error
	for objects := p.objects; len(objects) > 0; {
		next := slices.IndexFunc(objects, func(w *wanted) bool { return w.stage != objects[0].stage })
		if next < 0 {
			next = len(objects)
		}
		failed = append(failed, c.applyAll(ctx, p, objects[:next]))
		objects = objects[next:]
	}
	return errors.Join(failed...)
}

func (c *Cluster) applyAll(ctx context.Context, p *pass, objects []*wanted) error {
	failed := make([]error, len(objects))
	var applying errgroup.Group
	applying.SetLimit(concurrency)
	for n, w := range objects {
		applying.Go(func() error {
			failed[n] = c.apply(ctx, p, w)
			return nil
		})
	}
	_ = applying.Wait() // failures are kept one by one
	return errors.Join(failed...)
}
