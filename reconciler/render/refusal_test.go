package render_test

import (
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/reconciler/render"
)

const (
	overlay = "production/checkout/kustomization.yaml"
	base    = "services/checkout/base/kustomization.yaml"
	header  = "resources: [../../services/checkout/base, database.yaml]\n"
)

func refused(t testing.TB, in render.Input) *render.Refusal {
	t.Helper()
	_, err := render.Build(context.Background(), in)
	var refusal *render.Refusal
	require.ErrorAs(t, err, &refusal)
	assert.NotEmpty(t, refusal.File)
	assert.NotEmpty(t, refusal.What)
	assert.NotEmpty(t, refusal.Remedy)
	assert.NotContains(t, refusal.Error(), "\n")
	return refusal
}

func TestBuildRefusesKustomizations(t *testing.T) {
	tests := map[string]struct {
		kustomization string
		what          string
	}{
		"remote base":                 {"resources: ['https://github.com/acme/evil//base?ref=main']", "not a plain relative path"},
		"remote base without scheme":  {"resources: [github.com/acme/evil]", "not a plain relative path"},
		"remote base in capitals":     {"resources: [GitHub.com/acme/evil]", "not a plain relative path"},
		"remote base over ssh":        {"resources: ['git@example.com:acme/evil.git']", "not a plain relative path"},
		"remote base of a user":       {"resources: ['me@example.com/evil']", "not a plain relative path"},
		"file URL":                    {"resources: ['file:///etc']", "not a plain relative path"},
		"forced git":                  {"resources: ['git::https://example.com/evil']", "not a plain relative path"},
		"deprecated bases":            {"bases: [https://example.com/evil]", "not a plain relative path"},
		"remote component":            {"components: ['ssh://example.com/evil']", "not a plain relative path"},
		"remote patch":                {header + "patches: [{path: 'http://169.254.169.254/latest'}]", "not a plain relative path"},
		"remote JSON patch":           {header + "patchesJson6902: [{path: 'http://169.254.169.254/', target: {kind: Secret, version: v1, name: x}}]", "not a plain relative path"},
		"remote merge patch":          {header + "patchesStrategicMerge: ['http://169.254.169.254/']", "not a plain relative path"},
		"remote replacement":          {header + "replacements: [{path: 'http://169.254.169.254/'}]", "not a plain relative path"},
		"remote generator file":       {header + "configMapGenerator: [{name: x, files: ['a=http://169.254.169.254/']}]", "not a plain relative path"},
		"remote generator env":        {header + "secretGenerator: [{name: x, envs: ['http://169.254.169.254/']}]", "not a plain relative path"},
		"old remote generator env":    {header + "secretGenerator: [{name: x, env: 'http://169.254.169.254/'}]", "not a plain relative path"},
		"charts":                      {header + "helmCharts: [{name: evil}]", "field helmCharts"},
		"charts in another case":      {header + "HELMCHARTS: [{name: evil}]", "field helmCharts"},
		"old charts":                  {header + "helmChartInflationGenerator: [{chartName: evil}]", "field helmChartInflationGenerator"},
		"chart globals":               {header + "helmGlobals: {chartHome: /}", "field helmGlobals"},
		"generator plugin":            {header + "generators: [plugin.yaml]", "field generators"},
		"validator plugin":            {header + "validators: [plugin.yaml]", "field validators"},
		"transformer file":            {header + "transformers: [plugin.yaml]", "not an inline builtin"},
		"transformer plugin":          {header + "transformers: [\"apiVersion: evil/v1\\nkind: Exec\\nmetadata: {name: x}\"]", "transformer evil/v1 Exec"},
		"transformer that reads":      {header + "transformers: [\"apiVersion: builtin\\nkind: PatchTransformer\\nmetadata: {name: x}\\npath: /etc/passwd\"]", "PatchTransformer"},
		"transformer with chart":      {header + "transformers: [\"apiVersion: builtin\\nkind: HelmChartInflationGenerator\\nmetadata: {name: x}\"]", "HelmChartInflationGenerator"},
		"function in a transformer":   {header + "transformers: [\"apiVersion: builtin\\nkind: LabelTransformer\\nmetadata: {name: x, annotations: {config.kubernetes.io/function: 'exec: {path: /bin/sh}'}}\"]", "config.kubernetes.io/function"},
		"schema":                      {header + "openapi: {path: schema.json}", "field openapi"},
		"custom resource definitions": {header + "crds: [crd.yaml]", "field crds"},
		"configurations":              {header + "configurations: [c.yaml]", "field configurations"},
		"build metadata":              {header + "buildMetadata: [originAnnotations]", "field buildMetadata"},
		"unknown field":               {header + "resource: [x]", "unknown field"},
		"other release":               {"resources: [../payments]", "is not there"},
		"other service":               {"resources: [../../services/payments/base]", "is not there"},
		"outside of the repository":   {"resources: [../../../etc]", "leaves the repository"},
		"absolute":                    {"resources: [/etc/passwd]", "is absolute"},
		"file beside the base":        {header + "patches: [{path: ../../services/checkout/base/limits.ini}]", "not below this kustomization"},
		"missing file":                {header + "patches: [{path: nothing.yaml}]", "is not there"},
		"its own directory":           {"resources: [../checkout]", "includes itself"},
		"component that is a file":    {header + "components: [database.yaml]", "is a file"},
		"patch that is a directory":   {header + "patches: [{path: ../../services/checkout/base}]", "is a directory"},
		"two documents":               {header + "---\n" + header, "2 YAML documents"},
		"no YAML":                     {"resources: [", "not valid YAML"},
		"no mapping":                  {"- a\n- b", "invalid Kustomization"},
		"empty render":                {"namePrefix: x-", "nothing is rendered"},
		"hold that is read":           {header + "configMapGenerator: [{name: x, files: [control.yaml]}]", "is not there"},
		"alias bomb inline":           {header + "patches:\n- patch: |\n    a: &a [x,x,x,x,x,x,x,x,x,x]\n    b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\n    c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n    d: [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\n", "aliases stand for"},
		"selector labels of Sluice":   {header + "commonLabels: {sluice.dev/revision: 7f3a9c1e}", "sluice.dev/revision"},
		"annotation of Sluice":        {header + "commonAnnotations: {sluice.dev/release: production.payments}", "sluice.dev/release"},
		"object elsewhere":            {"resources: [elsewhere.yaml]", "namespace kube-system"},
		"another namespace":           {header + "namespace: payments-production", "namespace payments-production"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			refusal := refused(t, with(t, map[string]string{
				overlay:                              test.kustomization,
				"production/checkout/control.yaml":   "a: b",
				"production/checkout/elsewhere.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, namespace: kube-system}",
			}))
			assert.Contains(t, refusal.What, test.what)
			assert.True(t, strings.HasPrefix(refusal.File, "production/checkout") || strings.HasPrefix(refusal.File, "services/checkout"), refusal.File)
		})
	}
}

