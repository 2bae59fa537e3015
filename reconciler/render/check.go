package render

import (
	"path"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/kustomize/kyaml/openapi"
	"sigs.k8s.io/kustomize/kyaml/yaml"
)

const (
	// LabelRelease marks every object of a release: its value is ReleaseLabelValue.
	LabelRelease = "sluice.dev/release"
	// LabelRevision marks workload objects and pods with their revision.
	LabelRevision = "sluice.dev/revision"
	// AnnotationPin on a Service, with the value "false", keeps Sluice from
	// pinning its selector to the stable revision (a Service for scraping only).
	AnnotationPin = "sluice.dev/pin-selector"

	prefix = "sluice.dev/"
)

// ReleaseLabelValue spells a release as a label value: "production.checkout".
func ReleaseLabelValue(release string) string { return strings.ReplaceAll(release, "/", ".") }

// MaxServiceName leaves room for the suffix of per-revision Services, in bytes.
const MaxServiceName = 37

// checker holds a build's own facts while its objects are judged.
type checker struct {
	job   job
	where map[string]origin
}

// refuse names the file that declares the object, or the release's directory
// when a prefix or generator made up the name.
func (c *checker) refuse(o *unstructured.Unstructured, remedy, format string, args ...any) error {
	place, known := c.where[o.GetKind()+"/"+o.GetName()]
	if !known {
		place = origin{file: c.job.Dir}
	}
	format = "%s %s: " + format
	return refuse(place.file, place.line, remedy, format, append([]any{o.GetKind(), o.GetName()}, args...)...)
}

// check judges what kustomize rendered, and puts every object into the namespace.
func (c *checker) check(objects []*unstructured.Unstructured) error {
	if len(objects) == 0 {
		return refuse(c.job.Dir, 0, "list resources in its kustomization; to remove a release set `state: retired`", "nothing is rendered")
	}
	if len(objects) > c.job.Limits.Objects {
		return refuse(c.job.Dir, 0, "split the service", "more than %d objects", c.job.Limits.Objects)
	}
	seen := map[string]bool{}
	for _, o := range objects {
		if err := c.object(o); err != nil {
			return err
		}
		key := o.GroupVersionKind().GroupKind().String() + "/" + o.GetName()
		if seen[key] {
			return c.refuse(o, "keep one of them", "rendered twice")
		}
		seen[key] = true
		o.SetNamespace(c.job.Namespace)
	}
	return nil
}

func (c *checker) object(o *unstructured.Unstructured) error {
	kind := o.GroupVersionKind().GroupKind()
	if namespaced, known := scope(o); known && !namespaced {
		return c.refuse(o, "hand it to the people who own the cluster", "%s is cluster-scoped", kind)
	}
	if !c.job.Limits.allows(kind) {
		return c.refuse(o, "remove it, or have the policy allow the kind", "kind %s is not allowed", kind)
	}
	if ns := o.GetNamespace(); ns != "" && ns != c.job.Namespace {
		return c.refuse(o, "remove metadata.namespace, or `namespace:` from the kustomization", "namespace %s is not %s", ns, c.job.Namespace)
	}
	if o.GetGenerateName() != "" {
		return c.refuse(o, "give it a name", "generateName")
	}
	if errs := validation.IsDNS1123Subdomain(o.GetName()); len(errs) > 0 {
		return c.refuse(o, "rename it", "name: %s", strings.Join(errs, "; "))
	}
	return c.reserved(o)
}

// scope asks kustomize's copy of the Kubernetes schema.
func scope(o *unstructured.Unstructured) (namespaced, known bool) {
	return openapi.IsNamespaceScoped(yaml.TypeMeta{APIVersion: o.GetAPIVersion(), Kind: o.GetKind()})
}

// reserved refuses labels and annotations of Sluice's own: a release that sets
// them could pose as another one or as another revision.
func (c *checker) reserved(o *unstructured.Unstructured) error {
	var found string
	walk(o.Object, nil, func(at []string, value any) {
		key := at[len(at)-1]
		if key == "key" { // of a selector's matchExpressions
			key = text(value)
		}
		optOut := key == AnnotationPin && isService(o) && path.Join(at...) == path.Join("metadata", "annotations", key)
		if strings.HasPrefix(key, prefix) && !optOut {
			found = key
		}
	})
	if found == "" {
		return nil
	}
	return c.refuse(o, "remove it: Sluice sets these itself", "label or annotation %s", found)
}

// walk visits every value below a map, with the path of keys to it. Keys of a
// ConfigMap's or Secret's data are visited too.
func walk(value any, at []string, visit func(at []string, value any)) {
	switch v := value.(type) {
	case map[string]any:
		for _, key := range sorted(v) {
			below := append(at[:len(at):len(at)], key)
			visit(below, v[key])
			walk(v[key], below, visit)
		}
	case []any:
		for _, item := range v {
			walk(item, at, visit)
		}
	}
}

func isService(o *unstructured.Unstructured) bool { return is(o, "", "Service") }

func is(o *unstructured.Unstructured, group, kind string) bool {
	return o.GroupVersionKind().GroupKind() == schema.GroupKind{Group: group, Kind: kind}
}
