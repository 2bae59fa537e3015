package render_test

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/reconciler/render"
)

// fuzzTime is how long one input may take: hangs are failures.
const fuzzTime = 10 * time.Second

// small are limits at which no input of a fuzzer takes long.
func small() render.Limits {
	return render.Limits{FileBytes: 8 << 10, Nodes: 2000, Objects: 20, Visits: 10}
}

// mustAnswer builds and accepts any answer that is either an output or a
// refusal in one line.
func mustAnswer(t *testing.T, in render.Input) {
	ctx, cancel := context.WithTimeout(t.Context(), fuzzTime)
	defer cancel()
	out, err := render.Build(ctx, in)
	require.NoError(t, ctx.Err(), "took too long")
	if err == nil {
		for _, o := range append(out.Workload, out.Shared...) {
			assert.Equal(t, in.Namespace, o.GetNamespace())
		}
		return
	}
	var refusal *render.Refusal
	if assert.ErrorAs(t, err, &refusal) {
		assert.NotContains(t, err.Error(), "\n")
	}
}

func FuzzKustomization(f *testing.F) {
	for _, seed := range []string{
		header, "resources: [https://example.com/x]", "helmCharts: [{}]", "a: &a [*a]", "? {a: b}\n: c", "- x", "\x00",
		header + "patches: [{patch: '[{op: copy, from: /spec, path: /spec/x}]', target: {kind: Deployment}}]",
		header + "replacements: [{source: {kind: Deployment}, targets: [{select: {kind: Service}, fieldPaths: [metadata.name]}]}]",
		header + "vars: [{name: A, objref: {kind: Service, name: checkout, apiVersion: v1}}]",
		header + "transformers: ['apiVersion: builtin']",
		header + "images: [{name: x, newName: y, newTag: z}]\nreplicas: [{name: checkout, count: 3}]\nnamePrefix: a-\nlabels: [{pairs: {a: b}, includeSelectors: true}]",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, kustomization string) {
		in := with(t, map[string]string{overlay: kustomization + "\n"})
		in.Limits = small()
		mustAnswer(t, in)
	})
}

func FuzzObject(f *testing.F) {
	require.NoError(f, filepath.WalkDir("testdata/shop", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(name, ".yaml") {
			return err
		}
		data, err := os.ReadFile(name)
		f.Add(string(data))
		return err
	}))
	f.Add(stateful)
	f.Add("apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: ConfigMap, metadata: {name: x}, data: {1: true}}]")
	f.Add("{apiVersion: apps/v1, kind: Deployment, metadata: {name: x}, spec: {selector: null, template: []}}")
	f.Fuzz(func(t *testing.T, object string) {
		mustAnswer(t, render.Input{
			Release: "dev/x", Dir: "dev/x", Service: "x", Namespace: "x", Revision: "r1", Limits: small(),
			Files: fstest.MapFS{
				"dev/x/kustomization.yaml": {Data: []byte("resources: [object.yaml]\n")},
				"dev/x/object.yaml":        {Data: []byte(object)},
			},
		})
	})
}

func FuzzWeighted(f *testing.F) {
	f.Add(`{"apiVersion":"gateway.networking.k8s.io/v1","kind":"HTTPRoute","spec":{"rules":[{"backendRefs":[{"name":"a","weight":3},{"name":"b"}]}]}}`, int32(5))
	f.Fuzz(func(t *testing.T, text string, weight int32) {
		o := parseOrSkip(t, text)
		before := o.DeepCopy()
		_, _ = render.Weighted(o, "a", []render.Share{{Revision: "x", Weight: weight}, {Revision: "y", Weight: 100}})
		_, _ = render.RevisionService(o, "x")
		assert.Equal(t, before, o)
	})
}
