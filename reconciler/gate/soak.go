package gate

import (
	"fmt"
	"slices"
	"time"

	"github.com/sluice-cd/sluice/schemas"
)

const waivesSoak = "soak"

// A Soak is what a proven revision has shown in the environment before: time in
// which it was measured and healthy, and what it answered.
type Soak struct {
	Healthy  time.Duration
	Requests int64
	Errors   int64
	// Failed is why it began anew, "" when it never failed.
	Failed string
}

// soak: artifact and base have been healthy together for long enough in the
// environment before, and answered no worse than what was stable there before.
func soak(f Facts, now time.Time) finding {
	u := f.Upstream
	switch {
	case u.Unknown != "":
		return f.upstreamUnknown()
	case u.Environment == "":
		return unknown("what the environment before asks for is not known", "Sluice, as soon as it has read the policy")
	case u.Soak == nil:
		return met(u.name() + " asks for no soak")
	case f.waived(waivesSoak):
		return f.waiver(waivesSoak)
	}
	waits := finding{
		cause:    Later,
		reason:   "it has not begun to soak in " + u.name(),
		unblocks: f.orWaived("the rollout in "+u.name()+", and time", waivesSoak),
	}
	for i, p := range slices.Backward(u.Proven) {
		if p.Since.IsZero() || p.BaseTree != f.BaseTree || !sameArtifacts(p.Artifacts, f.Artifacts) {
			continue
		}
		judged := f.soaked(p.Soak, u.baseline(i), now)
		if judged.cause == Met || p.Until.IsZero() {
			return judged.until("at the earliest until")
		}
		judged.next = time.Time{}
		judged.unblocks = f.orWaived("whoever brings it to "+u.name()+" again: something else has replaced it there", waivesSoak)
		waits = judged
	}
	return waits
}

// soaked judges one soak against what was answered before.
func (f Facts) soaked(s Soak, before rate, now time.Time) finding {
	u, need, is := f.Upstream, *f.Upstream.Soak, rate{s.Requests, s.Errors}
	limit := u.MaxErrorRate
	if before.requests > 0 {
		limit = before.percent() + need.ErrorRateIncreasePoints
	}
	wait := func(reason, unblocks string) finding {
		return finding{cause: Later, reason: reason, unblocks: f.orWaived(unblocks, waivesSoak)}
	}
	decides := met(fmt.Sprintf("healthy for %s in %s", need.Duration, u.name()))
	switch remains := need.Duration.Std() - s.Healthy; {
	case remains > 0:
		decides = wait(fmt.Sprintf("soaked for %s of %s in %s", s.Healthy.Round(time.Second), need.Duration, u.name()),
			"time in which it is measured and healthy in "+u.name())
		decides.next = now.Add(remains)
	case !u.Metered:
		return met(fmt.Sprintf("ready for %s in %s; the service has no counters, so readiness alone was watched", need.Duration, u.name())).because(s.evidence(need))
	case is.requests < int64(need.MinRequests):
		decides = wait(fmt.Sprintf("%d of %d requests seen in %s", is.requests, need.MinRequests, u.name()), "more traffic in "+u.name())
	case is.errors > 0 && is.percent() >= limit:
		decides = wait(fmt.Sprintf("%.2f %% of the requests failed in %s, and the limit is %.2f %%", is.percent(), u.name(), limit),
			"the author: bring a better version to "+u.name())
	}
	return decides.because(s.evidence(need), Evidence{Text: fmt.Sprintf("%d of %d requests failed, %.2f %%; the limit is %.2f %%, %s",
		is.errors, is.requests, is.percent(), limit, before.source())})
}

func (s Soak) evidence(need schemas.Soak) Evidence {
	text := fmt.Sprintf("healthy for %s of %s", s.Healthy.Round(time.Second), need.Duration)
	if s.Failed != "" {
		text += ", counted anew after a failure: " + foreign(s.Failed)
	}
	return Evidence{Text: text}
}

// A rate is how many of some requests failed.
type rate struct{ requests, errors int64 }

func (r rate) percent() float64 {
	if r.requests == 0 {
		return 0
	}
	return 100 * float64(r.errors) / float64(r.requests)
}

func (r rate) source() string {
	if r.requests == 0 {
		return "that of a first deployment"
	}
	return fmt.Sprintf("from %.2f %% of what was stable before", r.percent())
}

// baseline is what was answered by the newest revision before that was seen
// often enough to be compared with.
func (u Upstream) baseline(i int) rate {
	for _, p := range slices.Backward(u.Proven[:i]) {
		if p.Soak.Requests > 0 && p.Soak.Requests >= int64(u.Soak.MinRequests) {
			return rate{p.Soak.Requests, p.Soak.Errors}
		}
	}
	return rate{}
}
