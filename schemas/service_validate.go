package schemas

import (
	"fmt"
	"path"
	"strings"
)

// nameTraffic fills in what follows from the service's own name.
func (s *Service) nameTraffic() {
	if s.Traffic.Kind == TrafficGateway && s.Traffic.Route == "" {
		s.Traffic.Route = s.Name
	}
	if s.Traffic.Kind != TrafficNone && s.Traffic.Service == "" {
		s.Traffic.Service = s.Name
	}
}

// Validate returns everything that is wrong with the meaning of a service. The
// problems have paths; Decode adds file and position.
func (s Service) Validate() Problems {
	var ps Problems
	if !isRepository(s.Source.Repository) {
		ps.add("source.repository", "write owner/name", "%q is not a repository", s.Source.Repository)
	}
	for i, branch := range s.Source.Branches {
		if strings.Trim(branch, "*/") == "" || strings.ContainsAny(branch, " ~^:?[\\") || strings.Contains(branch, "..") {
			ps.add(fmt.Sprintf("source.branches[%d]", i), "write the name of a branch, or a pattern such as release/*", "%q is not a branch", branch)
		}
	}
	s.validateEnvironments(&ps)
	validateStrategy(&ps, "strategy.kind", s.Strategy.Kind)
	s.Traffic.validate(&ps)
	s.Metrics.validate(&ps)
	s.Verification.validate(&ps)
	s.Health.validate(&ps)
	return ps
}

func (s Service) validateEnvironments(ps *Problems) {
	if len(s.Environments) == 0 {
		ps.add("environments", "list the environments that the service runs in", "there are no environments")
	}
	seen := map[string]bool{}
	for i, name := range s.Environments {
		at := fmt.Sprintf("environments[%d]", i)
		if !IsEnvironmentName(name) {
			ps.add(at, "write the name of an environment of sluice.yaml", "%q is not an environment", name)
		}
		if seen[name] {
			ps.add(at, "remove one", "%q is there twice", name)
		}
		seen[name] = true
	}
}

func (t Traffic) validate(ps *Problems) {
	oneOf(ps, "traffic.kind", t.Kind, TrafficGateway, TrafficReplicas, TrafficNone)
	if t.Kind != TrafficGateway && t.Route != "" {
		ps.add("traffic.route", "remove it or use kind: gateway", "a route without a gateway")
	}
	if t.Kind == TrafficNone && t.Service != "" {
		ps.add("traffic.service", "remove it or use kind: gateway or replicas", "a service that gets no traffic")
	}
	for at, name := range map[string]string{"traffic.route": t.Route, "traffic.service": t.Service} {
		if name != "" && !isName(name, maxNameLength) {
			ps.add(at, "use lower-case letters, digits and hyphens", "%q is not the name of an object", name)
		}
	}
}

func (m Metrics) validate(ps *Problems) {
	if m.Prometheus != "" && !isName(m.Prometheus, maxNameLength) {
		ps.add("metrics.prometheus", "name a source of the daemon's configuration; addresses are not accepted here", "%q is not the name of a metrics source", m.Prometheus)
	}
	if (m.Errors != nil || m.Latency != nil || m.Business != nil) && m.Prometheus == "" {
		ps.add("metrics.prometheus", "name a source of the daemon's configuration", "metrics without a source")
	}
	if m.Errors != nil {
		validateQuery(ps, "metrics.errors", m.Errors.Preset, m.Errors.Query)
		m.Errors.validateRequests(ps)
	}
	if m.Latency != nil {
		validateQuery(ps, "metrics.latency", m.Latency.Preset, m.Latency.Query)
		if m.Latency.Quantile <= 0 || m.Latency.Quantile >= 1 {
			ps.add("metrics.latency.quantile", "write a share below 1, for example 0.99", "quantile is %v", m.Latency.Quantile)
		}
	}
	if m.Business != nil && strings.TrimSpace(m.Business.Query) == "" {
		ps.add("metrics.business.query", "write PromQL", "the business metric has no query")
	}
}

// selectorPlaceholder is where a query says which pods it counts; without it the two
// revisions could not be told apart.
const selectorPlaceholder = "{{.Selector}}"

func validateQuery(ps *Problems, at, preset, query string) {
	switch {
	case preset == "" && query == "", preset != "" && query != "":
		ps.add(at, "give preset or query", "%s needs exactly one of preset and query", at)
	case preset != "" && !isName(preset, maxNameLength):
		ps.add(at+".preset", "name a preset, for example traefik", "%q is not a preset", preset)
	case query != "" && !strings.Contains(query, selectorPlaceholder):
		ps.add(at+".query", "put "+selectorPlaceholder+" between the braces of the metric", "the query does not select a revision")
	}
}

// validateRequests: failures are judged as a share, so their query alone says nothing.
func (e ErrorMetric) validateRequests(ps *Problems) {
	switch {
	case (e.Query == "") != (e.Requests == ""):
		ps.add("metrics.errors", "give query for the failed requests and requests for all, or a preset", "query and requests belong together")
	case e.Requests != "" && !strings.Contains(e.Requests, selectorPlaceholder):
		ps.add("metrics.errors.requests", "put "+selectorPlaceholder+" between the braces of the metric", "the query does not select a revision")
	}
}

func (v ServiceVerification) validate(ps *Problems) {
	for i, s := range v.Smoke {
		at := fmt.Sprintf("verification.smoke[%d]", i)
		if (s.HTTP == nil) == (s.Job == "") {
			ps.add(at, "give http or job", "a smoke test needs exactly one of http and job")
		}
		if s.HTTP != nil {
			validateRequest(ps, at+".http", s.HTTP.Path, s.HTTP.Expect)
		}
		if s.Job != "" && (s.Job != path.Clean(s.Job) || strings.HasPrefix(s.Job, "/") || strings.HasPrefix(s.Job, "..")) {
			ps.add(at+".job", "name a file in the service's own directory", "%q leaves the service's directory", s.Job)
		}
	}
	for i, s := range v.Synthetic {
		at := fmt.Sprintf("verification.synthetic[%d]", i)
		if s.HTTP == nil {
			ps.add(at, "give http", "a synthetic check needs a request")
			continue
		}
		validateRequest(ps, at+".http", s.HTTP.Path, s.HTTP.Expect)
		if s.HTTP.Every <= 0 {
			ps.add(at+".http.every", "write how often, for example 30s", "the check is never repeated")
		}
	}
}

func validateRequest(ps *Problems, at, requestPath string, status int) {
	if !strings.HasPrefix(requestPath, "/") {
		ps.add(at+".path", "begin it with /", "%q is not a path", requestPath)
	}
	if status < 100 || status > 599 {
		ps.add(at+".expect", "write a status from 100 to 599", "expect is %d", status)
	}
}

func (h Health) validate(ps *Problems) {
	standard := Service{}
	standard.defaults()
	deviates := false
	for _, probe := range []struct{ name, path, standard string }{
		{"startup", h.Startup, standard.Health.Startup},
		{"live", h.Live, standard.Health.Live},
		{"ready", h.Ready, standard.Health.Ready},
	} {
		if probe.path != NoProbe && !strings.HasPrefix(probe.path, "/") {
			ps.add("health."+probe.name, "write a path that begins with /, or none", "%q is not a path", probe.path)
		}
		deviates = deviates || probe.path != probe.standard
	}
	if deviates && !h.Excepted() {
		ps.add("health", "use the standard paths, or give reason and incident", "probes that deviate need a reason and an incident")
	}
}
