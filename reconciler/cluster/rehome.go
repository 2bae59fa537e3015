package cluster

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// An adopted workload runs under the names that its authors gave it. To re-home
// it, its content is made again as a revision, without what scales or protects
// it and at the size that runs; when that is ready, the Services and the route
// move to it; when they have moved, what ran before is deleted by its UID, and
// then the revision gets its own autoscaler and budget. (Two autoscalers over
// the same pods both stop, and two budgets block every eviction.) Each pass does
// what is possible by then, so that it can end anywhere.

// replaced is the name under which the authors' object of a revision's object
// runs; false for what has none or may stay, such as ConfigMaps.
func replaced(o *unstructured.Unstructured, revision string) (identity, bool) {
	id := identify(o)
	plain := strings.TrimSuffix(id.Name, "-"+revision)
	stage := stageOf(id)
	gone := plain != id.Name && o.GetKind() != "Job" && (stage == stageWorkload || stage == stageScale)
	id.Name = plain
	return id, gone
}

// findFormer looks for what is to be replaced. No informer sees these objects,
// since they carry no label; they are asked for as long as a Rehome lasts.
func (c *Cluster) findFormer(ctx context.Context, p *pass) error {
	revision := p.state.Traffic.Stable
	if !p.state.Rehome {
		return nil
	}
	found, err := c.askAll(ctx, formerNames(p.manifests[revision].Workload, revision))
	if err != nil {
		return err
	}
	p.former = map[identity]*live{}
	for _, pair := range found {
		if pair.live == nil {
			continue
		}
		l, err := digest(pair.live)
		if err != nil {
			return err
		}
		p.former[l.identity()] = l
		p.stranger = cmp.Or(p.stranger, p.refuses(pair.live, l))
	}
	return nil
}

// formerNames are the objects under their authors' names.
func formerNames(workload []*unstructured.Unstructured, revision string) []*unstructured.Unstructured {
	var all []*unstructured.Unstructured
	for _, o := range workload {
		if id, ok := replaced(o, revision); ok {
			former := o.DeepCopy()
			former.SetName(id.Name)
			all = append(all, former)
		}
	}
	return all
}

// refuses is why an object may not be replaced. When a Rehome begins, what is
// found is what was adopted; whatever turns up later under the same name is
// somebody's, unless it was given to the release.
func (p *pass) refuses(o *unstructured.Unstructured, l *live) error {
	if owned := owner(o, labelOf(p.key)); owned != nil {
		return owned
	}
	e := p.inventory.entries[l.identity()]
	if !p.inventory.has(p.state.Traffic.Stable) || e.Former && e.UID == string(l.UID) || l.adoptedBy(p.key) {
		return nil
	}
	return fmt.Errorf("replace %s: it is not the one that was adopted; delete it, or let %s replace it: %s %s=%s: %w",
		l.identity(), p.key, kubectl(o, "annotate --overwrite"), annotationAdopt, p.key, ErrRefused)
}

// has reports whether anything of a revision was ever applied.
func (i inventory) has(revision string) bool {
	for _, e := range i.entries {
		if e.Revision == revision {
			return true
		}
	}
	return false
}

// enlistFormer names for deletion what is to be replaced, by its UID; false
// when that is stored already.
func (p *pass) enlistFormer(entries map[identity]entry) bool {
	changed := false
	for id, l := range p.former {
		e := entry{APIVersion: l.APIVersion, Kind: l.Kind, Namespace: l.Namespace, Name: l.Name, UID: string(l.UID), Former: true}
		if entries[id] != e {
			entries[id], changed = e, true
		}
	}
	return changed
}

// withheld reports an object that has to wait until what it would act beside is
// gone.
func (p *plan) withheld(o *unstructured.Unstructured, revision string) bool {
	_, renamed := replaced(o, revision)
	return len(p.former) > 0 && renamed && stageOf(identify(o)) == stageScale
}

// keepFormerSize gives a re-homed workload as many pods as run now, and never
// fewer than it has already.
func (p *plan) keepFormerSize(revision string, o *unstructured.Unstructured) {
	size := 1
	id, _ := replaced(o, revision)
	for _, l := range []*live{p.former[id], p.seen[identify(o)]} {
		if l != nil && l.replicas != nil {
			size = max(size, *l.replicas)
		}
	}
	p.size[revision] += size
	setInt(o, size, "spec", "replicas")
}

// rehomable is why traffic stays with what was adopted; "" when its revision
// can take it.
func (p *plan) rehomable(revision string) string {
	if ready, need := p.readyPods(revision), p.size[revision]; len(p.former) > 0 && ready < need {
		return fmt.Sprintf("revision %s has %d of %d ready pods", revision, ready, need)
	}
	return ""
}

// unmoved is why what was adopted still has traffic; "" when nothing reaches it
// any more.
func (p *plan) unmoved() string {
	revision := p.state.Traffic.Stable
	if reason := cmp.Or(p.held, p.rehomable(revision)); reason != "" {
		return reason
	}
	for _, id := range p.pinned {
		if l := p.seen[id]; l == nil || l.selector[labelRevision] != revision {
			return fmt.Sprintf("%s does not select revision %s yet", id, revision)
		}
		if reason := p.unserved(id, revision); reason != "" {
			return reason
		}
	}
	if p.route == nil {
		return ""
	}
	l := p.seen[p.route.id]
	switch {
	case l == nil || l.route == nil || l.route.shares(p.options.Service)[revision] != 100:
		return fmt.Sprintf("%s does not send everything to revision %s yet", p.route.id, revision)
	case !l.route.accepted:
		return fmt.Sprintf("%s: %s", p.route.id, l.route.reason)
	}
	return ""
}

// unserved is why a Service's endpoints are not those of the revision alone.
func (p *plan) unserved(service identity, revision string) string {
	pods := readyTargets(p.seen, service.Name)
	if len(pods) == 0 {
		return fmt.Sprintf("%s has no ready endpoints", service)
	}
	for _, name := range slices.Sorted(maps.Keys(pods)) {
		l := p.seen[identity{Kind: kindPod.Kind, Namespace: service.Namespace, Name: name}]
		if l == nil || l.revision() != revision {
			return fmt.Sprintf("%s still has the endpoint of pod %s", service, name)
		}
	}
	return ""
}

// others counts the ready endpoints of the apex Service that are not the
// revision's.
func (p *plan) others(revision string) int {
	n := 0
	for name := range readyTargets(p.seen, p.options.Service) {
		if l := p.seen[identity{Kind: kindPod.Kind, Namespace: p.options.Namespace, Name: name}]; l == nil || l.revision() != revision {
			n++
		}
	}
	return n
}

// superseded decides whether a former object goes now. What scales and protects
// the old pods goes before they do.
func (p *plan) superseded(e entry, i inventory) (now, ever bool) {
	if !p.state.Rehome {
		return false, false
	}
	if p.unmoved() != "" {
		return false, true
	}
	for id, other := range i.entries {
		if other.Former && stageOf(id) == stageScale && stageOf(e.identity()) != stageScale {
			return false, true
		}
	}
	return true, true
}

// rehoming is what a Rehome waits for; "" when it is done or there is none.
func (p *pass) rehoming() string {
	switch {
	case !p.state.Rehome:
		return ""
	case p.stranger != nil:
		return p.stranger.Error()
	case len(p.former) == 0:
		return ""
	}
	left := slices.SortedFunc(maps.Keys(p.former), func(a, b identity) int { return cmp.Compare(a.String(), b.String()) })
	return cmp.Or(p.unmoved(), fmt.Sprintf("%s is being deleted", left[0]))
}
