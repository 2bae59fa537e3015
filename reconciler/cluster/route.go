package cluster

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/sluice-cd/sluice/reconciler/render"
)

// routeFacts is what is kept of a route.
type routeFacts struct {
	rules    [][]backend
	accepted bool
	reason   string // why it is not accepted
}

type backend struct {
	service string
	weight  int64
}

func (l *live) readRoute(u *unstructured.Unstructured) error {
	// HTTPRoute and GRPCRoute have the same shape as far as it is read here.
	var route struct {
		Spec struct {
			ParentRefs []gatewayv1.ParentReference `json:"parentRefs"`
			Rules      []struct {
				BackendRefs []gatewayv1.BackendRef `json:"backendRefs"`
			} `json:"rules"`
		} `json:"spec"`
		Status gatewayv1.RouteStatus `json:"status"`
	}
	if err := convert(u.Object, &route); err != nil {
		return err
	}
	facts := &routeFacts{}
	for _, rule := range route.Spec.Rules {
		var backends []backend
		for _, ref := range rule.BackendRefs {
			weight := int64(1)
			if ref.Weight != nil {
				weight = int64(*ref.Weight)
			}
			backends = append(backends, backend{string(ref.Name), weight})
		}
		facts.rules = append(facts.rules, backends)
	}
	facts.reason = unaccepted(route.Spec.ParentRefs, route.Status.Parents, l.Generation)
	facts.accepted = facts.reason == ""
	l.route = facts
	return nil
}

// unaccepted is why a route's weights do not count yet; "" when every parent
// has accepted the route and its references as they are written now.
func unaccepted(parents []gatewayv1.ParentReference, statuses []gatewayv1.RouteParentStatus, generation int64) string {
	if len(statuses) < len(parents) {
		return fmt.Sprintf("%d of %d gateways have answered", len(statuses), len(parents))
	}
	for _, s := range statuses {
		for _, kind := range []gatewayv1.RouteConditionType{gatewayv1.RouteConditionAccepted, gatewayv1.RouteConditionResolvedRefs} {
			if reason := unmet(s.Conditions, string(kind), generation); reason != "" {
				return fmt.Sprintf("gateway %s: %s", s.ParentRef.Name, reason)
			}
		}
	}
	return ""
}

func unmet(conditions []metav1.Condition, kind string, generation int64) string {
	for _, c := range conditions {
		switch {
		case c.Type != kind:
		case c.ObservedGeneration < generation:
			return fmt.Sprintf("%s is of generation %d, the route is at %d", kind, c.ObservedGeneration, generation)
		case c.Status != metav1.ConditionTrue:
			return fmt.Sprintf("%s is %s (%s): %s", kind, c.Status, c.Reason, c.Message)
		default:
			return ""
		}
	}
	return kind + " is not reported yet"
}

// shares is the percentage that each revision's Service has in the route, the
// highest of all rules that name one. Revisions are told by the Service's name.
func (f *routeFacts) shares(apex string) map[string]int {
	shares := map[string]int{}
	for _, rule := range f.rules {
		var sum int64
		for _, b := range rule {
			if _, ok := revisionOf(b.service, apex); ok {
				sum += b.weight
			}
		}
		for _, b := range rule {
			if revision, ok := revisionOf(b.service, apex); ok && sum > 0 {
				shares[revision] = max(shares[revision], int((b.weight*100+sum/2)/sum))
			}
		}
	}
	return shares
}

func (f *routeFacts) refersTo(apex, revision string) bool {
	name := render.RevisionServiceName(apex, revision)
	for _, rule := range f.rules {
		for _, b := range rule {
			if b.service == name {
				return true
			}
		}
	}
	return false
}

func revisionOf(service, apex string) (string, bool) {
	prefix := render.RevisionServiceName(apex, "")
	if apex == "" || len(service) <= len(prefix) || service[:len(prefix)] != prefix {
		return "", false
	}
	return service[len(prefix):], true
}
