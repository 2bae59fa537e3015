package render

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/resid"
)

const (
	// namingKustomization is the second build: it only adds the suffix.
	// kustomize's nameSuffix would change every kind, Services included.
	namingKustomization = `resources: [objects.yaml]
transformers: [suffix.yaml]
configurations: [references.yaml]
`
	// namingReferences adds the custom kinds whose reference to a workload is
	// known to what kustomize knows by itself.
	namingReferences = `nameReference:
- kind: Deployment
  group: apps
  fieldSpecs:
  - {kind: ScaledObject, group: keda.sh, path: spec/scaleTargetRef/name}
  - {kind: VerticalPodAutoscaler, group: autoscaling.k8s.io, path: spec/targetRef/name}
`
)

// rename returns the workload with the revision in its names and in every
// reference to them, and refuses shared objects that would have to change.
func (c *checker) rename(ctx context.Context, s *split, revision string) ([]*unstructured.Unstructured, error) {
	if err := c.names(s, revision); err != nil {
		return nil, err
	}
	if err := c.customReferences(s); err != nil {
		return nil, err
	}
	if len(s.renamed) == 0 {
		return s.workload, nil
	}
	before := s.throughNaming()
	after, err := c.naming(ctx, s, before, revision)
	if err != nil {
		return nil, err
	}
	workload := s.untouched(before)
	for i, o := range before {
		switch {
		case slices.Contains(s.workload, o):
			workload = append(workload, after[i])
		case !reflect.DeepEqual(o.Object, after[i].Object):
			return nil, c.refuse(o, "give it a ConfigMap or Secret of its own, which no pod mounts",
				"it is shared by all revisions but refers to an object that exists once per revision")
		}
	}
	return workload, nil
}

// throughNaming lists what the second build sees. The suffix goes by kind, so
// objects that keep their name although their kind has a suffix stay out; none
// of those refers to a renamed object.
func (s *split) throughNaming() []*unstructured.Unstructured {
	kinds := map[string]bool{}
	for id := range s.renamed {
		kinds[id.kind] = true
	}
	var out []*unstructured.Unstructured
	for _, o := range slices.Concat(s.workload, s.shared) {
		if s.renamed[idOf(o)] || !kinds[o.GetKind()] {
			out = append(out, o)
		}
	}
	return out
}

func (s *split) untouched(named []*unstructured.Unstructured) []*unstructured.Unstructured {
	var out []*unstructured.Unstructured
	for _, o := range s.workload {
		if !slices.Contains(named, o) {
			out = append(out, o)
		}
	}
	return out
}

// naming runs the second build. Its result has the order of its input.
func (c *checker) naming(ctx context.Context, s *split, objects []*unstructured.Unstructured, revision string) ([]*unstructured.Unstructured, error) {
	var all bytes.Buffer
	for _, o := range objects {
		data, err := o.MarshalJSON()
		if err != nil {
			return nil, fmt.Errorf("write %s %s: %w", o.GetKind(), o.GetName(), err)
		}
		all.WriteString("---\n")
		all.Write(data)
	}
	suffix, err := suffixTransformer(s, revision)
	if err != nil {
		return nil, err
	}
	files := tree{
		"naming/kustomization.yaml": []byte(namingKustomization),
		"naming/references.yaml":    []byte(namingReferences),
		"naming/suffix.yaml":        suffix,
		"naming/objects.yaml":       all.Bytes(),
	}
	named, err := c.job.kustomize(ctx, files, "naming")
	var refusal *Refusal
	if errors.As(err, &refusal) {
		refusal.File = c.job.Dir // "naming" is nobody's directory
	}
	if err != nil {
		return nil, fmt.Errorf("name revision %s: %w", revision, err)
	}
	return named, sameOrder(s, objects, named, revision)
}

// suffixTransformer is the configuration of kustomize's transformer, with one
// field spec for each kind that is renamed.
func suffixTransformer(s *split, revision string) ([]byte, error) {
	specs := map[string]types.FieldSpec{}
	for _, o := range s.workload {
		if gvk := o.GroupVersionKind(); s.renamed[idOf(o)] {
			specs[gvk.GroupKind().String()] = types.FieldSpec{
				Gvk: resid.Gvk{Group: gvk.Group, Kind: gvk.Kind}, Path: "metadata/name",
			}
		}
	}
	ordered := make([]types.FieldSpec, 0, len(specs))
	for _, key := range sorted(specs) {
		ordered = append(ordered, specs[key])
	}
	data, err := json.Marshal(map[string]any{
		"apiVersion": "builtin",
		"kind":       "PrefixSuffixTransformer",
		"metadata":   map[string]any{"name": "revision"},
		"suffix":     "-" + revision,
		"fieldSpecs": ordered,
	})
	if err != nil {
		return nil, fmt.Errorf("write suffix transformer: %w", err)
	}
	return data, nil
}

