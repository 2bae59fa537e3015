package cluster

import (
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sluice-cd/sluice/reconciler/release"
)

// fieldManager is the one name under which Sluice writes.
const fieldManager = "sluice"

const (
	domain        = "sluice.dev/"
	labelRelease  = domain + "release"
	labelRevision = domain + "revision"
	labelDocument = domain + "document"

	// annotationApplied is the hash of the object as it was wanted when it was
	// applied. It survives a restart, which an in-memory hash would not.
	annotationApplied = domain + "applied"
	// annotationFloor is the size that stable had when the rollout began.
	annotationFloor = domain + "floor"
	// annotationAdopt names, as environment/service, the release that may take
	// over an object which Sluice did not create. A person puts it there, or
	// Sluice at the first rollout of an adopted release; it stays, as the mark
	// that the object is not Sluice's to delete.
	annotationAdopt = domain + "adopt"

	labelManagedBy    = "app.kubernetes.io/managed-by"
	labelSliceService = "kubernetes.io/service-name"
)

// noRevision is a selector value that no pod has: a Service without endpoints.
const noRevision = "none"

const gatewayGroup = "gateway.networking.k8s.io"

// Kinds that Sluice knows more about than how to apply them. Never assigned to.
var (
	kindPod           = schema.GroupKind{Kind: "Pod"}
	kindService       = schema.GroupKind{Kind: "Service"}
	kindConfigMap     = schema.GroupKind{Kind: "ConfigMap"}
	kindSecret        = schema.GroupKind{Kind: "Secret"}
	kindAccount       = schema.GroupKind{Kind: "ServiceAccount"}
	kindEndpointSlice = schema.GroupKind{Group: "discovery.k8s.io", Kind: "EndpointSlice"}
	kindDeployment    = schema.GroupKind{Group: "apps", Kind: "Deployment"}
	kindStatefulSet   = schema.GroupKind{Group: "apps", Kind: "StatefulSet"}
	kindAutoscaler    = schema.GroupKind{Group: "autoscaling", Kind: "HorizontalPodAutoscaler"}
	kindBudget        = schema.GroupKind{Group: "policy", Kind: "PodDisruptionBudget"}
	kindHTTPRoute     = schema.GroupKind{Group: gatewayGroup, Kind: "HTTPRoute"}
	kindGRPCRoute     = schema.GroupKind{Group: gatewayGroup, Kind: "GRPCRoute"}
)

// labelOf is a release's name as a label value and as a ConfigMap's name.
func labelOf(key release.Key) string { return key.Environment + "." + key.Service }

// releaseOf reads a label value; false when it names no release.
func releaseOf(label string) (release.Key, bool) {
	environment, service, ok := strings.Cut(label, ".")
	if !ok || environment == "" || service == "" {
		return release.Key{}, false
	}
	return release.Key{Environment: environment, Service: service}, true
}
