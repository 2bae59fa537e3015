package cluster_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/sluice-cd/sluice/reconciler/cluster"
)

func TestDifferencesNameTheFieldAndBothValues(t *testing.T) {
	live := `{spec: {paused: true, minReadySeconds: 5, template: {metadata: {labels: {app.kubernetes.io/name: a}}, spec: {containers: [
		{name: app, image: "x:1", args: [a, b], env: [{name: MODE, value: old}, {name: DB_PASSWORD, value: one}]}, {name: sidecar, image: other}]}}}}`
	git := `{spec: {minReadySeconds: 5, strategy: {type: Recreate}, template: {metadata: {labels: {app.kubernetes.io/name: b}}, spec: {volumes: [], containers: [
		{name: app, image: "x:2", args: [a, c], env: [{name: MODE, value: new}, {name: DB_PASSWORD, value: two}]}]}}}}`
	assert.Equal(t, []string{
		`spec.paused is true and git does not set it`,
		`spec.strategy is not set and git says {"type":"Recreate"}`,
		`spec.template.metadata.labels[app.kubernetes.io/name] is "a" and git says "b"`,
		`spec.template.spec.containers[app].args[1] is "b" and git says "c"`,
		`spec.template.spec.containers[app].env[MODE].value is "old" and git says "new"`,
		`spec.template.spec.containers[app].env[DB_PASSWORD].value differs`,
		`spec.template.spec.containers[app].image is "x:1" and git says "x:2"`,
		`spec.template.spec.containers[sidecar] is {"image":"other","name":"sidecar"} and git does not set it`,
	}, cluster.Differences(fields(t, live), fields(t, git), false))
}

func TestEqualContentsDoNotDiffer(t *testing.T) {
	same := `{spec: {a: 1, list: [{name: x}, {name: z}], plain: [1, 2], none: null, nothing: {}}}`
	assert.Empty(t, cluster.Differences(fields(t, same), fields(t, `{spec: {a: 1, list: [{name: x}, {name: z}], plain: [1, 2]}}`), false))
	assert.Equal(t, []string{`spec.list[0].name is "z" and git says "x"`, `spec.list[1].name is "x" and git says "z"`},
		cluster.Differences(fields(t, `{spec: {list: [{name: z}, {name: x}]}}`), fields(t, `{spec: {list: [{name: x}, {name: z}]}}`), false),
		"the order of containers or rules can mean something")
}

func TestAReasonShowsNoSecret(t *testing.T) {
	lines := cluster.Differences(fields(t, `{data: {password: b25l, user: YQ==}}`), fields(t, `{data: {password: dHdv}}`), true)
	assert.Equal(t, []string{"data.password differs", "data.user differs"}, lines)
}

func TestAReasonShowsAFewBytesOfALongValue(t *testing.T) {
	long := `{data: {file: ` + strings.Repeat("a", 200) + `}}`
	lines := cluster.Differences(fields(t, long), fields(t, `{data: {file: b}}`), false)
	assert.Len(t, lines, 1)
	assert.Less(t, len(lines[0]), 130)
	assert.Contains(t, lines[0], `… and git says "b"`)
}

func fields(t *testing.T, text string) map[string]any {
	t.Helper()
	var out map[string]any
	require.NoError(t, yaml.Unmarshal([]byte(text), &out))
	return out
}
