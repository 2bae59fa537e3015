package prometheus

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Preset says how a kind of workload or proxy counts requests: PromQL templates
// for raw counters, each giving one value per pod. Two words are replaced in
// them: {{.Selector}} by label matchers for the release's pods, and {{.Health}}
// by a regular expression of the health endpoints' paths.
type Preset struct {
	// Requests counts all requests, Errors those that failed.
	Requests string
	Errors   string
	// Aborted counts those given up by the client; optional.
	Aborted string
	// NamespaceLabel and PodLabel name the labels; "namespace" and "pod" if empty.
	NamespaceLabel string
	PodLabel       string
}

// Named is a preset by its name in a service file.
func Named(name string) (Preset, error) {
	switch name {
	case "http":
		return counted("http_requests_total", "code", "handler"), nil
	case "opentelemetry":
		return counted("http_server_request_duration_seconds_count", "http_response_status_code", "http_route"), nil
	}
	return Preset{}, fmt.Errorf("preset %q is not known: use http or opentelemetry, or write queries", name)
}

// counted is a preset for a counter with a status code and, perhaps, a path: a
// matcher of an absent label with !~ takes every series.
func counted(counter, code, path string) Preset {
	query := func(more string) string {
		return fmt.Sprintf(`sum by (pod) (%s{{{.Selector}},%s!~"{{.Health}}"%s})`, counter, path, more)
	}
	return Preset{
		Requests: query(""),
		Errors:   query(fmt.Sprintf(`,%s=~"5.."`, code)),
		Aborted:  query(fmt.Sprintf(`,%s="499"`, code)),
	}
}

// Selector says which pods belong to a release.
type Selector struct {
	Namespace string
	// Prefixes begin the pods' names, one for each arm ("checkout-7f3a9c1e-").
	Prefixes []string
	// HealthPaths are not counted; POL-007's three if empty.
	HealthPaths []string
}

// Queries is a preset that was bound to a release.
type Queries struct {
	Requests string
	Errors   string
	Aborted  string // "" when aborted requests are not counted apart
	PodLabel string
}

// Bind makes the queries for a release. Everything that comes from the
// repository is quoted; a template with other actions than the two words is
// refused.
func (p Preset) Bind(s Selector) (Queries, error) {
	if len(s.Prefixes) == 0 || s.Namespace == "" {
		return Queries{}, errors.New("bind queries: namespace and pod prefixes are required")
	}
	words := strings.NewReplacer("{{.Selector}}", s.matchers(p), "{{.Health}}", s.health())
	q := Queries{PodLabel: orElse(p.PodLabel, "pod")}
	var problems []error
	for _, one := range []struct {
		name     string
		template string
		into     *string
		optional bool
	}{
		{"requests", p.Requests, &q.Requests, false},
		{"errors", p.Errors, &q.Errors, false},
		{"aborted", p.Aborted, &q.Aborted, true},
	} {
		if one.template == "" && one.optional {
			continue
		}
		if err := checkTemplate(one.template); err != nil {
			problems = append(problems, fmt.Errorf("bind %s query: %w", one.name, err))
			continue
		}
		*one.into = words.Replace(one.template)
	}
	if err := errors.Join(problems...); err != nil {
		return Queries{}, err
	}
	return q, nil
}

// maxTemplate is many times a sensible query, and short enough for a URL.
const maxTemplate = 4096

func checkTemplate(template string) error {
	if len(template) > maxTemplate {
		return fmt.Errorf("template of %d bytes is longer than %d", len(template), maxTemplate)
	}
	if !strings.Contains(template, "{{.Selector}}") {
		return errors.New("template lacks {{.Selector}}, so it would count other releases too")
	}
	rest := strings.NewReplacer("{{.Selector}}", "", "{{.Health}}", "").Replace(template)
	if strings.Contains(rest, "{{") {
		return errors.New("template may contain {{.Selector}} and {{.Health}}, nothing else in double braces")
	}
	return nil
}

func (s Selector) matchers(p Preset) string {
	return fmt.Sprintf("%s=%s,%s=~%s",
		orElse(p.NamespaceLabel, "namespace"), strconv.Quote(s.Namespace),
		orElse(p.PodLabel, "pod"), strconv.Quote("(?:"+alternatives(s.Prefixes)+").*"))
}

// health is meant to stand between double quotes, so it comes without its own.
func (s Selector) health() string {
	paths := s.HealthPaths
	if len(paths) == 0 {
		paths = []string{"/health/live", "/health/ready", "/health/startup"}
	}
	quoted := strconv.Quote(alternatives(paths))
	return quoted[1 : len(quoted)-1]
}

func alternatives(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = regexp.QuoteMeta(w)
	}
	return strings.Join(quoted, "|")
}

func orElse(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}
