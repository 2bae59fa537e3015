package reconciler_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const name = "production/checkout"

// play is the whole life of a release: a baseline, a good and a bad promotion,
// one that a gate refuses, another scale, and the end.
func (w *world) play() {
	w.badRates["v3"] = 0.3
	w.push(map[string]string{name: "v1"})
	w.begin()
	w.settle(checkout)
	for _, inputs := range []string{"v2", "v3", "unpinned4", "v2+9", "retired"} {
		w.push(map[string]string{name: inputs})
		w.settle(checkout)
	}
}

// outcome is what must be the same however the way there was disturbed.
func (w *world) outcome() string {
	var b strings.Builder
	for _, c := range w.commits {
		s := c.releases[name]
		fmt.Fprintf(&b, "%s %s, %d holds\n", c.sha, s.Inputs, len(s.Control.Holds))
	}
	r := w.record(checkout)
	fmt.Fprintf(&b, "%s, attempt %d, %d owed, %d holds, %d running\n",
		r.Phase, r.Attempt, len(r.Owed), len(r.Holds), len(w.live[checkout].State.Workloads))
	for _, p := range r.Proven {
		fmt.Fprintf(&b, "proven %s, ended %v\n", p.Inputs, !p.Until.IsZero())
	}
	for _, id := range slices.Sorted(slices.Values(w.order)) {
		fmt.Fprintln(&b, id)
	}
	return b.String()
}

const wholeLife = `c0 v1, 0 holds
c1 v2, 0 holds
c2 v3, 0 holds
c3 v2, 1 holds
c4 unpinned4, 1 holds
c5 v2, 1 holds
c6 v2+9, 1 holds
c7 retired, 1 holds
removed, attempt 5, 0 owed, 1 holds, 0 running
proven v1, ended true
proven v2, ended true
proven v2+9, ended true
production/checkout/c4/4/write-evidence
production/checkout/hold production-checkout-rv3-3/3/write-evidence
production/checkout/v1/1/write-evidence
production/checkout/v2+9/5/write-evidence
production/checkout/v2/2/write-evidence
production/checkout/v3/3/write-evidence
`

func TestTheWholeLifeOfARelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.play()
		assert.Equal(t, wholeLife, w.outcome())
	})
}

// effects lists every call of the undisturbed story that changes something.
func effects(t *testing.T) (out []call) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.fault = func(c call) (bool, error) {
			if c.effect {
				out = append(out, c)
			}
			return true, nil
		}
		w.play()
	})
	return out
}

// Each effect of the story fails once, in every way that an effect can fail, and
// then the daemon is gone: the story has to end as if nothing had happened.
func TestAFailureOfAnyEffectAndACrashChangeNothing(t *testing.T) {
	ways := map[string]func(*world) (bool, error){
		"failed":             func(*world) (bool, error) { return false, errFault },
		"failed but applied": func(*world) (bool, error) { return true, context.DeadlineExceeded },
		"killed after":       func(w *world) (bool, error) { w.kill(); return true, nil },
	}
	all := effects(t)
	require.Greater(t, len(all), 30)
	for way, fault := range ways {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			for i := 0; i < len(all); i += sampled {
				target := all[i]
				disturbed(t, func(w *world, c call) (bool, error) {
					if c.port != target.port || c.of != target.of {
						return true, nil
					}
					w.crashed = true
					return fault(w)
				}, fmt.Sprintf("%s number %d", target.port, target.of))
			}
		})
	}
}

// disturbed lives the whole life with a fault in it.
func disturbed(t *testing.T, fault func(*world, call) (bool, error), what string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.fault = func(c call) (bool, error) { return fault(w, c) }
		w.play()
		require.Equal(t, wholeLife, w.outcome(), what)
	})
}

// The daemon is killed before some call of any kind, again and again in one life.
func TestKillsAtAnyCallChangeNothing(t *testing.T) {
	for _, every := range []int{13, 17, 23, 29, 37, 53} {
		for from := 0; from < 4; from += sampled {
			disturbed(t, func(w *world, c call) (bool, error) {
				if c.n%every != from {
					return true, nil
				}
				w.crashed = true
				w.kill()
				return false, context.Canceled
			}, fmt.Sprintf("every %d from %d", every, from))
		}
	}
}

// A fault that lasts for a while, at any time, ends without a trace.
func TestAnOutageOfAnyPortChangesNothing(t *testing.T) {
	ports := []string{
		"Store.Load", "Store.Save", "Source.Poll", "Facts.Facts", "Renderer.Build", "Cluster.Converge",
		"Cluster.Observe", "Meter.Ticks", "Meter.Dispersion", "Committer.Commit", "Ledger.Append",
	}
	for _, port := range ports {
		t.Run(port, func(t *testing.T) {
			disturbed(t, func(_ *world, c call) (bool, error) {
				if c.port == port && c.of%40 < 5 {
					return false, errFault
				}
				return true, nil
			}, port)
		})
	}
}
