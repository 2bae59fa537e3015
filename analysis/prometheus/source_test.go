package prometheus_test

import (
	"compress/gzip"
	"context"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/analysis"
	"github.com/sluice-cd/sluice/analysis/prometheus"
)

var instant = time.Unix(1_700_000_000, 0)

// queries whose names are their own answers' keys.
func queries() prometheus.Queries {
	return prometheus.Queries{Requests: "requests", Errors: "errors", PodLabel: "pod"}
}

// server answers every request with the handler.
func server(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func source(t *testing.T, c prometheus.Config) *prometheus.Source {
	t.Helper()
	s, err := prometheus.New(c)
	require.NoError(t, err)
	return s
}

// vector is a complete answer to an instant query.
func vector(samples ...string) string {
	return `{"status":"success","data":{"resultType":"vector","result":[` + strings.Join(samples, ",") + `]}}`
}

func sample(pod, value string) string {
	return fmt.Sprintf(`{"metric":{"pod":%q},"value":[1700000000,%q]}`, pod, value)
}

func answer(body map[string]string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(body[r.FormValue("query")])) }
}

func TestSnapshotReadsOneValuePerPodAndClass(t *testing.T) {
	var mu sync.Mutex
	var asked []string
	s := server(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked = append(asked, r.URL.Path+" "+r.FormValue("query")+" "+r.FormValue("time")+" "+r.FormValue("limit"))
		mu.Unlock()
		answer(map[string]string{
			"requests": vector(sample("a", "120"), sample("b", "30")),
			"errors":   vector(sample("b", "3")),
			"aborted":  vector(),
		})(w, r)
	})
	q := queries()
	q.Aborted = "aborted"
	got, err := source(t, prometheus.Config{URL: s.URL + "/prom/", MaxSeries: 7}).Snapshot(t.Context(), q, instant.Add(123*time.Microsecond))
	require.NoError(t, err)
	assert.Equal(t, analysis.Snapshot{At: instant, Series: []analysis.Series{
		{Pod: "a", Class: analysis.Total, Value: 120},
		{Pod: "b", Class: analysis.Total, Value: 30},
		{Pod: "b", Class: analysis.Failed, Value: 3},
	}}, got)
	assert.Equal(t, []string{
		"/prom/api/v1/query requests 1700000000 8",
		"/prom/api/v1/query errors 1700000000 8",
		"/prom/api/v1/query aborted 1700000000 8",
	}, asked)
}

func TestAnAnswerWithoutCountersIsAnEmptySnapshot(t *testing.T) {
	s := server(t, answer(map[string]string{"requests": vector(), "errors": vector()}))
	got, err := source(t, prometheus.Config{URL: s.URL}).Snapshot(t.Context(), queries(), instant)
	require.NoError(t, err)
	assert.Empty(t, got.Series)

	one := analysis.Pods{Since: instant}
	tick := analysis.Measure(got, analysis.Snapshot{At: instant.Add(time.Minute)}, one, one, analysis.Situation{})
	v := analysis.Judge(analysis.Input{
		Metric: analysis.Metric{Kind: analysis.ErrorRate, Share: 1}, Limits: analysis.DefaultLimits(), Steps: 1, Ticks: []analysis.Tick{tick},
	})
	assert.Equal(t, analysis.MetricsDown, v.Outcome)
}

