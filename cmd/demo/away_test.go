package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource/forge/forgetest"
	"github.com/sluice-cd/sluice/gitsource/gittest"
	"github.com/sluice-cd/sluice/reconciler/release"
)

// A valve is a proxy that can be shut.
type valve struct {
	url  string
	shut atomic.Bool
}

func newValve(t testing.TB, target string) *valve {
	t.Helper()
	to, err := url.Parse(target)
	require.NoError(t, err)
	v := &valve{}
	proxy := httputil.NewSingleHostReverseProxy(to)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if v.shut.Load() {
			http.Error(w, "shut by the test", http.StatusServiceUnavailable)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	v.url = server.URL
	return v
}

// away makes the forge and git answer nothing useful until back is called.
func (s *scene) away() (back func()) {
	s.forge.server.Inject(forgetest.Fault{Status: http.StatusServiceUnavailable})
	git := s.forge.environments.Git()
	git.Inject(gittest.Fault{Status: http.StatusServiceUnavailable})
	return func() {
		s.forge.server.ClearFaults()
		git.ClearFaults()
	}
}

func TestWithoutMetricsARolloutStandsStill(t *testing.T) {
	t.Parallel()
	s := newScene(t, []string{"blind"})
	s.begin()
	s.promote(s.forge, good)
	s.await(s.production(), "at the first step", onStep(0))
	s.metrics.shut.Store(true)
	// Twice the length of a step after its end it would be over in any other case.
	s.until("the step to be overdue", func(context.Context) (bool, string, error) {
		r, _ := s.record(s.production())
		if !onStep(0)(r) {
			return false, "", fmt.Errorf("%w: it went to %s, step %d: %s", errBroken, r.Phase, r.Rollout.Step, r.Reason)
		}
		overdue := !r.Rollout.StepEnds.IsZero() && time.Now().After(r.Rollout.StepEnds.Add(3*r.Rollout.Plan.Interval))
		return overdue, r.Reason, nil
	})
	assert.Equal(t, 20, s.candidateShare())
	s.metrics.shut.Store(false)
	s.awaitSettled(s.production(), good)
	s.neverOverExposed(t, s.production())
	assert.Empty(t, s.ownCommits())
}

func TestARolloutNeedsNeitherForgeNorGit(t *testing.T) {
	t.Parallel()
	s := newScene(t, []string{"alone"})
	s.begin()
	s.promote(s.forge, good)
	s.await(s.production(), "at the first step", onStep(0))
	back := s.away()
	r := s.awaitStable(s.production(), good)
	assert.NotEmpty(t, r.Owed, "the evidence cannot be written yet")
	back()
	s.awaitSettled(s.production(), good)

	merge := s.promote(s.forge, bad)
	s.await(s.production(), "at the first step", onStep(0))
	back = s.away()
	r = s.await(s.production(), "back, and owing git its commit", func(r release.Record) bool {
		return r.Phase == release.Restoring && len(r.Owed) > 0
	})
	assert.Equal(t, 100, s.share(r.Stable.ID), "traffic does not wait for git")
	back()
	s.awaitSettled(s.production(), good)
	rolledBackOnce(s, merge)
	assert.ElementsMatch(t, []string{"rollout: stable", "rollout: stable", "rollout: rolled-back", "hold: held"},
		s.evidence(s.production()))
}

func TestWithoutTheForgeAPromotionWaits(t *testing.T) {
	t.Parallel()
	s := newScene(t, []string{"patient"})
	s.begin()
	pr := s.propose(s.forge, good)
	s.forge.server.Inject(forgetest.Fault{Status: http.StatusServiceUnavailable})
	s.approveAndMerge(s.forge, pr)
	asked := func() int { return s.forge.server.Requests()["GET /repos/{owner}/{repo}/commits/{ref}/pulls"] }
	r := s.await(s.production(), "waiting for the forge", func(r release.Record) bool {
		return r.Phase == release.Pending && len(r.Gates) > 0
	})
	before := asked()
	s.until("the forge to be asked again", func(context.Context) (bool, string, error) {
		return asked() > before, fmt.Sprint(s.forge.server.Requests()), nil
	})
	again, _ := s.record(s.production())
	assert.Equal(t, release.Pending, again.Phase, "no answer is neither yes nor no")
	for _, g := range r.Gates {
		assert.NotEqual(t, "fail", g.Verdict, "%s: %s", g.Name, g.Reason)
	}
	s.forge.server.ClearFaults()
	s.awaitSettled(s.production(), good)
	assert.Empty(t, s.ownCommits())
}

func onStep(n int) func(release.Record) bool {
	return func(r release.Record) bool { return r.Phase == release.Progressing && r.Rollout.Step == n }
}

// candidateShare is what the route gives the candidate of the newest record.
func (s *scene) candidateShare() int {
	s.t.Helper()
	r, _ := s.record(s.production())
	require.NotNil(s.t, r.Candidate)
	return s.share(r.Candidate.Revision.ID)
}
