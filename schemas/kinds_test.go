package schemas_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/schemas"
)

const serviceText = `apiVersion: sluice.dev/v1alpha1
kind: Service
source: {repository: acme/checkout, branches: [main]}
environments: [dev, staging, production]
strategy: {kind: canary}
traffic: {kind: gateway, route: checkout, service: checkout}
metrics:
  prometheus: operations
  errors: {preset: traefik}
  latency: {preset: traefik, quantile: 0.99}
  business: {query: "sum(increase(orders_total[5m]))", drop: 20%}
verification:
  smoke: [{http: {path: /health/ready, expect: 200}}, {job: smoke.yaml}]
  synthetic: [{http: {path: /, every: 30s}}]
health: {startup: /health/startup, live: /health/live, ready: /health/ready}
`

const releaseText = `apiVersion: sluice.dev/v1alpha1
kind: Release
artifact:
  image: registry.example.com/shop/checkout
  digest: sha256:1111111111111111111111111111111111111111111111111111111111111111
  version: 1.10
  source: {repository: acme/checkout, commit: 1234567890123456789012345678901234567890}
base: 9f2c41e9f2c41e9f2c41e9f2c41e9f2c41e9f2c4
change: hotfix
incident: INC-2093
`

const controlText = `apiVersion: sluice.dev/v1alpha1
kind: Control
# people may write here
holds:
  - digest: sha256:1111111111111111111111111111111111111111111111111111111111111111
    revision: 7f3a9c1e
    reason: error rate
    by: sluice
    at: 2026-11-23T14:05:06Z
    rollback: production-checkout-1
paused: true
reason: looking into it
`

func TestServiceDecodesAndTakesItsNameFromTheDirectory(t *testing.T) {
	s, err := schemas.DecodeService("services/checkout/service.yaml", "checkout", []byte(serviceText))
	require.NoError(t, err)
	assert.Equal(t, "checkout", s.Name)
	assert.Equal(t, "20%", s.Metrics.Business.Drop.String())
	assert.Equal(t, "/health/ready", s.Verification.Smoke[0].HTTP.Path)
	assert.Equal(t, 200, s.Verification.Synthetic[0].HTTP.Expect)
	var warned []string
	for _, p := range s.NotEnforced() {
		warned = append(warned, p.Path)
	}
	assert.Equal(t, []string{"metrics.latency", "metrics.business", "verification.smoke", "verification.synthetic"}, warned)
}

func TestServiceDefaultsFollowItsName(t *testing.T) {
	text := "apiVersion: sluice.dev/v1alpha1\nkind: Service\nsource: {repository: a/b}\nenvironments: [dev]\n"
	s, err := schemas.DecodeService("f", "cart", []byte(text))
	require.NoError(t, err)
	assert.Equal(t, schemas.Traffic{Kind: schemas.TrafficGateway, Route: "cart", Service: "cart"}, s.Traffic)
	assert.Equal(t, schemas.Health{Startup: "/health/startup", Live: "/health/live", Ready: "/health/ready"}, s.Health)

	s, err = schemas.DecodeService("f", "cart", []byte(text+"traffic: {kind: none}\n"))
	require.NoError(t, err)
	assert.Equal(t, schemas.Traffic{Kind: schemas.TrafficNone}, s.Traffic)
}

func TestServiceRefusals(t *testing.T) {
	for change, want := range map[string]string{
		"prometheus: operations=>prometheus: http://evil.example":        "is not the name of a metrics source",
		"kind: gateway, route=>kind: mesh, route":                        `kind is "mesh"`,
		"kind: canary=>kind: feature-flag":                               "strategy feature-flag is not available in this version; use canary",
		"{preset: traefik}=>{preset: traefik, query: up}":                "needs exactly one of preset and query",
		"errors: {preset: traefik}=>errors: {query: up}":                 "does not select a revision",
		"ready: /health/ready}=>ready: none}":                            "need a reason and an incident",
		"job: smoke.yaml=>job: ../smoke.yaml":                            "leaves the service's directory",
		"errors: {preset: traefik}=>errors: {query: 'x{{{.Selector}}}'}": "query and requests belong together",
		"drop: 20%=>drop: 120%":                                          "is not a percentage",
		"[dev, staging, production]=>[dev, dev]":                         `"dev" is there twice`,
		"acme/checkout=>acme":                                            "is not a repository",
		"kind: gateway, route=>kind: replicas, route":                    "a route without a gateway",
	} {
		before, after, _ := strings.Cut(change, "=>")
		require.Contains(t, serviceText, before)
		_, err := schemas.DecodeService("f", "checkout", []byte(strings.Replace(serviceText, before, after, 1)))
		require.Error(t, err, change)
		assert.Contains(t, err.Error(), want)
	}
}

func TestReleaseKeepsTextAsItWasTyped(t *testing.T) {
	r, err := schemas.DecodeRelease("f", []byte(releaseText))
	require.NoError(t, err)
	require.Len(t, r.List(), 1)
	assert.Equal(t, "1.10", r.List()[0].Version)
	assert.Equal(t, "1234567890123456789012345678901234567890", r.List()[0].Source.Commit)
	assert.False(t, r.Retired())
}