func TestBuildRefusesObjects(t *testing.T) {
	object := func(apiVersion, kind, rest string) string {
		return fmt.Sprintf("apiVersion: %s\nkind: %s\nmetadata: {name: extra}\n%s", apiVersion, kind, rest)
	}
	pod := "spec: {selector: {matchLabels: {app: x}}, template: {metadata: {labels: {app: x}}, spec: {containers: [{name: a, image: a}]}}}"
	tests := map[string]struct{ object, what string }{
		"cluster role":           {object("rbac.authorization.k8s.io/v1", "ClusterRole", ""), "cluster-scoped"},
		"namespace":              {object("v1", "Namespace", ""), "cluster-scoped"},
		"definition":             {object("apiextensions.k8s.io/v1", "CustomResourceDefinition", ""), "cluster-scoped"},
		"webhook":                {object("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", ""), "cluster-scoped"},
		"role":                   {object("rbac.authorization.k8s.io/v1", "Role", ""), "not allowed"},
		"role binding":           {object("rbac.authorization.k8s.io/v1", "RoleBinding", ""), "not allowed"},
		"bare pod":               {object("v1", "Pod", ""), "not allowed"},
		"unknown kind":           {object("evil.example.com/v1", "Tunnel", ""), "not allowed"},
		"group in disguise":      {object("evil.example.com/v1", "Deployment", pod), "not allowed"},
		"name with a slash":      {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ../x}", "name:"},
		"generated name":         {"apiVersion: v1\nkind: ConfigMap\nmetadata: {generateName: x}", "name"},
		"twice by version":       {"apiVersion: autoscaling/v1\nkind: HorizontalPodAutoscaler\nmetadata: {name: checkout}\nspec: {scaleTargetRef: {kind: Deployment, name: checkout}, maxReplicas: 2}", "rendered twice"},
		"twice":                  {"apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: checkout}", "already registered"},
		"revision in a selector": {object("v1", "Service", "spec: {selector: {app: checkout, sluice.dev/revision: x}}"), "sluice.dev/revision"},
		"revision in a template": {object("apps/v1", "Deployment", strings.Replace(pod, "labels: {app: x}", "labels: {app: x, sluice.dev/revision: x}", 1)), "sluice.dev/revision"},
		"revision in expression": {object("networking.k8s.io/v1", "NetworkPolicy", "spec: {podSelector: {matchExpressions: [{key: sluice.dev/revision, operator: Exists}]}}"), "sluice.dev/revision"},
		"opt-out on a config":    {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: extra, annotations: {sluice.dev/pin-selector: 'false'}}", "sluice.dev/pin-selector"},
		"long service":           {"apiVersion: v1\nkind: Service\nmetadata: {name: " + strings.Repeat("s", 38) + "}\nspec: {selector: {app: checkout}}", "37 are possible"},
		"long deployment":        {strings.Replace(object("apps/v1", "Deployment", pod), "extra", strings.Repeat("d", 60), 1), "63 are possible"},
		"foreign selector":       {object("apps/v1", "Deployment", strings.Replace(pod, "{app: x}", "{app: y}", 1)), "does not match its own pods"},
		"no selector":            {object("apps/v1", "Deployment", strings.Replace(pod, "selector: {matchLabels: {app: x}}, ", "", 1)), "does not match its own pods"},
		"no template":            {object("apps/v1", "Deployment", "spec: {}"), "no pod template"},
		"no containers":          {object("apps/v1", "Deployment", "spec: {selector: {matchLabels: {app: x}}, template: {metadata: {labels: {app: x}}}}"), "no containers"},
		"wrong type":             {object("apps/v1", "Deployment", strings.Replace(pod, "{name: a, image: a}", "{name: a, image: a, args: 7}", 1)), "cannot restore slice"},
		"autoscaler of nobody":   {object("autoscaling/v2", "HorizontalPodAutoscaler", "spec: {scaleTargetRef: {kind: Deployment, name: payments}, maxReplicas: 2}"), "is not rendered"},
		"second autoscaler":      {object("autoscaling/v2", "HorizontalPodAutoscaler", "spec: {scaleTargetRef: {kind: Deployment, name: checkout}, maxReplicas: 2}"), "already scales"},
		"same name":              {"apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: checkout}\n" + pod, "has the same name"},
		"certificate of pods":    {object("networking.k8s.io/v1", "Ingress", "spec: {tls: [{hosts: [a.example.com], secretName: checkout-database}]}"), "shared by all revisions"},
		"custom reference":       {object("keda.sh/v1alpha1", "TriggerAuthentication", "spec: {secretTargetRef: [{parameter: x, name: checkout-database, key: URL}]}"), "Secret checkout-database"},
		"unknown reference":      {object("monitoring.coreos.com/v1", "ServiceMonitor", "spec: {endpoints: [{basicAuth: {password: {name: checkout-database, key: URL}}}]}"), "Secret checkout-database"},
		"function":               {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: extra, annotations: {config.kubernetes.io/function: 'container: {image: evil}'}}", "config.kubernetes.io/function"},
		"kustomize's own notes":  {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: extra, annotations: {internal.config.kubernetes.io/previousNames: x}}", "internal.config.kubernetes.io"},
		"alias in itself":        {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: extra}\ndata: &a {x: *a}", "contains itself"},
		"deep":                   {object("v1", "ConfigMap", "data: "+strings.Repeat("{a: ", 200)+strings.Repeat("}", 200)), "nested deeper"},
		"many objects":           {strings.Repeat("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: extra}\n", 600), "more than 500 objects"},
		"many objects in a list": {"apiVersion: v1\nkind: List\nitems: [" + strings.Repeat("{},", 600) + "]", "more than 500 objects"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			assert.Contains(t, refused(t, plus(t, test.object)).What, test.what)
		})
	}
}

