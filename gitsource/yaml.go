package gitsource

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// ErrNotEditable is returned when a value cannot be changed in place without
// touching, or guessing at, anything else.
var ErrNotEditable = errors.New("not editable in place")

// SetYAML replaces one scalar in a YAML document and changes no other byte:
// comments, quoting, line ends, order and anchors stay. Path names mapping keys
// and, for sequences, indices, separated by dots: "artifact.digest",
// "artifacts.0.digest". The value is one printable line of text.
//
// The result is decoded again and compared before it is returned. It refuses,
// with ErrNotEditable, several documents, aliases on the way, values that an
// alias repeats elsewhere, duplicate keys, and block or multi-line scalars.
func SetYAML(data []byte, path, value string) ([]byte, error) {
	out, err := setYAML(data, path, value)
	if err != nil {
		return nil, fmt.Errorf("set %s: %w", path, err)
	}
	return out, nil
}

func setYAML(data []byte, path, value string) ([]byte, error) {
	if !utf8.ValidString(value) || strings.ContainsFunc(value, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return nil, fmt.Errorf("%w: value %q is not one printable line", ErrNotEditable, value)
	}
	doc, err := parseYAML(data)
	if err != nil {
		return nil, err
	}
	target, err := locate(doc, path)
	if err != nil {
		return nil, err
	}
	start, end, err := extent(data, target)
	if err != nil {
		return nil, err
	}
	for _, text := range spellings(target, value) {
		out := bytes.Join([][]byte{data[:start], []byte(text), data[end:]}, nil)
		if err = confirm(doc, target, value, out); err == nil {
			return out, nil
		}
	}
	return nil, err
}

func parseYAML(data []byte) (*yaml.Node, error) {
	if !utf8.Valid(data) || bytes.HasPrefix(data, []byte("\xef\xbb\xbf")) {
		return nil, fmt.Errorf("%w: not plain UTF-8", ErrNotEditable)
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	if err := dec.Decode(&doc); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotEditable, err)
	}
	if err := dec.Decode(&second); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: more than one document", ErrNotEditable)
	}
	return &doc, nil
}

// locate walks to the scalar and refuses what is shared on the way.
func locate(doc *yaml.Node, path string) (*yaml.Node, error) {
	shared := map[*yaml.Node]bool{}
	collectAliased(doc, shared)
	node := doc.Content[0]
	for part := range strings.SplitSeq(path, ".") {
		if shared[node] {
			return nil, fmt.Errorf("%w: line %d is repeated by an alias", ErrNotEditable, node.Line)
		}
		var err error
		if node, err = child(node, part); err != nil {
			return nil, err
		}
	}
	switch {
	case node.Kind == yaml.AliasNode:
		return nil, fmt.Errorf("%w: line %d is an alias", ErrNotEditable, node.Line)
	case node.Kind != yaml.ScalarNode:
		return nil, fmt.Errorf("%w: line %d is not a scalar", ErrNotEditable, node.Line)
	case shared[node]:
		return nil, fmt.Errorf("%w: line %d is repeated by an alias", ErrNotEditable, node.Line)
	}
	return node, nil
}

func collectAliased(n *yaml.Node, into map[*yaml.Node]bool) {
	if n.Kind == yaml.AliasNode {
		into[n.Alias] = true
	}
	for _, c := range n.Content {
		collectAliased(c, into)
	}
}

func child(n *yaml.Node, part string) (*yaml.Node, error) {
	var found *yaml.Node
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value != part {
				continue
			}
			if found != nil {
				return nil, fmt.Errorf("%w: line %d repeats key %q", ErrNotEditable, n.Content[i].Line, part)
			}
			found = n.Content[i+1]
		}
	case yaml.SequenceNode:
		if i, err := strconv.Atoi(part); err == nil && i >= 0 && i < len(n.Content) {
			found = n.Content[i]
		}
	case yaml.AliasNode:
		return nil, fmt.Errorf("%w: line %d is an alias", ErrNotEditable, n.Line)
	}
	if found == nil {
		return nil, fmt.Errorf("%w: line %d has no %q", ErrNotEditable, n.Line, part)
	}
	return found, nil
}

