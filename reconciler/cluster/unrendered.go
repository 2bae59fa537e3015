package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sluice-cd/sluice/reconciler/render"
)

// unrendered names the autoscalers and disruption budgets that act on a
// workload and that git does not know. They would go on acting beside the
// revision's own or on nothing: two budgets over one pod let nobody evict it.
func (c *Cluster) unrendered(ctx context.Context, plain render.Output) ([]string, error) {
	var lines []string
	var failed []error
	for _, kind := range []schema.GroupVersionKind{kindAutoscaler.WithVersion("v2"), kindBudget.WithVersion("v1")} {
		for _, w := range plain.Workload {
			if !runsPods(w) {
				continue
			}
			all, err := c.listIn(ctx, kind, w.GetNamespace())
			failed = append(failed, err)
			for _, o := range all {
				if actsOn(o, w) && !renders(plain, identify(o)) {
					lines = append(lines, fmt.Sprintf("%s acts on %s and is not in git", identify(o), identify(w)))
				}
			}
		}
	}
	return lines, errors.Join(failed...)
}

func (c *Cluster) listIn(ctx context.Context, kind schema.GroupVersionKind, namespace string) ([]*unstructured.Unstructured, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	resource, err := c.resource(kind, namespace)
	if err != nil {
		return nil, err
	}
	found, err := resource.List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list every %s of %s: %w", kind.Kind, namespace, err)
	}
	all := make([]*unstructured.Unstructured, len(found.Items))
	for i := range found.Items {
		all[i] = &found.Items[i]
	}
	return all, nil
}

// actsOn reports an autoscaler of the workload or a budget of its pods. What a
// controller made (KEDA does) goes with that controller's own object.
func actsOn(o, workload *unstructured.Unstructured) bool {
	if metav1.GetControllerOf(o) != nil {
		return false
	}
	if identify(o).groupKind() == kindAutoscaler {
		kind, _, _ := unstructured.NestedString(o.Object, "spec", "scaleTargetRef", "kind")
		name, _, _ := unstructured.NestedString(o.Object, "spec", "scaleTargetRef", "name")
		return kind == workload.GetKind() && name == workload.GetName()
	}
	var from metav1.LabelSelector
	spec, _, _ := unstructured.NestedMap(o.Object, "spec", "selector")
	if convert(spec, &from) != nil {
		return false
	}
	selector, err := metav1.LabelSelectorAsSelector(&from)
	pods, _, _ := unstructured.NestedStringMap(workload.Object, "spec", "template", "metadata", "labels")
	return err == nil && selector.Matches(labels.Set(pods))
}

func renders(plain render.Output, id identity) bool {
	return slices.ContainsFunc(slices.Concat(plain.Workload, plain.Shared), func(o *unstructured.Unstructured) bool { return identify(o) == id })
}
