package cluster

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/fluxcd/pkg/ssa/normalize"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/sluice-cd/sluice/reconciler/release"
	"github.com/sluice-cd/sluice/reconciler/render"
)

// Options say where a release runs and how its traffic is divided.
type Options = release.Place

// The kinds of traffic of a release.Place.
const (
	Gateway  = "gateway"
	Replicas = "replicas"
	None     = "none"
)

// A stage is a group of objects that is applied together, in this order.
type stage int

const (
	stageConfig   stage = iota // accounts, configuration, policies and kinds not known here
	stageService               // Services
	stageWorkload              // what runs pods
	stageScale                 // what acts on a workload that has to exist
	stageRoute                 // traffic, once its targets exist
)

func stageOf(id identity) stage {
	switch {
	case id.groupKind() == kindService:
		return stageService
	case id.Group == "apps" || id.Group == "batch":
		return stageWorkload
	case id.groupKind() == kindAutoscaler, id.groupKind() == kindBudget, id.Group == "keda.sh", id.Group == "autoscaling.k8s.io":
		return stageScale
	}
	return stageConfig
}

// A request is what Converge and Observe are asked.
type request struct {
	key       release.Key
	state     release.State
	manifests map[string]render.Output // by Revision.ID
	options   Options
	// adopted objects were there before Sluice, as the inventory knows.
	adopted map[identity]bool
	// former is what still runs under its authors' names and has to go.
	former map[identity]*live
}

// A plan is what one pass wants, given what the cluster is like now. It is
// pure: the same input gives the same plan.
type plan struct {
	request
	seen map[identity]*live

	objects []*wanted         // in stages, without the route
	route   *wanted           // nil when none is rendered
	open    bool              // the route can be written: somebody is there to get its traffic
	size    map[string]int    // pods, by revision
	groups  map[string][]pods // the same, by workload
	held    string            // why traffic is not as the State wants it
	ids     map[identity]bool
	pinned  []identity // Services that select one revision
}

