package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	schedulinghelpers "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	"k8s.io/klog/v2"
)

// bind puts the pod on the next node in turn that its selector, affinity and
// tolerations allow. Resources, spreading and priorities are not looked at.
func (l *podLife) bind(ctx context.Context, pod *corev1.Pod, now time.Time) error {
	if pod.Spec.SchedulerName != corev1.DefaultSchedulerName || len(pod.Spec.SchedulingGates) > 0 {
		return nil
	}
	node, err := l.pick(pod)
	if err != nil {
		return err
	}
	if node == "" {
		status := *pod.Status.DeepCopy()
		setCondition(&status, pod, corev1.PodScheduled, corev1.PodReasonUnschedulable, now)
		return l.patchStatus(ctx, pod, status)
	}
	err = l.client.CoreV1().Pods(pod.Namespace).Bind(ctx, &corev1.Binding{
		ObjectMeta: metav1.ObjectMeta{Name: pod.Name, UID: pod.UID},
		Target:     corev1.ObjectReference{Kind: "Node", Name: node},
	}, metav1.CreateOptions{})
	if err != nil && !goneOrReplaced(err) {
		return fmt.Errorf("bind pod: %w", err)
	}
	return nil
}

// pick returns the name of a node, or nothing when none fits.
func (l *podLife) pick(pod *corev1.Pod) (string, error) {
	if b, err := behaviourOf(pod); err == nil && b.kind == kindUnschedulable {
		return "", nil
	}
	nodes, err := l.nodes.List(labels.Everything())
	if err != nil {
		return "", fmt.Errorf("list nodes: %w", err)
	}
	slices.SortFunc(nodes, func(a, b *corev1.Node) int { return strings.Compare(a.Name, b.Name) })
	l.mu.Lock()
	l.turn++
	turn := l.turn
	l.mu.Unlock()
	for i := range nodes {
		node := nodes[(turn+i)%len(nodes)]
		ok, err := fits(pod, node)
		if err != nil {
			return "", err
		}
		if ok {
			return node.Name, nil
		}
	}
	return "", nil
}

func fits(pod *corev1.Pod, node *corev1.Node) (bool, error) {
	taints := node.Spec.Taints
	if node.Spec.Unschedulable {
		taints = append(slices.Clone(taints), corev1.Taint{Key: corev1.TaintNodeUnschedulable, Effect: corev1.TaintEffectNoSchedule})
	}
	keepsAway := func(t *corev1.Taint) bool { return t.Effect != corev1.TaintEffectPreferNoSchedule }
	_, refused := schedulinghelpers.FindMatchingUntoleratedTaint(klog.Background(), taints, pod.Spec.Tolerations, keepsAway, false)
	if refused {
		return false, nil
	}
	ok, err := nodeaffinity.GetRequiredNodeAffinity(pod).Match(node)
	if err != nil {
		return false, fmt.Errorf("match node affinity: %w", err)
	}
	return ok, nil
}
