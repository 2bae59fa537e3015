package report_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/sluice-cd/sluice/reconciler/report"
)

func object(kind, name string, fields map[string]any) *unstructured.Unstructured {
	o := map[string]any{"apiVersion": "v1", "kind": kind, "metadata": map[string]any{"name": name, "namespace": "shop"}}
	for k, v := range fields {
		o[k] = v
	}
	return &unstructured.Unstructured{Object: o}
}

func objects(list ...*unstructured.Unstructured) []*unstructured.Unstructured { return list }

func deployment(digest, replicas string) *unstructured.Unstructured {
	return object("Deployment", "checkout", map[string]any{"spec": map[string]any{
		"replicas": int64(len(replicas) + int(replicas[0]-'0')),
		"template": map[string]any{"spec": map[string]any{"containers": []any{
			map[string]any{"name": "proxy", "image": "proxy@sha256:p"},
			map[string]any{"name": "checkout", "image": "checkout@sha256:" + digest, "env": []any{
				map[string]any{"name": "LOG", "value": "info"}, map[string]any{"name": "MODE", "value": digest},
			}},
		}}},
	}})
}

func all(d report.Diff) string {
	var out strings.Builder
	for _, o := range d.Objects {
		fmt.Fprintf(&out, "%s %s\n%s\n", o.Name, o.Change, strings.Join(o.Lines, "\n"))
	}
	return out.String()
}

func TestChangesAreShownByPath(t *testing.T) {
	assert.Equal(t, `Deployment/checkout changed
# spec.replicas
- 2
+ 3
# spec.template.spec.containers[checkout].env[MODE].value
- a
+ b
# spec.template.spec.containers[checkout].image
- checkout@sha256:a
+ checkout@sha256:b
`, all(report.Compare(objects(deployment("a", "1")), objects(deployment("b", "2")))))
	assert.Empty(t, report.Compare(objects(deployment("a", "1")), objects(deployment("a", "1"))).Objects)
}

func TestObjectsComeAndGo(t *testing.T) {
	d := report.Compare(objects(object("ConfigMap", "old", nil)), objects(object("ConfigMap", "new", map[string]any{"data": map[string]any{"a": "1"}})))
	require.Len(t, d.Objects, 2)
	assert.Equal(t, "added", d.Objects[0].Change)
	assert.Contains(t, d.Objects[0].Lines, `+     a: "1"`)
	assert.Equal(t, "removed", d.Objects[1].Change)
	assert.Contains(t, d.Objects[1].Lines, "-     name: old")
}

func TestAGeneratedNameIsThatOfTheSameObject(t *testing.T) {
	made := func(name, value string) *unstructured.Unstructured {
		return object("ConfigMap", name, map[string]any{"data": map[string]any{"a": value, "b": "same"}})
	}
	d := report.Compare(objects(made("settings-2b9h4kg6t7", "1")), objects(made("settings-9fk8t2mgdc", "2")))
	require.Len(t, d.Objects, 1)
	assert.Equal(t, "ConfigMap/settings-2b9h4kg6t7 → settings-9fk8t2mgdc", d.Objects[0].Name)
	assert.Contains(t, all(d), "# data.a\n- 1\n+ 2\n")
	assert.NotContains(t, all(d), "same")
}

func TestTextsAreComparedLineByLine(t *testing.T) {
	text := func(change string) []*unstructured.Unstructured {
		lines := []string{}
		for i := range 100 {
			lines = append(lines, fmt.Sprintf("line %d", i))
		}
		lines[10], lines[90] = "first "+change, "last "+change
		return objects(object("ConfigMap", "c", map[string]any{"data": map[string]any{"app.conf": strings.Join(lines, "\n")}}))
	}
	assert.Equal(t, `ConfigMap/c changed
# data["app.conf"]
# line 10
  line 9
- first a
+ first b
  line 11
# line 90
  line 89
- last a
+ last b
  line 91
`, all(report.Compare(text("a"), text("b"))))
}

