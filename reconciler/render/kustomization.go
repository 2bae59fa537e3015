package render

import (
	"errors"
	"path"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/api/types"
)

// prescan follows the kustomizations from the release's directory the way
// kustomize would, and refuses what must not get there.
type prescan struct {
	*scanner
	files tree
	dirs  map[string]bool
	done  map[string]weight
	open  map[string]bool
	read  map[string]int // objects in each file that was scanned as YAML
}

// weight is what entering a kustomization costs.
type weight struct{ visits, objects int }

func newPrescan(files tree, limits Limits) *prescan {
	p := &prescan{
		scanner: &scanner{limits: limits, where: map[string]origin{}},
		files:   files, dirs: map[string]bool{},
		done: map[string]weight{}, open: map[string]bool{}, read: map[string]int{},
	}
	for name := range files {
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			p.dirs[dir] = true
		}
	}
	return p
}

// check refuses everything in the subtree that is not plain, local and small.
func (p *prescan) check(dir string) error {
	if _, err := p.visit(dir, ""); err != nil {
		return err
	}
	return p.rest()
}

// rest looks for bombs in YAML that no kustomization mentions. Text that is
// no YAML is nobody's input there.
func (p *prescan) rest() error {
	for _, name := range sorted(p.files) {
		if _, seen := p.read[name]; seen || !slices.Contains([]string{".yaml", ".yml", ".json"}, path.Ext(name)) {
			continue
		}
		var parse *parseError
		if _, err := p.documents(name, p.files[name]); err != nil && !errors.As(err, &parse) {
			return err
		}
	}
	return nil
}

// visit checks the kustomization in dir and everything below it. Bases that
// use each other twice per level double at each level, so the product is
// counted before anything is built.
func (p *prescan) visit(dir, from string) (weight, error) {
	if p.open[dir] {
		return weight{}, refuse(from, 0, "break the circle", "%s includes itself", dir)
	}
	if w, known := p.done[dir]; known {
		return w, nil
	}
	p.open[dir] = true
	defer delete(p.open, dir)
	file, err := p.kustomizationIn(dir, from)
	if err != nil {
		return weight{}, err
	}
	k, err := p.decode(file)
	if err != nil {
		return weight{}, err
	}
	w, err := p.operands(file, k)
	if err != nil {
		return weight{}, err
	}
	p.done[dir] = w
	return w, nil
}

func (p *prescan) kustomizationIn(dir, from string) (string, error) {
	var found []string
	for _, name := range konfig.RecognizedKustomizationFileNames() {
		if file := path.Join(dir, name); p.files[file] != nil {
			found = append(found, file)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		if from == "" {
			from = dir
		}
		return "", refuse(from, 0, "add "+dir+"/kustomization.yaml", "no kustomization in %s", dir)
	}
	return "", refuse(found[1], 0, "keep one of them", "%s has several kustomizations", dir)
}

func (p *prescan) decode(file string) (*types.Kustomization, error) {
	docs, err := p.must(file, p.files[file])
	if err != nil {
		return nil, err
	}
	p.read[file] = 0
	if len(docs) != 1 {
		return nil, refuse(file, 0, "keep exactly one document", "%d YAML documents in a kustomization", len(docs))
	}
	var k types.Kustomization
	if err := k.Unmarshal(p.files[file]); err != nil {
		return nil, refuse(file, 0, "correct the file", "%v", err)
	}
	if err := allowedFields(file, &k); err != nil {
		return nil, err
	}
	k.FixKustomization()
	return &k, nil
}

// allowedFields goes over all fields of the type, so that a field which a
// later kustomize adds is refused until somebody has looked at it.
func allowedFields(file string, k *types.Kustomization) error {
	allowed := []string{
		"TypeMeta", "MetaData", "NamePrefix", "NameSuffix", "Namespace", "CommonLabels", "Labels", "CommonAnnotations",
		"PatchesStrategicMerge", "PatchesJson6902", "Patches", "Images", "ImageTags", "Replacements", "Replicas", "Vars",
		"SortOptions", "Resources", "Components", "Bases", "ConfigMapGenerator", "SecretGenerator", "GeneratorOptions",
		"Transformers",
	}
	v := reflect.ValueOf(k).Elem()
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if slices.Contains(allowed, field.Name) || v.Field(i).IsZero() {
			continue
		}
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		return refuse(file, 0, fieldRemedy(field.Name), "field %s", name)
	}
	return nil
}

func fieldRemedy(field string) string {
	switch field {
	case "HelmGlobals", "HelmCharts", "HelmChartInflationGenerator":
		return "render the chart and commit the result: a build runs no helm"
	case "Generators", "Validators":
		return "use configMapGenerator or secretGenerator: a build runs no plugins"
	case "OpenAPI", "Crds", "Configurations":
		return "remove it: a release cannot change how kustomize reads objects"
	case "BuildMetadata":
		return "remove it: Sluice labels objects itself"
	}
	return "remove it: Sluice does not support this field"
}