// sameOrder makes sure that each object came back where it was, under the
// name that the split gave it.
func sameOrder(s *split, before, after []*unstructured.Unstructured, revision string) error {
	if len(before) != len(after) {
		return fmt.Errorf("name revision %s: %d objects became %d", revision, len(before), len(after))
	}
	for i, o := range before {
		want := o.GetName()
		if s.renamed[idOf(o)] {
			want += "-" + revision
		}
		if after[i].GetKind() != o.GetKind() || after[i].GetName() != want {
			return fmt.Errorf("name revision %s: %s %s became %s %s", revision, o.GetKind(), o.GetName(), after[i].GetKind(), after[i].GetName())
		}
	}
	return nil
}

// names refuses what is too long once it carries a suffix.
func (c *checker) names(s *split, revision string) error {
	for _, o := range s.workload {
		length, limit := len(o.GetName()), 63
		if s.renamed[idOf(o)] {
			length += 1 + len(revision)
		}
		switch o.GetKind() {
		case "ConfigMap", "Secret":
			limit = 253
		case "CronJob":
			limit = 52
		}
		if length > limit {
			return c.refuse(o, fmt.Sprintf("shorten it by %d", length-limit), "name is %d characters with its revision, %d are possible", length, limit)
		}
	}
	for _, o := range s.shared {
		if !isService(o) {
			continue
		}
		limit := 63
		if s.apex(o) {
			limit = MaxServiceName
		}
		if length := len(o.GetName()); length > limit {
			return c.refuse(o, fmt.Sprintf("shorten it by %d", length-limit), "name is %d characters, %d are possible", length, limit)
		}
	}
	return nil
}

// customReferences refuses custom objects that seem to name something which
// gets a new name with each revision. Only kinds in the fixed table of
// scalerField can be rewritten: guessing would break them in the cluster.
func (c *checker) customReferences(s *split) error {
	kept := map[string]bool{}
	for _, o := range s.shared {
		kept[o.GetName()] = true
	}
	for _, o := range slices.Concat(s.shared, s.workload) {
		if _, known := podTemplate(o); known || namesNoObjects(o) {
			continue
		}
		var found object
		references(o.Object, nil, func(at []string, key, kind, name string) {
			scaled := slices.Equal(at, []string{"spec", scalerField(o)})
			if hit, ok := s.hit(append(at[:len(at):len(at)], key), kind, name, kept); ok && !scaled {
				found = hit
			}
		})
		if found.name != "" {
			return c.refuse(o, "have it select by label, or refer to an object that no revision owns",
				"it refers to %s %s, whose name changes with each revision", found.kind, found.name)
		}
	}
	return nil
}

// namesNoObjects lists custom kinds whose name fields are names of their own.
func namesNoObjects(o *unstructured.Unstructured) bool {
	return is(o, "bitnami.com", "SealedSecret") || is(o, "external-secrets.io", "ExternalSecret") ||
		is(o, "monitoring.coreos.com", "PrometheusRule")
}

// references calls visit with every name-like field: the keys that lead to
// it, its own, the kind that stands beside it and the name.
func references(value any, at []string, visit func(at []string, key, kind, name string)) {
	switch v := value.(type) {
	case map[string]any:
		kind := text(v["kind"])
		for _, key := range sorted(v) {
			lower := strings.ToLower(key)
			if name, ok := v[key].(string); ok && strings.HasSuffix(lower, "name") {
				visit(at, key, kind, name)
			}
			if lower != "metadata" && !strings.Contains(lower, "labels") {
				references(v[key], append(at[:len(at):len(at)], key), visit)
			}
		}
	case []any:
		for _, item := range v {
			references(item, at, visit)
		}
	}
}

// hit decides whether a name means a renamed object. The kind beside it
// decides; without one, the words of the path; without those, a kept object
// of the same name is meant.
func (s *split) hit(at []string, kind, name string, kept map[string]bool) (object, bool) {
	if kind != "" {
		id := object{kind, name}
		return id, s.renamed[id]
	}
	path := strings.ToLower(strings.Join(at, "/"))
	for _, id := range s.renamedIDs() {
		if id.name == name && (strings.Contains(path, strings.ToLower(id.kind)) || !kept[name]) {
			return id, true
		}
	}
	return object{}, false
}

func (s *split) renamedIDs() []object {
	ids := make([]object, 0, len(s.renamed))
	for id := range s.renamed {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b object) int {
		return strings.Compare(a.kind+"/"+a.name, b.kind+"/"+b.name)
	})
	return ids
}
