package prometheus_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/analysis/prometheus"
)

func checkout() prometheus.Selector {
	return prometheus.Selector{Namespace: "checkout-production", Prefixes: []string{"checkout-7f3a9c1e-", "checkout-11aa22bb-"}}
}

func TestPresetsAreBoundToARelease(t *testing.T) {
	p, err := prometheus.Named("http")
	require.NoError(t, err)
	q, err := p.Bind(checkout())
	require.NoError(t, err)
	pods := `namespace="checkout-production",pod=~"(?:checkout-7f3a9c1e-|checkout-11aa22bb-).*"`
	health := `handler!~"/health/live|/health/ready|/health/startup"`
	assert.Equal(t, prometheus.Queries{
		Requests: `sum by (pod) (http_requests_total{` + pods + `,` + health + `})`,
		Errors:   `sum by (pod) (http_requests_total{` + pods + `,` + health + `,code=~"5.."})`,
		Aborted:  `sum by (pod) (http_requests_total{` + pods + `,` + health + `,code="499"})`,
		PodLabel: "pod",
	}, q)

	p, err = prometheus.Named("opentelemetry")
	require.NoError(t, err)
	q, err = p.Bind(checkout())
	require.NoError(t, err)
	assert.Contains(t, q.Errors, `http_response_status_code=~"5.."`)
	assert.Contains(t, q.Requests, `http_route!~"/health/live|`)

	_, err = prometheus.Named("nginx-of-my-dreams")
	assert.ErrorContains(t, err, "http or opentelemetry")
}

func TestQueriesOfOnesOwnAreBoundToo(t *testing.T) {
	p := prometheus.Preset{
		Requests:       `sum by (pod_name) (jobs_total{{{.Selector}}})`,
		Errors:         `sum by (pod_name) (jobs_failed_total{{{.Selector}},path!~"{{.Health}}"})`,
		NamespaceLabel: "ns", PodLabel: "pod_name",
	}
	s := checkout()
	s.HealthPaths = []string{"/ok?"}
	q, err := p.Bind(s)
	require.NoError(t, err)
	assert.Contains(t, q.Requests, `{ns="checkout-production",pod_name=~"`)
	assert.Contains(t, q.Errors, `path!~"/ok\\?"`)
	assert.Empty(t, q.Aborted)
	assert.Equal(t, "pod_name", q.PodLabel)
}

func TestHostileTemplatesAndNamesAreRefusedOrQuoted(t *testing.T) {
	const good = `sum by (pod) (a{{{.Selector}}})`
	for name, c := range map[string]struct {
		preset prometheus.Preset
		says   string
	}{
		"none":              {prometheus.Preset{}, "requests query"},
		"no errors":         {prometheus.Preset{Requests: good}, "errors query"},
		"no selector":       {prometheus.Preset{Requests: `sum by (pod) (a)`, Errors: good}, "count other releases"},
		"template function": {prometheus.Preset{Requests: good, Errors: good + `{{printf "%999999999d" 1}}`}, "double braces"},
		"half an action":    {prometheus.Preset{Requests: good, Errors: good, Aborted: good + `{{`}, "aborted query"},
		"endless":           {prometheus.Preset{Requests: good, Errors: good + strings.Repeat(" ", 5000)}, "longer than"},
	} {
		_, err := c.preset.Bind(checkout())
		assert.ErrorContains(t, err, c.says, name)
	}
	whole := prometheus.Preset{Requests: good, Errors: good}
	_, err := whole.Bind(prometheus.Selector{Namespace: "x"})
	assert.Error(t, err)
	_, err = whole.Bind(prometheus.Selector{Prefixes: []string{"x"}})
	assert.Error(t, err)

	q, err := whole.Bind(prometheus.Selector{Namespace: `x"} or up{a="`, Prefixes: []string{`.*|b"`, "{{.Health}}"}})
	require.NoError(t, err)
	assert.Equal(t, `sum by (pod) (a{namespace="x\"} or up{a=\"",pod=~"(?:\\.\\*\\|b\"|\\{\\{\\.Health\\}\\}).*"})`, q.Requests)
}