func TestReleaseRefusals(t *testing.T) {
	artifact := releaseText[strings.Index(releaseText, "artifact:"):strings.Index(releaseText, "base:")]
	second := "artifacts:\n  - {image: a/b, digest: 'sha256:" + strings.Repeat("2", 64) + "', source: {repository: a/b, commit: " + strings.Repeat("3", 40) + "}}\n"
	twice := second + strings.TrimPrefix(second, "artifacts:\n")
	for name, c := range map[string]struct{ before, after, want string }{
		"placeholder digest": {strings.Repeat("1", 64), strings.Repeat("0", 64), "is not a digest"},
		"short digest":       {strings.Repeat("1", 64), "6d1c", "is not a digest"},
		"upper-case digest":  {strings.Repeat("1", 64), strings.Repeat("A", 64), "is not a digest"},
		"tag":                {"shop/checkout", "shop/checkout:latest", "is not an image name"},
		"placeholder base":   {"9f2c41e9f2c41e9f2c41e9f2c41e9f2c41e9f2c4", strings.Repeat("0", 40), "is not a commit"},
		"branch as base":     {"9f2c41e9f2c41e9f2c41e9f2c41e9f2c41e9f2c4", "main", "is not a commit"},
		"hotfix":             {"incident: INC-2093\n", "", "a hotfix without an incident"},
		"change":             {"change: hotfix", "change: tiny", `change is "tiny"`},
		"state":              {"incident: INC-2093", "incident: INC-2093\nstate: gone", `state is "gone"`},
		"none":               {artifact, "", "there is no artifact"},
		"both":               {"base:", second + "base:", "both artifact and artifacts"},
		"same image":         {artifact, twice, `image "a/b" is there twice`},
		"number for version": {"version: 1.10", "version: true", "not text"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, releaseText, c.before)
			_, err := schemas.DecodeRelease("f", []byte(strings.Replace(releaseText, c.before, c.after, 1)))
			require.Error(t, err)
			assert.Contains(t, err.Error(), c.want)
		})
	}
}

func TestApprovalsOfAnUnknownClassAreTheStrictest(t *testing.T) {
	a := schemas.Approvals{Standard: 1, Breaking: 2, Security: 3, Hotfix: 2}
	assert.Equal(t, 1, a.For(schemas.ChangeStandard))
	assert.Equal(t, 3, a.For("doubtful"))
}

func hold() schemas.Hold {
	at := time.Date(2026, 11, 23, 15, 0, 0, 0, time.UTC)
	return schemas.Hold{
		Digest: "sha256:" + strings.Repeat("2", 64), Reason: "error rate +3.1 points: canary", By: "sluice",
		At: schemas.Time{Time: at}, Rollback: "production-checkout-2",
	}
}

func TestHoldIsAddedOnceAndKeepsWhatPeopleWrote(t *testing.T) {
	once, err := schemas.AddHold("control.yaml", []byte(controlText), hold())
	require.NoError(t, err)
	assert.Contains(t, string(once), "# people may write here")
	c, err := schemas.DecodeControl("control.yaml", once)
	require.NoError(t, err)
	require.Len(t, c.Holds, 2)
	assert.Equal(t, hold(), c.Holds[1])
	assert.True(t, c.Paused)

	twice, err := schemas.AddHold("control.yaml", once, hold())
	require.NoError(t, err)
	assert.Equal(t, string(once), string(twice))
}

func TestAReleaseHasABoundedNumberOfHolds(t *testing.T) {
	text := []byte("apiVersion: sluice.dev/v1alpha1\nkind: Control\n")
	for i := range schemas.MaxHolds {
		h := hold()
		h.Rollback = fmt.Sprint("r-", i)
		var err error
		text, err = schemas.AddHold("control.yaml", text, h)
		require.NoError(t, err)
	}
	_, err := schemas.AddHold("control.yaml", text, hold())
	require.ErrorContains(t, err, "there are 101 holds, at most 100 are kept for a release; lift those that are not needed any more")
}

func TestHoldCreatesTheFile(t *testing.T) {
	data, err := schemas.AddHold("control.yaml", nil, hold())
	require.NoError(t, err)
	c, err := schemas.DecodeControl("control.yaml", data)
	require.NoError(t, err)
	assert.Equal(t, []schemas.Hold{hold()}, c.Holds)
}

func TestHoldIsNotAddedToABrokenFileNorWithAForgedLine(t *testing.T) {
	_, err := schemas.AddHold("control.yaml", []byte("holds: [\n"), hold())
	require.Error(t, err)
	forged := hold()
	forged.Reason = "x\nApproved-By: mallory"
	_, err = schemas.AddHold("control.yaml", nil, forged)
	require.Error(t, err)
}

func TestHoldThatHoldsNothingIsRefused(t *testing.T) {
	_, err := schemas.DecodeControl("f", []byte("apiVersion: sluice.dev/v1alpha1\nkind: Control\nholds: [{reason: x}]\nfreeze: {by: me}\n"))
	require.Error(t, err)
	assert.Contains(t, err.Error(), "the hold holds nothing")
	assert.Contains(t, err.Error(), "the freeze has no reason")
}

func TestDurationsPrintTheWayTheyAreWritten(t *testing.T) {
	for text, want := range map[string]string{"15m": "15m", "2h": "2h", "10s": "10s", "90s": "1m30s", "0s": "0s", "24h": "24h", "2h30m": "2h30m"} {
		var d schemas.Duration
		require.NoError(t, d.UnmarshalText([]byte(text)))
		assert.Equal(t, want, d.String())
	}
}

func TestEachKindHasAJSONSchema(t *testing.T) {
	for _, kind := range []string{schemas.KindPolicy, schemas.KindService, schemas.KindRelease, schemas.KindControl} {
		data, ok := schemas.JSONSchema(kind)
		require.True(t, ok, kind)
		assert.Contains(t, string(data), `"`+kind+`"`)
	}
	_, ok := schemas.JSONSchema("Secret")
	assert.False(t, ok)
}
