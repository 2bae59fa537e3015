package cluster

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/sluice-cd/sluice/reconciler/render"
)

// A share is the part of a rule's traffic that goes to one revision.
type share struct {
	revision string
	percent  int
}

// target is how the State wants the traffic divided.
func (p *plan) target() []share {
	t := p.state.Traffic
	switch {
	case t.Candidate == "" && t.Stable == "":
		return nil
	case t.Candidate == "":
		return []share{{t.Stable, 100}}
	case t.Stable == "":
		return []share{{t.Candidate, t.Weight}}
	}
	return []share{{t.Stable, 100 - t.Weight}, {t.Candidate, t.Weight}}
}

func (p *plan) isRoute(o *unstructured.Unstructured) bool {
	if p.options.Traffic != Gateway || p.options.Route == "" || o.GetName() != p.options.Route {
		return false
	}
	kind := identify(o).groupKind()
	return kind == kindHTTPRoute || kind == kindGRPCRoute
}

// addRoute plans the route with the weights that may be written now.
func (p *plan) addRoute(o *unstructured.Unstructured) error {
	id := identify(o)
	p.ids[id] = true
	shares, held := p.permitted(id)
	p.held = cmp.Or(p.held, held)
	p.open = total(shares) > 0 || p.seen[id] != nil
	o, err := p.weighted(o, shares)
	if err != nil {
		return err
	}
	w, err := p.want(o, "")
	if err != nil {
		return err
	}
	w.stage, w.fenced = stageRoute, true
	p.route = w
	return nil
}

// weighted is the route with its weights. With nobody to send traffic to it
// keeps the reference to the apex Service, which is pinned to nothing then.
func (p *plan) weighted(o *unstructured.Unstructured, shares []share) (*unstructured.Unstructured, error) {
	if total(shares) == 0 {
		return o, nil
	}
	weights := make([]render.Share, len(shares))
	for i, s := range shares {
		weights[i] = render.Share{Revision: s.revision, Weight: int32(s.percent)}
	}
	return render.Weighted(o, p.options.Service, weights)
}

func total(shares []share) int {
	sum := 0
	for _, s := range shares {
		sum += s.percent
	}
	return sum
}

// permitted is the division of traffic that may be written now: the State's
// if every receiver that gains is there and able to carry it, otherwise the one
// that the route has, with why. nil shares mean the route as it was rendered.
func (p *plan) permitted(route identity) (shares []share, held string) {
	var now map[string]int
	if l := p.seen[route]; l != nil && l.route != nil {
		now = l.route.shares(p.options.Service)
	}
	if p.state.Rehome {
		held = p.rehomable(p.state.Traffic.Stable)
	}
	for _, s := range p.target() {
		if !p.exists(s.revision) {
			if s.percent > 0 && held == "" {
				held = fmt.Sprintf("the Service of revision %s is not there yet", s.revision)
			}
			continue
		}
		shares = append(shares, s)
		if ready, need := p.endpoints(s.revision), p.need(s); now != nil && s.percent > now[s.revision] && ready < need && held == "" {
			held = fmt.Sprintf("revision %s has %d ready endpoints and needs %d for %d %%", s.revision, ready, need, s.percent)
		}
	}
	if held == "" || now == nil {
		return shares, held
	}
	return p.current(now), held
}

// current is the division that the live route has, as far as its targets
// still exist.
func (p *plan) current(now map[string]int) []share {
	var shares []share
	for _, s := range p.target() { // in a fixed order, the State's own first
		if percent, ok := now[s.revision]; ok && p.exists(s.revision) {
			shares = append(shares, share{s.revision, percent})
			delete(now, s.revision)
		}
	}
	for _, revision := range slices.Sorted(maps.Keys(now)) {
		if p.exists(revision) {
			shares = append(shares, share{revision, now[revision]})
		}
	}
	return shares
}

// exists reports whether a revision's Service is in the cluster: a reference
// to one that is not answers 500 for its share.
func (p *plan) exists(revision string) bool {
	l := p.seen[serviceIdentity(p.options.Namespace, render.RevisionServiceName(p.options.Service, revision))]
	return l != nil && l.DeletionTimestamp == nil
}

func (p *plan) endpoints(revision string) int {
	return readyEndpoints(p.seen, render.RevisionServiceName(p.options.Service, revision))
}

