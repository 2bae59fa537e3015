package main

import (
	"context"
	"fmt"
	"log/slog"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/util/workqueue"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	gatewayclient "sigs.k8s.io/gateway-api/pkg/client/clientset/versioned"
	gatewayinformers "sigs.k8s.io/gateway-api/pkg/client/informers/externalversions"
	gatewaylisters "sigs.k8s.io/gateway-api/pkg/client/listers/apis/v1"
)

// gatewayStatus computes and writes the status of Gateway API objects from the
// caches of informers. A status that is right already costs no request.
type gatewayStatus struct {
	client   gatewayclient.Interface
	classes  gatewaylisters.GatewayClassLister
	gateways gatewaylisters.GatewayLister
	http     gatewaylisters.HTTPRouteLister
	grpc     gatewaylisters.GRPCRouteLister
	grants   gatewaylisters.ReferenceGrantLister
	services corelisters.ServiceLister
	queue    workqueue.TypedRateLimitingInterface[target]
	log      *slog.Logger
}

func newGatewayStatus(client gatewayclient.Interface, routes gatewayinformers.SharedInformerFactory, services informers.SharedInformerFactory, log *slog.Logger) *gatewayStatus {
	api := routes.Gateway().V1()
	return &gatewayStatus{
		client:   client,
		classes:  api.GatewayClasses().Lister(),
		gateways: api.Gateways().Lister(),
		http:     api.HTTPRoutes().Lister(),
		grpc:     api.GRPCRoutes().Lister(),
		grants:   api.ReferenceGrants().Lister(),
		services: services.Core().V1().Services().Lister(),
		queue:    newQueue(),
		log:      log,
	}
}

// queueRoutes and queueGateways queue everything in the cache; listing a cache does
// not fail.
func (g *gatewayStatus) queueRoutes() {
	https, _ := g.http.List(labels.Everything())
	for _, r := range https {
		g.queue.Add(target{httpRouteKind, r.Namespace, r.Name})
	}
	grpcs, _ := g.grpc.List(labels.Everything())
	for _, r := range grpcs {
		g.queue.Add(target{grpcRouteKind, r.Namespace, r.Name})
	}
}

func (g *gatewayStatus) queueGateways() {
	gateways, _ := g.gateways.List(labels.Everything())
	for _, gateway := range gateways {
		g.queue.Add(target{gatewayKind, gateway.Namespace, gateway.Name})
	}
}

func (g *gatewayStatus) sync(ctx context.Context, t target) error {
	switch t.kind {
	case classKind:
		return g.syncClass(ctx, t)
	case gatewayKind:
		return g.syncGateway(ctx, t)
	case httpRouteKind:
		return g.syncHTTPRoute(ctx, t)
	case grpcRouteKind:
		return g.syncGRPCRoute(ctx, t)
	default:
		return fmt.Errorf("write status: unexpected kind %q", t.kind)
	}
}

// syncClass accepts every class, so that manifests written for a real
// implementation can be used as they are.
func (g *gatewayStatus) syncClass(ctx context.Context, t target) error {
	cached, err := g.classes.Get(t.name)
	if err != nil {
		return err
	}
	class := cached.DeepCopy()
	accept(&class.Status.Conditions, "Accepted", class.Generation)
	if equality.Semantic.DeepEqual(cached.Status, class.Status) {
		return nil
	}
	_, err = g.client.GatewayV1().GatewayClasses().UpdateStatus(ctx, class, metav1.UpdateOptions{})
	return err
}

func (g *gatewayStatus) syncGateway(ctx context.Context, t target) error {
	cached, err := g.gateways.Gateways(t.namespace).Get(t.name)
	if err != nil {
		return err
	}
	gateway := cached.DeepCopy()
	accept(&gateway.Status.Conditions, "Accepted", gateway.Generation)
	accept(&gateway.Status.Conditions, "Programmed", gateway.Generation)
	ip := gatewayv1.IPAddressType
	gateway.Status.Addresses = []gatewayv1.GatewayStatusAddress{{Type: &ip, Value: nodeIP(0)}}
	gateway.Status.Listeners = g.listeners(gateway)
	if equality.Semantic.DeepEqual(cached.Status, gateway.Status) {
		return nil
	}
	_, err = g.client.GatewayV1().Gateways(t.namespace).UpdateStatus(ctx, gateway, metav1.UpdateOptions{})
	return err
}

func (g *gatewayStatus) listeners(gateway *gatewayv1.Gateway) []gatewayv1.ListenerStatus {
	group := gatewayv1.Group(gatewayv1.GroupName)
	var statuses []gatewayv1.ListenerStatus
	for _, l := range gateway.Spec.Listeners {
		s := gatewayv1.ListenerStatus{
			Name:           l.Name,
			AttachedRoutes: g.attached(gateway, l.Name),
			SupportedKinds: []gatewayv1.RouteGroupKind{
				{Group: &group, Kind: httpRouteKind}, {Group: &group, Kind: grpcRouteKind},
			},
		}
		for _, old := range gateway.Status.Listeners {
			if old.Name == l.Name {
				s.Conditions = old.Conditions
			}
		}
		for _, condition := range []string{"Accepted", "Programmed", "ResolvedRefs"} {
			accept(&s.Conditions, condition, gateway.Generation)
		}
		statuses = append(statuses, s)
	}
	return statuses
}

// attached counts the routes that name the gateway, and this listener or none.
func (g *gatewayStatus) attached(gateway *gatewayv1.Gateway, listener gatewayv1.SectionName) int32 {
	var count int32
	tally := func(namespace string, parents []gatewayv1.ParentReference) {
		for _, p := range parents {
			if parentKind(p) == gatewayKind && string(p.Name) == gateway.Name &&
				parentNamespace(p, namespace) == gateway.Namespace &&
				(p.SectionName == nil || *p.SectionName == listener) {
				count++
				return
			}
		}
	}
	https, _ := g.http.List(labels.Everything())
	for _, r := range https {
		tally(r.Namespace, r.Spec.ParentRefs)
	}
	grpcs, _ := g.grpc.List(labels.Everything())
	for _, r := range grpcs {
		tally(r.Namespace, r.Spec.ParentRefs)
	}
	return count
}

// accept sets a condition to true. For the conditions used here the reason has the
// condition's own name.
func accept(conditions *[]metav1.Condition, name string, generation int64) {
	meta.SetStatusCondition(conditions, metav1.Condition{
		Type: name, Status: metav1.ConditionTrue, Reason: name,
		ObservedGeneration: generation,
	})
}
