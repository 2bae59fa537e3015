package render_test

import (
	"context"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/sluice-cd/sluice/reconciler/render"
)

var update = flag.Bool("update", false, "rewrite golden files")

const (
	image  = "registry.example.com/shop/checkout"
	digest = "sha256:6d1c6d1c6d1c6d1c6d1c6d1c6d1c6d1c6d1c6d1c6d1c6d1c6d1c6d1c6d1c6d1c"
)

// shop is the input of testdata/shop, rendered for revision 7f3a9c1e.
func shop() render.Input {
	return render.Input{
		Release: "production/checkout", Files: os.DirFS("testdata/shop"), Dir: "production/checkout", Service: "checkout",
		Images: map[string]string{image: digest}, Namespace: "checkout-production", Revision: "7f3a9c1e",
	}
}

// with is shop with files put over it; an empty content removes the file.
func with(t testing.TB, files map[string]string) render.Input {
	t.Helper()
	in := shop()
	memory := fstest.MapFS{}
	require.NoError(t, fs.WalkDir(in.Files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(in.Files, name)
		memory[name] = &fstest.MapFile{Data: data}
		return err
	}))
	for name, content := range files {
		if delete(memory, name); content != "" {
			memory[name] = &fstest.MapFile{Data: []byte(content)}
		}
	}
	in.Files = memory
	return in
}

// plus is shop with one more file in the release's directory, listed as a resource.
func plus(t testing.TB, content string) render.Input {
	t.Helper()
	overlay, err := os.ReadFile("testdata/shop/production/checkout/kustomization.yaml")
	require.NoError(t, err)
	return with(t, map[string]string{
		"production/checkout/kustomization.yaml": strings.Replace(string(overlay), "  - database.yaml\n", "  - database.yaml\n  - extra.yaml\n", 1),
		"production/checkout/extra.yaml":         content,
	})
}

func build(t testing.TB, in render.Input) render.Output {
	t.Helper()
	out, err := render.Build(context.Background(), in)
	require.NoError(t, err)
	return out
}

func find(t testing.TB, objects []*unstructured.Unstructured, kind, name string) *unstructured.Unstructured {
	t.Helper()
	for _, o := range objects {
		if o.GetKind() == kind && o.GetName() == name {
			return o
		}
	}
	require.Failf(t, "not rendered", "%s %s", kind, name)
	return nil
}

func field(o *unstructured.Unstructured, fields ...string) any {
	value, _, _ := unstructured.NestedFieldNoCopy(o.Object, fields...)
	return value
}

func golden(t *testing.T, name string, value any) {
	t.Helper()
	got, err := yaml.Marshal(value)
	require.NoError(t, err)
	file := filepath.Join("testdata", "golden", name)
	if *update {
		require.NoError(t, os.WriteFile(file, got, 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(want), string(got), "run with -update after checking the difference")
}

func TestBuildRendersOverlayForRevision(t *testing.T) {
	golden(t, "revision.yaml", build(t, shop()))
}

func TestBuildRendersPlainlyWithoutRevision(t *testing.T) {
	in := shop()
	in.Revision = ""
	golden(t, "plain.yaml", build(t, in))
}
