package gate_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/sluice-cd/sluice/reconciler/gate"
	"github.com/sluice-cd/sluice/schemas"
)

// before puts a proof of another revision in front of the promoted one's.
func before(f *gate.Facts, s gate.Soak) {
	other := gate.Proof{
		Artifacts: []gate.Artifact{{Image: image, Digest: otherDigest}}, BaseTree: baseTree, Soak: s,
		Since: mergedAt.Add(-48 * time.Hour), Until: mergedAt.Add(-time.Hour),
	}
	f.Upstream.Proven = append([]gate.Proof{other}, f.Upstream.Proven...)
}

func TestASoakIsLongBusyAndNoWorseThanWhatWasThereBefore(t *testing.T) {
	last := func(f *gate.Facts) *gate.Proof { return &f.Upstream.Proven[len(f.Upstream.Proven)-1] }
	cases := map[string]struct {
		edit func(*gate.Facts)
		want gate.Verdict
		says string
	}{
		"done": {func(*gate.Facts) {}, gate.Pass, "healthy for 15m in staging"},
		"not long enough": {func(f *gate.Facts) { last(f).Soak.Healthy = 7 * time.Minute }, gate.Wait,
			"soaked for 7m0s of 15m in staging"},
		"not busy enough":        {func(f *gate.Facts) { last(f).Soak.Requests = 120 }, gate.Wait, "120 of 500 requests seen in staging"},
		"first, below its limit": {func(f *gate.Facts) { last(f).Soak.Errors = 4 }, gate.Pass, "healthy"},
		"first, at its limit": {func(f *gate.Facts) { last(f).Soak.Errors = 5 }, gate.Wait,
			"1.00 % of the requests failed in staging, and the limit is 1.00 %"},
		"as good as before": {func(f *gate.Facts) {
			before(f, gate.Soak{Requests: 10_000, Errors: 50})
			last(f).Soak = gate.Soak{Healthy: time.Hour, Requests: 10_000, Errors: 59}
		}, gate.Pass, "healthy"},
		"a tenth of a point worse": {func(f *gate.Facts) {
			before(f, gate.Soak{Requests: 10_000, Errors: 50})
			last(f).Soak = gate.Soak{Healthy: time.Hour, Requests: 10_000, Errors: 60}
		}, gate.Wait, "0.60 % of the requests failed in staging, and the limit is 0.60 %"},
		"compared with what was seen often enough": {func(f *gate.Facts) {
			before(f, gate.Soak{Requests: 10, Errors: 10})
			before(f, gate.Soak{Requests: 10_000, Errors: 50})
			last(f).Soak = gate.Soak{Healthy: time.Hour, Requests: 10_000, Errors: 70}
		}, gate.Wait, "the limit is 0.60 %"},
		"no error where none is allowed": {func(f *gate.Facts) {
			f.Upstream.Soak.ErrorRateIncreasePoints = 0
			before(f, gate.Soak{Requests: 10_000})
		}, gate.Pass, "healthy"},
		"another base":      {func(f *gate.Facts) { last(f).BaseTree = head }, gate.Wait, "it has not begun to soak in staging"},
		"another artifact":  {func(f *gate.Facts) { last(f).Artifacts[0].Digest = otherDigest }, gate.Wait, "it has not begun to soak in staging"},
		"replaced after it": {func(f *gate.Facts) { last(f).Until = mergedAt }, gate.Pass, "healthy"},
		"soaked once, replaced, and back": {func(f *gate.Facts) {
			again := *last(f)
			last(f).Until = mergedAt
			again.Soak = gate.Soak{Healthy: time.Minute}
			f.Upstream.Proven = append(f.Upstream.Proven, again)
		}, gate.Wait, "soaked for 1m0s of 15m"},
		"no soak asked": {func(f *gate.Facts) { f.Upstream.Soak, f.Upstream.Proven[0].Soak = nil, gate.Soak{} }, gate.Pass, "staging asks for no soak"},
		"no counters": {func(f *gate.Facts) { f.Upstream.Metered, last(f).Soak = false, gate.Soak{Healthy: 15 * time.Minute} }, gate.Pass,
			"readiness alone was watched"},
		"no counters, not long enough": {func(f *gate.Facts) { f.Upstream.Metered, last(f).Soak = false, gate.Soak{} }, gate.Wait, "soaked for 0s of 15m"},
		"counters that came later":     {func(f *gate.Facts) { last(f).Soak = gate.Soak{Healthy: time.Hour} }, gate.Wait, "0 of 500 requests"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			f := promotion()
			c.edit(&f)
			r := ask(t, f, gate.Soaked)
			assert.Equal(t, c.want, r.Verdict, r.Reason)
			assert.Contains(t, r.Reason, c.says)
		})
	}
}

func TestASoakSaysWhenItCanEndAndWhatItShowed(t *testing.T) {
	f := promotion()
	before(&f, gate.Soak{Requests: 1000, Errors: 2})
	s := &f.Upstream.Proven[1].Soak
	s.Healthy, s.Failed = 5*time.Minute, "pod checkout-1 crashes"
	r := ask(t, f, gate.Soaked)
	assert.Equal(t, now.Add(10*time.Minute), r.NextCheck)
	assert.Contains(t, texts(r), "healthy for 5m0s of 15m, counted anew after a failure: pod checkout-1 crashes")
	assert.Contains(t, texts(r), "0 of 500 requests failed, 0.00 %; the limit is 0.30 %, from 0.20 % of what was stable before")

	f.Upstream.Proven[1].Until = mergedAt
	r = ask(t, f, gate.Soaked)
	assert.Zero(t, r.NextCheck, "nobody looks at it any more")
	assert.Contains(t, r.Unblocks, "something else has replaced it there")
}

func TestAHotfixIsToldHowASoakCouldBeWaived(t *testing.T) {
	f := promotion()
	f.Class, f.Incident, f.Environment.Hotfix.Waives = schemas.ChangeHotfix, "INC-7", nil
	f.Upstream.Proven[0].Soak = gate.Soak{}
	assert.Contains(t, ask(t, f, gate.Soaked).Unblocks, "by listing soak in hotfix.waives of production")
	f.Environment.Hotfix.Waives = []string{"soak"}
	assert.Equal(t, gate.Pass, ask(t, f, gate.Soaked).Verdict)
}