// operands checks everything that k reads and returns what building it costs.
func (p *prescan) operands(file string, k *types.Kustomization) (weight, error) {
	w := weight{visits: 1, objects: len(k.ConfigMapGenerator) + len(k.SecretGenerator)}
	if err := p.inline(file, k); err != nil {
		return w, err
	}
	for _, ref := range referencesIn(k) {
		add, err := p.follow(file, ref)
		if err != nil {
			return w, err
		}
		w.visits += add.visits
		w.objects += add.objects
		if w.visits > p.limits.Visits {
			return w, refuse(file, 0, "include each base once", "bases are included more than %d times", p.limits.Visits)
		}
		if w.objects > p.limits.Objects {
			return w, refuse(file, 0, "split the service", "more than %d objects", p.limits.Objects)
		}
	}
	return w, nil
}

// inline checks YAML that stands inside a kustomization as text.
func (p *prescan) inline(file string, k *types.Kustomization) error {
	var texts []string
	for _, patch := range patches(k) {
		texts = append(texts, patch.Patch)
	}
	for _, patch := range mergePatches(k) {
		if inlinePatch(patch) {
			texts = append(texts, patch)
		}
	}
	for _, text := range texts {
		if _, err := p.must(file, []byte(text)); err != nil {
			return err
		}
	}
	for _, transformer := range k.Transformers {
		if err := p.transformer(file, transformer); err != nil {
			return err
		}
	}
	return nil
}

// transformer accepts only kustomize's own transformers, written inline, and
// of these only the ones that read no files.
func (p *prescan) transformer(file, text string) error {
	const remedy = "use an inline builtin transformer without files, or patches: a build runs no plugins"
	harmless := []string{
		"AnnotationsTransformer", "ImageTagTransformer", "LabelTransformer", "NamespaceTransformer",
		"PrefixSuffixTransformer", "PrefixTransformer", "ReplicaCountTransformer", "SuffixTransformer",
	}
	if !strings.HasPrefix(text, "apiVersion:") || strings.Contains(text, "://") {
		return refuse(file, 0, remedy, "transformer %q is not an inline builtin", text)
	}
	docs, err := p.must(file, []byte(text))
	if err != nil {
		return err
	}
	for _, doc := range docs {
		version, kind := scalar(doc, "apiVersion"), scalar(doc, "kind")
		if version != "builtin" || !slices.Contains(harmless, kind) {
			return refuse(file, 0, remedy, "transformer %s %s", version, kind)
		}
	}
	return nil
}

func scalar(doc *yaml.Node, key string) string {
	if len(doc.Content) == 0 {
		return ""
	}
	if value := child(doc.Content[0], key); value != nil {
		return value.Value
	}
	return ""
}

// follow checks one reference and what it leads to.
func (p *prescan) follow(file string, ref reference) (weight, error) {
	target, err := p.resolve(file, ref)
	if err != nil {
		return weight{}, err
	}
	if p.dirs[target] {
		if ref.use != asResource && ref.use != asComponent {
			return weight{}, refuse(file, 0, "name a file", "%s: %s is a directory", ref.field, ref.path)
		}
		return p.visit(target, file)
	}
	if ref.use == asComponent {
		return weight{}, refuse(file, 0, "name a directory", "%s: %s is a file", ref.field, ref.path)
	}
	if !strings.HasPrefix(target, path.Dir(file)+"/") {
		remedy := "list it in a kustomization in " + path.Dir(target) + " and include that directory"
		return weight{}, refuse(file, 0, remedy, "%s: file %s is not below this kustomization", ref.field, ref.path)
	}
	if ref.use == asData {
		return weight{}, nil
	}
	objects, err := p.yamlFile(target)
	if ref.use != asResource {
		objects = 0
	}
	return weight{objects: objects}, err
}

// yamlFile scans a file once and returns how many objects it holds.
func (p *prescan) yamlFile(name string) (int, error) {
	if n, seen := p.read[name]; seen {
		return n, nil
	}
	docs, err := p.must(name, p.files[name])
	if err != nil {
		return 0, err
	}
	n := 0
	for _, doc := range docs {
		n += objectsIn(doc)
	}
	p.read[name] = n
	return n, nil
}

func objectsIn(doc *yaml.Node) int {
	if len(doc.Content) == 0 {
		return 0
	}
	if items := child(doc.Content[0], "items"); items != nil && items.Kind == yaml.SequenceNode {
		return len(items.Content)
	}
	return 1
}
