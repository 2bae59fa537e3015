package schemas

import (
	"reflect"
	"slices"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
)

type position struct{ line, column int }

// origin remembers where each path of a value was written.
type origin struct {
	file      string
	positions map[string]position
}

// has says whether path was written, as opposed to defaulted.
func (o *origin) has(path string) bool {
	if o == nil {
		return false
	}
	_, ok := o.positions[path]
	return ok
}

// locate gives problems their file, and the position of the nearest path that was written.
func (o *origin) locate(problems Problems) {
	if o == nil {
		return // the value was made by code, so there is no file to point at
	}
	for i := range problems {
		p := &problems[i]
		if p.File != "" {
			continue
		}
		if p.File = o.file; p.Line > 0 {
			continue
		}
		at := o.nearest(p.Path)
		p.Line, p.Column = at.line, at.column
	}
}

// nearest returns the position of path or of what contains it.
func (o *origin) nearest(path string) position {
	if o == nil {
		return position{}
	}
	for {
		at, ok := o.positions[path]
		if ok || path == "" {
			return at
		}
		path = parent(path)
	}
}

// parent returns a.b for a.b.c and a.b for a.b[2].
func parent(path string) string {
	return path[:max(strings.LastIndexAny(path, ".["), 0)]
}

// within says whether path is inner or contains it.
func within(inner, path string) bool {
	rest, ok := strings.CutPrefix(inner, path)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// label names a path in a message.
func label(path string) string {
	if path == "" {
		return "the file"
	}
	return path
}

// fieldsOf returns the fields of a struct type by the names they have in YAML.
func fieldsOf(t reflect.Type) map[string]int {
	fields := make(map[string]int, t.NumField())
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if name != "" && name != "-" {
			fields[name] = i
		}
	}
	return fields
}

func names(t reflect.Type) string {
	var all []string
	for i := range t.NumField() {
		if name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ","); name != "" && name != "-" {
			all = append(all, name)
		}
	}
	return enumerate(all)
}

// enumerate returns "a, b or c".
func enumerate(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// field returns the value of a key of a mapping, or nil.
func field(mapping *yaml.Node, name string) *yaml.Node {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == name {
			return mapping.Content[i+1]
		}
	}
	return nil
}

// environmentNames reads the names ahead of decoding, because the defaults of an
// environment depend on its place and on the name of the one before.
func environmentNames(root *yaml.Node) ([]string, bool) {
	list := field(root, "environments")
	if list == nil || list.Kind != yaml.SequenceNode {
		return nil, false
	}
	found := make([]string, len(list.Content))
	for i, item := range list.Content {
		if item.Kind != yaml.MappingNode {
			continue
		}
		if name := field(item, "name"); name != nil && isName(name.Value, maxNameLength) {
			found[i] = name.Value
		}
	}
	return found, true
}

func isPrintable(s string) bool {
	return !slices.ContainsFunc([]rune(s), func(r rune) bool {
		return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co) || r == unicode.ReplacementChar
	})
}
