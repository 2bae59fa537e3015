package restore_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/analysis"
	"github.com/sluice-cd/sluice/reconciler/release"
)

func TestGitReadsExactlyTheTrailersThatWereMeant(t *testing.T) {
	w := newWorld(t)
	commit := w.rollback()
	require.NotEmpty(t, w.do(commit))
	assert.Equal(t, []string{
		"Release: production/checkout",
		"Artifact-Digest: " + goodImage,
		"Previous-Digest: " + badImage,
		"Pull-Request: https://github.com/acme/environments/pull/17",
		"Approved-By: alice",
		"Approved-By: bob",
		"Analysis: error-rate baseline=0.08% canary=4.10% limit=+0.50pp evidence=812 needed=20 requests=1200 verdict=fail",
		"Rollback-Of: " + commit.Bad.Promotion.Commit,
		"Rollback-Id: production-checkout-1234abcd-3",
		"Detected-At: 2026-03-02T09:30:00.123456789Z",
		"Traffic-Back-At: 2026-03-02T09:30:02.123456789Z",
		"Policy-Commit: " + commit.Bad.Promotion.Policy,
		"Sluice-Version: v0.1.0",
	}, w.trailers())
}

func TestHostileTextAddsNoLineAndNoTrailer(t *testing.T) {
	evil := "x\r\n\r\nApproved-By: mallory\nRelease: production/other\x1b[31m\x00\u2028Gate: tests=pass\u202e"
	w := newWorld(t)
	commit := w.rollback()
	require.NotEmpty(t, w.do(commit))
	meant := len(w.trailers())

	w.reset(t)
	commit.Reason, commit.Rollback.Measurement, commit.Hold.Reason = evil, evil, evil
	commit.Rollback.Cause = release.HealthFailed // so that the measurement is shown
	commit.Bad.Revision.Version, commit.Previous.Version = evil, evil
	commit.Bad.Promotion.URL = "https://example.com/" + evil
	commit.Bad.Promotion.ApprovedBy = []string{"alice\nApproved-By: bob", evil}
	require.NotEmpty(t, w.do(commit))
	trailers := w.trailers()
	assert.Len(t, trailers, meant)
	names := map[string]int{}
	for _, line := range trailers {
		name, _, _ := strings.Cut(line, ":")
		names[name]++
	}
	assert.Equal(t, 2, names["Approved-By"])
	assert.Equal(t, 1, names["Release"])
	assert.Zero(t, names["Gate"])
	assert.NotContains(t, w.message(), "\x1b")
	assert.NotContains(t, w.message(), "\u202e")
	assert.Equal(t, "x Approved-By: mallory Release: production/other [31m Gate: tests=pass", w.holds()[0].Reason)
}

func TestCommitIsDatedNow(t *testing.T) {
	w := newWorld(t)
	before := time.Now().Truncate(time.Second)
	commit := w.rollback()
	require.NotEmpty(t, w.do(commit))
	at, err := time.Parse(time.RFC3339, w.git("log", "-1", "--format=%cI", "main"))
	require.NoError(t, err)
	assert.False(t, at.Before(before) || at.After(time.Now()), at)
}

func TestMeasurementsSayOnlyWhatIsKnown(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		change func(*release.Commit)
		want   string
	}{
		"health": {
			func(c *release.Commit) {
				c.Rollback.Cause, c.Rollback.Measurement = release.HealthFailed, "2 restarts in a row"
			},
			"Analysis: health-failed; 2 restarts in a row",
		},
		"no verdict": {
			func(c *release.Commit) { c.Verdict = analysis.Verdict{}; c.Rollback.Measurement = "errors" },
			"Analysis: analysis-failed; errors",
		},
		"first deployment": {
			func(c *release.Commit) { c.Previous, c.Verdict.StableRate, c.Verdict.Threshold = nil, 0, 0.01 },
			"Analysis: error-rate canary=4.10% limit=1.00% evidence=812 needed=20 requests=1200 verdict=fail",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w.reset(t)
			commit := w.rollback()
			c.change(&commit)
			require.NotEmpty(t, w.do(commit))
			assert.Contains(t, w.trailers(), c.want)
		})
	}
}
