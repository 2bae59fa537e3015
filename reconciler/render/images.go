package render

import (
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// putImages puts the digests of the release into every place that names one of
// its images. An image that nothing uses is refused: the digest that was
// approved would not be the one that runs.
func (c *checker) putImages(objects []*unstructured.Unstructured) error {
	used := map[string]bool{}
	for _, o := range objects {
		eachImage(o, func(_, image string) string {
			name := imageName(image)
			digest, ours := c.job.Images[name]
			if !ours {
				return image
			}
			used[name] = true
			return name + "@" + digest
		})
	}
	for _, name := range sorted(c.job.Images) {
		if !used[name] {
			return refuse(c.job.Dir, 0, "name it in a container, spelled as in release.yaml", "no container uses image %s", name)
		}
	}
	return nil
}

// eachImage calls visit with every image of o and the name of what uses it,
// and stores what visit returns. In kinds whose pods are not known it takes
// every field called image, so that no image goes unreported.
func eachImage(o *unstructured.Unstructured, visit func(user, image string) string) {
	spec, known := podSpec(o)
	if !known {
		anyImage(o.Object, "", visit)
		return
	}
	for _, list := range []string{"initContainers", "containers", "ephemeralContainers"} {
		for _, container := range mapsIn(spec[list]) {
			setImage(container, "image", text(container["name"]), visit)
		}
	}
	for _, volume := range mapsIn(spec["volumes"]) {
		if image, ok := volume["image"].(map[string]any); ok {
			setImage(image, "reference", "volume "+text(volume["name"]), visit)
		}
	}
}

func anyImage(value any, user string, visit func(user, image string) string) {
	switch v := value.(type) {
	case map[string]any:
		if name := text(v["name"]); name != "" {
			user = name
		}
		setImage(v, "image", user, visit)
		for _, key := range sorted(v) {
			anyImage(v[key], user, visit)
		}
	case []any:
		for _, item := range v {
			anyImage(item, user, visit)
		}
	}
}

func setImage(in map[string]any, field, user string, visit func(user, image string) string) {
	if image, ok := in[field].(string); ok {
		in[field] = visit(user, image)
	}
}

// imageName is an image reference without tag and digest.
func imageName(image string) string {
	name, _, _ := strings.Cut(image, "@")
	if colon := strings.LastIndex(name, ":"); colon > strings.LastIndex(name, "/") {
		name = name[:colon]
	}
	return name
}

// pinned reports whether an image names its content and not only a tag.
func pinned(image string) bool {
	_, digest, _ := strings.Cut(image, "@")
	return digestPattern.MatchString(digest)
}

// podSpec returns the pod spec of the kinds that have one; known is false for
// kinds this package knows nothing about.
func podSpec(o *unstructured.Unstructured) (spec map[string]any, known bool) {
	template, known := podTemplate(o)
	spec, _ = template["spec"].(map[string]any)
	return spec, known
}

// podTemplate returns the template that a workload makes pods from. It is the
// object's own map, so that changes to it change the object.
func podTemplate(o *unstructured.Unstructured) (template map[string]any, known bool) {
	gk := o.GroupVersionKind().GroupKind()
	switch {
	case isWorkload(o) && gk.Kind == "CronJob":
		return nestedMap(o.Object, "spec", "jobTemplate", "spec", "template"), true
	case isWorkload(o):
		return nestedMap(o.Object, "spec", "template"), true
	case gk.Group == "" || gk.Group == "gateway.networking.k8s.io" || gk.Group == "networking.k8s.io" || gk.Group == "policy" || gk.Group == "autoscaling":
		return nil, true
	}
	return nil, false
}

func nestedMap(m map[string]any, fields ...string) map[string]any {
	for _, field := range fields {
		m, _ = m[field].(map[string]any)
	}
	return m
}

// mapsIn returns the maps of a list, and nothing for any other value.
func mapsIn(list any) []map[string]any {
	items, _ := list.([]any)
	var out []map[string]any
	for _, item := range items {
		if m, ok := item.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

func text(value any) string {
	s, _ := value.(string)
	return s
}
