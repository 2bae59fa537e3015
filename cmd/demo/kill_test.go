package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource/gittest"
	"github.com/sluice-cd/sluice/reconciler/release"
)

func TestKilledAtEveryChangeTheSameRolloutGoesOn(t *testing.T) {
	t.Parallel()
	s := newScene(t, []string{"steps"})
	s.begin()
	survives(s, s.killAtEveryChange)
}

func TestKilledAtRandomMomentsTheSameRolloutGoesOn(t *testing.T) {
	t.Parallel()
	s := newScene(t, []string{"random"})
	s.begin()
	survives(s, s.killAtRandom)
}

// survives plays a good and a bad promotion under a killer and checks that both
// end as they do without one.
func survives(s *scene, kills func(done func(release.Record) bool) int) {
	t := s.t
	before, _ := s.record(s.production())

	s.promote(s.forge, good)
	n := kills(func(r release.Record) bool {
		return r.Phase == release.Stable && runs(r.Stable, good) && len(r.Owed) == 0
	})
	after := s.awaitSettled(s.production(), good)
	assert.Equal(t, before.Attempt+1, after.Attempt, "a restart began the rollout anew")
	assert.Empty(t, s.ownCommits(), "nothing had to be put right in git")

	merge := s.promote(s.forge, bad)
	n += kills(func(r release.Record) bool {
		return r.Phase == release.Stable && len(r.Holds) == 1 && r.Holds[0].InGit && len(r.Owed) == 0
	})
	t.Logf("the daemon was killed %d times", n)
	after = s.awaitSettled(s.production(), good)
	assert.Equal(t, before.Attempt+2, after.Attempt, "a restart began the rollout anew")
	rolledBackOnce(s, merge)

	s.neverOverExposed(t, s.production())
	s.neverRepeated(t, s.production())
	assert.ElementsMatch(t, []string{"rollout: stable", "rollout: stable", "rollout: rolled-back", "hold: held"},
		s.evidence(s.production()))
}

// rolledBackOnce checks the one commit that Sluice wrote for a bad merge.
func rolledBackOnce(s *scene, merge string) {
	t := s.t
	t.Helper()
	commits := s.ownCommits()
	require.Len(t, commits, 1, "one rollback is one commit")
	message := s.git("log", "-1", "--format=%B", commits[0])
	assert.Equal(t, 1, strings.Count(message, "\nRollback-Id: "))
	assert.Contains(t, message, "Rollback-Of: "+merge)
	path := s.forge.path("production", "release.yaml")
	assert.Equal(t, s.git("show", merge+"^1:"+path), s.file(s.forge, path), "the release file is what it was, byte for byte")
	control := s.file(s.forge, s.forge.path("production", "control.yaml"))
	assert.Equal(t, 1, strings.Count(control, bad.Digest), "one hold:\n%s", control)
}

// killAtEveryChange kills the daemon whenever the production record has another
// phase, step or debt, once while a push is accepted and not yet answered, and
// starts it again each time.
func (s *scene) killAtEveryChange(done func(release.Record) bool) (kills int) {
	pushed := s.killAfterPush()
	seen := map[string]bool{}
	for {
		news := s.news()
		r, _ := s.record(s.production())
		switch at := moment(r); {
		case done(r):
			s.forge.environments.Git().ClearFaults()
			return kills
		case !seen[at]:
			seen[at] = true
			s.kill()
			kills++
			s.start()
			continue
		}
		select {
		case <-news:
		case <-pushed:
			s.kill()
			kills++
			s.start()
		case <-s.t.Context().Done():
			require.NoError(s.t, s.t.Context().Err())
		case <-time.After(patience):
			require.FailNow(s.t, "nothing moves", "after %d kills: %s", kills, s.explanation(s.production()))
		}
	}
}

// moment tells apart the states at which the daemon is killed.
func moment(r release.Record) string {
	var owed []string
	for _, i := range r.Owed {
		owed = append(owed, i.ID)
	}
	return fmt.Sprint(r.Attempt, r.Phase, r.Rollout.Step, r.Rollout.StepBegan.IsZero(), owed)
}

// killAfterPush lets the next push to the repository succeed and never answers it:
// whoever receives has to kill the daemon.
func (s *scene) killAfterPush() <-chan struct{} {
	pushed := make(chan struct{})
	git := s.forge.environments.Git()
	git.Inject(gittest.Fault{On: gittest.Push, Times: 1, Answer: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		git.Handler().ServeHTTP(httptest.NewRecorder(), r)
		select {
		case pushed <- struct{}{}:
		case <-r.Context().Done():
		}
		<-r.Context().Done()
	})})
	return pushed
}

// killAtRandom kills the daemon again and again, after up to three seconds each.
func (s *scene) killAtRandom(done func(release.Record) bool) (kills int) {
	seed := uint64(time.Now().UnixNano())
	s.t.Logf("random seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	timer := time.NewTimer(0)
	defer timer.Stop()
	for began := time.Now(); ; {
		news := s.news()
		if r, _ := s.record(s.production()); done(r) {
			return kills
		}
		select {
		case <-news:
		case <-timer.C:
			s.kill()
			kills++
			s.start()
			timer.Reset(time.Duration(random.Int64N(int64(3 * time.Second))))
		case <-s.t.Context().Done():
			require.NoError(s.t, s.t.Context().Err())
		}
		require.Less(s.t, time.Since(began), patience, "after %d kills: %s", kills, s.explanation(s.production()))
	}
}
