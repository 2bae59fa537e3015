package prometheus

import (
	"math"
	"time"

	"github.com/prometheus/common/model"

	"github.com/sluice-cd/sluice/analysis"
)

const (
	// maxExact is the largest count that a float64 holds exactly.
	maxExact = 1 << 53
	// skew is how far an answer's own time may be from the one asked for. Servers
	// answer for exactly that time; a cache in between may not.
	skew = time.Second
	// maxPodName is Kubernetes's limit.
	maxPodName = 253
)

// appendVector adds one value per pod.
func (s *Source) appendVector(series []analysis.Series, value model.Value, podLabel string, class analysis.Class, at time.Time) ([]analysis.Series, error) {
	vector, ok := value.(model.Vector)
	if !ok {
		return nil, unknown(analysis.Malformed, "answer is not an instant vector")
	}
	seen := make(map[string]bool, len(vector))
	for _, sample := range vector {
		if sample == nil || sample.Histogram != nil {
			return nil, unknown(analysis.Malformed, "sample is not a number")
		}
		pod, err := podOf(sample.Metric, podLabel, seen)
		if err != nil {
			return nil, err
		}
		if off := sample.Timestamp.Time().Sub(at); off < -skew || off > skew {
			return nil, unknown(analysis.Stale, "value of pod %q is of %s", pod, sample.Timestamp.Time().UTC())
		}
		if err := checkCounter(float64(sample.Value), pod); err != nil {
			return nil, err
		}
		series = append(series, analysis.Series{Pod: pod, Class: class, Value: float64(sample.Value)})
	}
	return series, nil
}

// addMatrix adds one value per pod and instant.
func (s *Source) addMatrix(points map[int64][]analysis.Series, value model.Value, podLabel string, class analysis.Class) error {
	matrix, ok := value.(model.Matrix)
	if !ok {
		return unknown(analysis.Malformed, "answer is not a range of vectors")
	}
	seen := make(map[string]bool, len(matrix))
	for _, stream := range matrix {
		if stream == nil || len(stream.Histograms) > 0 {
			return unknown(analysis.Malformed, "series is not one of numbers")
		}
		pod, err := podOf(stream.Metric, podLabel, seen)
		if err != nil {
			return err
		}
		for i, p := range stream.Values {
			if i > 0 && p.Timestamp <= stream.Values[i-1].Timestamp {
				return unknown(analysis.Malformed, "values of pod %q are not in order", pod)
			}
			if err := checkCounter(float64(p.Value), pod); err != nil {
				return err
			}
			ms := int64(p.Timestamp)
			points[ms] = append(points[ms], analysis.Series{Pod: pod, Class: class, Value: float64(p.Value)})
		}
	}
	return nil
}

// podOf is the pod of a series. Two series of one pod mean that the query does
// not sum by pod; taking either would lose counts.
func podOf(labels model.Metric, podLabel string, seen map[string]bool) (string, error) {
	pod := string(labels[model.LabelName(podLabel)])
	switch {
	case pod == "":
		return "", unknown(analysis.Malformed, "series has no label %q", podLabel)
	case len(pod) > maxPodName:
		return "", unknown(analysis.Malformed, "pod name of %d bytes", len(pod))
	case seen[pod]:
		return "", unknown(analysis.Malformed, "pod %q has several series: the query must sum by %s", pod, podLabel)
	}
	seen[pod] = true
	return pod, nil
}

// checkCounter refuses what cannot be the value of a raw counter of events. A
// fraction means that the query is a rate.
func checkCounter(value float64, pod string) error {
	switch {
	case math.IsNaN(value) || math.IsInf(value, 0):
		return unknown(analysis.NotANumber, "value of pod %q", pod)
	case value < 0 || value > maxExact || value != math.Trunc(value):
		return unknown(analysis.NotACounter, "value of pod %q is %v", pod, value)
	}
	return nil
}
