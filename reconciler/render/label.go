package render

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// label marks everything with the release, and what belongs to the revision
// with the revision. Selectors get the revision only where the object itself
// is new with it: the selector of one that changes in place is immutable, and
// a shared object must go on matching both revisions.
func (c *checker) label(s *split) {
	release := ReleaseLabelValue(c.job.Release)
	for _, o := range s.shared {
		addLabels(o, map[string]string{LabelRelease: release})
	}
	marks := map[string]string{LabelRelease: release, LabelRevision: c.job.Revision}
	for _, o := range s.workload {
		addLabels(o, marks)
		if isWorkload(o) {
			template, _ := podTemplate(o)
			setStrings(template, marks, "metadata", "labels")
		}
		own := s.renamedTo(o, c.job.Revision)
		if own && (is(o, "apps", "Deployment") || is(o, "policy", "PodDisruptionBudget")) {
			setStrings(o.Object, map[string]string{LabelRevision: c.job.Revision}, "spec", "selector", "matchLabels")
		}
	}
}

// renamedTo reports whether o, under its new name, is one of the renamed.
func (s *split) renamedTo(o *unstructured.Unstructured, revision string) bool {
	name, suffix := o.GetName(), "-"+revision
	if len(name) <= len(suffix) || name[len(name)-len(suffix):] != suffix {
		return false
	}
	return s.renamed[object{o.GetKind(), name[:len(name)-len(suffix)]}]
}

func addLabels(o *unstructured.Unstructured, marks map[string]string) {
	setStrings(o.Object, marks, "metadata", "labels")
}

// setStrings adds pairs to a map inside m, and makes the maps on the way.
func setStrings(m map[string]any, pairs map[string]string, fields ...string) {
	for _, field := range fields {
		below, ok := m[field].(map[string]any)
		if !ok {
			below = map[string]any{}
			m[field] = below
		}
		m = below
	}
	for key, value := range pairs {
		m[key] = value
	}
}
