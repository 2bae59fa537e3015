package cluster

import (
	"math"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/sluice-cd/sluice/reconciler/release"
)

// headroom is how much more than its share a receiver is given before the
// traffic comes: a cold revision serves less per pod than a warm one.
const headroom = 1.2

// sized returns copies of a revision's workload objects with their sizes set:
// replicas where nothing else scales the workload, otherwise the autoscaler's
// bounds. A size of a revision that may have to take all traffic back is never
// lowered while KeepSize holds.
func sized(p *plan, w release.Workload, objects []*unstructured.Unstructured) []*unstructured.Unstructured {
	copies := make([]*unstructured.Unstructured, len(objects))
	for i, o := range objects {
		copies[i] = o.DeepCopy()
	}
	for _, o := range copies {
		kind := identify(o).groupKind()
		if kind != kindDeployment && kind != kindStatefulSet || p.ids[identify(o)] {
			continue // one object for all revisions, such as a StatefulSet, is the first one's
		}
		before := p.size[w.Revision]
		scaler, foreign := scalerOf(o, copies)
		switch {
		case len(p.former) > 0:
			p.keepFormerSize(w.Revision, o)
		case foreign:
			p.leaveSize(o)
		case scaler != nil:
			p.bound(w, o, scaler)
		default:
			p.scale(w, o)
		}
		set, _, _ := unstructured.NestedStringMap(o.Object, "spec", "template", "metadata", "labels")
		p.groups[w.Revision] = append(p.groups[w.Revision], pods{set, p.size[w.Revision] - before})
	}
	return copies
}

// pods are those of one workload.
type pods struct {
	labels labels.Set
	n      int
}

// apex selects the pods in front of which the apex Service is, of any revision. A
// worker beside them has pods too, and no endpoints. Without a Service it is all.
func (p *plan) apex(revision string) labels.Selector {
	for _, o := range p.manifests[revision].Shared {
		if identify(o) == serviceIdentity(p.options.Namespace, p.options.Service) {
			return selectorOf(o)
		}
	}
	return labels.Everything()
}

// selectorOf is what a Service selects as it is rendered; nothing for endpoints by
// hand.
func selectorOf(service *unstructured.Unstructured) labels.Selector {
	selector, _, _ := unstructured.NestedStringMap(service.Object, "spec", "selector")
	if len(selector) == 0 {
		return labels.Nothing()
	}
	return labels.SelectorFromSet(selector)
}

// sizeBehind is how many pods of a revision there will be behind a Service, and
// readyBehind how many are ready.
func (p *plan) sizeBehind(service labels.Selector, revision string) (n int) {
	for _, group := range p.groups[revision] {
		if service.Matches(group.labels) {
			n += group.n
		}
	}
	return n
}

func (p *plan) readyBehind(service labels.Selector, revision string) (n int) {
	for _, l := range p.seen {
		if l.pod != nil && l.pod.Ready && l.DeletionTimestamp == nil && l.revision() == revision && service.Matches(l.podSet) {
			n++
		}
	}
	return n
}

// scalerOf finds the autoscaler of a workload; foreign says that something
// other than a HorizontalPodAutoscaler scales it.
func scalerOf(workload *unstructured.Unstructured, objects []*unstructured.Unstructured) (scaler *unstructured.Unstructured, foreign bool) {
	for _, o := range objects {
		id := identify(o)
		name, _, _ := unstructured.NestedString(o.Object, "spec", "scaleTargetRef", "name")
		kind, _, _ := unstructured.NestedString(o.Object, "spec", "scaleTargetRef", "kind")
		if name != workload.GetName() || kind != "" && kind != workload.GetKind() {
			continue
		}
		if id.groupKind() == kindAutoscaler {
			return o, false
		}
		foreign = id.Group == "keda.sh"
	}
	return nil, foreign
}

// scale sets the replicas of a workload that nothing scales.
func (p *plan) scale(w release.Workload, o *unstructured.Unstructured) {
	rendered := 1
	if n := nestedInt(o, "spec", "replicas"); n != nil {
		rendered = *n
	}
	if rendered == 0 { // switched off on purpose
		return
	}
	size := max(rendered, p.floor(w, o, o))
	if p.receives(w) {
		size = p.receiverSize(w, o, rendered)
	}
	p.size[w.Revision] += size
	setInt(o, size, "spec", "replicas")
}

