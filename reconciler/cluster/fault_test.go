package cluster_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sluice-cd/sluice/reconciler/cluster"
	"github.com/sluice-cd/sluice/reconciler/release"
)

func deletes(requests []string) []string {
	return slices.DeleteFunc(slices.Clone(requests), func(r string) bool { return !strings.HasPrefix(r, http.MethodDelete) })
}

// serverError fails all requests, watches included.
func serverError(r *http.Request) (*http.Response, error) {
	return answer(r, http.StatusInternalServerError, `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"etcd is away","reason":"InternalError","code":500}`), nil
}

func TestAnAPIServerThatIsAwayIsUnknownAndPrunesNothing(t *testing.T) {
	x := newSite(t, gateway())
	x.settle(serving(old))
	x.settle(canary(50))
	for name, fault := range map[string]func(*http.Request) (*http.Response, error){
		"500":     serverError,
		"reset":   func(*http.Request) (*http.Response, error) { return nil, errReset },
		"garbage": func(r *http.Request) (*http.Response, error) { return answer(r, 200, `{}`), nil },
		"html":    func(r *http.Request) (*http.Response, error) { return answer(r, 200, `<html>login</html>`), nil },
		"not permitted": func(r *http.Request) (*http.Response, error) {
			return answer(r, 403, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403}`), nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			x.restart()
			x.wire.disturb(fault)
			requests := x.wire.since(func() {
				for range 3 {
					err := x.converge(serving(old))
					require.ErrorIs(t, err, cluster.ErrUnknown)
					o, err := x.Observe(t.Context(), x.shop.key, canary(50), x.manifests(), x.shop.options())
					require.ErrorIs(t, err, cluster.ErrUnknown)
					assert.Equal(t, release.Unknowable, o.Revisions[young].Readiness)
					assert.False(t, o.Converged)
					assert.False(t, o.Route.Accepted)
				}
			})
			assert.Empty(t, deletes(requests))
			x.wire.disturb(nil)
			o := x.settle(canary(50))
			assert.Equal(t, 50, o.Route.Weight)
		})
	}
}

func TestWatchesThatFailStopPrunesButNotApplies(t *testing.T) {
	x := newSite(t, gateway())
	x.settle(serving(old))
	x.settle(canary(50))
	x.breakWatches()
	require.Eventually(t, func() bool {
		_, err := x.Observe(t.Context(), x.shop.key, canary(50), x.manifests(), x.shop.options())
		return isUnknown(err)
	}, patience, beat, "broken watches are noticed")

	requests := x.wire.since(func() { require.ErrorIs(t, x.converge(serving(old)), cluster.ErrUnknown) })
	assert.Empty(t, deletes(requests))
	assert.Equal(t, map[string]int{old: 100}, x.liveWeights(), "traffic can still go back")
	x.wire.disturb(nil)
	x.settle(serving(old))
	assert.False(t, x.exists("deployments", "checkout-"+young))
}

// breakWatches ends all watches and lets none begin.
func (x *site) breakWatches() {
	x.wire.disturb(func(r *http.Request) (*http.Response, error) {
		if r.Method == http.MethodGet && !strings.Contains(r.URL.Path, "/namespaces/") && strings.Contains(r.URL.RawQuery, "labelSelector") {
			return nil, errReset
		}
		return nil, nil
	})
	x.wire.hangUp()
}

func TestChangesMissedByAWatchAreFoundAfterIt(t *testing.T) {
	x := newSite(t, gateway())
	x.settle(serving(old))
	x.breakWatches()
	require.NoError(t, x.objects("services").Delete(t.Context(), "checkout", metav1.DeleteOptions{}))
	x.edit("configmaps", "settings-"+old, `{"data":{"mode":"mine"}}`)
	x.wire.disturb(nil)
	x.eventually(serving(old), func() bool {
		return x.exists("services", "checkout") && x.get("configmaps", "settings-"+old).Object["data"].(map[string]any)["mode"] == "1"
	}, "both are put right")
}

func TestAnEmptyListDeletesNothing(t *testing.T) {
	x := newSite(t, gateway())
	x.settle(serving(old))
	x.settle(canary(50))
	x.restart()
	x.wire.disturb(func(r *http.Request) (*http.Response, error) {
		if r.Method != http.MethodGet || strings.Contains(r.URL.Path, "/namespaces/") || !strings.Contains(r.URL.RawQuery, "labelSelector") {
			return nil, nil
		}
		query, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil {
			return nil, err
		}
		// Everything is there, only nothing matches: as with a cache in between that lost its content.
		query.Set("labelSelector", "sluice.dev/release=nobody")
		empty := r.Clone(r.Context())
		empty.URL.RawQuery = query.Encode()
		return x.wire.next.RoundTrip(empty)
	})
	var requests []string
	for range 5 {
		requests = append(requests, x.wire.since(func() {
			_ = x.converge(canary(50))
			o, err := x.Observe(t.Context(), x.shop.key, canary(50), x.manifests(), x.shop.options())
			if err == nil {
				assert.NotEqual(t, release.Failed, o.Revisions[young].Readiness)
			}
		})...)
	}
	assert.Empty(t, deletes(requests))
	assert.Equal(t, map[string]int{old: 50, young: 50}, x.liveWeights(), "nor does it move traffic")
	assert.Equal(t, 2, number(t, x.get("deployments", "checkout-"+young), "spec", "replicas"))
	x.restart()
	x.settle(canary(50))
}

func TestAnApplyWhoseAnswerIsLostIsNotAChange(t *testing.T) {
	x := newSite(t, gateway())
	x.settle(serving(old))
	var lost atomic.Int32
	x.wire.disturb(func(r *http.Request) (*http.Response, error) {
		if r.Method != http.MethodPatch || lost.Add(1) > 4 {
			return nil, nil
		}
		response, err := x.wire.next.RoundTrip(r)
		if err == nil {
			response.Body.Close()
		}
		return nil, errReset
	})
	require.Error(t, x.converge(canary(0)))
	x.settle(canary(0))
	assert.Empty(t, x.wire.since(func() { require.NoError(t, x.converge(canary(0))) }))
	x.settle(serving(old))
	assert.False(t, x.exists("deployments", "checkout-"+young), "what was applied without an answer is in the inventory all the same")
}

func TestThrottledRequestsAreMadeAgain(t *testing.T) {
	x := newSite(t, gateway())
	x.settle(serving(old))
	var throttled atomic.Int32
	x.wire.disturb(func(r *http.Request) (*http.Response, error) {
		if r.Method != http.MethodPatch || throttled.Add(1) > 2 {
			return nil, nil
		}
		response := answer(r, http.StatusTooManyRequests, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"TooManyRequests","code":429}`)
		response.Header.Set("Retry-After", "0")
		return response, nil
	})
	x.settle(canary(5))
	assert.GreaterOrEqual(t, throttled.Load(), int32(3))
}

