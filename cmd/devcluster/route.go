package main

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// A route is what HTTPRoute and GRPCRoute have in common.
type route struct {
	kind       string
	namespace  string
	generation int64
	parents    []gatewayv1.ParentReference
	backends   []gatewayv1.BackendObjectReference
}

func (g *gatewayStatus) syncHTTPRoute(ctx context.Context, t target) error {
	cached, err := g.http.HTTPRoutes(t.namespace).Get(t.name)
	if err != nil {
		return err
	}
	r := route{
		kind: httpRouteKind, namespace: t.namespace,
		generation: cached.Generation, parents: cached.Spec.ParentRefs,
	}
	for _, rule := range cached.Spec.Rules {
		for _, b := range rule.BackendRefs {
			r.backends = append(r.backends, b.BackendObjectReference)
		}
	}
	updated := cached.DeepCopy()
	if updated.Status.Parents, err = g.parentStatuses(r, updated.Status.Parents); err != nil {
		return err
	}
	if equality.Semantic.DeepEqual(cached.Status, updated.Status) {
		return nil
	}
	_, err = g.client.GatewayV1().HTTPRoutes(t.namespace).UpdateStatus(ctx, updated, metav1.UpdateOptions{})
	return err
}

func (g *gatewayStatus) syncGRPCRoute(ctx context.Context, t target) error {
	cached, err := g.grpc.GRPCRoutes(t.namespace).Get(t.name)
	if err != nil {
		return err
	}
	r := route{
		kind: grpcRouteKind, namespace: t.namespace,
		generation: cached.Generation, parents: cached.Spec.ParentRefs,
	}
	for _, rule := range cached.Spec.Rules {
		for _, b := range rule.BackendRefs {
			r.backends = append(r.backends, b.BackendObjectReference)
		}
	}
	updated := cached.DeepCopy()
	if updated.Status.Parents, err = g.parentStatuses(r, updated.Status.Parents); err != nil {
		return err
	}
	if equality.Semantic.DeepEqual(cached.Status, updated.Status) {
		return nil
	}
	_, err = g.client.GatewayV1().GRPCRoutes(t.namespace).UpdateStatus(ctx, updated, metav1.UpdateOptions{})
	return err
}

// parentStatuses is one status for each parent, after those of other controllers.
func (g *gatewayStatus) parentStatuses(r route, old []gatewayv1.RouteParentStatus) ([]gatewayv1.RouteParentStatus, error) {
	resolved, err := g.resolved(r)
	if err != nil {
		return nil, err
	}
	statuses := []gatewayv1.RouteParentStatus{} // required, so never null
	for _, s := range old {
		if s.ControllerName != controllerName {
			statuses = append(statuses, s)
		}
	}
	for _, p := range r.parents {
		s := gatewayv1.RouteParentStatus{ParentRef: p, ControllerName: controllerName}
		for _, before := range old {
			if before.ControllerName == controllerName && equality.Semantic.DeepEqual(before.ParentRef, p) {
				s.Conditions = before.Conditions
			}
		}
		accepted, err := g.accepted(r, p)
		if err != nil {
			return nil, err
		}
		meta.SetStatusCondition(&s.Conditions, accepted)
		meta.SetStatusCondition(&s.Conditions, resolved)
		statuses = append(statuses, s)
	}
	return statuses, nil
}

// accepted is false for a parent that does not exist. Listeners and the routes they
// allow are not looked at.
func (g *gatewayStatus) accepted(r route, p gatewayv1.ParentReference) (metav1.Condition, error) {
	namespace := parentNamespace(p, r.namespace)
	var err error
	switch parentKind(p) {
	case gatewayKind:
		_, err = g.gateways.Gateways(namespace).Get(string(p.Name))
	case serviceKind:
		_, err = g.services.Services(namespace).Get(string(p.Name))
	default:
		return r.condition(gatewayv1.RouteConditionAccepted, gatewayv1.RouteReasonNoMatchingParent,
			fmt.Sprintf("parents of kind %s are not served", parentKind(p))), nil
	}
	if apierrors.IsNotFound(err) {
		return r.condition(gatewayv1.RouteConditionAccepted, gatewayv1.RouteReasonNoMatchingParent,
			fmt.Sprintf("%s %s/%s does not exist", parentKind(p), namespace, p.Name)), nil
	}
	if err != nil {
		return metav1.Condition{}, fmt.Errorf("read parent: %w", err)
	}
	return r.condition(gatewayv1.RouteConditionAccepted, gatewayv1.RouteReasonAccepted, ""), nil
}