func TestAHostileAnswerHasAReasonAndNoCounts(t *testing.T) {
	many := make([]string, 12)
	for i := range many {
		many[i] = sample(fmt.Sprint("pod-", i), "1")
	}
	for name, c := range map[string]struct {
		status int
		body   string
		want   analysis.Unknown
	}{
		"query error":          {400, `{"status":"error","errorType":"bad_data","error":"parse error"}`, analysis.Unreachable},
		"execution error":      {422, `{"status":"error","errorType":"execution","error":"too many samples"}`, analysis.Unreachable},
		"error with 200":       {200, `{"status":"error","errorType":"internal","error":"no"}`, analysis.Unreachable},
		"server's own timeout": {422, `{"status":"error","errorType":"timeout","error":"query timed out"}`, analysis.TimedOut},
		"broken gateway":       {502, `<html>secret page</html>`, analysis.Unreachable},
		"not allowed":          {401, `who are you`, analysis.Denied},
		"forbidden":            {403, `not you`, analysis.Denied},
		"redirect":             {302, ``, analysis.Malformed},
		"partial":              {200, `{"status":"success","warnings":["store-3 is away"],"data":{"resultType":"vector","result":[` + sample("a", "1") + `]}}`, analysis.Partial},
		"no body":              {200, ``, analysis.Malformed},
		"no content":           {204, ``, analysis.Malformed},
		"cut off":              {200, vector(sample("a", "1"))[:60], analysis.Malformed},
		"not JSON":             {200, `up 1`, analysis.Malformed},
		"null":                 {200, `null`, analysis.Malformed},
		"a null sample":        {200, vector("null"), analysis.Malformed},
		"no data":              {200, `{"status":"success"}`, analysis.Malformed},
		"a matrix":             {200, `{"status":"success","data":{"resultType":"matrix","result":[]}}`, analysis.Malformed},
		"a scalar":             {200, `{"status":"success","data":{"resultType":"scalar","result":[1700000000,"1"]}}`, analysis.Malformed},
		"a histogram":          {200, vector(`{"metric":{"pod":"a"},"histogram":[1700000000,{"count":"1","sum":"1","buckets":[]}]}`), analysis.Malformed},
		"no pod":               {200, vector(`{"metric":{"instance":"a"},"value":[1700000000,"1"]}`), analysis.Malformed},
		"an endless pod name":  {200, vector(sample(strings.Repeat("a", 300), "1")), analysis.Malformed},
		"a pod twice":          {200, vector(sample("a", "1"), sample("a", "2")), analysis.Malformed},
		"NaN":                  {200, vector(sample("a", "1"), sample("b", "NaN")), analysis.NotANumber},
		"infinite":             {200, vector(sample("a", "+Inf")), analysis.NotANumber},
		"negative":             {200, vector(sample("a", "-1")), analysis.NotACounter},
		"a rate":               {200, vector(sample("a", "0.35")), analysis.NotACounter},
		"beyond exactness":     {200, vector(sample("a", "1e300")), analysis.NotACounter},
		"not a number at all":  {200, vector(sample("a", "many")), analysis.Malformed},
		"an old value":         {200, vector(`{"metric":{"pod":"a"},"value":[1699999000,"1"]}`), analysis.Stale},
		"a future value":       {200, vector(`{"metric":{"pod":"a"},"value":[1700003600,"1"]}`), analysis.Stale},
		"a sample of nothing":  {200, vector(`{"metric":{"pod":"a"}}`), analysis.Stale},
		"too many series":      {200, vector(many...), analysis.TooManySeries},
		"deep nesting":         {200, strings.Repeat("[", 60_000), analysis.Malformed},
		"a huge body":          {200, vector(sample("a", "1") + strings.Repeat(" ", 1<<17)), analysis.TooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			s := server(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", "http://127.0.0.1:1/")
				w.WriteHeader(c.status)
				_, _ = w.Write([]byte(c.body))
			})
			got, err := source(t, prometheus.Config{URL: s.URL, MaxBytes: 1 << 16, MaxSeries: 10}).Snapshot(t.Context(), queries(), instant)
			require.Error(t, err)
			assert.Equal(t, c.want, analysis.ReasonOf(err), err)
			assert.Empty(t, got.Series)
			assert.NotContains(t, err.Error(), "secret page")
			assert.Less(t, len(err.Error()), 500)
		})
	}
}

func TestOneBadAnswerSpoilsTheWholeSnapshot(t *testing.T) {
	s := server(t, answer(map[string]string{"requests": vector(sample("a", "1")), "errors": vector(sample("a", "NaN"))}))
	got, err := source(t, prometheus.Config{URL: s.URL}).Snapshot(t.Context(), queries(), instant)
	assert.Equal(t, analysis.NotANumber, analysis.ReasonOf(err))
	assert.ErrorContains(t, err, "read errors at 2023-11-14T22:13:20Z")
	assert.Empty(t, got.Series)
}

func TestACompressedBombIsCutOff(t *testing.T) {
	s := server(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		for range 64 {
			_, _ = z.Write(make([]byte, 1<<20))
		}
		_ = z.Close()
	})
	_, err := source(t, prometheus.Config{URL: s.URL, MaxBytes: 1 << 16}).Snapshot(t.Context(), queries(), instant)
	assert.Equal(t, analysis.TooLarge, analysis.ReasonOf(err))
}

func TestAServerThatDoesNotAnswerTimesOut(t *testing.T) {
	for name, begin := range map[string]bool{"silent": false, "stops after the headers": true} {
		done := make(chan struct{})
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if begin {
				_, _ = w.Write([]byte(`{"status":`))
				w.(http.Flusher).Flush()
			}
			select {
			case <-r.Context().Done():
			case <-done:
			}
		}))
		_, err := source(t, prometheus.Config{URL: s.URL, Timeout: 50 * time.Millisecond}).Snapshot(t.Context(), queries(), instant)
		close(done)
		s.Close()
		assert.Equal(t, analysis.TimedOut, analysis.ReasonOf(err), name)
	}
}

