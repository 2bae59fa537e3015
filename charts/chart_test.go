package charts_test

import (
	"errors"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	sigsyaml "sigs.k8s.io/yaml"
)

const chartDir = "sluice"

// values are those of testdata/values.yaml, changed by YAML documents.
func values(t testing.TB, changes ...string) map[string]any {
	t.Helper()
	data, err := os.ReadFile("testdata/values.yaml")
	require.NoError(t, err)
	all := map[string]any{}
	for _, document := range append([]string{string(data)}, changes...) {
		change := map[string]any{}
		require.NoError(t, sigsyaml.Unmarshal([]byte(document), &change))
		all = loader.MergeMaps(all, change)
	}
	return all
}

// templates renders the chart as helm does, by file.
func templates(t testing.TB, namespace string, values map[string]any) (map[string]string, error) {
	t.Helper()
	chart, err := loader.Load(chartDir)
	require.NoError(t, err)
	complete, err := util.ToRenderValues(chart, values, common.ReleaseOptions{
		Name: "sluice", Namespace: namespace, Revision: 1, IsInstall: true,
	}, nil)
	if err != nil {
		return nil, err
	}
	return engine.Render(chart, complete)
}

// manifests are all objects of the chart, by file and in its order.
func manifests(t testing.TB, namespace string, values map[string]any) []*unstructured.Unstructured {
	t.Helper()
	files, err := templates(t, namespace, values)
	require.NoError(t, err)
	var all []*unstructured.Unstructured
	for _, file := range slices.Sorted(maps.Keys(files)) {
		if strings.HasSuffix(file, ".yaml") {
			all = append(all, decode(t, files[file])...)
		}
	}
	return all
}

func decode(t testing.TB, documents string) []*unstructured.Unstructured {
	t.Helper()
	var all []*unstructured.Unstructured
	reader := yaml.NewYAMLOrJSONDecoder(strings.NewReader(documents), 4096)
	for {
		o := &unstructured.Unstructured{}
		err := reader.Decode(&o.Object)
		if errors.Is(err, io.EOF) {
			return all
		}
		require.NoError(t, err, documents)
		if len(o.Object) > 0 {
			all = append(all, o)
		}
	}
}

// one is the only object of a kind, or the one of that name.
func one(t testing.TB, all []*unstructured.Unstructured, kind, name string) *unstructured.Unstructured {
	t.Helper()
	at := slices.IndexFunc(all, func(o *unstructured.Unstructured) bool {
		return o.GetKind() == kind && (name == "" || o.GetName() == name)
	})
	require.GreaterOrEqual(t, at, 0, "%s %s is not rendered", kind, name)
	return all[at]
}

// nested is a field of an object.
func nested[T any](o *unstructured.Unstructured, path ...string) (T, bool, error) {
	value, found, err := unstructured.NestedFieldNoCopy(o.Object, path...)
	typed, ok := value.(T)
	return typed, found && ok, err
}