// resolved is false, with the reason for the first bad one, unless every backend
// is a Service that exists and may be referred to.
func (g *gatewayStatus) resolved(r route) (metav1.Condition, error) {
	bad := func(reason gatewayv1.RouteConditionReason, message string, args ...any) metav1.Condition {
		return r.condition(gatewayv1.RouteConditionResolvedRefs, reason, fmt.Sprintf(message, args...))
	}
	for _, b := range r.backends {
		if (b.Group != nil && *b.Group != "") || (b.Kind != nil && *b.Kind != serviceKind) {
			return bad(gatewayv1.RouteReasonInvalidKind, "backend %s is not a Service", b.Name), nil
		}
		namespace := r.namespace
		if b.Namespace != nil {
			namespace = string(*b.Namespace)
		}
		permitted, err := g.permitted(r, namespace, string(b.Name))
		if err != nil {
			return metav1.Condition{}, err
		}
		if !permitted {
			return bad(gatewayv1.RouteReasonRefNotPermitted, "no ReferenceGrant for Service %s/%s", namespace, b.Name), nil
		}
		service, err := g.services.Services(namespace).Get(string(b.Name))
		switch {
		case apierrors.IsNotFound(err):
			return bad(gatewayv1.RouteReasonBackendNotFound, "Service %s/%s does not exist", namespace, b.Name), nil
		case err != nil:
			return metav1.Condition{}, fmt.Errorf("read backend: %w", err)
		case b.Port == nil || !hasPort(service, *b.Port):
			return bad(gatewayv1.RouteReasonBackendNotFound, "Service %s/%s does not have the port", namespace, b.Name), nil
		}
	}
	return r.condition(gatewayv1.RouteConditionResolvedRefs, gatewayv1.RouteReasonResolvedRefs, ""), nil
}

// permitted asks the ReferenceGrants of the backend's namespace, unless the route
// is in it.
func (g *gatewayStatus) permitted(r route, namespace, service string) (bool, error) {
	if namespace == r.namespace {
		return true, nil
	}
	grants, err := g.grants.ReferenceGrants(namespace).List(labels.Everything())
	if err != nil {
		return false, fmt.Errorf("list reference grants: %w", err)
	}
	for _, grant := range grants {
		if grantsFrom(grant, r) && grantsTo(grant, service) {
			return true, nil
		}
	}
	return false, nil
}

func grantsFrom(grant *gatewayv1.ReferenceGrant, r route) bool {
	for _, from := range grant.Spec.From {
		if string(from.Group) == gatewayv1.GroupName && string(from.Kind) == r.kind && string(from.Namespace) == r.namespace {
			return true
		}
	}
	return false
}

func grantsTo(grant *gatewayv1.ReferenceGrant, service string) bool {
	for _, to := range grant.Spec.To {
		if to.Group == "" && to.Kind == serviceKind && (to.Name == nil || string(*to.Name) == service) {
			return true
		}
	}
	return false
}

// condition is true when the reason says that all is well.
func (r route) condition(t gatewayv1.RouteConditionType, reason gatewayv1.RouteConditionReason, message string) metav1.Condition {
	c := metav1.Condition{
		Type: string(t), Status: metav1.ConditionFalse, Reason: string(reason),
		Message: message, ObservedGeneration: r.generation,
	}
	if reason == gatewayv1.RouteReasonAccepted || reason == gatewayv1.RouteReasonResolvedRefs {
		c.Status = metav1.ConditionTrue
	}
	return c
}

func hasPort(service *corev1.Service, port int32) bool {
	for _, p := range service.Spec.Ports {
		if p.Port == port {
			return true
		}
	}
	return false
}

func parentKind(p gatewayv1.ParentReference) string {
	if p.Kind != nil {
		return string(*p.Kind)
	}
	return gatewayKind
}

func parentNamespace(p gatewayv1.ParentReference, own string) string {
	if p.Namespace != nil {
		return string(*p.Namespace)
	}
	return own
}
