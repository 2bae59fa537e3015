package render

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// hashObjects hashes objects in their canonical order. encoding/json, which
// unstructured uses, sorts keys; the newline it ends each object with keeps
// them apart.
func hashObjects(objects []*unstructured.Unstructured) (string, error) {
	sum := sha256.New()
	for _, o := range byName(objects) {
		data, err := o.MarshalJSON()
		if err != nil {
			return "", fmt.Errorf("hash %s %s: %w", o.GetKind(), o.GetName(), err)
		}
		sum.Write(data)
	}
	return "sha256:" + hex.EncodeToString(sum.Sum(nil)), nil
}

// workloadHash hashes a workload before it has a revision, without what is
// applied in place.
func workloadHash(workload []*unstructured.Unstructured) (string, error) {
	var fixed []*unstructured.Unstructured
	for _, o := range workload {
		if is(o, "policy", "PodDisruptionBudget") {
			continue
		}
		fixed = append(fixed, WithoutScale(o))
	}
	return hashObjects(fixed)
}

// WithoutScale is a workload object without its size: what remains is what a
// change of starts a rollout. The argument is left as it is.
func WithoutScale(o *unstructured.Unstructured) *unstructured.Unstructured {
	fields := []string{"minReplicas", "maxReplicas"}
	switch {
	case is(o, "apps", "Deployment"), is(o, "apps", "StatefulSet"):
		fields = []string{"replicas"}
	case is(o, "keda.sh", "ScaledObject"):
		fields = []string{"minReplicaCount", "maxReplicaCount", "idleReplicaCount"}
	case scalerField(o) == "":
		return o
	}
	o = o.DeepCopy()
	for _, field := range fields {
		unstructured.RemoveNestedField(o.Object, "spec", field)
	}
	return o
}
