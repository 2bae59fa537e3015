package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	jsoniter "github.com/json-iterator/go"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"
)

const (
	// maxPoints is Prometheus's limit for one series of a range query.
	maxPoints = 11_000
	// maxAnnotations is how many warnings and infos an answer carries.
	maxAnnotations = 10
	// statusClientClosed is what Prometheus answers to a cancelled query.
	statusClientClosed = 499
)

// queryAPI serves the two query endpoints with the parameters, answers and errors
// of a Prometheus server. Of the optional parameters, stats is refused.
func queryAPI(engine *promql.Engine, store storage.Queryable) http.Handler {
	api := &querier{engine: engine, store: store}
	mux := http.NewServeMux()
	healthy := func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "Prometheus Server is Ready.") }
	mux.HandleFunc("GET /-/ready", healthy)
	for _, method := range []string{"GET ", "POST "} {
		mux.Handle(method+"/api/v1/query", answer(api.instant))
		mux.Handle(method+"/api/v1/query_range", answer(api.over))
	}
	return mux
}

type querier struct {
	engine *promql.Engine
	store  storage.Queryable
}

// response is the envelope of every answer.
type response struct {
	Status    string              `json:"status"`
	Data      jsoniter.RawMessage `json:"data,omitempty"`
	ErrorType string              `json:"errorType,omitempty"`
	Error     string              `json:"error,omitempty"`
	Warnings  []string            `json:"warnings,omitempty"`
	Infos     []string            `json:"infos,omitempty"`
}

// badParameter is a request that was refused before it was evaluated.
type badParameter struct {
	name string
	err  error
}

func (b badParameter) Error() string { return fmt.Sprintf("invalid parameter %q: %s", b.name, b.err) }
func (b badParameter) Unwrap() error { return b.err }

func answer(evaluate func(*http.Request) (parser.Value, annotations.Annotations, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		value, notes, err := evaluate(r)
		status, resp := http.StatusOK, response{Status: "success"}
		if err != nil {
			status, resp = failure(err)
		} else if resp.Data, err = encodeData(value); err != nil {
			status, resp = failure(promql.ErrStorage{Err: err})
		}
		if resp.Status == "success" {
			resp.Warnings, resp.Infos = notes.AsStrings(r.FormValue("query"), maxAnnotations, maxAnnotations)
		}
		body, err := jsoniter.ConfigCompatibleWithStandardLibrary.Marshal(resp)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write(body) // a client that is gone needs no answer
	})
}

// failure maps an error to Prometheus's HTTP status and errorType.
func failure(err error) (int, response) {
	status, kind := http.StatusUnprocessableEntity, "execution"
	var bad badParameter
	var cancelled promql.ErrQueryCanceled
	var timedOut promql.ErrQueryTimeout
	var broken promql.ErrStorage
	switch {
	case errors.As(err, &bad):
		status, kind = http.StatusBadRequest, "bad_data"
	case errors.As(err, &cancelled), errors.Is(err, context.Canceled):
		status, kind = statusClientClosed, "canceled"
	case errors.As(err, &timedOut):
		status, kind = http.StatusServiceUnavailable, "timeout"
	case errors.As(err, &broken):
		status, kind = http.StatusInternalServerError, "internal"
	}
	return status, response{Status: "error", ErrorType: kind, Error: err.Error()}
}

func (q *querier) instant(r *http.Request) (parser.Value, annotations.Annotations, error) {
	at := time.Now()
	if text := r.FormValue("time"); text != "" {
		parsed, err := parseTime(text)
		if err != nil {
			return nil, nil, badParameter{"time", err}
		}
		at = parsed
	}
	return q.evaluate(r, func(ctx context.Context, o promql.QueryOpts) (promql.Query, error) {
		return q.engine.NewInstantQuery(ctx, q.store, o, r.FormValue("query"), at)
	})
}