// bound leaves the replicas to the autoscaler and sets its bounds.
func (p *plan) bound(w release.Workload, o, scaler *unstructured.Unstructured) {
	p.leaveSize(o)
	lower, upper := 1, math.MaxInt32
	if n := nestedInt(scaler, "spec", "minReplicas"); n != nil {
		lower = *n
	}
	if n := nestedInt(scaler, "spec", "maxReplicas"); n != nil {
		upper = *n
	}
	size := max(lower, p.floor(w, o, scaler))
	if p.receives(w) {
		size = p.receiverSize(w, o, lower)
	}
	size = min(size, upper)
	if p.receives(w) && p.splitByCount() {
		// With the split in the number of pods, an autoscaler that adds pods
		// adds traffic.
		setInt(scaler, size, "spec", "maxReplicas")
	}
	p.size[w.Revision] += size
	setInt(scaler, size, "spec", "minReplicas")
}

// leaveSize takes the replicas out of what is applied, for the autoscaler to
// decide. As long as they are still Sluice's, to let go of them would mean to go
// back to the default of one pod: so they stay as they are until the autoscaler
// has changed them.
func (p *plan) leaveSize(o *unstructured.Unstructured) {
	l := p.seen[identify(o)]
	if l != nil && l.replicas != nil && ownsReplicas(l.fields) {
		setInt(o, *l.replicas, "spec", "replicas")
		return
	}
	unstructured.RemoveNestedField(o.Object, "spec", "replicas")
}

// receives reports a candidate that shares traffic with a stable revision.
func (p *plan) receives(w release.Workload) bool {
	return w.Revision == p.state.Traffic.Candidate && p.state.Traffic.Stable != ""
}

// splitByCount reports that the number of pods is what divides the traffic.
func (p *plan) splitByCount() bool {
	return p.options.Traffic == Replicas && p.state.Traffic.Weight < 100
}

// receiverSize is how many pods a candidate needs for its share. rendered is
// the size in its manifests, which it has reached at 100 %.
func (p *plan) receiverSize(w release.Workload, o *unstructured.Unstructured, rendered int) int {
	total := p.total(o, w.Revision, rendered)
	if p.options.Traffic == Replicas {
		return countFor(p.state.Traffic.Weight, total, rendered)
	}
	size := max(1, int(math.Ceil(float64(total*w.Share)*headroom/100)))
	if w.Share >= 100 {
		return max(size, rendered)
	}
	return size
}

// countFor is how many candidate pods beside total stable ones come closest to
// the weight without exceeding it; at least one, and no more than half of all.
func countFor(weight, total, rendered int) int {
	switch {
	case weight <= 0:
		return 1
	case weight >= 100:
		return max(total, rendered)
	}
	return max(1, min(total, total*weight/(100-weight)))
}

// total is how many pods of the same workload carry all of the traffic now.
func (p *plan) total(o *unstructured.Unstructured, revision string, rendered int) int {
	stable := identify(o)
	stable.Name = strings.TrimSuffix(stable.Name, "-"+revision) + "-" + p.state.Traffic.Stable
	if l := p.seen[stable]; l != nil && l.replicas != nil {
		return max(1, *l.replicas)
	}
	return max(1, rendered)
}

// floor is the size that a kept workload had when the rollout began. It is
// remembered on the object that carries it, so that it does not follow the
// autoscaler down.
func (p *plan) floor(w release.Workload, workload, carrier *unstructured.Unstructured) int {
	if !w.KeepSize {
		return 0
	}
	floor := 0
	if l := p.seen[identify(workload)]; l != nil && l.replicas != nil {
		floor = *l.replicas
	}
	if l := p.seen[identify(carrier)]; l != nil {
		if n, err := strconv.Atoi(l.Annotations[annotationFloor]); err == nil {
			floor = n
		}
	}
	if floor > 0 {
		setAnnotation(carrier, annotationFloor, strconv.Itoa(floor))
	}
	return floor
}

func setInt(o *unstructured.Unstructured, n int, path ...string) {
	parent := o.Object
	for _, name := range path[:len(path)-1] {
		child, ok := parent[name].(map[string]any)
		if !ok {
			child = map[string]any{}
			parent[name] = child
		}
		parent = child
	}
	parent[path[len(path)-1]] = int64(n)
}
