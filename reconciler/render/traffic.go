package render

import (
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
)

// apex reports whether o is a Service in front of pods that exist per revision.
func (s *split) apex(o *unstructured.Unstructured) bool {
	if !isService(o) {
		return false
	}
	selector, _, err := unstructured.NestedStringMap(o.Object, "spec", "selector")
	if err != nil || len(selector) == 0 {
		return false
	}
	for _, p := range s.pods {
		if s.renamed[idOf(p.object)] && labels.SelectorFromSet(selector).Matches(labels.Set(p.template.Labels)) {
			return true
		}
	}
	return false
}

func describeApex(o *unstructured.Unstructured) Apex {
	apex := Apex{Name: o.GetName(), Pinned: o.GetAnnotations()[AnnotationPin] != "false"}
	for _, port := range mapsIn(nestedMap(o.Object, "spec")["ports"]) {
		n := number(port, "port")
		if n == nil || *n < 1 || *n > 65535 {
			continue // the API server refuses it
		}
		apex.Ports = append(apex.Ports, Port{Name: text(port["name"]), Port: int32(*n), Protocol: text(port["protocol"])})
	}
	return apex
}

// RevisionServiceName is the name of the Service of one revision.
func RevisionServiceName(apex, revision string) string { return apex + "-" + revision }

// RevisionService is the Service that a route sends one revision's share to:
// the ports of the apex Service, inside the cluster only, and the pods of that
// revision. Annotations stay behind, since they order load balancers and DNS.
func RevisionService(apex *unstructured.Unstructured, revision string) (*unstructured.Unstructured, error) {
	var from corev1.Service
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(apex.Object, &from); err != nil || !isService(apex) {
		return nil, fmt.Errorf("read Service %s: %w", apex.GetName(), errors.Join(err, notA(apex, "Service")))
	}
	spec := map[string]any{"selector": map[string]any{}}
	for _, field := range []string{"ports", "ipFamilies", "ipFamilyPolicy", "publishNotReadyAddresses", "sessionAffinity", "sessionAffinityConfig", "trafficDistribution"} {
		if value, ok := nestedMap(apex.Object, "spec")[field]; ok {
			spec[field] = runtime.DeepCopyJSONValue(value)
		}
	}
	if from.Spec.ClusterIP == corev1.ClusterIPNone {
		spec["clusterIP"] = corev1.ClusterIPNone
	}
	for _, port := range mapsIn(spec["ports"]) {
		delete(port, "nodePort")
	}
	setStrings(spec, from.Spec.Selector, "selector")
	setStrings(spec, map[string]string{LabelRevision: revision}, "selector")
	o := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Service", "spec": spec}}
	o.SetName(RevisionServiceName(apex.GetName(), revision))
	o.SetNamespace(apex.GetNamespace())
	addLabels(o, apex.GetLabels())
	addLabels(o, map[string]string{LabelRevision: revision})
	return o, nil
}

func notA(o *unstructured.Unstructured, kind string) error {
	if o.GetKind() == kind {
		return nil
	}
	return fmt.Errorf("it is a %s", o.GetKind())
}

// Share is the weight of one revision, relative to the other shares.
type Share struct {
	Revision string
	Weight   int32 // 0 to 1 000 000
}

// maxWeight is the Gateway API's limit on one backendRef.
const maxWeight = 1_000_000

// Weighted returns route with every backendRef to the apex Service replaced by
// one to each share's Service, in the order of shares. What the share of the
// apex is within its rule stays as written: when there are other backends, all
// weights of the rule are scaled to the same total. Filters and ports of the
// reference are kept on each; everything else is left alone. A route that does
// not name the apex is an error.
func Weighted(route *unstructured.Unstructured, apex string, shares []Share) (*unstructured.Unstructured, error) {
	total, err := totalOf(shares)
	if err != nil {
		return nil, fmt.Errorf("weigh %s %s: %w", route.GetKind(), route.GetName(), err)
	}
	if len(routeRefs(route, apex)) == 0 {
		return nil, fmt.Errorf("weigh %s %s: no backendRef to Service %s", route.GetKind(), route.GetName(), apex)
	}
	out := route.DeepCopy()
	for i, rule := range mapsIn(nestedMap(out.Object, "spec")["rules"]) {
		refs, err := weigh(out, rule, apex, shares, total)
		if err != nil {
			return nil, fmt.Errorf("weigh %s %s: rule %d: %w", route.GetKind(), route.GetName(), i, err)
		}
		if refs != nil {
			rule["backendRefs"] = refs
		}
	}
	return out, nil
}

