package main

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/reconciler/audit"
	"github.com/sluice-cd/sluice/reconciler/release"
)

// BenchmarkRollback measures, over ten bad promotions, how long after its decision
// Sluice sees that all traffic is at stable again, and how long until the rollback
// commit is on the remote.
func BenchmarkRollback(b *testing.B) {
	s := newScene(b, []string{"bench"})
	s.begin()
	var traffic, commit []time.Duration
	for b.Loop() {
		for _, a := range worse() {
			r := s.rollBack(a)
			traffic = append(traffic, r.TrafficBackAt.Sub(r.DetectedAt))
			commit = append(commit, r.CommittedAt.Sub(r.DetectedAt))
		}
	}
	b.ReportMetric(p95(traffic), "s-to-stable-p95")
	b.ReportMetric(p95(commit), "s-to-commit-p95")
	b.ReportMetric(0, "ns/op") // the length of the story says nothing
}

// rollBack promotes something bad and returns how it was rolled back, as the
// audit branch tells it.
func (s *scene) rollBack(a artifact) release.Rollback {
	s.t.Helper()
	s.promote(s.forge, a)
	var found *release.Rollback
	s.until("evidence of the rollback of "+a.Version, func(context.Context) (bool, string, error) {
		found = s.rollbackOf(a)
		return found != nil, s.explanation(s.production()), nil
	})
	return *found
}

func (s *scene) rollbackOf(a artifact) *release.Rollback {
	s.t.Helper()
	files := s.git("ls-tree", "-r", "--name-only", "sluice/audit", "evidence/"+s.production()+"/")
	for file := range strings.Lines(files) {
		var record audit.Record
		require.NoError(s.t, json.Unmarshal([]byte(s.git("show", "sluice/audit:"+strings.TrimSpace(file))), &record))
		e := record.Spec
		if e.Rollout != nil && e.Rollout.Rollback != nil && runs(&e.Candidate.Revision, a) {
			return e.Rollout.Rollback
		}
	}
	return nil
}

// p95 is the 95th percentile in seconds: with few values the largest.
func p95(values []time.Duration) float64 {
	slices.Sort(values)
	return values[(len(values)*95+99)/100-1].Seconds()
}