func TestBuildNamesFileAndLineOfObject(t *testing.T) {
	refusal := refused(t, plus(t, "# first\n---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: extra}\n"))
	assert.Equal(t, "production/checkout/extra.yaml", refusal.File)
	assert.Equal(t, 3, refusal.Line)
}

func TestBuildRefusesFiles(t *testing.T) {
	big := strings.Repeat("x", 1<<20+1)
	tests := map[string]struct {
		name string
		file fstest.MapFile
		what string
	}{
		"link":                     {"production/checkout/x.yaml", fstest.MapFile{Mode: fs.ModeSymlink, Data: []byte("/etc/passwd")}, "symbolic link"},
		"link in base":             {"services/checkout/base/x", fstest.MapFile{Mode: fs.ModeSymlink, Data: []byte("../../payments")}, "symbolic link"},
		"submodule":                {"services/checkout/lib", fstest.MapFile{Mode: fs.ModeIrregular}, "submodule"},
		"submodule as a directory": {"services/checkout/lib", fstest.MapFile{Mode: fs.ModeIrregular | fs.ModeDir}, "submodule"},
		"device":                   {"services/checkout/null", fstest.MapFile{Mode: fs.ModeDevice}, "neither a file"},
		"large":                    {"services/checkout/x.bin", fstest.MapFile{Data: []byte(big)}, "larger than"},
		"control character":        {"services/checkout/a\nb.yaml", fstest.MapFile{}, "odd file name"},
		"direction mark":           {"services/checkout/a\u202eb.yaml", fstest.MapFile{}, "odd file name"},
		"backslash":                {`services/checkout/..\x.yaml`, fstest.MapFile{}, "odd file name"},
		"git directory":            {"services/checkout/.GIT/config", fstest.MapFile{}, "odd file name"},
		"space":                    {"services/checkout/ x", fstest.MapFile{}, "odd file name"},
		"idle bomb": {"services/checkout/bomb.yaml", fstest.MapFile{
			Data: []byte("a: &a [1,2,3,4,5,6,7,8,9]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c]"),
		}, "aliases stand for"},
		"second kustomization": {"production/checkout/Kustomization", fstest.MapFile{}, "several kustomizations"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			in := with(t, nil)
			in.Files.(fstest.MapFS)[test.name] = &test.file
			assert.Contains(t, refused(t, in).What, test.what)
		})
	}
}

