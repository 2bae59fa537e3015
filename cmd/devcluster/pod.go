package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
)

// A podLife takes pods through their lives: bound, running, deleted. It acts on
// the cache of an informer; every action is safe to repeat on a stale one.
type podLife struct {
	client kubernetes.Interface
	pods   corelisters.PodLister
	nodes  corelisters.NodeLister
	queue  workqueue.TypedRateLimitingInterface[string]
	log    *slog.Logger

	// mu guards the following.
	mu     sync.Mutex
	placed map[string]placedPod // by namespace/name
	ips    *addressPool
	turn   int // node to try first
}

// placedPod is the memory of what was reported, for the time in which the cache
// does not show it yet.
type placedPod struct {
	uid types.UID
	placement
}

// work takes pods from the queue until it is shut down.
func (l *podLife) work(ctx context.Context) {
	for {
		key, shutdown := l.queue.Get()
		if shutdown {
			return
		}
		wake, err := l.sync(ctx, key, time.Now())
		switch {
		case err != nil && ctx.Err() == nil:
			l.log.Warn("simulate pod", "pod", key, "err", err)
			l.queue.AddRateLimited(key)
		case wake > 0:
			l.queue.Forget(key)
			l.queue.AddAfter(key, wake)
		default:
			l.queue.Forget(key)
		}
		l.queue.Done(key)
	}
}

// sync takes one pod one step further and says when to look again; zero means at
// the next event.
func (l *podLife) sync(ctx context.Context, key string, now time.Time) (time.Duration, error) {
	namespace, name, err := cache.SplitMetaNamespaceKey(key)
	if err != nil {
		return 0, fmt.Errorf("split key: %w", err)
	}
	pod, err := l.pods.Pods(namespace).Get(name)
	if apierrors.IsNotFound(err) {
		l.release(key)
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read pod: %w", err)
	}
	switch {
	case pod.DeletionTimestamp != nil:
		return l.terminate(ctx, pod, now)
	case pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed:
		return 0, nil
	case pod.Spec.NodeName == "":
		return 0, l.bind(ctx, pod, now)
	default:
		return l.report(ctx, key, pod, now)
	}
}

// report patches the status as a kubelet does: without a precondition, so that
// conditions of other writers survive.
func (l *podLife) report(ctx context.Context, key string, pod *corev1.Pod, now time.Time) (time.Duration, error) {
	node, err := l.nodes.Get(pod.Spec.NodeName)
	if apierrors.IsNotFound(err) {
		return 0, nil // a node of somebody else's making: its pods are not ours
	}
	if err != nil {
		return 0, fmt.Errorf("read node: %w", err)
	}
	b, err := behaviourOf(pod)
	if err != nil {
		return 0, l.reject(ctx, pod, err)
	}
	where, err := l.place(key, pod, node, now)
	if err != nil {
		return 0, err
	}
	status, wake := podStatus(pod, b, where, now)
	return wake, l.patchStatus(ctx, pod, status)
}

// reject makes a wrong annotation visible where people look for the reason.
func (l *podLife) reject(ctx context.Context, pod *corev1.Pod, reason error) error {
	status := *pod.Status.DeepCopy()
	status.Phase = corev1.PodFailed
	status.Reason = "InvalidBehaviour"
	status.Message = reason.Error()
	return l.patchStatus(ctx, pod, status)
}

func (l *podLife) patchStatus(ctx context.Context, pod *corev1.Pod, status corev1.PodStatus) error {
	before, err := json.Marshal(corev1.Pod{Status: pod.Status})
	if err != nil {
		return fmt.Errorf("encode status: %w", err)
	}
	// The uid makes the patch fail on a pod of the same name that came after.
	after, err := json.Marshal(corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: pod.UID}, Status: status})
	if err != nil {
		return fmt.Errorf("encode status: %w", err)
	}
	patch, err := strategicpatch.CreateTwoWayMergePatch(before, after, corev1.Pod{})
	if err != nil {
		return fmt.Errorf("compare status: %w", err)
	}
	if !changesStatus(patch) {
		return nil
	}
	_, err = l.client.CoreV1().Pods(pod.Namespace).Patch(ctx, pod.Name,
		types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	if goneOrReplaced(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("patch status: %w", err)
	}
	return nil
}

// changesStatus is false for a patch that carries only the uid.
func changesStatus(patch []byte) bool {
	var fields map[string]json.RawMessage
	return json.Unmarshal(patch, &fields) == nil && len(fields["status"]) > 0
}

// goneOrReplaced is true for the answers to an action on a pod that ended between
// the event and the action.
func goneOrReplaced(err error) bool {
	return apierrors.IsNotFound(err) || apierrors.IsConflict(err)
}

// terminate removes a pod that is being deleted once its containers have stopped,
// which takes no time unless an annotation says so.
func (l *podLife) terminate(ctx context.Context, pod *corev1.Pod, now time.Time) (time.Duration, error) {
	delay, err := stopAfter(pod)
	if err != nil {
		l.log.Warn("read annotation", "pod", pod.Name, "err", err)
	}
	grace := time.Duration(0)
	if s := pod.DeletionGracePeriodSeconds; s != nil {
		grace = time.Duration(*s) * time.Second
	}
	// The timestamp of the deletion is when the grace ends, not when it began.
	stopped := pod.DeletionTimestamp.Add(-grace).Add(min(delay, grace))
	if left := stopped.Sub(now); delay > 0 && left > 0 {
		return left, nil
	}
	zero := int64(0)
	err = l.client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{
		GracePeriodSeconds: &zero,
		Preconditions:      &metav1.Preconditions{UID: &pod.UID},
	})
	if err != nil && !goneOrReplaced(err) {
		return 0, fmt.Errorf("delete pod: %w", err)
	}
	return 0, nil
}

// place gives the pod an address and a start time, or those it has already.
func (l *podLife) place(key string, pod *corev1.Pod, node *corev1.Node, now time.Time) (placement, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if known, ok := l.placed[key]; ok && known.uid == pod.UID {
		return known.placement, nil
	}
	l.releaseLocked(key)
	where := placement{hostIP: internalIP(node), podIP: pod.Status.PodIP, start: now}
	if pod.Status.StartTime != nil {
		where.start = pod.Status.StartTime.Time
	}
	switch {
	case pod.Spec.HostNetwork:
		where.podIP = where.hostIP
	case where.podIP != "":
		l.ips.claim(where.podIP)
	default:
		ip, err := l.ips.take()
		if err != nil {
			return placement{}, err
		}
		where.podIP = ip
	}
	l.placed[key] = placedPod{uid: pod.UID, placement: where}
	return where, nil
}

func (l *podLife) release(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.releaseLocked(key)
}

func (l *podLife) releaseLocked(key string) {
	if old, ok := l.placed[key]; ok {
		l.ips.give(old.podIP)
		delete(l.placed, key)
	}
}

func internalIP(node *corev1.Node) string {
	for _, a := range node.Status.Addresses {
		if a.Type == corev1.NodeInternalIP {
			return a.Address
		}
	}
	return ""
}
