package render_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/sluice-cd/sluice/reconciler/render"
)

func parse(t testing.TB, text string) *unstructured.Unstructured {
	t.Helper()
	data, err := yaml.YAMLToJSON([]byte(text))
	require.NoError(t, err)
	o := &unstructured.Unstructured{}
	require.NoError(t, o.UnmarshalJSON(data))
	return o
}

func route(t testing.TB, kind, rules string) *unstructured.Unstructured {
	t.Helper()
	return parse(t, "apiVersion: gateway.networking.k8s.io/v1\nkind: "+kind+"\nmetadata: {name: checkout, namespace: shop}\nspec:\n  parentRefs: [{name: public}]\n  rules: "+rules)
}

func canary(share int32) []render.Share {
	return []render.Share{{Revision: "old", Weight: 100 - share}, {Revision: "new", Weight: share}}
}

func TestWeightedSplitsOnlyTheBackendOfTheApex(t *testing.T) {
	tests := map[string]struct{ before, after string }{
		"one backend": {
			"[{backendRefs: [{name: checkout, port: 80}]}]",
			"[{backendRefs: [{name: checkout-old, port: 80, weight: 95}, {name: checkout-new, port: 80, weight: 5}]}]",
		},
		"weight of a backend alone does not matter": {
			"[{backendRefs: [{name: checkout, port: 80, weight: 700000}]}]",
			"[{backendRefs: [{name: checkout-old, port: 80, weight: 95}, {name: checkout-new, port: 80, weight: 5}]}]",
		},
		"a backend that is switched off stays off": {
			"[{backendRefs: [{name: checkout, port: 80, weight: 0}]}]",
			"[{backendRefs: [{name: checkout-old, port: 80, weight: 0}, {name: checkout-new, port: 80, weight: 0}]}]",
		},
		"other rules, matches and filters": {
			"[{matches: [{path: {value: /a}}], backendRefs: [{name: static, port: 80}]}, {filters: [{type: RequestMirror, requestMirror: {backendRef: {name: checkout, port: 80}}}], matches: [{path: {value: /}}], timeouts: {request: 3s}, backendRefs: [{name: checkout, port: 80}]}, {filters: [{type: RequestRedirect}]}]",
			"[{matches: [{path: {value: /a}}], backendRefs: [{name: static, port: 80}]}, {filters: [{type: RequestMirror, requestMirror: {backendRef: {name: checkout, port: 80}}}], matches: [{path: {value: /}}], timeouts: {request: 3s}, backendRefs: [{name: checkout-old, port: 80, weight: 95}, {name: checkout-new, port: 80, weight: 5}]}, {filters: [{type: RequestRedirect}]}]",
		},
		"several rules": {
			"[{backendRefs: [{name: checkout, port: 80}]}, {backendRefs: [{name: checkout, port: 81}]}]",
			"[{backendRefs: [{name: checkout-old, port: 80, weight: 95}, {name: checkout-new, port: 80, weight: 5}]}, {backendRefs: [{name: checkout-old, port: 81, weight: 95}, {name: checkout-new, port: 81, weight: 5}]}]",
		},
		"filters of the backend": {
			"[{backendRefs: [{name: checkout, port: 80, kind: Service, group: '', filters: [{type: RequestHeaderModifier}]}]}]",
			"[{backendRefs: [{name: checkout-old, port: 80, kind: Service, group: '', filters: [{type: RequestHeaderModifier}], weight: 95}, {name: checkout-new, port: 80, kind: Service, group: '', filters: [{type: RequestHeaderModifier}], weight: 5}]}]",
		},
		"several backends keep their shares": {
			"[{backendRefs: [{name: legacy, port: 80, weight: 10}, {name: checkout, port: 80, weight: 90}]}]",
			"[{backendRefs: [{name: legacy, port: 80, weight: 20}, {name: checkout-old, port: 80, weight: 171}, {name: checkout-new, port: 80, weight: 9}]}]",
		},
		"backends of other kinds and namespaces": {
			"[{backendRefs: [{name: checkout, kind: Bucket, group: storage.example.com}, {name: checkout, namespace: other, port: 80}, {name: checkout, namespace: shop, port: 80, weight: 2}]}]",
			"[{backendRefs: [{name: checkout, kind: Bucket, group: storage.example.com, weight: 10}, {name: checkout, namespace: other, port: 80, weight: 10}, {name: checkout-old, namespace: shop, port: 80, weight: 19}, {name: checkout-new, namespace: shop, port: 80, weight: 1}]}]",
		},
	}
	for _, kind := range []string{"HTTPRoute", "GRPCRoute"} {
		for name, test := range tests {
			t.Run(kind+" "+name, func(t *testing.T) {
				before := route(t, kind, test.before)
				after, err := render.Weighted(before, "checkout", canary(5))
				require.NoError(t, err)
				assert.Equal(t, route(t, kind, test.after), after)
				assert.Equal(t, route(t, kind, test.before), before, "the input is left alone")
			})
		}
	}
}

