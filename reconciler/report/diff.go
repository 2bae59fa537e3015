package report

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// A Diff is what would change of the applied objects.
type Diff struct {
	Objects []Object
	// Unknown is why it could not be told; First says that nothing is deployed yet.
	Unknown string
	First   bool
}

// An Object is one that changes.
type Object struct {
	Name   string // "Deployment/checkout"
	Change string // added, removed or changed
	Lines  []string
	// LeftOut counts the lines that are too many to be shown.
	LeftOut int
}

// The changes.
const (
	added   = "added"
	removed = "removed"
	changed = "changed"
)

// Bounds of what is compared and shown.
const (
	maxObjectLines = 200
	maxDiffLines   = 1500
	// maxNodes bounds the work of comparing one object: lookups in a map are linear.
	maxNodes = 40_000
	// maxAllNodes bounds that of all objects together.
	maxAllNodes = 400_000
)

// Compare says what changes between two renders of a release, both without a
// revision, so that their names are those in the repository.
func Compare(from, to []*unstructured.Unstructured) Diff {
	before, after := byIdentity(from), byIdentity(to)
	pairGenerated(before, after)
	work, lines := maxAllNodes, maxDiffLines
	var d Diff
	for _, id := range slices.SortedFunc(maps.Keys(union(before, after)), compareIDs) {
		b, a := before[id], after[id]
		if b != nil && a != nil && reflect.DeepEqual(b.Object, a.Object) {
			continue
		}
		o := compareObjects(b, a, &work)
		if most := max(0, min(maxObjectLines, lines)); len(o.Lines) > most {
			o.LeftOut += len(o.Lines) - most
			o.Lines = o.Lines[:most]
		}
		lines -= len(o.Lines)
		d.Objects = append(d.Objects, o)
	}
	return d
}

type identity struct{ kind, group, namespace, name string }

func compareIDs(a, b identity) int {
	return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.name, b.name), cmp.Compare(a.group, b.group), cmp.Compare(a.namespace, b.namespace))
}

func byIdentity(objects []*unstructured.Unstructured) map[identity]*unstructured.Unstructured {
	out := make(map[identity]*unstructured.Unstructured, len(objects))
	for _, o := range objects {
		out[identity{o.GetKind(), o.GroupVersionKind().Group, o.GetNamespace(), o.GetName()}] = o
	}
	return out
}

func union[K comparable, V any](a, b map[K]V) map[K]V {
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out
}

// generated matches a name that kustomize made from the content of the object.
var generated = regexp.MustCompile(`^(.+)-[bcdfghkmt2456789]{10}$`)

// pairGenerated gives a ConfigMap or Secret whose generated name changes with its
// content the same identity on both sides, so that the content is compared.
func pairGenerated(before, after map[identity]*unstructured.Unstructured) {
	gone, come := stems(before, after), stems(after, before)
	for stem, olds := range gone {
		if news := come[stem]; len(olds) == 1 && len(news) == 1 {
			after[olds[0]] = after[news[0]]
			delete(after, news[0])
		}
	}
}

// stems are the generated names that only one side has, by what precedes the hash.
func stems(here, there map[identity]*unstructured.Unstructured) map[identity][]identity {
	out := map[identity][]identity{}
	for id := range here {
		match := generated.FindStringSubmatch(id.name)
		if _, both := there[id]; both || match == nil || id.kind != "ConfigMap" && id.kind != "Secret" {
			continue
		}
		stem := id
		stem.name = match[1]
		out[stem] = append(out[stem], id)
	}
	return out
}

func compareObjects(from, to *unstructured.Unstructured, work *int) Object {
	shown, change := to, changed
	switch {
	case from == nil:
		change = added
	case to == nil:
		shown, change = from, removed
	}
	o := Object{Name: shown.GetKind() + "/" + shown.GetName(), Change: change}
	if from != nil && to != nil && from.GetName() != to.GetName() {
		o.Name = from.GetKind() + "/" + from.GetName() + " → " + to.GetName()
	}
	before, after := redacted(from, to)
	nodes := count(before) + count(after)
	*work -= nodes
	if nodes > maxNodes || *work < 0 {
		o.Lines = []string{fmt.Sprintf("# %d values, too many to be compared here", nodes)}
		return o
	}
	o.Lines = describe(before, after)
	return o
}

// count is how many values an object has.
func count(value any) int {
	n := 1
	switch v := value.(type) {
	case map[string]any:
		for _, item := range v {
			n += 1 + count(item)
		}
	case []any:
		for _, item := range v {
			n += count(item)
		}
	}
	return n
}

// changes shows a release's diff in about as many bytes as there is room for.
func (r Release) changes(room int) string {
	d := r.Diff
	title := inert(r.name()) + ": "
	switch {
	case d.Unknown != "":
		return title + "what would change could not be told: " + inert(d.Unknown) + "\n\n"
	case len(r.Results) == 0:
		return ""
	case len(d.Objects) == 0:
		return title + "no applied object changes.\n\n"
	}
	what := plural(len(d.Objects), "object changes", "objects change")
	if d.First {
		what = "the first deployment, " + plural(len(d.Objects), "object", "objects")
	}
	return "<details><summary>" + title + what + "</summary>\n\n" + fenced("diff", d.lines(min(room, maxDiffBytes))) + "\n</details>\n\n"
}

// How much of a comment the diff of one release may take, and is always offered.
const (
	maxDiffBytes = 24_000
	minDiffBytes = 2_000
)

func (d Diff) lines(room int) []string {
	var out []string
	size := 0
	for i, o := range d.Objects {
		head := fmt.Sprintf("@@ %s %s @@", verbatim(o.Name), o.Change)
		for j, line := range append([]string{head}, o.Lines...) {
			if size += len(line) + 1; size > room {
				return append(out, fmt.Sprintf("# left out: %s of %s, and %s",
					plural(len(o.Lines)+1-j+o.LeftOut, "line", "lines"), verbatim(o.Name), plural(len(d.Objects)-i-1, "more object", "more objects")))
			}
			out = append(out, line)
		}
		if o.LeftOut > 0 {
			out = append(out, fmt.Sprintf("# left out: %s of %s", plural(o.LeftOut, "more line", "more lines"), verbatim(o.Name)))
		}
	}
	return out
}

// prefixed marks each line of a block.
func prefixed(sign, block string) []string {
	var out []string
	for line := range strings.SplitSeq(strings.TrimRight(block, "\n"), "\n") {
		out = append(out, sign+shorten(verbatim(line)))
	}
	return out
}