func (q *querier) over(r *http.Request) (parser.Value, annotations.Annotations, error) {
	start, err := parseTime(r.FormValue("start"))
	if err != nil {
		return nil, nil, badParameter{"start", err}
	}
	end, err := parseTime(r.FormValue("end"))
	if err != nil {
		return nil, nil, badParameter{"end", err}
	}
	if end.Before(start) {
		return nil, nil, badParameter{"end", errors.New("end timestamp must not be before start time")}
	}
	step, err := parseDuration(r.FormValue("step"))
	if err != nil {
		return nil, nil, badParameter{"step", err}
	}
	if step <= 0 {
		return nil, nil, badParameter{"step", errors.New("zero or negative query resolution step widths are not accepted. Try a positive integer")}
	}
	if end.Sub(start)/step > maxPoints {
		return nil, nil, badParameter{"step", fmt.Errorf("exceeded maximum resolution of %d points per timeseries", maxPoints)}
	}
	return q.evaluate(r, func(ctx context.Context, o promql.QueryOpts) (promql.Query, error) {
		return q.engine.NewRangeQuery(ctx, q.store, o, r.FormValue("query"), start, end, step)
	})
}

// evaluate runs the query that prepare makes.
func (q *querier) evaluate(r *http.Request, prepare func(context.Context, promql.QueryOpts) (promql.Query, error)) (parser.Value, annotations.Annotations, error) {
	if r.FormValue("stats") != "" {
		return nil, nil, badParameter{"stats", errors.New("not supported here")}
	}
	limit, err := parseLimit(r.FormValue("limit"))
	if err != nil {
		return nil, nil, badParameter{"limit", err}
	}
	ctx := r.Context()
	if text := r.FormValue("timeout"); text != "" {
		timeout, err := parseDuration(text)
		if err != nil {
			return nil, nil, badParameter{"timeout", err}
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	var lookback time.Duration // zero means the engine's
	if text := r.FormValue("lookback_delta"); text != "" {
		parsed, err := parseDuration(text)
		if err != nil {
			return nil, nil, badParameter{"lookback_delta", err}
		}
		lookback = parsed
	}
	query, err := prepare(ctx, promql.NewPrometheusQueryOpts(false, lookback))
	if err != nil {
		return nil, nil, badParameter{"query", err}
	}
	defer query.Close()
	result := query.Exec(ctx)
	if result.Err != nil {
		return nil, nil, result.Err
	}
	value, cut := truncate(detach(result.Value), limit)
	if cut {
		result.Warnings.Add(errTruncated)
	}
	return value, result.Warnings, nil
}

var errTruncated = errors.New("results truncated due to limit")

// parseLimit reads how many series may come back; 0 is all.
func parseLimit(text string) (int, error) {
	if text == "" {
		return 0, nil
	}
	limit, err := strconv.Atoi(text)
	if err != nil || limit < 0 {
		return 0, errors.New("limit must be a non-negative number")
	}
	return limit, nil
}

func truncate(v parser.Value, limit int) (_ parser.Value, cut bool) {
	switch value := v.(type) {
	case promql.Vector:
		if limit > 0 && len(value) > limit {
			return value[:limit], true
		}
	case promql.Matrix:
		if limit > 0 && len(value) > limit {
			return value[:limit], true
		}
	}
	return v, false
}

// detach copies what query.Close gives back to the engine's pools.
func detach(v parser.Value) parser.Value {
	matrix, ok := v.(promql.Matrix)
	if !ok {
		return v
	}
	copied := make(promql.Matrix, len(matrix))
	for i, s := range matrix {
		copied[i] = promql.Series{
			Metric:     s.Metric,
			Floats:     append([]promql.FPoint(nil), s.Floats...),
			Histograms: append([]promql.HPoint(nil), s.Histograms...),
		}
	}
	return copied
}

func parseTime(text string) (time.Time, error) {
	if seconds, err := strconv.ParseFloat(text, 64); err == nil {
		whole, part := math.Modf(seconds)
		// Prometheus counts in milliseconds: a float has no more to give.
		return time.Unix(int64(whole), int64(math.Round(part*1000))*int64(time.Millisecond)).UTC(), nil
	}
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return t, nil
	}
	return time.Time{}, fmt.Errorf("cannot parse %q to a valid timestamp", text)
}

func parseDuration(text string) (time.Duration, error) {
	if seconds, err := strconv.ParseFloat(text, 64); err == nil {
		nanoseconds := seconds * float64(time.Second)
		if nanoseconds > math.MaxInt64 || nanoseconds < math.MinInt64 || math.IsNaN(nanoseconds) {
			return 0, fmt.Errorf("cannot parse %q to a valid duration. It overflows int64", text)
		}
		return time.Duration(nanoseconds), nil
	}
	if d, err := model.ParseDuration(text); err == nil {
		return time.Duration(d), nil
	}
	return 0, fmt.Errorf("cannot parse %q to a valid duration", text)
}
