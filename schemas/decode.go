package schemas

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// MaxFileBytes is the largest file that is decoded.
const MaxFileBytes = 1 << 20

// maxProblems bounds the report on one file, which may be hostile.
const maxProblems = 100

// DecodePolicy reads sluice.yaml over the defaults. The error is of type Problems.
func DecodePolicy(file string, data []byte) (Policy, error) {
	d := newDecoder(file)
	p := Policy{}
	root := d.parse(data, KindPolicy)
	if root == nil {
		return p, d.finish(nil)
	}
	p.Environments, p.Classes = DefaultPolicy().Environments, DefaultPolicy().Classes
	if names, ok := environmentNames(root); ok {
		presets := defaultEnvironments(names)
		d.preset = func(path string, i int, v reflect.Value) {
			if path == "environments" && i < len(presets) {
				v.Set(reflect.ValueOf(presets[i]))
			}
		}
	}
	d.value("", root, reflect.ValueOf(&p).Elem())
	p.origin = d.origin
	p.pinApps()
	p.compileGates()
	return p, d.finish(p.Validate())
}

// DecodeService reads the service.yaml of the service called name over the
// defaults. The error is of type Problems.
func DecodeService(file, name string, data []byte) (Service, error) {
	d := newDecoder(file)
	s := Service{}
	root := d.parse(data, KindService)
	if root == nil {
		return s, d.finish(nil)
	}
	s.defaults()
	d.value("", root, reflect.ValueOf(&s).Elem())
	s.Name, s.origin = name, d.origin
	s.nameTraffic()
	return s, d.finish(s.Validate())
}

// DecodeRelease reads a release.yaml over the defaults. The error is of type Problems.
func DecodeRelease(file string, data []byte) (Release, error) {
	d := newDecoder(file)
	r := Release{}
	root := d.parse(data, KindRelease)
	if root == nil {
		return r, d.finish(nil)
	}
	r.defaults()
	d.value("", root, reflect.ValueOf(&r).Elem())
	r.origin = d.origin
	return r, d.finish(r.Validate())
}

// DecodeControl reads a control.yaml. The error is of type Problems.
func DecodeControl(file string, data []byte) (Control, error) {
	d := newDecoder(file)
	c := Control{}
	root := d.parse(data, KindControl)
	if root == nil {
		return c, d.finish(nil)
	}
	d.value("", root, reflect.ValueOf(&c).Elem())
	c.origin = d.origin
	return c, d.finish(c.Validate())
}

// defaulter is a type whose zero value is not its default.
type defaulter interface{ defaults() }

type decoder struct {
	origin   *origin
	problems Problems
	leftOut  int // problems beyond maxProblems
	// preset gives the element i of the list at path its defaults.
	preset func(path string, i int, v reflect.Value)
}

func newDecoder(file string) *decoder {
	return &decoder{origin: &origin{file: file, positions: map[string]position{}}}
}

// parse returns the mapping that a file of this kind consists of, or nil after
// having recorded why there is none.
func (d *decoder) parse(data []byte, kind string) *yaml.Node {
	if len(data) > MaxFileBytes {
		d.add("", "split it or remove what does not belong here", "the file has %d bytes, the limit is %d", len(data), MaxFileBytes)
		return nil
	}
	reader := yaml.NewDecoder(bytes.NewReader(data))
	var document yaml.Node
	if err := reader.Decode(&document); errors.Is(err, io.EOF) {
		d.add("", "start it with apiVersion: "+APIVersion+" and kind: "+kind, "the file is empty")
		return nil
	} else if err != nil {
		d.syntax(err)
		return nil
	}
	var second yaml.Node
	if err := reader.Decode(&second); err == nil {
		d.addAt(&second, "", "keep one document per file", "a second document")
		return nil
	} else if !errors.Is(err, io.EOF) {
		d.syntax(err)
		return nil
	}
	root := document.Content[0]
	d.note("", root)
	if !d.hasKind(root, yaml.MappingNode, "") {
		return nil
	}
	if !d.header(root, kind) {
		return nil
	}
	return root
}

