package release_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/reconciler/release"
)

// replay is the record after a transcript's events, up to a number of them.
func replay(t *testing.T, name string, events int) (release.Record, time.Time) {
	t.Helper()
	script, err := os.ReadFile(filepath.Join("testdata", "next", name+".txt"))
	require.NoError(t, err)
	r, now := release.New(key, t0), t0
	for line := range strings.Lines(string(script)) {
		if !strings.HasPrefix(line, "+") || events == 0 {
			continue
		}
		fields := strings.Fields(line)
		wait, err := time.ParseDuration(fields[0][1:])
		require.NoError(t, err)
		now = now.Add(wait)
		r = release.Next(r, parse(t, r, now, fields[1:]), now)
		events--
	}
	return r, now
}

func TestExplanations(t *testing.T) {
	for _, c := range []struct {
		name, transcript string
		events           int
		phase            release.Phase
	}{
		{"nothing", "canary", 0, release.Stable},
		{"stable", "canary", 2, release.Stable},
		{"stable-held", "bad-canary", 19, release.Stable},
		{"kept", "kept", 3, release.Stable},
		{"pending", "wait-then-pass", 4, release.Pending},
		{"pending-not-asked", "wait-then-pass", 3, release.Pending},
		{"pending-paused", "paused", 5, release.Pending},
		{"rejected", "rejected", 4, release.Rejected},
		{"rejected-left-alone", "rejected-left-alone", 4, release.Rejected},
		{"preparing", "canary", 5, release.Preparing},
		{"preparing-contested", "blocked-cluster", 7, release.Preparing},
		{"progressing-unseen", "canary", 6, release.Progressing},
		{"progressing", "canary", 8, release.Progressing},
		{"progressing-late", "never-measured", 11, release.Progressing},
		{"progressing-silent", "candidate-silent", 8, release.Progressing},
		{"progressing-paused", "paused", 15, release.Progressing},
		{"verifying", "canary", 16, release.Verifying},
		{"verifying-queued", "queued", 18, release.Verifying},
		{"verifying-in-place", "in-place", 6, release.Verifying},
		{"progressing-shared", "shared", 7, release.Progressing},
		{"verifying-shared", "shared-in-place", 8, release.Verifying},
		{"verifying-unmeasured", "first-deployment-unmeasured", 5, release.Verifying},
		{"reverting", "bad-canary", 13, release.Reverting},
		{"progressing-queued", "superseded", 9, release.Progressing},
		{"progressing-refused", "refused-behind-a-rollout", 9, release.Progressing},
		{"reverting-superseded", "superseded", 10, release.Reverting},
		{"restoring", "bad-canary", 14, release.Restoring},
		{"restoring-refused", "commit-refused", 10, release.Restoring},
		{"frozen-baseline", "genesis-differs", 1, release.Frozen},
		{"frozen-prune", "retired", 6, release.Frozen},
		{"removing", "retired", 5, release.Removing},
		{"removed", "retired", 10, release.Removed},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, now := replay(t, c.transcript, c.events)
			require.Equal(t, c.phase, r.Phase)
			e := release.Explain(r, now)
			file := filepath.Join("testdata", "explain", c.name+".txt")
			if *update {
				require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
				require.NoError(t, os.WriteFile(file, []byte(e.Text()), 0o644))
				return
			}
			golden, err := os.ReadFile(file)
			require.NoError(t, err)
			assert.Equal(t, string(golden), e.Text())
		})
	}
}

func TestExplanationIsOneLineWhateverOthersWrote(t *testing.T) {
	r, now := progressing(t)
	r = release.Next(r, release.Kept{Reason: "a\x1b[2J\nsluice: all is well\u2028\u009b31m\ttab"}, now)
	text := release.Explain(r, now).Text()
	assert.Contains(t, text, "a [2J sluice: all is well  31m tab")
	assert.NotContains(t, text, "\x1b")
}

func TestExplanationIsJSONWithTheNumbersOfTheAnalysis(t *testing.T) {
	r, now := replay(t, "canary", 8)
	data, err := json.Marshal(release.Explain(r, now))
	require.NoError(t, err)
	var got map[string]any
	require.NoError(t, json.Unmarshal(data, &got))
	assert.Equal(t, map[string]any{
		"number": 1.0, "of": 4.0, "weight": 5.0, "began": "2026-03-02T09:01:25Z", "ends": "2026-03-02T09:06:25Z",
	}, got["step"])
	assert.Equal(t, "pass", got["verdict"].(map[string]any)["outcome"])
	assert.NotContains(t, got, "windowEnds")
}

func TestExplainSaysUntilWhenThatWaits(t *testing.T) {
	l := adopted(t)
	l.next(release.Wanted{Want: want("v2")})
	e := judged(l.r, release.Wait, canary())
	opens := l.now.Add(15 * time.Hour)
	e.Gates = []release.Gate{
		{Name: "approvals", Verdict: "pass", Reason: "1 of 1"},
		{Name: "soak", Verdict: "wait", Reason: "soaked for 1m", Until: l.now.Add(time.Hour)},
		{Name: "window", Verdict: "wait", Reason: "opens at midnight", Until: opens},
	}
	e.Recheck = l.now.Add(30 * time.Second)
	l.next(e)
	assert.Equal(t, opens, release.Explain(l.r, l.now).At, "the last of them decides")
	e.Gates[1].Until = time.Time{}
	l.now = l.now.Add(time.Minute)
	e.Recheck = l.now.Add(30 * time.Second)
	l.next(e)
	assert.Equal(t, e.Recheck, release.Explain(l.r, l.now).At, "nobody knows when the first one passes")
}
