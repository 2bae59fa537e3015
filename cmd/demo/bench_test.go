package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/reconciler/release"
)

// BenchmarkRollback measures, over ten bad promotions, how long after its decision
// the route gives everything to stable again, and how long until the rollback commit
// is on the remote. Both ends are seen from outside of Sluice.
func BenchmarkRollback(b *testing.B) {
	s := newScene(b, []string{"bench"})
	s.begin()
	tips := s.followTips()
	var traffic, commit []time.Duration
	for b.Loop() {
		for _, a := range worse() {
			detected, back, committed := s.rollBack(a, tips)
			traffic = append(traffic, back.Sub(detected))
			commit = append(commit, committed.Sub(detected))
		}
	}
	b.ReportMetric(p95(traffic), "s-to-stable-p95")
	b.ReportMetric(p95(commit), "s-to-commit-p95")
	b.ReportMetric(0, "ns/op") // the length of the story says nothing
}

// rollBack promotes something bad and says when Sluice decided, when the route was
// back at stable and when the commit arrived.
func (s *scene) rollBack(a artifact, tips *tips) (detected, back, committed time.Time) {
	s.t.Helper()
	known := len(s.ownCommits())
	s.promote(s.forge, a)
	r := s.await(s.production(), "going back", func(r release.Record) bool {
		return r.Rollout.Rollback != nil && runs(&r.Candidate.Revision, a)
	})
	candidate := r.Candidate.Revision.ID
	s.until("the rollback commit", func(context.Context) (bool, string, error) {
		return len(s.ownCommits()) > known, s.explanation(s.production()), nil
	})
	s.awaitSettled(s.production(), first)
	return r.Rollout.Rollback.DetectedAt, s.backAt(candidate), tips.at(s.t, s.ownCommits()[known])
}

// backAt is when the route was first seen without traffic for a candidate that
// had some before.
func (w *witness) backAt(candidate string) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	last := slices.IndexFunc(w.routes, func(r writtenRoute) bool { return r.to(candidate) > 0 })
	for last >= 0 && last < len(w.routes) && w.routes[last].to(candidate) > 0 {
		last++
	}
	if last < 0 || last == len(w.routes) {
		return time.Time{}
	}
	return w.routes[last].at
}

// tips remembers when the branch was first seen at a commit.
type tips struct {
	mu   sync.Mutex // guards the following
	seen map[string]time.Time
}

// followTips looks at the branch's file in the bare repository, which is cheap
// enough to be done all the time.
func (s *scene) followTips() *tips {
	out := &tips{seen: map[string]time.Time{}}
	file := filepath.Join(s.forge.environments.Git().Dir, "refs", "heads", "main")
	ctx := s.t.Context()
	go func() {
		ticker := time.NewTicker(2 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				out.look(file)
			}
		}
	}()
	return out
}

func (t *tips) look(file string) {
	data, err := os.ReadFile(file)
	if err != nil {
		return // it is being replaced
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	tip := strings.TrimSpace(string(data))
	if _, known := t.seen[tip]; !known {
		t.seen[tip] = time.Now()
	}
}

func (t *tips) at(tb testing.TB, commit string) time.Time {
	tb.Helper()
	t.mu.Lock()
	defer t.mu.Unlock()
	require.Contains(tb, t.seen, commit)
	return t.seen[commit]
}

// p95 is the 95th percentile in seconds: with few values the largest.
func p95(values []time.Duration) float64 {
	slices.Sort(values)
	return values[(len(values)*95+99)/100-1].Seconds()
}
