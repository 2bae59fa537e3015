package cluster

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// A difference is one field in which an object is not as git says.
type difference struct {
	path      string
	live, git any // nil where the field is not set
}

// differences lists the fields in which two contents differ, in a fixed order.
// Both have the API server's defaults, so that what git leaves out is no
// difference. Elements of lists are told by their names where they have some.
func differences(path string, live, git any) []difference {
	if empty(live) && empty(git) || reflect.DeepEqual(live, git) {
		return nil
	}
	liveFields, ok := live.(map[string]any)
	gitFields, both := git.(map[string]any)
	if ok && both {
		return fieldDifferences(path, liveFields, gitFields)
	}
	if names, liveNamed, gitNamed, named := byNames(live, git); named {
		return namedDifferences(path, names, liveNamed, gitNamed)
	}
	if a, b := list(live), list(git); len(a) == len(b) && len(a) > 0 {
		var found []difference
		for i := range a {
			found = append(found, differences(fmt.Sprintf("%s[%d]", path, i), a[i], b[i])...)
		}
		return found
	}
	return []difference{{path, live, git}}
}

func fieldDifferences(path string, live, git map[string]any) []difference {
	all := maps.Clone(live)
	maps.Copy(all, git)
	var found []difference
	for _, name := range slices.Sorted(maps.Keys(all)) {
		found = append(found, differences(below(path, name), live[name], git[name])...)
	}
	return found
}

// below is the path of a field; names that hold dots, as labels do, are put in
// brackets.
func below(path, name string) string {
	switch {
	case strings.ContainsAny(name, "./"):
		return path + "[" + name + "]"
	case path == "":
		return name
	}
	return path + "." + name
}

func list(value any) []any {
	elements, _ := value.([]any)
	return elements
}

// byNames tells the elements of two lists by their names; false when some have
// none. names are those of both, the live ones first.
func byNames(live, git any) (names []string, liveNamed, gitNamed map[string]any, ok bool) {
	liveNames, liveNamed, liveOK := named(list(live))
	gitNames, gitNamed, gitOK := named(list(git))
	if !liveOK || !gitOK || len(liveNames)+len(gitNames) == 0 {
		return nil, nil, nil, false
	}
	if inBoth := common(liveNames, gitNamed); !slices.Equal(inBoth, common(gitNames, liveNamed)) {
		return nil, nil, nil, false // another order, which can mean something
	}
	for _, name := range gitNames {
		if _, known := liveNamed[name]; !known {
			liveNames = append(liveNames, name)
		}
	}
	return liveNames, liveNamed, gitNamed, true
}

func named(elements []any) (names []string, byName map[string]any, ok bool) {
	byName = map[string]any{}
	for _, element := range elements {
		fields, _ := element.(map[string]any)
		name, _ := fields["name"].(string)
		if _, twice := byName[name]; name == "" || twice {
			return nil, nil, false
		}
		byName[name] = element
		names = append(names, name)
	}
	return names, byName, true
}

func common(names []string, in map[string]any) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { _, ok := in[name]; return !ok })
}

func namedDifferences(path string, names []string, live, git map[string]any) []difference {
	var found []difference
	for _, name := range names {
		found = append(found, differences(path+"["+name+"]", live[name], git[name])...)
	}
	return found
}

// maxValue bounds how much of a value a reason shows.
const maxValue = 80

// words says a difference for people. What may be a secret is named and not
// shown, since reasons are written into git and onto pull requests.
func (d difference) words(secret bool) string {
	switch {
	case secret || confidential(d.path):
		return d.path + " differs"
	case d.live == nil:
		return fmt.Sprintf("%s is not set and git says %s", d.path, shown(d.git))
	case d.git == nil:
		return fmt.Sprintf("%s is %s and git does not set it", d.path, shown(d.live))
	}
	return fmt.Sprintf("%s is %s and git says %s", d.path, shown(d.live), shown(d.git))
}

// confidential reports a path that people use for secrets although they should
// be in a Secret.
func confidential(path string) bool {
	path = strings.ToLower(path)
	return slices.ContainsFunc([]string{"password", "passwd", "secret", "token", "key", "credential", "dsn"},
		func(word string) bool { return strings.Contains(path, word) })
}

func shown(value any) string {
	raw, err := json.Marshal(value)
	if err != nil {
		return "something unreadable"
	}
	if len(raw) > maxValue {
		return strings.ToValidUTF8(string(raw[:maxValue]), "") + "…"
	}
	return string(raw)
}