func TestADeniedDeletionKeepsNoOtherFromGoing(t *testing.T) {
	x := newSite(t, gateway())
	x.settle(serving(old))
	x.settle(canary(0))
	x.wire.disturb(func(r *http.Request) (*http.Response, error) {
		if r.Method != http.MethodDelete || !strings.HasSuffix(r.URL.Path, "/configmaps/settings-"+young) {
			return nil, nil
		}
		return answer(r, http.StatusForbidden, `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"denied by policy","reason":"Forbidden","code":403}`), nil
	})
	x.eventually(serving(old), func() bool { return !x.exists("deployments", "checkout-"+young) }, "the others go")
	require.ErrorContains(t, x.converge(serving(old)), "denied by policy")
	assert.False(t, x.observe(serving(old)).Converged)
	assert.True(t, x.exists("configmaps", "settings-"+young))
	x.wire.disturb(nil)
	x.settle(serving(old))
	assert.False(t, x.exists("configmaps", "settings-"+young))
}

func TestADeniedApplyKeepsNoOtherFromBeingApplied(t *testing.T) {
	x := newSite(t, gateway())
	x.settle(serving(old))
	x.wire.disturb(func(r *http.Request) (*http.Response, error) {
		if r.Method != http.MethodPatch || !strings.HasSuffix(r.URL.Path, "/configmaps/settings-"+young) {
			return nil, nil
		}
		return answer(r, http.StatusForbidden, `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"denied by policy","reason":"Forbidden","code":403}`), nil
	})
	x.eventually(canary(0), func() bool { return x.exists("deployments", "checkout-"+young) }, "the others are applied")
	require.ErrorContains(t, x.converge(canary(0)), "denied by policy")
	x.wire.disturb(nil)
	x.settle(canary(0))
}

func TestAnInventoryThatWasDeletedIsMadeAgain(t *testing.T) {
	x := newSite(t, gateway())
	x.settle(serving(old))
	x.settle(canary(0))
	documents := x.raw.Resource(resource("configmaps")).Namespace(x.system)
	require.NoError(t, documents.Delete(t.Context(), x.shop.key.Environment+".checkout.inventory", metav1.DeleteOptions{}))
	x.restart()
	x.settle(serving(old))
	assert.False(t, x.exists("deployments", "checkout-"+young))
	assert.False(t, x.exists("services", "checkout-"+young))
}

func TestAnotherWriterOfTheRouteIsNotOverwrittenUnseen(t *testing.T) {
	x := newSite(t, gateway())
	x.settle(serving(old))
	x.settle(canary(5))
	x.breakWatches()
	x.edit("httproutes", "checkout", `{"metadata":{"annotations":{"example.com/seen":"no"}}}`)
	require.ErrorIs(t, x.converge(canary(0)), cluster.ErrStale)
	assert.Equal(t, 5, x.liveWeights()[young])
	x.wire.disturb(nil)
	o := x.settle(canary(0))
	assert.Zero(t, o.Route.Weight)
}

func TestReleasesDoNotTouchEachOther(t *testing.T) {
	a, b := newSite(t, gateway()), newSite(t, gateway())
	a.settle(serving(old))
	b.settle(serving(old))
	a.settle(release.State{Retired: true})
	assert.False(t, a.exists("deployments", "checkout-"+old))
	assert.True(t, b.exists("deployments", "checkout-"+old))
	assert.Empty(t, b.wire.since(func() { require.NoError(t, b.converge(serving(old))) }))
}
