package release_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/analysis"
	"github.com/sluice-cd/sluice/reconciler/release"
)

const every = 30 * time.Second

// soaking is a record in which v1 is stable, and what is looked at after it.
type soaking struct {
	t *testing.T
	r release.Record
	// at is when the last look was.
	at time.Time
}

func newSoaking(t *testing.T) *soaking {
	r := release.Next(release.New(key, t0), release.Adopted{Revision: revision("v1"), Same: true, Ours: true}, t0)
	for _, i := range r.Owed {
		r = release.Next(r, release.Done{ID: i.ID}, t0)
	}
	return &soaking{t, r, t0}
}

// look is the next one, so long after the last.
func (s *soaking) look(after time.Duration, change func(*release.Soaked)) release.Soak {
	s.t.Helper()
	s.at = s.at.Add(after)
	e := release.Soaked{Inputs: revision("v1").Inputs, At: s.at, Ready: true, Metered: true, Every: every}
	if known := s.soak(); !known.Measured.IsZero() {
		e.Ticks = []analysis.Tick{served(s.at, s.at.Sub(known.Measured), 100, 1)}
	}
	if change != nil {
		change(&e)
	}
	s.r = release.Next(s.r, e, s.at)
	return s.soak()
}

func (s *soaking) soak() release.Soak {
	proof, ok := release.Soaking(s.r)
	require.True(s.t, ok)
	if proof.Soak == nil {
		return release.Soak{}
	}
	return *proof.Soak
}

func served(at time.Time, window time.Duration, requests, errors int64) analysis.Tick {
	return analysis.Tick{At: at, Seconds: window.Seconds(), Candidate: analysis.Arm{Requests: requests, Errors: errors}}
}

func TestASoakAddsUpWhatWasMeasuredWhileItWasReady(t *testing.T) {
	s := newSoaking(t)
	assert.Zero(t, s.look(time.Second, nil).Healthy, "a single look says nothing of the time before it")
	for range 4 {
		s.look(every, nil)
	}
	got := s.soak()
	assert.Equal(t, 2*time.Minute, got.Healthy)
	assert.Equal(t, int64(400), got.Requests)
	assert.Equal(t, int64(4), got.Errors)

	data, err := release.Encode(s.r)
	require.NoError(t, err)
	restarted, err := release.Decode(data)
	require.NoError(t, err)
	s.r = restarted
	assert.Equal(t, 150*time.Second, s.look(every, nil).Healthy, "a restart costs nothing")
}

func TestWhatWasNotMeasuredAddsNoTimeToASoak(t *testing.T) {
	cases := map[string]func(*release.Soaked){
		"counters cannot be read": func(e *release.Soaked) {
			e.Ticks[0] = analysis.Tick{At: e.At, Seconds: 30, Unknown: analysis.NotANumber}
		},
		"no counters at all":        func(e *release.Soaked) { e.Ticks[0].Candidate = analysis.Arm{Silent: true} },
		"no tick yet":               func(e *release.Soaked) { e.Ticks = nil },
		"a tick of no length":       func(e *release.Soaked) { e.Ticks[0].Seconds = 0 },
		"a tick of any length":      func(e *release.Soaked) { e.Ticks[0].Seconds = math.NaN() },
		"more errors than requests": func(e *release.Soaked) { e.Ticks[0].Candidate.Errors = 1000 },
		"a tick of the past":        func(e *release.Soaked) { e.Ticks[0].At = t0 },
		"pods are not ready":        func(e *release.Soaked) { e.Ready = false },
		"other inputs":              func(e *release.Soaked) { e.Inputs = revision("v2").Inputs },
		"the cluster did not say":   func(e *release.Soaked) { e.At = time.Time{} },
	}
	for name, spoil := range cases {
		t.Run(name, func(t *testing.T) {
			s := newSoaking(t)
			s.look(time.Second, nil)
			before := s.look(every, nil)
			after := s.look(every, spoil)
			assert.Equal(t, 30*time.Second, before.Healthy)
			assert.Equal(t, before.Healthy, after.Healthy)
			assert.Equal(t, before.Requests, after.Requests)
		})
	}
}

func TestATickCountsOnceAndNeverForLongerThanItsWindow(t *testing.T) {
	s := newSoaking(t)
	s.look(time.Second, nil)
	got := s.look(every, func(e *release.Soaked) {
		e.Ticks[0].Seconds = 3600
		e.Ticks = append(e.Ticks, e.Ticks[0])
	})
	assert.Equal(t, every, got.Healthy)
	assert.Equal(t, int64(100), got.Requests)
}

func TestTimeThatNobodyLookedAtAddsNothingToASoak(t *testing.T) {
	s := newSoaking(t)
	s.look(time.Second, nil)
	before := s.look(every, nil)
	assert.Equal(t, before.Healthy, s.look(time.Hour, nil).Healthy, "the daemon was away")
	assert.Equal(t, before.Healthy+every, s.look(every, nil).Healthy, "and goes on where it stopped")
	s.look(every, func(e *release.Soaked) { e.Ready = false })
	assert.Equal(t, before.Healthy+every, s.look(every, nil).Healthy, "the first look after it was not ready begins a run")
}

func TestWithoutCountersReadinessAloneSoaks(t *testing.T) {
	s := newSoaking(t)
	unmetered := func(e *release.Soaked) { e.Metered, e.Ticks = false, nil }
	s.look(time.Second, unmetered)
	for range 3 {
		s.look(every, unmetered)
	}
	assert.Equal(t, 90*time.Second, s.soak().Healthy)
	assert.Zero(t, s.soak().Requests)
}

func TestAFailureTakesASoakBack(t *testing.T) {
	s := newSoaking(t)
	s.look(time.Second, nil)
	for range 40 {
		s.look(every, nil)
	}
	require.Equal(t, 20*time.Minute, s.soak().Healthy)
	got := s.look(every, func(e *release.Soaked) { e.Ready, e.Failed = false, "pod checkout-1 crashes again and again" })
	assert.Equal(t, release.Soak{Seen: s.at, Failed: "pod checkout-1 crashes again and again", FailedAt: s.at}, got)
	s.look(every, nil)
	got = s.look(every, nil)
	assert.Equal(t, every, got.Healthy, "it begins anew")
	assert.NotEmpty(t, got.Failed, "and says so")
}

func TestOnlyWhatIsStableAloneSoaks(t *testing.T) {
	s := newSoaking(t)
	s.look(time.Second, nil)
	s.look(every, nil)
	s.r = release.Next(s.r, release.Wanted{Want: want("v2")}, s.at)
	assert.Equal(t, time.Minute, s.look(every, nil).Healthy, "a candidate that waits shares no traffic")
	s.r = release.Next(s.r, judged(s.r, release.Proceed, canary()), s.at)
	require.Equal(t, release.Preparing, s.r.Phase)
	_, ok := release.Soaking(s.r)
	assert.False(t, ok)
	same := release.Next(s.r, release.Soaked{Inputs: revision("v1").Inputs, At: s.at.Add(every), Ready: true, Every: every}, s.at.Add(every))
	assert.Equal(t, s.r, same)
}

func TestASoakThatNobodyCanHaveMeasuredIsRefused(t *testing.T) {
	s := newSoaking(t)
	s.look(time.Second, nil)
	s.r.Proven[0].Soak = &release.Soak{Requests: 1, Errors: 2}
	data, err := release.Encode(s.r)
	require.NoError(t, err)
	_, err = release.Decode(data)
	assert.ErrorContains(t, err, "a soak that nobody can have measured")
}
