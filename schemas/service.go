package schemas

// Kinds of traffic.
const (
	TrafficGateway  = "gateway"  // weights of an HTTPRoute
	TrafficReplicas = "replicas" // the number of pods behind one Service
	TrafficNone     = "none"     // workers and cron jobs
)

// NoProbe, as a path of Health, says that a service has no such probe.
const NoProbe = "none"

// Service is services/<name>/service.yaml: where a service comes from and how it is rolled out.
type Service struct {
	APIVersion string `json:"apiVersion" jsonschema:"required,enum=sluice.dev/v1alpha1"`
	Kind       string `json:"kind" jsonschema:"required,enum=Service"`
	// The directory below services/.
	Name   string        `json:"-"`
	Source ServiceSource `json:"source" jsonschema:"required"`
	// Where the service runs. An environment needs all those before it in the policy.
	Environments []string            `json:"environments" jsonschema:"required,minItems=1"`
	Strategy     Strategy            `json:"strategy,omitzero"`
	Traffic      Traffic             `json:"traffic,omitzero"`
	Metrics      Metrics             `json:"metrics,omitzero"`
	Verification ServiceVerification `json:"verification,omitzero"`
	Health       Health              `json:"health,omitzero"`

	origin *origin
}

// ServiceSource is where the artifact is built from.
type ServiceSource struct {
	// owner/name on the forge.
	Repository string `json:"repository" jsonschema:"required"`
	// Branches that a hotfix may come from besides the default branch; * stands for anything but a slash. Each has to be protected.
	Branches []string `json:"branches,omitempty"`
}

// Strategy overrides the environment's rollout strategy.
type Strategy struct {
	// Default: the environment's rollout.strategy.
	Kind string `json:"kind,omitempty" jsonschema:"enum=canary"`
}

// Traffic says what is changed to give a candidate its share.
type Traffic struct {
	// Default: gateway.
	Kind string `json:"kind,omitempty" jsonschema:"enum=gateway,enum=replicas,enum=none"`
	// HTTPRoute, for gateway only. Default: the service's name.
	Route string `json:"route,omitempty"`
	// The Service that the route sends to or that selects the pods. Default: the service's name.
	Service string `json:"service,omitempty"`
}

// Metrics is how a candidate is compared with stable.
type Metrics struct {
	// A source named in the daemon's own configuration, never an address.
	Prometheus string          `json:"prometheus,omitempty"`
	Errors     *ErrorMetric    `json:"errors,omitempty"`
	Latency    *LatencyMetric  `json:"latency,omitempty"`
	Business   *BusinessMetric `json:"business,omitempty"`
}

// ErrorMetric counts requests and failed requests: a preset, or two queries for raw
// counters with one value for each pod.
type ErrorMetric struct {
	Preset string `json:"preset,omitempty" jsonschema:"oneof_required=preset"`
	// PromQL with {{.Selector}} for the failed requests.
	Query string `json:"query,omitempty" sluice:"multiline" jsonschema:"oneof_required=query"`
	// PromQL with {{.Selector}} for all requests. Required with query.
	Requests string `json:"requests,omitempty" sluice:"multiline"`
}

// LatencyMetric is a histogram of request durations: a preset or a query.
type LatencyMetric struct {
	Preset string `json:"preset,omitempty" jsonschema:"oneof_required=preset"`
	// PromQL with {{.Selector}}.
	Query string `json:"query,omitempty" sluice:"multiline" jsonschema:"oneof_required=query"`
	// Default: 0.99.
	Quantile float64 `json:"quantile,omitempty"`
}

// BusinessMetric is a number that must not fall after a release.
type BusinessMetric struct {
	// PromQL.
	Query string `json:"query" sluice:"multiline" jsonschema:"required"`
	// The fall that fails a release. Default: 20%.
	Drop Percent `json:"drop,omitempty"`
}

// ServiceVerification is what runs after 100 percent.
type ServiceVerification struct {
	Smoke     []Smoke     `json:"smoke,omitempty"`
	Synthetic []Synthetic `json:"synthetic,omitempty"`
}

// Smoke is one smoke test: a request or a Job.
type Smoke struct {
	HTTP *SmokeHTTP `json:"http,omitempty" jsonschema:"oneof_required=http"`
	// A file with a Job in the service's directory.
	Job string `json:"job,omitempty" jsonschema:"oneof_required=job"`
}

// SmokeHTTP is a request and the status it must be answered with.
type SmokeHTTP struct {
	Path string `json:"path" jsonschema:"required,pattern=^/"`
	// Default: 200.
	Expect int `json:"expect,omitempty" jsonschema:"minimum=100,maximum=599"`
}

// Synthetic is a request that is repeated for as long as a release is verified.
type Synthetic struct {
	HTTP *SyntheticHTTP `json:"http" jsonschema:"required"`
}

// SyntheticHTTP is a repeated request and the status it must be answered with.
type SyntheticHTTP struct {
	Path string `json:"path" jsonschema:"required,pattern=^/"`
	// Default: 200.
	Expect int `json:"expect,omitempty" jsonschema:"minimum=100,maximum=599"`
	// Default: 30s.
	Every Duration `json:"every,omitempty"`
}

// Health is the paths of the probes that the rendered workload must declare.
// Other paths than the defaults need a reason and an incident reference.
type Health struct {
	// A path, or none. Default: /health/startup.
	Startup string `json:"startup,omitempty"`
	// A path, or none. Default: /health/live.
	Live string `json:"live,omitempty"`
	// A path, or none. Default: /health/ready.
	Ready    string `json:"ready,omitempty"`
	Reason   string `json:"reason,omitempty"`
	Incident string `json:"incident,omitempty"`
}

// Excepted reports whether deviating probes are documented.
func (h Health) Excepted() bool { return h.Reason != "" && h.Incident != "" }

// Position returns where a path such as metrics.errors.preset was written, or the
// nearest one around it; zero for a service that was not decoded from a file.
func (s Service) Position(path string) (line, column int) {
	at := s.origin.nearest(path)
	return at.line, at.column
}
