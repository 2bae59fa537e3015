package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	gatewayclient "sigs.k8s.io/gateway-api/pkg/client/clientset/versioned"
	gatewayinformers "sigs.k8s.io/gateway-api/pkg/client/informers/externalversions"
)

const (
	// controllerName is ours; status written by another controller is left alone.
	controllerName gatewayv1.GatewayController = "devcluster.sluice.dev/gateway"
	// defaultGateway is the name of the GatewayClass, and of the Gateway in the
	// namespace default, that every cluster has.
	defaultGateway = "devcluster"
	gatewayWorkers = 4
)

// A target is one object whose status is written here.
type target struct {
	kind      string
	namespace string
	name      string
}

const (
	classKind     = "GatewayClass"
	gatewayKind   = "Gateway"
	httpRouteKind = "HTTPRoute"
	grpcRouteKind = "GRPCRoute"
	serviceKind   = "Service"
)

// runGateway is the component that stands in for a Gateway API implementation. It
// writes what one reports; there is no traffic. args is the kubeconfig.
func runGateway(ctx context.Context, args []string, ready func(string)) error {
	if len(args) != 1 {
		return errors.New("gateway: one argument, the kubeconfig, is required")
	}
	config, err := adminConfig(args[0])
	if err != nil {
		return err
	}
	client, err := gatewayclient.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("make gateway client: %w", err)
	}
	core, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("make client: %w", err)
	}
	if err := createDefaultGateway(ctx, client); err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	routes := gatewayinformers.NewSharedInformerFactory(client, 0)
	services := informers.NewSharedInformerFactoryWithOptions(core, 0, informers.WithTransform(dropManagedFields))
	g := newGatewayStatus(client, routes, services, log)
	if err := g.watch(routes, services); err != nil {
		return err
	}
	return g.run(ctx, routes, services, ready)
}

// createDefaultGateway gives routes something to refer to.
func createDefaultGateway(ctx context.Context, client gatewayclient.Interface) error {
	class := &gatewayv1.GatewayClass{
		ObjectMeta: metav1.ObjectMeta{Name: defaultGateway},
		Spec:       gatewayv1.GatewayClassSpec{ControllerName: controllerName},
	}
	_, err := client.GatewayV1().GatewayClasses().Create(ctx, class, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create gateway class: %w", err)
	}
	everywhere := gatewayv1.NamespacesFromAll
	gateway := &gatewayv1.Gateway{
		ObjectMeta: metav1.ObjectMeta{Name: defaultGateway},
		Spec: gatewayv1.GatewaySpec{
			GatewayClassName: defaultGateway,
			Listeners: []gatewayv1.Listener{{
				Name: "http", Port: 80, Protocol: gatewayv1.HTTPProtocolType,
				AllowedRoutes: &gatewayv1.AllowedRoutes{Namespaces: &gatewayv1.RouteNamespaces{From: &everywhere}},
			}},
		},
	}
	_, err = client.GatewayV1().Gateways(metav1.NamespaceDefault).Create(ctx, gateway, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create gateway: %w", err)
	}
	return nil
}

// watch queues an object at each of its own events, all routes when something that
// they may refer to appears, changes or goes, and all gateways when a route does.
func (g *gatewayStatus) watch(routes gatewayinformers.SharedInformerFactory, services informers.SharedInformerFactory) error {
	api := routes.Gateway().V1()
	watched := []struct {
		informer cache.SharedIndexInformer
		queue    func(key cache.ObjectName)
	}{
		{api.GatewayClasses().Informer(), g.queueOne(classKind)},
		{api.Gateways().Informer(), func(n cache.ObjectName) { g.queueOne(gatewayKind)(n); g.queueRoutes() }},
		{api.HTTPRoutes().Informer(), func(n cache.ObjectName) { g.queueOne(httpRouteKind)(n); g.queueGateways() }},
		{api.GRPCRoutes().Informer(), func(n cache.ObjectName) { g.queueOne(grpcRouteKind)(n); g.queueGateways() }},
		{api.ReferenceGrants().Informer(), func(cache.ObjectName) { g.queueRoutes() }},
		{services.Core().V1().Services().Informer(), func(cache.ObjectName) { g.queueRoutes() }},
	}
	for _, w := range watched {
		notify := func(obj any) {
			name, err := cache.DeletionHandlingObjectToName(obj)
			if err != nil {
				g.log.Error("name object", "err", err)
				return
			}
			w.queue(name)
		}
		_, err := w.informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc:    notify,
			UpdateFunc: func(_, obj any) { notify(obj) },
			DeleteFunc: notify,
		})
		if err != nil {
			return fmt.Errorf("watch gateway objects: %w", err)
		}
	}
	return nil
}

func (g *gatewayStatus) queueOne(kind string) func(cache.ObjectName) {
	return func(n cache.ObjectName) { g.queue.Add(target{kind, n.Namespace, n.Name}) }
}

// run writes status until ctx ends.
func (g *gatewayStatus) run(ctx context.Context, routes gatewayinformers.SharedInformerFactory, services informers.SharedInformerFactory, ready func(string)) error {
	routes.Start(ctx.Done())
	services.Start(ctx.Done())
	// Before everything is known, a Service that exists may look absent.
	routes.WaitForCacheSync(ctx.Done())
	services.WaitForCacheSync(ctx.Done())
	select {
	case <-ctx.Done(): // asked to end
		return nil
	default:
	}
	var workers sync.WaitGroup
	for range gatewayWorkers {
		workers.Go(func() { g.work(ctx) })
	}
	ready("")
	<-ctx.Done()
	g.queue.ShutDown()
	workers.Wait()
	routes.Shutdown()
	services.Shutdown()
	return nil
}

func (g *gatewayStatus) work(ctx context.Context) {
	for {
		t, shutdown := g.queue.Get()
		if shutdown {
			return
		}
		err := g.sync(ctx, t)
		switch {
		case err == nil, apierrors.IsNotFound(err):
			g.queue.Forget(t)
		case apierrors.IsConflict(err): // the cache is behind; its next event comes
			g.queue.AddRateLimited(t)
		case ctx.Err() == nil:
			g.log.Warn("write status", "kind", t.kind, "namespace", t.namespace, "name", t.name, "err", err)
			g.queue.AddRateLimited(t)
		}
		g.queue.Done(t)
	}
}

func newQueue() workqueue.TypedRateLimitingInterface[target] {
	return workqueue.NewTypedRateLimitingQueue(
		workqueue.NewTypedItemExponentialFailureRateLimiter[target](retryFirst, retryMax))
}
