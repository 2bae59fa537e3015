package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

const (
	// maxNodes keeps node addresses inside 192.0.2.0/24.
	maxNodes = 200
	// leaseRenewal is a kubelet's; the node lifecycle controller waits 40 s or more.
	leaseRenewal  = 10 * time.Second
	leaseDuration = 40 * time.Second
	// leaseNamespace is made by the API server itself.
	leaseNamespace = corev1.NamespaceNodeLease
)

func nodeName(i int) string { return fmt.Sprintf("node-%d", i) }

// nodeIP is in TEST-NET-1: EndpointSlices refuse loopback, and nothing may ever
// reach a real host.
func nodeIP(i int) string { return fmt.Sprintf("192.0.2.%d", i+1) }

// createNode makes the Node object, or takes over one of an earlier run.
func createNode(ctx context.Context, client kubernetes.Interface, i int, now time.Time) error {
	// The lease comes first: a node without one counts as silent.
	if err := renewLease(ctx, client, nodeName(i), now); err != nil {
		return err
	}
	nodes := client.CoreV1().Nodes()
	_, err := nodes.Create(ctx, nodeObject(i), metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create %s: %w", nodeName(i), err)
	}
	// A patch and not an update: the node lifecycle controller writes at the same time.
	status, err := json.Marshal(corev1.Node{Status: nodeStatus(i, now)})
	if err != nil {
		return fmt.Errorf("encode status of %s: %w", nodeName(i), err)
	}
	if _, err := nodes.PatchStatus(ctx, nodeName(i), status); err != nil {
		return fmt.Errorf("report %s: %w", nodeName(i), err)
	}
	return nil
}

func nodeObject(i int) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{
		Name: nodeName(i),
		Labels: map[string]string{
			corev1.LabelHostname:       nodeName(i),
			corev1.LabelOSStable:       "linux",
			corev1.LabelArchStable:     "amd64",
			corev1.LabelTopologyZone:   fmt.Sprintf("zone-%d", i%3),
			corev1.LabelTopologyRegion: "local",
		},
	}}
}

func nodeStatus(i int, now time.Time) corev1.NodeStatus {
	// Resources are not accounted for; the numbers only have to be large enough that
	// nobody who adds them up concludes that a pod cannot fit.
	resources := corev1.ResourceList{
		corev1.ResourceCPU:              resource.MustParse("1000"),
		corev1.ResourceMemory:           resource.MustParse("4Ti"),
		corev1.ResourceEphemeralStorage: resource.MustParse("10Ti"),
		corev1.ResourcePods:             resource.MustParse("10000"),
	}
	return corev1.NodeStatus{
		Capacity:    resources,
		Allocatable: resources,
		Addresses: []corev1.NodeAddress{
			{Type: corev1.NodeInternalIP, Address: nodeIP(i)},
			{Type: corev1.NodeHostName, Address: nodeName(i)},
		},
		Conditions: []corev1.NodeCondition{
			nodeCondition(corev1.NodeReady, corev1.ConditionTrue, "KubeletReady", now),
			nodeCondition(corev1.NodeMemoryPressure, corev1.ConditionFalse, "KubeletHasSufficientMemory", now),
			nodeCondition(corev1.NodeDiskPressure, corev1.ConditionFalse, "KubeletHasNoDiskPressure", now),
			nodeCondition(corev1.NodePIDPressure, corev1.ConditionFalse, "KubeletHasSufficientPID", now),
		},
		NodeInfo: corev1.NodeSystemInfo{
			OperatingSystem: "linux", Architecture: "amd64",
			KubeletVersion: "v1.36.3", ContainerRuntimeVersion: "devcluster://1",
		},
	}
}

func nodeCondition(t corev1.NodeConditionType, s corev1.ConditionStatus, reason string, now time.Time) corev1.NodeCondition {
	return corev1.NodeCondition{
		Type: t, Status: s, Reason: reason,
		LastHeartbeatTime: metav1.NewTime(now), LastTransitionTime: metav1.NewTime(now),
	}
}

// renewLeases keeps all nodes alive until ctx ends.
func renewLeases(ctx context.Context, client kubernetes.Interface, nodes int, log *slog.Logger) {
	ticker := time.NewTicker(leaseRenewal)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			for i := range nodes {
				if err := renewLease(ctx, client, nodeName(i), now); err != nil {
					log.Warn("renew lease", "node", nodeName(i), "err", err)
				}
			}
		}
	}
}

func renewLease(ctx context.Context, client kubernetes.Interface, node string, now time.Time) error {
	leases := client.CoordinationV1().Leases(leaseNamespace)
	renewed := metav1.NewMicroTime(now)
	seconds := int32(leaseDuration / time.Second)
	spec := coordinationv1.LeaseSpec{HolderIdentity: &node, LeaseDurationSeconds: &seconds, RenewTime: &renewed}
	lease, err := leases.Get(ctx, node, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		lease = &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: node}, Spec: spec}
		_, err = leases.Create(ctx, lease, metav1.CreateOptions{})
	} else if err == nil {
		lease.Spec = spec
		_, err = leases.Update(ctx, lease, metav1.UpdateOptions{})
	}
	if err != nil {
		return fmt.Errorf("renew lease of %s: %w", node, err)
	}
	return nil
}
