// Package examples_test holds the examples to what they are examples of.
package examples_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/sluice-cd/sluice/reconciler/catalog"
	"github.com/sluice-cd/sluice/reconciler/render"
	"github.com/sluice-cd/sluice/schemas"
)

const environments = "environments"

// kindOf returns the kind that a file has by its name, or "".
func kindOf(name string) string {
	return map[string]string{
		catalog.PolicyFile: schemas.KindPolicy, catalog.ServiceFile: schemas.KindService,
		catalog.ReleaseFile: schemas.KindRelease, catalog.ControlFile: schemas.KindControl,
	}[path.Base(name)]
}

func compile(t *testing.T, kind string) *jsonschema.Schema {
	t.Helper()
	data, ok := schemas.JSONSchema(kind)
	require.True(t, ok)
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	require.NoError(t, c.AddResource("schema.json", document))
	schema, err := c.Compile("schema.json")
	require.NoError(t, err)
	return schema
}

func instance(t *testing.T, text []byte) any {
	t.Helper()
	// As editors do, by YAML 1.2: in 1.1 the key "on" is the value true.
	var value any
	require.NoError(t, yaml.Unmarshal(text, &value))
	data, err := json.Marshal(value)
	require.NoError(t, err)
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	require.NoError(t, err)
	return v
}

func TestExamplesFollowTheirJSONSchemas(t *testing.T) {
	seen := map[string]int{}
	tree := os.DirFS(environments)
	require.NoError(t, fs.WalkDir(tree, ".", func(name string, e fs.DirEntry, err error) error {
		kind := kindOf(name)
		// A Service of Kubernetes is called service.yaml too, below base.
		if err != nil || e.IsDir() || kind == "" || path.Base(path.Dir(name)) == "base" {
			return err
		}
		data, err := fs.ReadFile(tree, name)
		require.NoError(t, err)
		assert.NoError(t, compile(t, kind).Validate(instance(t, data)), name)
		seen[kind]++
		return nil
	}))
	assert.Equal(t, map[string]int{schemas.KindPolicy: 1, schemas.KindService: 1, schemas.KindRelease: 3}, seen)
}

func TestJSONSchemasRefuseWhatTheDecoderRefuses(t *testing.T) {
	release, err := os.ReadFile("environments/production/checkout/release.yaml")
	require.NoError(t, err)
	for change, before := range map[string]string{
		"digset:":     "digest:",
		"change: big": "change: standard",
		"base: main":  "base: 5e8ddbeae1cf55f2c7088d4176056a3c4b96c544",
		"artifakt:":   "artifact:",
	} {
		require.Contains(t, string(release), before)
		broken := []byte(strings.Replace(string(release), before, change, 1))
		assert.Error(t, compile(t, schemas.KindRelease).Validate(instance(t, broken)), change)
		_, err := schemas.DecodeRelease("f", broken)
		assert.Error(t, err, change)
	}
}

func TestRepositoryIsValidAndRenders(t *testing.T) {
	tree := os.DirFS(environments)
	c, problems := catalog.Load(tree)
	require.Empty(t, problems)
	require.Len(t, c.Keys(), 3)
	for _, key := range c.Keys() {
		images := map[string]string{}
		for _, a := range c.Releases[key].List() {
			images[a.Image] = a.Digest
		}
		e, _ := c.Policy.Environment(key.Environment)
		out, err := render.Build(t.Context(), render.Input{
			Release: key.String(), Files: tree, Dir: key.String(), Service: key.Service,
			Images: images, Namespace: e.NamespaceFor(key.Service), Revision: "0123abcd",
		})
		require.NoError(t, err, key)
		assert.NotEmpty(t, out.Workload)
		assert.NotEmpty(t, out.Report.Routes)
	}
}

func TestDemoKnowsTheArtifactThatRuns(t *testing.T) {
	data, err := os.ReadFile("demo/artifacts.yaml")
	require.NoError(t, err)
	var demo struct {
		Artifacts []struct{ Digest, Version string }
	}
	require.NoError(t, yaml.Unmarshal(data, &demo))
	require.NotEmpty(t, demo.Artifacts)
	digests := map[string]bool{}
	for _, a := range demo.Artifacts {
		assert.True(t, schemas.IsDigest(a.Digest), a.Version)
		assert.False(t, digests[a.Digest], "%s is there twice", a.Version)
		digests[a.Digest] = true
	}
	c, _ := catalog.Load(os.DirFS(environments))
	for key, r := range c.Releases {
		assert.Equal(t, demo.Artifacts[0].Digest, r.Artifact.Digest, "%s begins with the first artifact", key)
	}
}
