package main

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// kube is the local cluster as a person with kubectl sees it.
type kube struct {
	clientset *kubernetes.Clientset
	objects   client.WithWatch
}

func connect(kubeconfig string) (*kube, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	config.QPS = -1 // the simulator asks often
	scheme := runtime.NewScheme()
	if err := errors.Join(gatewayv1.Install(scheme), clientgoscheme.AddToScheme(scheme)); err != nil {
		return nil, err
	}
	clientset, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	objects, err := client.NewWithWatch(config, client.Options{Scheme: scheme})
	return &kube{clientset: clientset, objects: objects}, err
}

// furnish makes what a platform team provides: namespaces and a gateway.
func (k *kube) furnish(ctx context.Context, namespaces []string) error {
	for _, name := range append([]string{gateway}, namespaces...) {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if _, err := k.clientset.CoreV1().Namespaces().Create(ctx, ns, metav1.CreateOptions{}); client.IgnoreAlreadyExists(err) != nil {
			return err
		}
	}
	all := gatewayv1.NamespacesFromAll
	return client.IgnoreAlreadyExists(k.objects.Create(ctx, &gatewayv1.Gateway{
		ObjectMeta: metav1.ObjectMeta{Namespace: gateway, Name: "public"},
		Spec: gatewayv1.GatewaySpec{
			GatewayClassName: "devcluster",
			Listeners: []gatewayv1.Listener{{
				Name: "http", Port: 80, Protocol: gatewayv1.HTTPProtocolType,
				AllowedRoutes: &gatewayv1.AllowedRoutes{Namespaces: &gatewayv1.RouteNamespaces{From: &all}},
			}},
		},
	}))
}

// gateway is the namespace of the gateway that the example's routes name.
const gateway = "gateway"

func (k *kube) route(ctx context.Context, namespace, name string) (*gatewayv1.HTTPRoute, error) {
	var route gatewayv1.HTTPRoute
	err := k.objects.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &route)
	if err == nil && len(route.Spec.Rules) == 0 {
		err = fmt.Errorf("the route %s of %s has no rules", name, namespace)
	}
	return &route, err
}