func TestAServerThatIsAwayIsUnreachable(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	address := s.URL
	s.Close()
	_, err := source(t, prometheus.Config{URL: address}).Snapshot(t.Context(), queries(), instant)
	assert.Equal(t, analysis.Unreachable, analysis.ReasonOf(err))

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = source(t, prometheus.Config{URL: address}).Snapshot(ctx, queries(), instant)
	assert.Equal(t, analysis.Unreachable, analysis.ReasonOf(err))
	assert.ErrorIs(t, err, context.Canceled)
}

func TestAConnectionCutInTheMiddleIsNotAnAnswer(t *testing.T) {
	s := server(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "4096")
		_, _ = w.Write([]byte(vector(sample("a", "1"))))
	})
	_, err := source(t, prometheus.Config{URL: s.URL}).Snapshot(t.Context(), queries(), instant)
	assert.Equal(t, analysis.Unreachable, analysis.ReasonOf(err))
}

func TestTheTokenIsReadForEachRequestAndNeverShown(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(file, []byte("first-secret\n"), 0o600))
	var mu sync.Mutex
	var seen []string
	s := server(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		seen = append(seen, r.Header.Get("Authorization"))
		mu.Unlock()
		w.WriteHeader(http.StatusUnauthorized)
	})
	src := source(t, prometheus.Config{URL: s.URL, TokenFile: file})
	_, err := src.Snapshot(t.Context(), queries(), instant)
	require.Error(t, err)
	assert.NotContains(t, err.Error(), "secret")
	require.NoError(t, os.WriteFile(file, []byte("second-secret"), 0o600))
	_, err = src.Snapshot(t.Context(), queries(), instant)
	require.Error(t, err)
	assert.Equal(t, []string{"Bearer first-secret", "Bearer second-secret"}, seen)

	for _, content := range []string{"", "two\nlines"} {
		require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
		_, err = src.Snapshot(t.Context(), queries(), instant)
		assert.Equal(t, analysis.Denied, analysis.ReasonOf(err))
	}
	require.NoError(t, os.Remove(file))
	_, err = src.Snapshot(t.Context(), queries(), instant)
	assert.Equal(t, analysis.Denied, analysis.ReasonOf(err))
	assert.Len(t, seen, 2, "nothing is sent without the token")
}

func TestATokenDoesNotFollowARedirect(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(file, []byte("secret"), 0o600))
	thief := server(t, func(http.ResponseWriter, *http.Request) { t.Error("the redirect was followed") })
	s := server(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, thief.URL+r.URL.Path, http.StatusTemporaryRedirect)
	})
	_, err := source(t, prometheus.Config{URL: s.URL, TokenFile: file}).Snapshot(t.Context(), queries(), instant)
	assert.Error(t, err)
}

func TestAProxyThatForbidsPostIsAskedWithGet(t *testing.T) {
	s := server(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		answer(map[string]string{"requests": vector(sample("a", "1")), "errors": vector()})(w, r)
	})
	got, err := source(t, prometheus.Config{URL: s.URL}).Snapshot(t.Context(), queries(), instant)
	require.NoError(t, err)
	assert.Len(t, got.Series, 1)
}

func TestTheServersCertificateIsCheckedAgainstTheGivenAuthority(t *testing.T) {
	s := httptest.NewTLSServer(answer(map[string]string{"requests": vector(sample("a", "1")), "errors": vector()}))
	t.Cleanup(s.Close)
	_, err := source(t, prometheus.Config{URL: s.URL}).Snapshot(t.Context(), queries(), instant)
	assert.Equal(t, analysis.Unreachable, analysis.ReasonOf(err))

	file := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600))
	_, err = source(t, prometheus.Config{URL: s.URL, CAFile: file}).Snapshot(t.Context(), queries(), instant)
	assert.NoError(t, err)
}

func TestConfigurationsThatCannotWorkOrHoldSecretsAreRefused(t *testing.T) {
	dir := t.TempDir()
	notCA := filepath.Join(dir, "ca.pem")
	require.NoError(t, os.WriteFile(notCA, []byte("hello"), 0o600))
	for name, c := range map[string]prometheus.Config{
		"no address":      {},
		"not a URL":       {URL: "http://u:hunter2@ho st/"},
		"other scheme":    {URL: "ftp://host/"},
		"no host":         {URL: "http:///prom"},
		"credentials":     {URL: "https://u:hunter2@host/"},
		"secret in query": {URL: "https://host/?token=hunter2"},
		"fragment":        {URL: "https://host/#hunter2"},
		"no CA":           {URL: "https://host/", CAFile: filepath.Join(dir, "none")},
		"not a CA":        {URL: "https://host/", CAFile: notCA},
		"negative":        {URL: "https://host/", MaxSeries: -1},
	} {
		_, err := prometheus.New(c)
		require.Error(t, err, name)
		assert.NotContains(t, err.Error(), "hunter2", name)
		assert.Contains(t, err.Error(), "configure prometheus", name)
	}
}

