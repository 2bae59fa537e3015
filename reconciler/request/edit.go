package request

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/sluice-cd/sluice/gitsource"
)

// A field is one scalar of a YAML document and what it is to be; "" takes it out.
type field struct {
	path  string // keys and indices, separated by dots
	value string
	plain bool // a boolean: it is written as it is
}

// edit changes fields and no other byte. It is the caller's to decode the result
// and to compare it with what was meant.
func edit(data []byte, fields ...field) ([]byte, error) {
	var err error
	for _, f := range fields {
		if data, err = f.edit(data); err != nil {
			return nil, fmt.Errorf("edit %s: %w", f.path, err)
		}
	}
	return data, nil
}

func (f field) edit(data []byte) ([]byte, error) {
	parent, key, err := f.find(data)
	switch {
	case err != nil:
		return nil, err
	case key == nil && f.value == "":
		return data, nil
	case key == nil:
		return f.insert(data, parent)
	case f.value == "":
		return remove(data, parent, key)
	}
	if f.plain {
		if data, err = remove(data, parent, key); err != nil {
			return nil, err
		}
		return f.edit(data)
	}
	return gitsource.SetYAML(data, f.path, f.value)
}

// errNotLines is returned for a part of a document that is not written with one
// field on each line.
var errNotLines = errors.New("it is not written one field to a line")

// find returns the mapping that the field belongs into, and its key where it is
// there.
func (f field) find(data []byte) (parent, key *yaml.Node, err error) {
	var document yaml.Node
	if err := yaml.Unmarshal(data, &document); err != nil {
		return nil, nil, err
	}
	if len(document.Content) != 1 {
		return nil, nil, errNotLines
	}
	parts := strings.Split(f.path, ".")
	at := document.Content[0]
	for _, part := range parts[:len(parts)-1] {
		if _, at = child(at, part); at == nil {
			return nil, nil, fmt.Errorf("there is no %s", part)
		}
	}
	if at.Kind != yaml.MappingNode {
		return nil, nil, errNotLines
	}
	key, _ = child(at, parts[len(parts)-1])
	return at, key, nil
}

// child finds an entry of a mapping or a sequence; the key of a sequence's entry
// is the entry.
func child(n *yaml.Node, name string) (key, value *yaml.Node) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == name {
				return n.Content[i], n.Content[i+1]
			}
		}
	case yaml.SequenceNode:
		for i, entry := range n.Content {
			if fmt.Sprint(i) == name {
				return entry, entry
			}
		}
	case yaml.DocumentNode, yaml.ScalarNode, yaml.AliasNode:
	}
	return nil, nil
}

// insert adds a line behind the last one of a mapping, in its indentation and
// with the file's line ends.
func (f field) insert(data []byte, parent *yaml.Node) ([]byte, error) {
	if parent.Style&yaml.FlowStyle != 0 || len(parent.Content) == 0 {
		return nil, errNotLines
	}
	text, err := f.spelled()
	if err != nil {
		return nil, err
	}
	name := f.path[strings.LastIndex(f.path, ".")+1:]
	end := "\n"
	if bytes.Contains(data, []byte("\r\n")) {
		end = "\r\n"
	}
	line := strings.Repeat(" ", parent.Content[0].Column-1) + name + ": " + text + end
	lines := strings.SplitAfter(string(data), "\n")
	at := lastLine(parent)
	if at > len(lines) {
		return nil, errNotLines
	}
	if !strings.HasSuffix(lines[at-1], "\n") {
		lines[at-1] += end
	}
	return []byte(strings.Join(slices.Insert(lines, at, line), "")), nil
}

// lastLine is where the last scalar of a node is, counted from 1.
func lastLine(n *yaml.Node) int {
	line := n.Line
	for _, c := range n.Content {
		line = max(line, lastLine(c))
	}
	return line
}

// spelled is the value as YAML that means this very text.
func (f field) spelled() (string, error) {
	if f.plain {
		return f.value, nil
	}
	var n yaml.Node
	n.SetString(f.value)
	text, err := yaml.Marshal(&n)
	if err != nil {
		return "", err
	}
	out := strings.TrimSuffix(string(text), "\n")
	if strings.Contains(out, "\n") {
		return "", errors.New("the value is not one line")
	}
	return out, nil
}

// remove takes the line of a field out.
func remove(data []byte, parent, key *yaml.Node) ([]byte, error) {
	_, value := child(parent, key.Value)
	lines := strings.SplitAfter(string(data), "\n")
	if parent.Style&yaml.FlowStyle != 0 || lastLine(value) != key.Line || key.Line > len(lines) {
		return nil, errNotLines
	}
	return []byte(strings.Join(slices.Delete(lines, key.Line-1, key.Line), "")), nil
}