// need is how many ready endpoints a revision must have before it is given its
// share. For the way back to stable one is enough: a loaded stable is better
// than a bad candidate.
func (p *plan) need(s share) int {
	t := p.state.Traffic
	switch {
	case s.percent == 0:
		return 0
	case p.state.Rehome:
		return max(1, p.others(s.revision))
	case s.revision == t.Stable || t.Stable == "":
		return 1
	}
	total := p.endpoints(t.Stable)
	need := max(1, int(math.Ceil(float64(total*s.percent)/100)))
	if size := p.sizeBehind(p.apex(s.revision), s.revision); size > 0 {
		return min(need, size) // its own upper bound is as much as it can ever have
	}
	return need
}

// addService plans a rendered Service: one in front of the workload is pinned
// to the revision that serves, and with a gateway the apex Service gets a copy
// for each revision.
func (p *plan) addService(o *unstructured.Unstructured, report render.Report) error {
	at := slices.IndexFunc(report.Services, func(a render.Apex) bool { return a.Name == o.GetName() })
	if at < 0 {
		return p.add(o, "")
	}
	if p.options.Traffic == Gateway && o.GetName() == p.options.Service {
		for _, w := range p.state.Workloads {
			own, err := render.RevisionService(o, w.Revision)
			if err != nil {
				return err
			}
			if err := p.add(own, w.Revision); err != nil {
				return err
			}
		}
	}
	if report.Services[at].Pinned {
		p.pin(o)
	}
	if err := p.add(o, ""); err != nil {
		return err
	}
	if report.Services[at].Pinned {
		p.pinned = append(p.pinned, identify(o))
		service := p.objects[len(p.objects)-1]
		service.fenced, service.asIs = true, false
	}
	return nil
}

// pin makes a Service select the revision that serves.
func (p *plan) pin(o *unstructured.Unstructured) {
	live := p.seen[identify(o)]
	want, both := p.serving()
	if live != nil && !p.mayPin(selectorOf(o), live.selector[labelRevision], want, both) {
		want = live.selector[labelRevision]
		both = want == ""
		if both && live.selector[labelRelease] == "" {
			return // adopted: it selects what it always selected until a revision is ready
		}
	}
	if both {
		setSelector(o, labelRelease, labelOf(p.key))
		return
	}
	setSelector(o, labelRevision, want)
}

// serving is the revision that the apex Services should select; both with the
// split in the number of pods.
func (p *plan) serving() (revision string, both bool) {
	t := p.state.Traffic
	switch {
	case t.Stable == "" && (t.Candidate == "" || t.Weight == 0):
		return noRevision, false
	case t.Stable == "":
		return t.Candidate, false
	case p.options.Traffic != Replicas || t.Candidate == "" || t.Weight == 0:
		return t.Stable, false
	case t.Weight < 100:
		return "", true
	}
	return t.Candidate, false
}

// mayPin reports whether a Service may change its selector: only towards
// revisions that have ready pods behind it, since a Service without endpoints
// fails every call.
func (p *plan) mayPin(service labels.Selector, from, to string, both bool) bool {
	if both || from == to || from == noRevision || to == noRevision {
		return true
	}
	ready, need := p.readyBehind(service, to), 1
	switch {
	case len(p.former) > 0: // what is not behind it is replaced with it
		ready, need = p.readyPods(to), max(1, p.size[to])
	case p.options.Traffic == Replicas && to == p.state.Traffic.Candidate:
		need = max(1, p.sizeBehind(service, to))
	}
	if ready < need && p.held == "" {
		p.held = fmt.Sprintf("revision %s has %d ready pods and needs %d to be selected", to, ready, need)
	}
	return ready >= need
}

func (p *plan) readyPods(revision string) int { return p.readyBehind(labels.Everything(), revision) }

func setSelector(o *unstructured.Unstructured, name, value string) {
	selector, _, _ := unstructured.NestedStringMap(o.Object, "spec", "selector")
	if selector == nil {
		return // endpoints by hand or ExternalName: nothing to pin
	}
	selector[name] = value
	_ = unstructured.SetNestedStringMap(o.Object, selector, "spec", "selector") // spec is a map: it was read above
}

func serviceIdentity(namespace, name string) identity {
	return identity{Kind: kindService.Kind, Namespace: namespace, Name: name}
}