var yamlErrorLine = regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?(.*)`)

// syntax records an error of the YAML parser, which knows the line at most.
func (d *decoder) syntax(err error) {
	first, _, _ := strings.Cut(err.Error(), "\n")
	m := yamlErrorLine.FindStringSubmatch(first)
	line, _ := strconv.Atoi(m[1])
	d.problems = append(d.problems, Problem{
		Line: max(line, 1), Column: 1, Severity: SeverityError,
		Message: "not YAML: " + m[2],
		Remedy:  "correct the syntax at or above this line",
	})
}

// header checks apiVersion and kind before anything else, and says whether the rest
// can be read: of another kind, every field would be reported as unknown.
func (d *decoder) header(root *yaml.Node, kind string) bool {
	readable := true
	for _, h := range []struct{ name, want string }{{"apiVersion", APIVersion}, {"kind", kind}} {
		value := field(root, h.name)
		switch {
		case value == nil:
			d.addAt(root, h.name, "add "+h.name+": "+h.want, "%s is missing", h.name)
		case value.Value != h.want:
			d.addAt(value, h.name, "write "+h.want, "%s is %q", h.name, value.Value)
			readable = false
		}
	}
	return readable
}

func (d *decoder) add(path, remedy, format string, args ...any) {
	d.addAt(&yaml.Node{}, path, remedy, format, args...)
}

// addAt does not even format what finish would leave out.
func (d *decoder) addAt(n *yaml.Node, path, remedy, format string, args ...any) {
	if len(d.problems) == maxProblems {
		d.leftOut++
		return
	}
	d.problems.add(path, remedy, format, args...)
	last := &d.problems[len(d.problems)-1]
	last.Line, last.Column = n.Line, n.Column
}

func (d *decoder) note(path string, n *yaml.Node) {
	d.origin.positions[path] = position{line: n.Line, column: n.Column}
}

// finish adds what is wrong with the meaning, except where the value could not be
// read in the first place, and locates, sorts and bounds everything.
func (d *decoder) finish(meaning Problems) error {
	unread := d.problems
	for _, m := range meaning {
		if !slices.ContainsFunc(unread, func(u Problem) bool { return within(m.Path, u.Path) || within(u.Path, m.Path) }) {
			d.problems = append(d.problems, m)
		}
	}
	d.origin.locate(d.problems)
	d.problems.Sort()
	if extra := d.leftOut + len(d.problems) - maxProblems; extra > 0 {
		d.problems = d.problems[:maxProblems]
		d.problems.add("", "correct the first ones", "%d more problems are left out", extra)
		d.origin.locate(d.problems)
	}
	return d.problems.asError()
}

// value decodes n into v, which holds the default.
func (d *decoder) value(path string, n *yaml.Node, v reflect.Value) {
	if !d.isPlain(path, n) {
		return
	}
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
			setDefaults(v.Elem())
		}
		v = v.Elem()
	}
	if text, ok := v.Addr().Interface().(interface{ UnmarshalText([]byte) error }); ok {
		d.text(path, n, text.UnmarshalText)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.mapping(path, n, v)
	case reflect.Slice:
		d.list(path, n, v)
	default:
		d.scalar(path, n, v)
	}
}

// isPlain refuses what would let one value hide another, or nothing stand for something.
func (d *decoder) isPlain(path string, n *yaml.Node) bool {
	switch {
	case n.Kind == yaml.AliasNode:
		d.addAt(n, path, "write the value out", "%s is an alias", label(path))
	case n.Style&yaml.TaggedStyle != 0:
		d.addAt(n, path, "remove the tag", "%s has the tag %q", label(path), n.Tag)
	case n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null":
		d.addAt(n, path, "give one, or remove the line to get the default", "%s has no value", label(path))
	default:
		return true
	}
	return false
}

func (d *decoder) hasKind(n *yaml.Node, kind yaml.Kind, path string) bool {
	if n.Kind == kind {
		return true
	}
	want := map[yaml.Kind]string{yaml.MappingNode: "a mapping", yaml.SequenceNode: "a list", yaml.ScalarNode: "a single value"}[kind]
	d.addAt(n, path, "write "+want, "%s is not %s", label(path), want)
	return false
}

func (d *decoder) mapping(path string, n *yaml.Node, v reflect.Value) {
	if !d.hasKind(n, yaml.MappingNode, path) {
		return
	}
	fields, known := fieldsOf(v.Type()), names(v.Type())
	seen := make(map[string]bool, len(fields))
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		index, isKnown := fields[key.Value]
		switch {
		case key.Kind != yaml.ScalarNode || !isKnown:
			d.addAt(key, join(path, key.Value), "use "+known, "unknown field %q", key.Value)
			continue
		case seen[key.Value]:
			d.addAt(key, join(path, key.Value), "keep one of the two", "%s is there twice", label(join(path, key.Value)))
			continue
		}
		seen[key.Value] = true
		at := join(path, key.Value)
		d.note(at, positioned(key, value))
		tag := v.Type().Field(index).Tag.Get("sluice")
		if tag != "multiline" && !d.isOneLine(at, value) {
			continue
		}
		if tag == "whole" { // a list of what is accepted must not keep what nobody wrote
			v.Field(index).SetZero()
		}
		d.value(at, value, v.Field(index))
	}
}

// positioned returns the node that a reader looks at: the value where it is on one
// line, the key where the value is a block below it.
func positioned(key, value *yaml.Node) *yaml.Node {
	if value.Kind == yaml.ScalarNode {
		return value
	}
	return key
}

func (d *decoder) list(path string, n *yaml.Node, v reflect.Value) {
	if !d.hasKind(n, yaml.SequenceNode, path) {
		return
	}
	list := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		at := fmt.Sprintf("%s[%d]", path, i)
		d.note(at, item)
		element := list.Index(i)
		setDefaults(element)
		if d.preset != nil {
			d.preset(path, i, element)
		}
		if d.isOneLine(at, item) {
			d.value(at, item, element)
		}
	}
	v.Set(list)
}

func (d *decoder) text(path string, n *yaml.Node, unmarshal func([]byte) error) {
	if !d.hasKind(n, yaml.ScalarNode, path) {
		return
	}
	if err := unmarshal([]byte(n.Value)); err != nil {
		d.addAt(n, path, "correct the value", "%s: %s", label(path), err)
	}
}

func (d *decoder) scalar(path string, n *yaml.Node, v reflect.Value) {
	if !d.hasKind(n, yaml.ScalarNode, path) {
		return
	}
	var err error
	want := ""
	tag := n.ShortTag()
	switch v.Kind() {
	case reflect.String:
		// A version 1.10 or an all-digit commit is what was typed, not what YAML makes of it.
		if tag == "!!bool" {
			d.addAt(n, path, "put it in quotes", "%s is %s, not text", label(path), n.Value)
			return
		}
		v.SetString(n.Value)
	case reflect.Bool:
		want = "true or false"
		var b bool
		b, err = strconv.ParseBool(n.Value)
		if tag != "!!bool" {
			err = strconv.ErrSyntax
		}
		v.SetBool(b)
	case reflect.Int:
		want = "a whole number"
		var i int
		i, err = strconv.Atoi(n.Value)
		if tag != "!!int" {
			err = strconv.ErrSyntax
		}
		v.SetInt(int64(i))
	case reflect.Float64:
		want = "a number"
		var f float64
		f, err = strconv.ParseFloat(n.Value, 64)
		// NaN and infinities would pass every limit.
		if tag != "!!int" && tag != "!!float" || math.IsNaN(f) || math.IsInf(f, 0) {
			err = strconv.ErrSyntax
		}
		v.SetFloat(f)
	}
	if err != nil {
		d.addAt(n, path, "write "+want, "%s is %q", label(path), n.Value)
	}
}

// isOneLine refuses line breaks, escapes and invisible characters, which would
// forge a line of a commit message, a table or a terminal.
func (d *decoder) isOneLine(path string, n *yaml.Node) bool {
	if n.Kind != yaml.ScalarNode || isPrintable(n.Value) {
		return true
	}
	d.addAt(n, path, "write it on one line in plain characters", "%s has a control or invisible character: %q", label(path), n.Value)
	return false
}

func setDefaults(v reflect.Value) {
	if d, ok := v.Addr().Interface().(defaulter); ok {
		d.defaults()
	}
}