func newPlan(r request, seen map[identity]*live) (*plan, error) {
	p := &plan{request: r, seen: seen, size: map[string]int{}, groups: map[string][]pods{}, ids: map[identity]bool{}}
	if r.state.Retired {
		return p, nil
	}
	if err := p.addWorkloads(); err != nil {
		return nil, err
	}
	if r.state.Shared != "" {
		if err := p.addShared(); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(p.objects, func(a, b *wanted) int { return int(a.stage - b.stage) })
	return p, nil
}

// ErrEmpty refuses manifests without objects: it is far likelier that
// rendering went wrong than that a release should lose everything.
var ErrEmpty = errors.New("nothing is rendered")

func (p *plan) addWorkloads() error {
	for _, w := range p.state.Workloads {
		output := p.manifests[w.Revision]
		if len(output.Workload)+len(output.Shared) == 0 {
			return fmt.Errorf("plan %s: revision %s: %w", p.key, w.Revision, ErrEmpty)
		}
		for _, o := range sized(p, w, output.Workload) {
			if p.withheld(o, w.Revision) {
				continue
			}
			if err := p.add(o, w.Revision); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *plan) addShared() error {
	output := p.manifests[p.state.Shared]
	if len(output.Workload)+len(output.Shared) == 0 {
		return fmt.Errorf("plan %s: shared objects of revision %s: %w", p.key, p.state.Shared, ErrEmpty)
	}
	for _, shared := range output.Shared {
		o := shared.DeepCopy()
		var err error
		switch {
		case p.isRoute(o):
			err = p.addRoute(o)
		case identify(o).groupKind() == kindService:
			err = p.addService(o, output.Report)
		default:
			err = p.add(o, "")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// add puts an object into the plan. The first of one name wins: an object that
// two revisions render under the same name (a CronJob) stays stable's until the
// candidate is stable, as stable comes first among the workloads.
func (p *plan) add(o *unstructured.Unstructured, revision string) error {
	id := identify(o)
	if p.ids[id] {
		return nil
	}
	w, err := p.want(o, revision)
	if err != nil {
		return err
	}
	w.asIs = p.keeps(revision)
	p.ids[id] = true
	p.objects = append(p.objects, w)
	return nil
}

// keeps reports objects that stay as they are, because what they render to now
// was not verified. Pinned Services and the route do not come this way.
func (p *plan) keeps(revision string) bool {
	return slices.Contains(p.state.AsIs, cmp.Or(revision, p.state.Shared))
}

// want completes an object for its apply: the label by which it is found
// again, and the hash by which it is known to be applied.
func (p *plan) want(o *unstructured.Unstructured, revision string) (*wanted, error) {
	id := identify(o)
	if err := clean(o); err != nil {
		return nil, err
	}
	setLabel(o, labelRelease, labelOf(p.key))
	adopted := p.adopts(id)
	if adopted {
		setAnnotation(o, annotationAdopt, p.key.String())
	}
	raw, err := json.Marshal(o.Object)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", id, err)
	}
	sum := sha256.Sum256(raw)
	hash := hex.EncodeToString(sum[:8])
	setAnnotation(o, annotationApplied, hash)
	_, floored := o.GetAnnotations()[annotationFloor]
	return &wanted{id: id, object: o, revision: revision, stage: stageOf(id), hash: hash, fenced: floored, adopted: adopted}, nil
}

// adopts reports an object that was there before Sluice.
func (p *plan) adopts(id identity) bool {
	l := p.seen[id]
	return p.adopted[id] || l != nil && l.adoptedBy(p.key)
}

// clean takes out of an object what is not for its author to say.
func clean(o *unstructured.Unstructured) error {
	if id := identify(o); id.groupKind() == kindSecret {
		// stringData is never read back, so it would look like drift for ever.
		if err := normalize.Unstructured(o); err != nil {
			return fmt.Errorf("normalize %s: %w", id, err)
		}
	}
	o.Object = withoutNulls(o.Object).(map[string]any)
	for _, field := range []string{"creationTimestamp", "uid", "resourceVersion", "generation", "managedFields", "selfLink"} {
		unstructured.RemoveNestedField(o.Object, "metadata", field)
	}
	unstructured.RemoveNestedField(o.Object, "status")
	return nil
}

// withoutNulls drops null fields: applying one means to remove it, which can
// never be owned and would look like drift.
func withoutNulls(value any) any {
	switch v := value.(type) {
	case map[string]any:
		maps.DeleteFunc(v, func(_ string, child any) bool { return child == nil })
		for name, child := range v {
			v[name] = withoutNulls(child)
		}
	case []any:
		for i, child := range v {
			v[i] = withoutNulls(child)
		}
	}
	return value
}

func setLabel(o *unstructured.Unstructured, name, value string) {
	labels := o.GetLabels()
	if labels == nil {
		labels = map[string]string{}
	}
	labels[name] = value
	o.SetLabels(labels)
}

func setAnnotation(o *unstructured.Unstructured, name, value string) {
	annotations := o.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[name] = value
	o.SetAnnotations(annotations)
}

// enlisted is everything that the State stands for, the route last.
func (p *plan) enlisted() []*wanted {
	if p.route == nil {
		return p.objects
	}
	return append(slices.Clip(p.objects), p.route)
}

// applicable is what of it can be applied now.
func (p *plan) applicable() []*wanted {
	if p.open {
		return p.enlisted()
	}
	return p.objects
}

// wants reports whether the object is to stay.
func (p *plan) wants(id identity) bool { return p.ids[id] }

// dropped reports an object of a revision that the State no longer runs.
func (p *plan) dropped(e entry) bool {
	return e.Revision != "" && !p.runs(e.Revision)
}

func (p *plan) runs(revision string) bool {
	return slices.ContainsFunc(p.state.Workloads, func(w release.Workload) bool { return w.Revision == revision })
}

// inUse reports an object that must outlive others: what traffic may still
// reach is deleted only after the traffic has gone.
func (p *plan) inUse(e entry, i inventory) bool {
	kind := e.identity().groupKind()
	if kind == kindHTTPRoute || kind == kindGRPCRoute {
		return false
	}
	for id := range i.entries {
		l := p.seen[id]
		switch {
		case l == nil || id == e.identity():
			continue
		case l.route != nil && (p.state.Retired || e.Revision != "" && l.route.refersTo(p.options.Service, e.Revision)):
			return true
		case kind == kindService || id.groupKind() != kindService:
			continue
		case p.state.Retired, e.Revision != "" && l.revision() == "" && l.selector[labelRevision] == e.Revision:
			return true
		}
	}
	return false
}
