package render

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/types"
)

// use says what kustomize does with a path.
type use int

const (
	asData      use = iota // copied into a ConfigMap or Secret
	asYAML                 // parsed
	asResource             // parsed, or entered when it is a directory
	asComponent            // entered
)

type reference struct {
	field, path string
	use         use
}

// referencesIn lists the paths in k.
func referencesIn(k *types.Kustomization) []reference {
	var refs []reference
	add := func(use use, field string, paths ...string) {
		for _, path := range paths {
			refs = append(refs, reference{field, path, use})
		}
	}
	add(asResource, "resources", k.Resources...)
	add(asComponent, "components", k.Components...)
	for _, patch := range patches(k) {
		if patch.Path != "" {
			add(asYAML, "patches", patch.Path)
		}
	}
	for _, patch := range mergePatches(k) {
		if !inlinePatch(patch) {
			add(asYAML, "patchesStrategicMerge", patch)
		}
	}
	for _, r := range k.Replacements {
		if r.Path != "" {
			add(asYAML, "replacements", r.Path)
		}
	}
	for _, g := range k.ConfigMapGenerator {
		add(asData, "configMapGenerator", dataPaths(g.KvPairSources)...)
	}
	for _, g := range k.SecretGenerator {
		add(asData, "secretGenerator", dataPaths(g.KvPairSources)...)
	}
	return refs
}

// patches returns the patches of both spellings.
func patches(k *types.Kustomization) []types.Patch {
	//lint:ignore SA1019 kustomize still reads the old spelling, so it is checked
	return slices.Concat(k.Patches, k.PatchesJson6902)
}

// mergePatches returns files and inline texts of the old spelling.
func mergePatches(k *types.Kustomization) []string {
	var out []string
	//lint:ignore SA1019 kustomize still reads the old spelling, so it is checked
	for _, patch := range k.PatchesStrategicMerge {
		out = append(out, string(patch))
	}
	return out
}

// dataPaths returns the files that a generator reads; `key=path` names the key.
func dataPaths(s types.KvPairSources) []string {
	paths := slices.Clone(s.EnvSources)
	for _, source := range s.FileSources {
		if _, after, keyed := strings.Cut(source, "="); keyed {
			source = after
		}
		paths = append(paths, source)
	}
	return paths
}

func inlinePatch(patch string) bool {
	return strings.Contains(patch, "\n") || strings.HasPrefix(patch, "{")
}

// resolve turns a reference into a path of the subtree. kustomize tries URLs
// and git before it looks at files, so the spelling is judged first and what
// exists second.
func (p *prescan) resolve(file string, ref reference) (string, error) {
	what := fmt.Sprintf("%s: %s", ref.field, ref.path)
	switch {
	case remote(ref.path):
		return "", refuse(file, 0, "commit a copy below services/ and name it by path: a build fetches nothing", "%s is not a plain relative path", what)
	case path.IsAbs(ref.path):
		return "", refuse(file, 0, "name it relative to this file", "%s is absolute", what)
	}
	target := path.Join(path.Dir(file), ref.path)
	if _, isFile := p.files[target]; isFile || p.dirs[target] {
		return target, nil
	}
	if target == ".." || strings.HasPrefix(target, "../") {
		return "", refuse(file, 0, "stay inside the repository", "%s leaves the repository", what)
	}
	return "", refuse(file, 0, "a release reads its own directory and its service's directory only; correct the path or copy the file there", "%s is not there", what)
}

// remote reports spellings that kustomize, git or a shell could read as
// anything but a path.
func remote(ref string) bool {
	if ref == "" || strings.ContainsAny(ref, ":@?#%\\\"'`$*|&;<>\r\n\t") || odd(ref) {
		return true
	}
	return strings.HasPrefix(strings.ToLower(ref), "github.com/") || strings.Contains(ref, "//") ||
		strings.Contains(strings.ToLower(ref), ".git/") || strings.HasSuffix(strings.ToLower(ref), ".git")
}
