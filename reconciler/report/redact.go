package report

import (
	"reflect"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// What stands in the place of a secret. It tells that a value changes and nothing
// else: a hash or a length of one would tell a short one.
const (
	hidden       = "(not shown)"
	hiddenBefore = "(not shown, before)"
	hiddenAfter  = "(not shown, after)"
)

// lastApplied is where kubectl keeps a whole object in itself.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// redacted returns copies of two versions of an object without what a Secret
// keeps. Either may be nil.
func redacted(from, to *unstructured.Unstructured) (before, after map[string]any) {
	before, after = content(from), content(to)
	if kind(from) != "Secret" && kind(to) != "Secret" {
		return before, after
	}
	for _, field := range []string{"data", "stringData"} {
		hide(before, after, field)
	}
	for _, o := range []map[string]any{before, after} {
		if annotations, ok := nested(o, "metadata")["annotations"].(map[string]any); ok {
			if _, ok := annotations[lastApplied]; ok {
				annotations[lastApplied] = hidden
			}
		}
	}
	return before, after
}

func content(o *unstructured.Unstructured) map[string]any {
	if o == nil {
		return nil
	}
	return o.DeepCopy().Object
}

func kind(o *unstructured.Unstructured) string {
	if o == nil {
		return ""
	}
	return o.GetKind()
}

func nested(o map[string]any, field string) map[string]any {
	m, _ := o[field].(map[string]any)
	return m
}

// hide replaces the values of a field, by other words where they differ.
func hide(before, after map[string]any, field string) {
	b, a := nested(before, field), nested(after, field)
	for key, value := range b {
		other, both := a[key]
		switch {
		case both && !reflect.DeepEqual(value, other):
			b[key], a[key] = hiddenBefore, hiddenAfter
		case both:
			b[key], a[key] = hidden, hidden
		default:
			b[key] = hidden
		}
	}
	for key := range a {
		if _, both := b[key]; !both {
			a[key] = hidden
		}
	}
	for _, o := range []map[string]any{before, after} {
		if _, usual := o[field].(map[string]any); o[field] != nil && !usual {
			o[field] = hidden // malformed, and no less a secret
		}
	}
}