func totalOf(shares []Share) (int64, error) {
	var total int64
	for _, share := range shares {
		if share.Weight < 0 || share.Weight > maxWeight {
			return 0, fmt.Errorf("weight %d of revision %s is not within 0 and %d", share.Weight, share.Revision, maxWeight)
		}
		total += int64(share.Weight)
	}
	if total == 0 {
		return 0, errors.New("shares have no weight")
	}
	return total, nil
}

// weigh returns the new backendRefs of a rule, nil when none names the apex.
func weigh(route *unstructured.Unstructured, rule map[string]any, apex string, shares []Share, total int64) ([]any, error) {
	refs := mapsIn(rule["backendRefs"])
	var out []any
	var weights []int64
	found := false
	for _, ref := range refs {
		weight, err := weightOf(ref)
		if err != nil {
			return nil, err
		}
		if !names(route, ref, apex) {
			out, weights = append(out, ref), append(weights, weight*total)
			continue
		}
		found = true
		if len(refs) == 1 {
			weight = min(weight, 1) // alone, it matters only whether it has any
		}
		for _, share := range shares {
			one := runtime.DeepCopyJSON(ref)
			one["name"] = RevisionServiceName(apex, share.Revision)
			out, weights = append(out, one), append(weights, weight*int64(share.Weight))
		}
	}
	if !found {
		return nil, nil
	}
	if len(refs) > 1 {
		reduce(weights)
	}
	for i, weight := range weights {
		if weight > maxWeight {
			return nil, fmt.Errorf("weights cannot be expressed below %d: use smaller ones in the route", maxWeight)
		}
		out[i].(map[string]any)["weight"] = weight
	}
	return out, nil
}

// weightOf is the weight of a backendRef; absent means 1.
func weightOf(ref map[string]any) (int64, error) {
	value, present := ref["weight"]
	if !present {
		return 1, nil
	}
	weight, ok := value.(int64)
	if !ok || weight < 0 || weight > maxWeight {
		return 0, fmt.Errorf("weight %v is not within 0 and %d", value, maxWeight)
	}
	return weight, nil
}

// reduce divides weights by their greatest common divisor.
func reduce(weights []int64) {
	var divisor int64
	for _, w := range weights {
		for a, b := divisor, w; ; a, b = b, a%b {
			if b == 0 {
				divisor = a
				break
			}
		}
	}
	if divisor < 2 {
		return
	}
	for i := range weights {
		weights[i] /= divisor
	}
}

// routeRefs finds the backendRefs of a route that name the apex Service.
func routeRefs(o *unstructured.Unstructured, apex string) []RouteRef {
	if !is(o, "gateway.networking.k8s.io", "HTTPRoute") && !is(o, "gateway.networking.k8s.io", "GRPCRoute") {
		return nil
	}
	var out []RouteRef
	for i, rule := range mapsIn(nestedMap(o.Object, "spec")["rules"]) {
		refs := mapsIn(rule["backendRefs"])
		for j, ref := range refs {
			if !names(o, ref, apex) {
				continue
			}
			found := RouteRef{Kind: o.GetKind(), Name: o.GetName(), Rule: i, Backend: j, Service: apex, Alone: len(refs) == 1}
			if port := number(ref, "port"); port != nil {
				found.Port = *port
			}
			out = append(out, found)
		}
	}
	return out
}

// names reports whether a backendRef means the Service of that name in the
// route's own namespace.
func names(route *unstructured.Unstructured, ref map[string]any, service string) bool {
	kind, namespace := text(ref["kind"]), text(ref["namespace"])
	return text(ref["name"]) == service && text(ref["group"]) == "" && (kind == "" || kind == "Service") &&
		(namespace == "" || namespace == route.GetNamespace())
}