func TestNoValueOfASecretIsShown(t *testing.T) {
	const canary = "canary-hunter2"
	encoded := base64.StdEncoding.EncodeToString([]byte(canary))
	secret := func(password string, more map[string]any) *unstructured.Unstructured {
		fields := map[string]any{
			"data":       map[string]any{"password": password, "same": encoded},
			"stringData": map[string]any{"plain": canary + password},
		}
		for k, v := range more {
			fields[k] = v
		}
		o := object("Secret", "s", fields)
		o.SetAnnotations(map[string]string{"kubectl.kubernetes.io/last-applied-configuration": canary + password})
		return o
	}
	malformed := map[string]any{"data": canary, "stringData": []any{canary}}
	for name, d := range map[string]report.Diff{
		"changed":   report.Compare(objects(secret(encoded, nil)), objects(secret(encoded+"x", nil))),
		"added":     report.Compare(nil, objects(secret(encoded, nil))),
		"removed":   report.Compare(objects(secret(encoded, nil)), nil),
		"malformed": report.Compare(objects(secret(encoded, nil)), objects(secret(encoded, malformed))),
		"now":       report.Compare(objects(object("ConfigMap", "s", nil)), objects(secret(encoded, nil))),
	} {
		require.NotEmpty(t, d.Objects, name)
		assert.NotContains(t, all(d), canary, name)
		assert.NotContains(t, all(d), encoded, name)
	}
	changed := all(report.Compare(objects(secret(encoded, nil)), objects(secret(encoded+"x", nil))))
	assert.Contains(t, changed, "# data.password\n- (not shown, before)\n+ (not shown, after)\n")
	assert.NotContains(t, changed, "data.same", "what stays is not mentioned")

	grown := secret(encoded, nil)
	grown.Object["data"].(map[string]any)["another"] = encoded
	assert.Contains(t, all(report.Compare(objects(secret(encoded, nil)), objects(grown))), "another: (not shown)")
}

func TestWhatIsHiddenInAValueIsSpelledOut(t *testing.T) {
	config := func(v string) []*unstructured.Unstructured {
		return objects(object("ConfigMap", "c", map[string]any{"data": map[string]any{"a": v}}))
	}
	d := all(report.Compare(config("user"), config("user\u202e\x1b[31m\u200b")))
	assert.Contains(t, d, "+ user‹U+202E›‹U+001B›[31m‹U+200B›")

	p := report.Preview{Environments: []string{"production"}, Releases: []report.Release{{
		Environment: "production", Service: "c", Results: passing(),
		Diff: report.Compare(config("x\ny"), config("x\n```\n</details>\n@acme/all\n````\n")),
	}}}
	assert.Contains(t, p.Comment().Body, "`````diff\n", "a fence that the content cannot close")
}

func TestLargeObjectsStayBounded(t *testing.T) {
	wide, long, deep := map[string]any{}, strings.Repeat("x", 1<<20), map[string]any{}
	for i := range 30_000 {
		wide[fmt.Sprint("k", i)] = "v"
	}
	for i := range 5_000 {
		deep[fmt.Sprint("k", i)] = fmt.Sprint(i)
	}
	d := report.Compare(
		objects(object("ConfigMap", "wide", map[string]any{"data": map[string]any{}}), object("ConfigMap", "long", map[string]any{"data": map[string]any{"a": long + "1"}}),
			object("ConfigMap", "lines", map[string]any{"data": map[string]any{"a": strings.Repeat("a\n", 50_000)}}), object("ConfigMap", "deep", map[string]any{"data": map[string]any{}})),
		objects(object("ConfigMap", "wide", map[string]any{"data": wide}), object("ConfigMap", "long", map[string]any{"data": map[string]any{"a": long + "2"}}),
			object("ConfigMap", "lines", map[string]any{"data": map[string]any{"a": strings.Repeat("b\n", 50_000)}}), object("ConfigMap", "deep", map[string]any{"data": deep})),
	)
	require.Len(t, d.Objects, 4)
	assert.Len(t, d.Objects[0].Lines, 200)
	assert.Greater(t, d.Objects[0].LeftOut, 4_000)
	assert.Contains(t, all(d), "too many to be compared here")
	assert.Contains(t, all(d), "xxx1\n+ …", "cut to where two long lines differ")
	assert.Less(t, len(all(d)), 20_000)
}