func TestHistoryReadsEveryInstantOfARange(t *testing.T) {
	matrix := func(series ...string) string {
		return `{"status":"success","data":{"resultType":"matrix","result":[` + strings.Join(series, ",") + `]}}`
	}
	body := map[string]string{
		"requests": matrix(
			`{"metric":{"pod":"a"},"values":[[1700000000,"10"],[1700000030,"20"],[1700000060,"30"]]}`,
			`{"metric":{"pod":"b"},"values":[[1700000030,"5"]]}`),
		"errors": matrix(`{"metric":{"pod":"a"},"values":[[1700000060,"1"]]}`),
	}
	s := server(t, func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "/api/v1/query_range", r.URL.Path)
		answer(body)(w, r)
	})
	src := source(t, prometheus.Config{URL: s.URL})
	got, err := src.History(t.Context(), queries(), instant, instant.Add(time.Minute), 30*time.Second)
	require.NoError(t, err)
	require.Len(t, got, 3)
	assert.True(t, got[1].At.Equal(instant.Add(30*time.Second)))
	assert.Equal(t, []analysis.Series{{Pod: "a", Value: 20}, {Pod: "b", Value: 5}}, got[1].Series)
	assert.Len(t, got[2].Series, 2)

	for name, c := range map[string]struct {
		series string
		want   analysis.Unknown
	}{
		"NaN":         {`{"metric":{"pod":"a"},"values":[[1700000000,"NaN"]]}`, analysis.NotANumber},
		"disorder":    {`{"metric":{"pod":"a"},"values":[[1700000030,"1"],[1700000000,"1"]]}`, analysis.Malformed},
		"no pod":      {`{"metric":{},"values":[[1700000000,"1"]]}`, analysis.Malformed},
		"null":        {`null`, analysis.Malformed},
		"a histogram": {`{"metric":{"pod":"a"},"histograms":[[1700000000,{"count":"1","sum":"1","buckets":[]}]]}`, analysis.Malformed},
	} {
		body["requests"] = matrix(c.series)
		_, err = src.History(t.Context(), queries(), instant, instant.Add(time.Minute), 30*time.Second)
		assert.Equal(t, c.want, analysis.ReasonOf(err), name)
	}
	body["requests"] = vector(sample("a", "1"))
	_, err = src.History(t.Context(), queries(), instant, instant.Add(time.Minute), 30*time.Second)
	assert.Equal(t, analysis.Malformed, analysis.ReasonOf(err))

	for _, every := range []time.Duration{0, -time.Second, time.Microsecond, time.Millisecond} {
		_, err = src.History(t.Context(), queries(), instant, instant.Add(time.Minute), every)
		assert.ErrorContains(t, err, "is not 1 to 1000 instants")
	}
}

// FuzzSnapshot holds the decoder to its promise: counters that can be counted, or
// an error with a reason.
func FuzzSnapshot(f *testing.F) {
	f.Add([]byte(vector(sample("a", "12"), sample("b", "0"))))
	f.Add([]byte(vector(sample("a", "NaN"))))
	f.Add([]byte(vector(`{"metric":{"pod":"a"},"value":[1e400,"1"]}`)))
	f.Add([]byte(vector(`{"metric":{"pod":"a"},"histogram":[1700000000,{}]}`)))
	f.Add([]byte(`{"status":"success","data":{"resultType":"string","result":[1700000000,"x"]}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		rec := roundTrip(body)
		s := httptest.NewServer(rec)
		defer s.Close()
		src, err := prometheus.New(prometheus.Config{URL: s.URL, MaxBytes: 1 << 20, MaxSeries: 100})
		require.NoError(t, err)
		snap, err := src.Snapshot(t.Context(), queries(), instant)
		if err != nil {
			var read *analysis.ReadError
			require.ErrorAs(t, err, &read)
			assert.NotEmpty(t, read.Reason)
			return
		}
		later := analysis.Snapshot{At: snap.At.Add(time.Minute), Series: snap.Series}
		_, err = analysis.Delta(snap, later, analysis.Pods{Since: snap.At, AllNew: true})
		assert.NoError(t, err)
	})
}

func roundTrip(body []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) })
}
