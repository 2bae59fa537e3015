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
		if kind != kindDeployment && kind != kindStatefulSet {
			continue
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
		if p.fronted(w.Revision, o) {
			p.front[w.Revision] += p.size[w.Revision] - before
		}
	}
	return copies
}

// fronted reports a workload whose pods the apex Service selects. A worker beside
// it has pods too, and no endpoints.
func (p *plan) fronted(revision string, workload *unstructured.Unstructured) bool {
	pods, _, _ := unstructured.NestedStringMap(workload.Object, "spec", "template", "metadata", "labels")
	for _, o := range p.manifests[revision].Shared {
		if identify(o) != serviceIdentity(p.options.Namespace, p.options.Service) {
			continue
		}
		selector, _, _ := unstructured.NestedStringMap(o.Object, "spec", "selector")
		return len(selector) > 0 && labels.SelectorFromSet(selector).Matches(labels.Set(pods))
	}
	return false
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
