package charts_test

import (
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"helm.sh/helm/v4/pkg/chart/v2/lint"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/sluice-cd/sluice/reconciler/render"
	"github.com/sluice-cd/sluice/schemas"
)

var update = flag.Bool("update", false, "write golden files anew")

func TestRenderedManifestsAreAsReviewed(t *testing.T) {
	files, err := templates(t, "sluice", values(t, "networkPolicy: {enabled: true}"))
	require.NoError(t, err)
	var all strings.Builder
	for _, file := range slices.Sorted(maps.Keys(files)) {
		if !strings.HasPrefix(path.Base(file), "_") {
			all.WriteString("---\n# " + strings.TrimPrefix(file, "sluice/templates/") + "\n" + strings.TrimSpace(files[file]) + "\n")
		}
	}
	const golden = "testdata/rendered.golden"
	if *update {
		require.NoError(t, os.WriteFile(golden, []byte(all.String()), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	assert.Equal(t, string(want), all.String(), "review, then go test ./charts -update")
}

func TestHelmLintsTheChart(t *testing.T) {
	linter := lint.RunAll(chartDir, values(t), "sluice")
	for _, m := range linter.Messages {
		assert.Contains(t, m.Err.Error(), "icon is recommended", "%s", m.Path)
	}
}

func TestChartRendersTheConfigurationThatTheDaemonReads(t *testing.T) {
	config, _, err := unstructured.NestedString(one(t, manifests(t, "releases", values(t)), "ConfigMap", "").Object, "data", "sluice-daemon.yaml")
	require.NoError(t, err)
	daemon, err := schemas.DecodeDaemon("sluice-daemon.yaml", []byte(config))
	require.NoError(t, err)
	assert.Equal(t, "releases", daemon.Cluster.Namespace)
	assert.Equal(t, []string{"checkout-staging", "checkout-production"}, daemon.Cluster.Namespaces)
	assert.Equal(t, ":8080", daemon.Listen)
	assert.True(t, daemon.Cluster.BreakGlass)
	assert.Equal(t, "/etc/sluice/credentials/token", daemon.Forge.TokenFile)
	assert.Equal(t, "http://prometheus.monitoring:9090", daemon.Metrics[0].URL)
}

func TestExceptionsCountOnlyWhereTheGuardSaysWhoMayDeclareThem(t *testing.T) {
	for _, change := range []string{"guard: {enabled: false}", "guard: {actions: [Warn, Audit]}", "guard: {breakGlass: {groups: []}}"} {
		config, _, err := nested[string](one(t, manifests(t, "sluice", values(t, change)), "ConfigMap", ""), "data", "sluice-daemon.yaml")
		require.NoError(t, err)
		assert.NotContains(t, config, "breakGlass", change)
	}
}

// TestValuesKnowEveryFieldOfTheDaemon keeps values.schema.json complete: it is
// strict, so a field that it lacks could not be set at all.
func TestValuesKnowEveryFieldOfTheDaemon(t *testing.T) {
	data, err := os.ReadFile("sluice/values.schema.json")
	require.NoError(t, err)
	var schema fieldSchema
	require.NoError(t, json.Unmarshal(data, &schema))
	ofChart := []string{"apiVersion", "kind", "dataDir", "listen", "cluster"}
	known := schema.Properties["daemon"].fields("")
	fields := fieldsOf(reflect.TypeFor[schemas.Daemon](), "")
	fields = slices.DeleteFunc(fields, func(f string) bool {
		name, _, _ := strings.Cut(f, ".")
		return slices.Contains(ofChart, name)
	})
	assert.ElementsMatch(t, fields, known)
}

type fieldSchema struct {
	Properties map[string]fieldSchema `json:"properties"`
	Items      *fieldSchema           `json:"items"`
}

func (s fieldSchema) fields(prefix string) []string {
	if s.Items != nil && s.Items.Properties != nil {
		s = *s.Items
	}
	var all []string
	for name, below := range s.Properties {
		if inner := below.fields(prefix + name + "."); len(inner) > 0 {
			all = append(all, inner...)
			continue
		}
		all = append(all, prefix+name)
	}
	return all
}

func fieldsOf(typ reflect.Type, prefix string) []string {
	var all []string
	for field := range typ.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		inner := field.Type
		if inner.Kind() == reflect.Slice {
			inner = inner.Elem()
		}
		switch {
		case name == "":
		case inner.Kind() == reflect.Struct:
			all = append(all, fieldsOf(inner, prefix+name+".")...)
		default:
			all = append(all, prefix+name)
		}
	}
	return all
}

func TestWrongValuesAreRefusedInWordsThatHelp(t *testing.T) {
	for name, c := range map[string]struct{ change, says string }{
		"unknown value":           {"replicas: 3", "additional properties 'replicas' not allowed"},
		"misspelt daemon field":   {"daemon: {repository: {branches: main}}", "at '/daemon/repository': additional properties 'branches' not allowed"},
		"field of the chart":      {"daemon: {dataDir: /data}", "at '/daemon': additional properties 'dataDir' not allowed"},
		"no namespaces":           {"namespaces: []", "at '/namespaces': minItems: got 0, want 1"},
		"no repository":           {"daemon: {repository: {url: ''}}", "at '/daemon/repository/url': minLength: got 0, want 1"},
		"no credentials":          {"credentials: {existingSecret: ''}", "at '/credentials/existingSecret': minLength: got 0, want 1"},
		"a branch for a commit":   {"genesis: main", "at '/genesis': 'main' does not match pattern"},
		"a tag for a digest":      {"image: {digest: v1}", "at '/image/digest': 'v1' does not match pattern"},
		"warn and deny":           {"guard: {actions: [Warn, Deny]}", "at '/guard/actions': 'not' failed"},
		"a quote in the incident": {`guard: {breakGlass: {incident: "x'y"}}`, "at '/guard/breakGlass/incident'"},
		"a relative path":         {"daemon: {forge: {tokenFile: token}}", "at '/daemon/forge/tokenFile': 'token' does not match pattern"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := templates(t, "sluice", values(t, c.change))
			require.Error(t, err)
			assert.Contains(t, err.Error(), c.says)
		})
	}
}

func TestChartMayBeADependency(t *testing.T) {
	all := manifests(t, "sluice", values(t, "enabled: true\nglobal: {imageRegistry: registry.example.com, theirs: {any: thing}}"))
	image := podSpec(t, one(t, all, "Deployment", "")).Containers[0].Image
	assert.Equal(t, "registry.example.com/sluice-cd/sluice:0.1.0", image)
}

func TestDigestGoesBeforeTag(t *testing.T) {
	digest := "sha256:" + strings.Repeat("6d1c", 16)
	all := manifests(t, "sluice", values(t, "image: {tag: v9, digest: '"+digest+"'}"))
	assert.Equal(t, "ghcr.io/sluice-cd/sluice@"+digest, podSpec(t, one(t, all, "Deployment", "")).Containers[0].Image)
}

// TestGuardAndRolesCoverWhatReleasesMayContain: a kind that the renderer allows
// and the Role lacks could not be applied, and one that the guard lacks could be
// changed by anybody.
func TestGuardAndRolesCoverWhatReleasesMayContain(t *testing.T) {
	all := manifests(t, "sluice", values(t))
	var role rbacv1.Role
	convert(t, one(t, all, "Role", "sluice-releases"), &role)
	rules, _, err := unstructured.NestedSlice(one(t, all, "ValidatingAdmissionPolicy", "").Object, "spec", "matchConstraints", "resourceRules")
	require.NoError(t, err)
	for _, kind := range render.DefaultKinds() {
		plural, _ := meta.UnsafeGuessKindToResource(kind.WithVersion("v1"))
		verbs := []string{"create", "delete", "get", "list", "patch", "watch"}
		if kind.Kind == "PersistentVolumeClaim" {
			verbs = []string{"create", "get", "list", "patch", "watch"}
		}
		assert.Equal(t, verbs, granted(role.Rules, plural.Group, plural.Resource), "%s", kind)
		writes := guarded(rules, plural.Group, plural.Resource)
		if kind.Kind == "PersistentVolumeClaim" {
			assert.Empty(t, writes, "storage drivers write claims under names of their own")
			continue
		}
		assert.Equal(t, []any{"CREATE", "UPDATE", "DELETE"}, writes, "%s", kind)
	}
	assert.Equal(t, []string{"list", "watch"}, granted(role.Rules, "", "pods"))
	assert.Equal(t, []string{"list", "watch"}, granted(role.Rules, "discovery.k8s.io", "endpointslices"))
	assert.Len(t, role.Rules, 15, "a new rule needs its reason in this test")
}

func granted(rules []rbacv1.PolicyRule, group, resource string) []string {
	for _, r := range rules {
		if slices.Contains(r.APIGroups, group) && slices.Contains(r.Resources, resource) {
			return r.Verbs
		}
	}
	return nil
}

func guarded(rules []any, group, resource string) []any {
	for _, raw := range rules {
		r := raw.(map[string]any)
		if slices.Contains(r["apiGroups"].([]any), any(group)) && slices.Contains(r["resources"].([]any), any(resource)) {
			return r["operations"].([]any)
		}
	}
	return nil
}

func TestObserverHasNoRightToWrite(t *testing.T) {
	for _, o := range manifests(t, "sluice", values(t, "observe: true")) {
		if o.GetKind() != "Role" {
			continue
		}
		var role rbacv1.Role
		convert(t, o, &role)
		for _, rule := range role.Rules {
			assert.Subset(t, []string{"get", "list", "watch"}, rule.Verbs, "%s: %s", role.Name, rule.Resources)
		}
	}
}

func TestPodIsRestrictedAndKeepsSluicesOwnHealthRule(t *testing.T) {
	spec := podSpec(t, one(t, manifests(t, "sluice", values(t)), "Deployment", ""))
	c := spec.Containers[0]
	assert.True(t, *spec.SecurityContext.RunAsNonRoot)
	assert.Equal(t, corev1.SeccompProfileTypeRuntimeDefault, spec.SecurityContext.SeccompProfile.Type)
	assert.Equal(t, []corev1.Capability{"ALL"}, c.SecurityContext.Capabilities.Drop)
	assert.False(t, *c.SecurityContext.AllowPrivilegeEscalation)
	assert.True(t, *c.SecurityContext.ReadOnlyRootFilesystem)
	assert.Equal(t, "/health/startup", c.StartupProbe.HTTPGet.Path)
	assert.Equal(t, "/health/live", c.LivenessProbe.HTTPGet.Path)
	assert.Equal(t, "/health/ready", c.ReadinessProbe.HTTPGet.Path)
}

func TestNotesNameTheFirstThreeCommands(t *testing.T) {
	files, err := templates(t, "sluice", values(t))
	require.NoError(t, err)
	notes := files["sluice/templates/NOTES.txt"]
	for _, command := range []string{
		"kubectl -n sluice rollout status deployment/sluice", "sluice status -n sluice", "sluice explain -n sluice production/<service>",
	} {
		assert.Contains(t, notes, "\n    "+command+"\n")
	}
	assert.NotContains(t, notes, "genesis")
	files, err = templates(t, "sluice", values(t, "genesis: ''"))
	require.NoError(t, err)
	assert.Contains(t, files["sluice/templates/NOTES.txt"], "--set genesis=$(git rev-parse origin/main)")
}

func podSpec(t testing.TB, deployment *unstructured.Unstructured) corev1.PodSpec {
	t.Helper()
	template, _, err := unstructured.NestedMap(deployment.Object, "spec", "template")
	require.NoError(t, err)
	var out corev1.PodTemplateSpec
	require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(template, &out))
	return out.Spec
}

func convert(t testing.TB, from *unstructured.Unstructured, to any) {
	t.Helper()
	require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(from.Object, to))
}
