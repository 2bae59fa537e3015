package render

import (
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Limits bound what one build may read and produce. A zero field takes the
// value of DefaultLimits.
type Limits struct {
	Files      int                `json:"files,omitempty"`      // files in the subtree
	FileBytes  int64              `json:"fileBytes,omitempty"`  // size of one file
	TotalBytes int64              `json:"totalBytes,omitempty"` // size of all files together
	Objects    int                `json:"objects,omitempty"`    // rendered objects
	Visits     int                `json:"visits,omitempty"`     // how often kustomizations are entered; a base used twice counts twice
	Nodes      int                `json:"nodes,omitempty"`      // YAML nodes in all files, aliases expanded
	AliasNodes int                `json:"aliasNodes,omitempty"` // YAML nodes that the aliases of one file stand for
	Kinds      []schema.GroupKind `json:"kinds,omitempty"`      // kinds that may be rendered, all of them namespaced
}

// DefaultLimits are generous for a service and small for a bomb.
func DefaultLimits() Limits {
	return Limits{
		Files:      256,
		FileBytes:  1 << 20,
		TotalBytes: 16 << 20,
		Objects:    500,
		Visits:     256,
		Nodes:      200_000,
		AliasNodes: 1000,
		Kinds:      DefaultKinds(),
	}
}

// DefaultKinds are what a service usually needs. RBAC is left out: a release
// that could grant itself rights would undo every other limit.
func DefaultKinds() []schema.GroupKind {
	return []schema.GroupKind{
		{Group: "", Kind: "ConfigMap"},
		{Group: "", Kind: "PersistentVolumeClaim"},
		{Group: "", Kind: "Secret"},
		{Group: "", Kind: "Service"},
		{Group: "", Kind: "ServiceAccount"},
		{Group: "apps", Kind: "DaemonSet"},
		{Group: "apps", Kind: "Deployment"},
		{Group: "apps", Kind: "StatefulSet"},
		{Group: "autoscaling", Kind: "HorizontalPodAutoscaler"},
		{Group: "autoscaling.k8s.io", Kind: "VerticalPodAutoscaler"},
		{Group: "batch", Kind: "CronJob"},
		{Group: "batch", Kind: "Job"},
		{Group: "bitnami.com", Kind: "SealedSecret"},
		{Group: "external-secrets.io", Kind: "ExternalSecret"},
		{Group: "gateway.networking.k8s.io", Kind: "GRPCRoute"},
		{Group: "gateway.networking.k8s.io", Kind: "HTTPRoute"},
		{Group: "keda.sh", Kind: "ScaledObject"},
		{Group: "keda.sh", Kind: "TriggerAuthentication"},
		{Group: "monitoring.coreos.com", Kind: "PodMonitor"},
		{Group: "monitoring.coreos.com", Kind: "PrometheusRule"},
		{Group: "monitoring.coreos.com", Kind: "ServiceMonitor"},
		{Group: "networking.k8s.io", Kind: "Ingress"},
		{Group: "networking.k8s.io", Kind: "NetworkPolicy"},
		{Group: "policy", Kind: "PodDisruptionBudget"},
	}
}

func (l Limits) withDefaults() Limits {
	d := DefaultLimits()
	l.Files = orDefault(l.Files, d.Files)
	l.FileBytes = orDefault(l.FileBytes, d.FileBytes)
	l.TotalBytes = orDefault(l.TotalBytes, d.TotalBytes)
	l.Objects = orDefault(l.Objects, d.Objects)
	l.Visits = orDefault(l.Visits, d.Visits)
	l.Nodes = orDefault(l.Nodes, d.Nodes)
	l.AliasNodes = orDefault(l.AliasNodes, d.AliasNodes)
	if l.Kinds == nil {
		l.Kinds = d.Kinds
	}
	return l
}

func orDefault[T int | int64](value, fallback T) T {
	if value == 0 {
		return fallback
	}
	return value
}

func (l Limits) allows(kind schema.GroupKind) bool { return slices.Contains(l.Kinds, kind) }
