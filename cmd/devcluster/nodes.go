package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
)

const (
	// podWorkers is how many pods are acted on at a time; each waits for the API
	// server most of the time.
	podWorkers = 16
	// retryFirst and retryMax bound the pause after an action that did not work.
	retryFirst = 50 * time.Millisecond
	retryMax   = 5 * time.Second
)

// runNodes is the component that stands in for scheduler and kubelets: args are
// the kubeconfig and the number of nodes.
func runNodes(ctx context.Context, args []string, ready func(string)) error {
	if len(args) != 2 {
		return errors.New("nodes: two arguments, kubeconfig and number of nodes, are required")
	}
	count, err := strconv.Atoi(args[1])
	if err != nil {
		return fmt.Errorf("read number of nodes: %w", err)
	}
	config, err := adminConfig(args[0])
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("make client: %w", err)
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	for i := range count {
		if err := createNode(ctx, client, i, time.Now()); err != nil {
			return err
		}
	}
	return simulate(ctx, client, count, log, ready)
}

func simulate(ctx context.Context, client kubernetes.Interface, count int, log *slog.Logger, ready func(string)) error {
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithTransform(dropManagedFields))
	pods, nodes := factory.Core().V1().Pods(), factory.Core().V1().Nodes()
	life := &podLife{
		client: client,
		pods:   pods.Lister(),
		nodes:  nodes.Lister(),
		log:    log,
		placed: map[string]placedPod{},
		ips:    newAddressPool(),
		queue: workqueue.NewTypedRateLimitingQueue(
			workqueue.NewTypedItemExponentialFailureRateLimiter[string](retryFirst, retryMax)),
	}
	if err := life.watch(pods.Informer(), nodes.Informer()); err != nil {
		return err
	}
	factory.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), pods.Informer().HasSynced, nodes.Informer().HasSynced) {
		return nil // asked to end
	}
	life.claimAddresses()

	var workers sync.WaitGroup
	for range podWorkers {
		workers.Go(func() { life.work(ctx) })
	}
	workers.Go(func() { renewLeases(ctx, client, count, log) })
	ready("")
	<-ctx.Done()
	life.queue.ShutDown()
	workers.Wait()
	factory.Shutdown()
	return nil
}

// watch queues a pod at each of its events, and all pods without a node when a node
// becomes able to take some.
func (l *podLife) watch(pods, nodes cache.SharedIndexInformer) error {
	enqueue := func(obj any) {
		key, err := cache.DeletionHandlingMetaNamespaceKeyFunc(obj)
		if err != nil {
			l.log.Error("name pod", "err", err)
			return
		}
		l.queue.Add(key)
	}
	_, err := pods.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    enqueue,
		UpdateFunc: func(_, obj any) { enqueue(obj) },
		DeleteFunc: enqueue,
	})
	if err != nil {
		return fmt.Errorf("watch pods: %w", err)
	}
	_, err = nodes.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { l.queuePending(enqueue) },
		UpdateFunc: func(before, after any) {
			b, okB := before.(*corev1.Node)
			a, okA := after.(*corev1.Node)
			if okA && okB && (!reflect.DeepEqual(a.Spec, b.Spec) || !reflect.DeepEqual(a.Labels, b.Labels)) {
				l.queuePending(enqueue)
			}
		},
	})
	if err != nil {
		return fmt.Errorf("watch nodes: %w", err)
	}
	return nil
}

func (l *podLife) queuePending(enqueue func(any)) {
	pods, err := l.pods.List(labels.Everything())
	if err != nil {
		l.log.Error("list pods", "err", err)
		return
	}
	for _, pod := range pods {
		if pod.Spec.NodeName == "" {
			enqueue(pod)
		}
	}
}

// claimAddresses marks the addresses of an earlier run as used, before the first
// new pod gets one.
func (l *podLife) claimAddresses() {
	pods, err := l.pods.List(labels.Everything())
	if err != nil {
		l.log.Error("list pods", "err", err)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, pod := range pods {
		if pod.Status.PodIP != "" && !pod.Spec.HostNetwork {
			l.ips.claim(pod.Status.PodIP)
		}
	}
}

// dropManagedFields halves the memory of a cached object.
func dropManagedFields(obj any) (any, error) {
	if o, ok := obj.(interface {
		SetManagedFields([]metav1.ManagedFieldsEntry)
	}); ok {
		o.SetManagedFields(nil)
	}
	return obj, nil
}
