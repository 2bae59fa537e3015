package main

import (
	"maps"
	"path"
	"slices"

	"github.com/sluice-cd/sluice/analysis/prometheus"
	"github.com/sluice-cd/sluice/reconciler/catalog"
	"github.com/sluice-cd/sluice/schemas"
)

// checkMetrics binds each service's error counters as a rollout would, so that a
// misspelled preset is found before something has to be judged with it.
func checkMetrics(found catalog.Catalog) catalog.Problems {
	var problems catalog.Problems
	for _, name := range slices.Sorted(maps.Keys(found.Services)) {
		service := found.Services[name]
		p := schemas.Problem{File: path.Join(catalog.ServicesDir, name, catalog.ServiceFile), Path: "metrics.errors"}
		if service.Metrics.Errors == nil {
			p.Message = "there is no metric of errors"
			p.Remedy = "add metrics.errors: without it a rollout is judged by the health of its pods alone"
			p.Severity = schemas.SeverityWarning
		} else if err := bind(*service.Metrics.Errors); err != nil {
			p.Message, p.Remedy, p.Severity = err.Error(), "correct metrics.errors", schemas.SeverityError
		} else {
			continue
		}
		p.Line, p.Column = service.Position(p.Path)
		problems = append(problems, catalog.Problem{Problem: p, Scope: catalog.Key{Service: name}})
	}
	return problems
}

func bind(e schemas.ErrorMetric) error {
	preset := prometheus.Preset{Requests: e.Requests, Errors: e.Query}
	if e.Preset != "" {
		var err error
		if preset, err = prometheus.Named(e.Preset); err != nil {
			return err
		}
	}
	_, err := preset.Bind(prometheus.Selector{Namespace: "any", Prefixes: []string{"any-"}})
	return err
}