func TestBuildRefusesTooManyFilesAndBytes(t *testing.T) {
	in := with(t, nil)
	for i := range 300 {
		in.Files.(fstest.MapFS)[fmt.Sprintf("services/checkout/%d.txt", i)] = &fstest.MapFile{}
	}
	assert.Contains(t, refused(t, in).What, "more than 256 files")
	in = shop()
	in.Limits.TotalBytes = 1000
	assert.Contains(t, refused(t, in).What, "larger than 1000 bytes together")
}

func TestBuildRefusesTooManyNodes(t *testing.T) {
	in := plus(t, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: extra}\ndata: {x: ["+strings.Repeat("0,", 2000)+"]}")
	in.Limits.Nodes = 2000
	assert.Contains(t, refused(t, in).What, "YAML nodes")
}

func TestBuildRefusesLinkInTheMiddleOfAPath(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(filepath.Join(dir, "real"), os.DirFS("testdata/shop")))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "work"), 0o755))
	require.NoError(t, os.Symlink("../real/production", filepath.Join(dir, "work", "production")))
	in := shop()
	in.Files = os.DirFS(filepath.Join(dir, "work"))
	assert.Contains(t, refused(t, in).What, "symbolic link")
}

func TestBuildRefusesBasesThatDouble(t *testing.T) {
	files := map[string]string{overlay: "resources: [../../services/checkout/l0]\n"}
	for level := range 40 {
		files[fmt.Sprintf("services/checkout/l%d/kustomization.yaml", level)] = fmt.Sprintf("resources: [a%[1]d, b%[1]d]\n", level)
		for _, side := range []string{"a", "b"} {
			files[fmt.Sprintf("services/checkout/l%d/%s%d/kustomization.yaml", level, side, level)] =
				fmt.Sprintf("namePrefix: %s\nresources: [../../l%d]\n", side, level+1)
		}
	}
	files["services/checkout/l40/kustomization.yaml"] = "configMapGenerator: [{name: x}]\n"
	assert.Contains(t, refused(t, with(t, files)).What, "included more than 256 times")
}