// extent finds the bytes of a scalar, without its anchor and tag.
func extent(data []byte, n *yaml.Node) (start, end int, err error) {
	start = skipProperties(data, offset(data, n.Line, n.Column))
	rest := data[start:]
	length := -1
	switch n.Style &^ yaml.TaggedStyle {
	case yaml.DoubleQuotedStyle:
		length = quotedLength(rest, '"')
	case yaml.SingleQuotedStyle:
		length = quotedLength(rest, '\'')
	case 0:
		// A plain scalar on one line is spelled as its value.
		if n.Value != "" && bytes.HasPrefix(rest, []byte(n.Value)) {
			length = len(n.Value)
		}
	}
	if length < 0 || bytes.ContainsAny(rest[:max(length, 0)], "\r\n") {
		return 0, 0, fmt.Errorf("%w: line %d is not a scalar on one line", ErrNotEditable, n.Line)
	}
	return start, start + length, nil
}

// offset turns the parser's position into a byte offset: lines end as YAML 1.1
// says, columns count characters.
func offset(data []byte, line, column int) int {
	i := 0
	for line > 1 && i < len(data) {
		r, n := utf8.DecodeRune(data[i:])
		if r == '\r' && i+1 < len(data) && data[i+1] == '\n' {
			n = 2
		}
		i += n
		if strings.ContainsRune("\r\n\u0085\u2028\u2029", r) {
			line--
		}
	}
	for column > 1 && i < len(data) {
		_, n := utf8.DecodeRune(data[i:])
		i += n
		column--
	}
	return i
}

func skipProperties(data []byte, i int) int {
	for i < len(data) && (data[i] == '&' || data[i] == '!') {
		for i < len(data) && !bytes.ContainsRune([]byte(" \t\r\n"), rune(data[i])) {
			i++
		}
		for i < len(data) && (data[i] == ' ' || data[i] == '\t') {
			i++
		}
	}
	return i
}

// quotedLength is the length of a quoted scalar with its quotes, -1 if it does
// not end.
func quotedLength(data []byte, quote byte) int {
	if len(data) == 0 || data[0] != quote {
		return -1
	}
	for i := 1; i < len(data); i++ {
		switch {
		case quote == '"' && data[i] == '\\':
			i++
		case quote == '\'' && data[i] == quote && i+1 < len(data) && data[i+1] == quote:
			i++
		case data[i] == quote:
			return i + 1
		}
	}
	return -1
}

// spellings are the ways to write the value, the present style first.
func spellings(n *yaml.Node, value string) []string {
	double := `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value) + `"`
	switch n.Style &^ yaml.TaggedStyle {
	case yaml.DoubleQuotedStyle:
		return []string{double}
	case yaml.SingleQuotedStyle:
		return []string{"'" + strings.ReplaceAll(value, "'", "''") + "'"}
	default:
		return []string{value, double}
	}
}

// confirm decodes an edited document and compares it with the intention.
func confirm(doc, target *yaml.Node, value string, edited []byte) error {
	now, err := parseYAML(edited)
	if err != nil {
		return err
	}
	if !sameExcept(doc, now, target, value) {
		return fmt.Errorf("%w: the edit would change something else", ErrNotEditable)
	}
	return nil
}

func sameExcept(a, b, target *yaml.Node, value string) bool {
	if a == target {
		// Plain text must not turn into a number, unless it was one.
		typed := b.Tag == "!!str" || b.Tag == a.Tag
		return b.Kind == yaml.ScalarNode && b.Value == value && typed && a.Anchor == b.Anchor && sameComments(a, b)
	}
	same := a.Kind == b.Kind && a.Style == b.Style && a.Tag == b.Tag && a.Value == b.Value &&
		a.Anchor == b.Anchor && len(a.Content) == len(b.Content) && sameComments(a, b)
	if !same {
		return false
	}
	for i := range a.Content {
		if !sameExcept(a.Content[i], b.Content[i], target, value) {
			return false
		}
	}
	return true
}

func sameComments(a, b *yaml.Node) bool {
	return a.HeadComment == b.HeadComment && a.LineComment == b.LineComment && a.FootComment == b.FootComment
}
