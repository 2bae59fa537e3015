package main

import (
	"fmt"
	"slices"

	jsoniter "github.com/json-iterator/go"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/util/jsonutil"
)

// encodeData writes a query's result as a Prometheus server does. The engine's
// types have JSON encodings of their own, but they write very large and very small
// numbers differently from the server.
func encodeData(v parser.Value) ([]byte, error) {
	s := jsoniter.NewStream(jsoniter.ConfigCompatibleWithStandardLibrary, nil, 512)
	s.WriteObjectStart()
	s.WriteObjectField("resultType")
	s.WriteString(string(v.Type()))
	s.WriteMore()
	s.WriteObjectField("result")
	switch value := v.(type) {
	case promql.Vector:
		list(s, value, writeSample)
	case promql.Matrix:
		list(s, value, writeSeries)
	case promql.Scalar:
		writePoint(s, value.T, value.V, nil)
	case promql.String:
		s.WriteArrayStart()
		jsonutil.MarshalTimestamp(value.T, s)
		s.WriteMore()
		s.WriteString(value.V)
		s.WriteArrayEnd()
	default:
		return nil, fmt.Errorf("encode result: unexpected type %T", v)
	}
	s.WriteObjectEnd()
	if s.Error != nil {
		return nil, fmt.Errorf("encode result: %w", s.Error)
	}
	return slices.Clone(s.Buffer()), nil
}

// list writes an array, which is never null.
func list[T any](s *jsoniter.Stream, items []T, write func(*jsoniter.Stream, T)) {
	s.WriteArrayStart()
	for i, item := range items {
		if i > 0 {
			s.WriteMore()
		}
		write(s, item)
	}
	s.WriteArrayEnd()
}

func writeSample(s *jsoniter.Stream, sample promql.Sample) {
	s.WriteObjectStart()
	writeMetric(s, sample.Metric)
	s.WriteMore()
	if sample.H == nil {
		s.WriteObjectField("value")
	} else {
		s.WriteObjectField("histogram")
	}
	writePoint(s, sample.T, sample.F, sample.H)
	s.WriteObjectEnd()
}

func writeSeries(s *jsoniter.Stream, series promql.Series) {
	s.WriteObjectStart()
	writeMetric(s, series.Metric)
	if len(series.Floats) > 0 {
		s.WriteMore()
		s.WriteObjectField("values")
		list(s, series.Floats, func(s *jsoniter.Stream, p promql.FPoint) { writePoint(s, p.T, p.F, nil) })
	}
	if len(series.Histograms) > 0 {
		s.WriteMore()
		s.WriteObjectField("histograms")
		list(s, series.Histograms, func(s *jsoniter.Stream, p promql.HPoint) { writePoint(s, p.T, 0, p.H) })
	}
	s.WriteObjectEnd()
}

func writeMetric(s *jsoniter.Stream, metric labels.Labels) {
	s.WriteObjectField("metric")
	s.WriteObjectStart()
	first := true
	metric.Range(func(l labels.Label) {
		if !first {
			s.WriteMore()
		}
		first = false
		s.WriteObjectField(l.Name)
		s.WriteString(l.Value)
	})
	s.WriteObjectEnd()
}

// writePoint writes [seconds, "value"], or [seconds, histogram] when h is given.
func writePoint(s *jsoniter.Stream, millis int64, value float64, h *histogram.FloatHistogram) {
	s.WriteArrayStart()
	jsonutil.MarshalTimestamp(millis, s)
	s.WriteMore()
	if h == nil {
		jsonutil.MarshalFloat(value, s)
	} else {
		jsonutil.MarshalHistogram(h, s)
	}
	s.WriteArrayEnd()
}