func TestBuildReadsNothingOutsideItsDirectories(t *testing.T) {
	in := with(t, map[string]string{"production/payments/secret.yaml": "x: y"})
	in.Files.(fstest.MapFS)["services/payments/link"] = &fstest.MapFile{Mode: fs.ModeSymlink}
	assert.Equal(t, build(t, shop()).ManifestHash, build(t, in).ManifestHash)
}

// The references stand where a file of that name exists and is malformed,
// because kustomize tries git for those.
func TestBuildOpensNoConnectionAndRunsNoGit(t *testing.T) {
	var requests atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { requests.Add(1) }))
	defer server.Close()
	bin := t.TempDir()
	ran := filepath.Join(bin, "ran")
	for _, tool := range []string{"git", "helm", "docker"} {
		require.NoError(t, os.WriteFile(filepath.Join(bin, tool), []byte("#!/bin/sh\n: > "+ran+"\n"), 0o755))
	}
	t.Setenv("PATH", bin)
	host := strings.TrimPrefix(server.URL, "http://")
	for _, ref := range []string{server.URL, server.URL + "/x.yaml", server.URL + "/a/b//c?ref=main", "git@" + host + ":a/b", "github.com/acme/b", "git::" + server.URL + "/a/b", host + "/a/b.git", "http:/" + host} {
		for _, shape := range []string{"resources: ['%s']", "components: ['%s']", header + "patches: [{path: '%s'}]", header + "replacements: [{path: '%s'}]", header + "configMapGenerator: [{name: x, files: ['%s']}]", header + "transformers: ['%s']", header + "patchesStrategicMerge: ['%s']", header + "openapi: {path: '%s'}"} {
			in := with(t, map[string]string{overlay: fmt.Sprintf(shape, ref)})
			in.Files.(fstest.MapFS)["production/checkout/"+strings.ReplaceAll(ref, "//", "/")] = &fstest.MapFile{Data: []byte("{")}
			_, err := render.Build(t.Context(), in)
			assert.Error(t, err, "%s in %s", ref, shape)
		}
	}
	assert.Zero(t, requests.Load())
	assert.NoFileExists(t, ran)
}

func TestRefusalKeepsSecretsAndControlCharactersToItself(t *testing.T) {
	refusal := refused(t, with(t, map[string]string{overlay: header + "secretGenerator: [{name: x, type: y, literals: [password=hunter2, password=hunter3]}]"}))
	assert.NotContains(t, refusal.Error(), "hunter2")
	refusal = refused(t, with(t, map[string]string{overlay: "resources: [\"a\\e[31m\\nb: " + strings.Repeat("x", 2000) + "\"]"}))
	assert.NotContains(t, refusal.Error(), "\x1b")
	assert.Less(t, len(refusal.Error()), 1000)
}

func TestBuildStopsWhenCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := render.Build(ctx, shop())
	require.ErrorIs(t, err, context.Canceled)
	var refusal *render.Refusal
	assert.NotErrorAs(t, err, &refusal)
}
