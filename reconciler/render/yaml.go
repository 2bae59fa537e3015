package render

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxDepth bounds nesting. Kubernetes objects stay below 40.
const maxDepth = 100

// scanner reads YAML into nodes, which never expands an alias, and refuses
// documents that would explode when somebody does.
type scanner struct {
	limits Limits
	nodes  int               // counted over all files of a build, aliases expanded
	where  map[string]origin // "Kind/name" to the place that declares it, to name it in refusals
}

type origin struct {
	file string
	line int
}

// parseError tells text that is no YAML from YAML that is refused.
type parseError struct{ err error }

func (e *parseError) Error() string { return e.err.Error() }

// documents parses and checks all documents of one file.
func (s *scanner) documents(file string, data []byte) ([]*yaml.Node, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	walk := walker{scanner: s, file: file, sizes: map[*yaml.Node]int{}, open: map[*yaml.Node]bool{}}
	var docs []*yaml.Node
	for {
		var doc yaml.Node
		err := decoder.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return docs, nil
		}
		if err != nil && json.Valid(data) {
			return nil, nil // JSON with tabs; it has no aliases and kustomize bounds its depth
		}
		if err != nil {
			return nil, &parseError{err}
		}
		if _, err := walk.size(&doc, 0); err != nil {
			return nil, err
		}
		docs = append(docs, &doc)
		s.remember(file, &doc)
	}
}

// must is documents for text that has to be YAML.
func (s *scanner) must(file string, data []byte) ([]*yaml.Node, error) {
	docs, err := s.documents(file, data)
	var parse *parseError
	if errors.As(err, &parse) {
		return nil, refuse(file, 0, "correct the file", "not valid YAML: %v", parse.err)
	}
	return docs, err
}

// remember notes which file declares an object, so that a refusal of the
// rendered object can name it.
func (s *scanner) remember(file string, doc *yaml.Node) {
	if len(doc.Content) == 0 {
		return
	}
	root := doc.Content[0]
	kind, meta := child(root, "kind"), child(root, "metadata")
	if kind == nil || meta == nil {
		return
	}
	name := child(meta, "name")
	if name == nil {
		return
	}
	key := kind.Value + "/" + name.Value
	if _, known := s.where[key]; !known {
		s.where[key] = origin{file, root.Line}
	}
}

// child returns the value of a key of a mapping, nil when there is none.
func child(node *yaml.Node, key string) *yaml.Node {
	if node.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == key {
			return node.Content[i+1]
		}
	}
	return nil
}

// walker checks one file.
type walker struct {
	*scanner
	file    string
	aliased int
	sizes   map[*yaml.Node]int  // expanded size of anchored nodes
	open    map[*yaml.Node]bool // anchored nodes that contain the current one
}

// size returns how many nodes n stands for once aliases are expanded.
func (w *walker) size(n *yaml.Node, depth int) (int, error) {
	if depth > maxDepth {
		return 0, refuse(w.file, n.Line, "flatten the document", "nested deeper than %d levels", maxDepth)
	}
	if n.Kind == yaml.AliasNode {
		return w.alias(n)
	}
	if n.Anchor != "" {
		w.open[n] = true
		defer delete(w.open, n)
	}
	if w.nodes++; w.nodes > w.limits.Nodes {
		return 0, w.tooMany(n)
	}
	total := 1
	for i, c := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			if err := w.key(c); err != nil {
				return 0, err
			}
		}
		size, err := w.size(c, depth+1)
		if err != nil {
			return 0, err
		}
		total += size
	}
	if n.Anchor != "" {
		w.sizes[n] = total
	}
	return total, nil
}

func (w *walker) alias(n *yaml.Node) (int, error) {
	if w.open[n.Alias] {
		return 0, refuse(w.file, n.Line, "write the value out", "alias *%s contains itself", n.Value)
	}
	size := w.sizes[n.Alias]
	w.nodes += size
	if w.aliased += size; w.aliased > w.limits.AliasNodes {
		return 0, refuse(w.file, n.Line, "write the values out instead of using aliases", "aliases stand for more than %d nodes", w.limits.AliasNodes)
	}
	if w.nodes > w.limits.Nodes {
		return 0, w.tooMany(n)
	}
	return size, nil
}

func (w *walker) tooMany(n *yaml.Node) error {
	return refuse(w.file, n.Line, "split the service", "more than %d YAML nodes", w.limits.Nodes)
}

// key refuses annotations that kustomize itself acts on: functions, and its
// bookkeeping, which it parses again as YAML.
func (w *walker) key(n *yaml.Node) error {
	reserved := strings.Contains(n.Value, "config.kubernetes.io/") || strings.HasPrefix(n.Value, "config.k8s.io/")
	if !reserved || n.Value == "config.kubernetes.io/local-config" {
		return nil
	}
	return refuse(w.file, n.Line, "remove it: functions are not run, and kustomize keeps its own notes there", "annotation %s", n.Value)
}
