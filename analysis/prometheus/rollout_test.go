package prometheus_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/analysis"
	"github.com/sluice-cd/sluice/analysis/prometheus"
)

const stablePod, candidatePod = "checkout-11aa22bb-x", "checkout-7f3a9c1e-y"

// counting answers like a server that scrapes two pods: stable serves 19 requests
// a second and fails one in a hundred; the candidate is born with its first
// request a minute after the instant, serves one a second, and fails as often as
// it is told to.
func counting(candidateFails float64) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		unix, _ := strconv.ParseFloat(r.FormValue("time"), 64)
		age := int64(unix) - instant.Unix()
		stable, candidate := 1_000_000+19*age, age-60
		if strings.Contains(r.FormValue("query"), "5..") {
			stable, candidate = stable/100, int64(float64(candidate)*candidateFails)
		}
		samples := []string{at(unix, stablePod, stable)}
		if candidate > 0 {
			samples = append(samples, at(unix, candidatePod, candidate))
		}
		if strings.Contains(r.FormValue("query"), "499") {
			samples = nil
		}
		_, _ = w.Write([]byte(vector(samples...)))
	}
}

func at(unix float64, pod string, value int64) string {
	return fmt.Sprintf(`{"metric":{"pod":%q},"value":[%f,"%d"]}`, pod, unix, value)
}

// judge reads and judges five minutes of a five per cent step, as the loop would.
func judge(t *testing.T, address string) analysis.Verdict {
	t.Helper()
	src := source(t, prometheus.Config{URL: address})
	preset, err := prometheus.Named("http")
	require.NoError(t, err)
	q, err := preset.Bind(checkout())
	require.NoError(t, err)

	pace := analysis.DefaultPace()
	changed := instant.Add(time.Minute)
	stable := analysis.Pods{Prefix: "checkout-11aa22bb-", Since: instant, WarmUp: pace.WarmUp}
	candidate := analysis.Pods{Prefix: "checkout-7f3a9c1e-", Since: instant, WarmUp: pace.WarmUp, AllNew: true}
	in := analysis.Input{
		Metric: analysis.Metric{Kind: analysis.ErrorRate, Share: 0.5},
		Limits: analysis.DefaultLimits(),
		Steps:  3, Need: 5 * time.Minute,
	}
	var last time.Time
	for now := changed; now.Before(changed.Add(6 * time.Minute)); now = now.Add(5 * time.Second) {
		from, to, ok := pace.Next(last, changed, now)
		if !ok {
			continue
		}
		prev, err := src.Snapshot(t.Context(), q, from)
		require.NoError(t, err)
		cur, err := src.Snapshot(t.Context(), q, to)
		require.NoError(t, err)
		in.Ticks = append(in.Ticks, analysis.Measure(prev, cur, stable, candidate,
			analysis.Situation{Weight: 0.05, Steered: true, Up: true}))
		last = to
	}
	return analysis.Judge(in)
}

func TestACandidateIsJudgedByWhatPrometheusCounts(t *testing.T) {
	good := judge(t, server(t, counting(0.01)).URL)
	assert.Equal(t, analysis.Pass, good.Outcome, good.Reason)
	assert.Equal(t, 5*time.Minute, good.JudgedFor)
	assert.Equal(t, int64(300), good.Candidate.Requests)
	assert.Equal(t, int64(5700), good.Stable.Requests)

	bad := judge(t, server(t, counting(0.2)).URL)
	assert.Equal(t, analysis.Fail, bad.Outcome, bad.Reason)
	assert.Less(t, bad.JudgedFor, 3*time.Minute)
	t.Log(bad.Reason)

	renamed := judge(t, server(t, func(w http.ResponseWriter, r *http.Request) {
		unix, _ := strconv.ParseFloat(r.FormValue("time"), 64)
		value := 19 * (int64(unix) - instant.Unix())
		if !strings.Contains(r.FormValue("query"), "code") {
			_, _ = w.Write([]byte(vector(at(unix, stablePod, value))))
			return
		}
		_, _ = w.Write([]byte(vector()))
	}).URL)
	assert.Equal(t, analysis.CandidateSilent, renamed.Outcome, renamed.Reason)
}