func TestWeightedSendsEverythingToOneRevision(t *testing.T) {
	after, err := render.Weighted(route(t, "HTTPRoute", "[{backendRefs: [{name: checkout, port: 80}]}]"), "checkout", []render.Share{{Revision: "old", Weight: 1}})
	require.NoError(t, err)
	assert.Equal(t, route(t, "HTTPRoute", "[{backendRefs: [{name: checkout-old, port: 80, weight: 1}]}]"), after)
}

func TestWeightedRefusesWhatItCannotExpress(t *testing.T) {
	alone := "[{backendRefs: [{name: checkout, port: 80}]}]"
	tests := map[string]struct {
		kind, rules string
		shares      []render.Share
		message     string
	}{
		"no shares":        {"HTTPRoute", alone, nil, "no weight"},
		"no weight":        {"HTTPRoute", alone, []render.Share{{Revision: "old"}}, "no weight"},
		"negative":         {"HTTPRoute", alone, []render.Share{{Revision: "old", Weight: -1}, {Revision: "new", Weight: 2}}, "-1"},
		"too much":         {"HTTPRoute", alone, []render.Share{{Revision: "old", Weight: 1_000_001}}, "1000001"},
		"other service":    {"HTTPRoute", "[{backendRefs: [{name: static, port: 80}]}]", canary(5), "no backendRef"},
		"other route":      {"TCPRoute", alone, canary(5), "no backendRef"},
		"malformed weight": {"HTTPRoute", "[{backendRefs: [{name: checkout, weight: much}]}]", canary(5), "much"},
		"beyond the limit": {"HTTPRoute", "[{backendRefs: [{name: a, weight: 999983}, {name: checkout, weight: 999979}]}]", canary(5), "use smaller ones"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := render.Weighted(route(t, test.kind, test.rules), "checkout", test.shares)
			assert.ErrorContains(t, err, test.message)
		})
	}
}

func TestRevisionServiceServesOneRevisionInsideTheCluster(t *testing.T) {
	apex := parse(t, `
apiVersion: v1
kind: Service
metadata:
  name: checkout
  namespace: shop
  labels: {team: shop, sluice.dev/release: production.checkout}
  annotations: {external-dns.alpha.kubernetes.io/hostname: shop.example.com}
spec:
  type: LoadBalancer
  externalTrafficPolicy: Local
  clusterIP: 10.0.0.7
  selector: {app: checkout}
  ports: [{name: http, port: 80, targetPort: 8080, nodePort: 30080}]
`)
	before := apex.DeepCopy()
	got, err := render.RevisionService(apex, "7f3a9c1e")
	require.NoError(t, err)
	assert.Equal(t, parse(t, `
apiVersion: v1
kind: Service
metadata:
  name: checkout-7f3a9c1e
  namespace: shop
  labels: {team: shop, sluice.dev/release: production.checkout, sluice.dev/revision: 7f3a9c1e}
spec:
  selector: {app: checkout, sluice.dev/revision: 7f3a9c1e}
  ports: [{name: http, port: 80, targetPort: 8080}]
`), got)
	assert.Equal(t, before, apex)
}

func TestRevisionServiceOfHeadlessServiceIsHeadless(t *testing.T) {
	got, err := render.RevisionService(parse(t, "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {clusterIP: None, selector: {app: a}}}"), "r1")
	require.NoError(t, err)
	assert.Equal(t, "None", field(got, "spec", "clusterIP"))
}

func TestRevisionServiceNeedsAService(t *testing.T) {
	_, err := render.RevisionService(parse(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}"), "r1")
	assert.ErrorContains(t, err, "ConfigMap")
	_, err = render.RevisionService(parse(t, "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {ports: 7}}"), "r1")
	assert.Error(t, err)
}

func parseOrSkip(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	o := &unstructured.Unstructured{}
	if err := o.UnmarshalJSON([]byte(text)); err != nil {
		t.Skip("not an object")
	}
	return o
}
