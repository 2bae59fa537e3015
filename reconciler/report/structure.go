package report

import (
	"fmt"
	"strings"

	"github.com/gonvenience/ytbx"
	"github.com/homeport/dyff/pkg/dyff"
	"github.com/pmezard/go-difflib/difflib"
	"go.yaml.in/yaml/v3"
)

// describe lists by path what differs between two versions of an object. A nil one
// is not there.
func describe(before, after map[string]any) (lines []string) {
	defer func() {
		if r := recover(); r != nil { // the library is given what anybody wrote
			lines = []string{fmt.Sprintf("# it could not be compared: %s", verbatim(fmt.Sprint(r)))}
		}
	}()
	switch {
	case before == nil:
		return block("+ ", after)
	case after == nil:
		return block("- ", before)
	}
	diffs, err := compare(before, after)
	if err != nil {
		return []string{"# it could not be compared: " + verbatim(err.Error())}
	}
	for _, d := range diffs {
		lines = append(lines, "# "+shorten(verbatim(where(d.Path))))
		for _, detail := range d.Details {
			lines = append(lines, show(detail)...)
		}
	}
	return lines
}

func compare(before, after map[string]any) ([]dyff.Diff, error) {
	from, err := document(before)
	if err != nil {
		return nil, err
	}
	to, err := document(after)
	if err != nil {
		return nil, err
	}
	found, err := dyff.CompareInputFiles(from, to, dyff.KubernetesEntityDetection(false))
	return found.Diffs, err
}

func document(object map[string]any) (ytbx.InputFile, error) {
	var node yaml.Node
	if err := node.Encode(object); err != nil {
		return ytbx.InputFile{}, fmt.Errorf("read an object: %w", err)
	}
	return ytbx.InputFile{Documents: []*yaml.Node{{Kind: yaml.DocumentNode, Content: []*yaml.Node{&node}}}}, nil
}

// where is a path as people write it: spec.containers[checkout].image.
func where(path *ytbx.Path) string {
	var out strings.Builder
	if path == nil {
		return "(object)"
	}
	for _, e := range path.PathElements {
		switch {
		case e.Name == "":
			fmt.Fprintf(&out, "[%d]", e.Idx)
		case e.Key != "":
			fmt.Fprintf(&out, "[%s]", e.Name)
		case out.Len() == 0:
			out.WriteString(e.Name)
		case strings.ContainsAny(e.Name, "./[] "):
			fmt.Fprintf(&out, "[%q]", e.Name)
		default:
			out.WriteString("." + e.Name)
		}
	}
	if out.Len() == 0 {
		return "(object)"
	}
	return out.String()
}

func show(d dyff.Detail) []string {
	switch d.Kind {
	case dyff.ADDITION:
		return block("+ ", d.To)
	case dyff.REMOVAL:
		return block("- ", d.From)
	case dyff.ORDERCHANGE:
		return append(append([]string{"# in another order"}, block("- ", d.From)...), block("+ ", d.To)...)
	}
	if isText(d.From) && isText(d.To) {
		return texts(d.From.Value, d.To.Value)
	}
	return append(block("- ", d.From), block("+ ", d.To)...)
}

func isText(n *yaml.Node) bool { return n != nil && n.Kind == yaml.ScalarNode && n.Tag == "!!str" }

// block is a value as YAML.
func block(sign string, value any) []string {
	data, err := yaml.Marshal(value)
	if err != nil {
		return []string{"# it cannot be written as YAML: " + verbatim(err.Error())}
	}
	return prefixed(sign, string(data))
}

// maxTextLines is how long two texts may be to be compared line by line.
const maxTextLines = 2000

// texts compares two texts, line by line where they have several.
func texts(from, to string) []string {
	if !strings.Contains(from, "\n") && !strings.Contains(to, "\n") {
		from, to = around(from, to)
		return []string{"- " + verbatim(from), "+ " + verbatim(to)}
	}
	a, b := strings.Split(from, "\n"), strings.Split(to, "\n")
	first := 0
	for first < len(a) && first < len(b) && a[first] == b[first] {
		first++
	}
	last := 0
	for last < len(a)-first && last < len(b)-first && a[len(a)-1-last] == b[len(b)-1-last] {
		last++
	}
	// One line before and after, where there is one, says where it is.
	from0, lastKept := max(0, first-1), max(0, last-1)
	a, b = a[from0:len(a)-lastKept], b[from0:len(b)-lastKept]
	if len(a) > maxTextLines || len(b) > maxTextLines {
		return []string{fmt.Sprintf("# text: %d lines from line %d on become %d, too many to be compared here", len(a), from0+1, len(b))}
	}
	return hunks(a, b, from0)
}

func hunks(a, b []string, offset int) []string {
	var out []string
	for _, group := range difflib.NewMatcher(a, b).GetGroupedOpCodes(1) {
		out = append(out, fmt.Sprintf("# line %d", offset+group[0].I1+1))
		for _, op := range group {
			if op.Tag == 'e' {
				out = append(out, signed("  ", a[op.I1:op.I2])...)
				continue
			}
			out = append(out, signed("- ", a[op.I1:op.I2])...)
			out = append(out, signed("+ ", b[op.J1:op.J2])...)
		}
	}
	return out
}

func signed(sign string, lines []string) []string {
	out := make([]string, len(lines))
	for i, line := range lines {
		out[i] = sign + shorten(verbatim(line))
	}
	return out
}

// maxLine is how many characters of a line are shown, and lead how many before
// the first difference of a long one.
const (
	maxLine = 300
	lead    = 40
)

func shorten(s string) string {
	if len(s) <= maxLine {
		return s
	}
	runes := []rune(s)
	if len(runes) <= maxLine {
		return s
	}
	return fmt.Sprintf("%s… (%d more characters)", string(runes[:maxLine]), len(runes)-maxLine)
}

// around cuts two long lines to where they begin to differ.
func around(from, to string) (string, string) {
	a, b := []rune(from), []rune(to)
	if len(a) <= maxLine && len(b) <= maxLine {
		return from, to
	}
	at := 0
	for at < len(a) && at < len(b) && a[at] == b[at] {
		at++
	}
	return excerpt(a, at), excerpt(b, at)
}

func excerpt(text []rune, at int) string {
	begin := max(0, at-lead)
	out := shorten(string(text[begin:]))
	if begin > 0 {
		out = "…" + out
	}
	return out
}
