package schemas

import "strings"

// APIVersion is the only version of all four kinds.
const APIVersion = "sluice.dev/v1alpha1"

// The kinds of file in an environments repository.
const (
	KindPolicy  = "Policy"
	KindService = "Service"
	KindRelease = "Release"
	KindControl = "Control"
)

// Rollout strategies. Only StrategyCanary is available in this version.
const (
	StrategyCanary      = "canary"
	StrategyBlueGreen   = "blue-green"
	StrategyFeatureFlag = "feature-flag"
	StrategyRolling     = "rolling"
	StrategyApply       = "apply"
)

// What happens in git to a promotion that was rejected after its merge.
const (
	OnRejectRevert      = "revert"
	OnRejectPullRequest = "pullRequest"
	OnRejectNone        = "none"
)

// Where a check is looked for. Any other value names an earlier environment.
const (
	OnSource = "source" // the repository and commit of artifact.source
	OnMerge  = "merge"  // the merge commit of the promotion, or its reviewed head
)

// Policy is sluice.yaml: the environments in promotion order and what a
// promotion into each of them has to show.
type Policy struct {
	APIVersion string `json:"apiVersion" jsonschema:"required,enum=sluice.dev/v1alpha1"`
	Kind       string `json:"kind" jsonschema:"required,enum=Policy"`
	// Teams (organisation/team) or users whose approval a change of sluice.yaml, of services/*/service.yaml, of .github/** and of CODEOWNERS needs.
	Owners []string `json:"owners,omitempty"`
	// What makes a promotion stricter than its release file says.
	Classes Classes `json:"classes,omitzero"`
	// In promotion order. Default: dev, staging, production.
	Environments []Environment `json:"environments,omitempty"`

	origin *origin
}

// Environment is one stage of promotion. Settings that are left out have
// POL-007's values in every environment after the first.
type Environment struct {
	Name    string  `json:"name" jsonschema:"required,maxLength=63,pattern=^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"`
	Cluster Cluster `json:"cluster,omitzero"`
	// Template; {service} and {environment} are replaced. Default: {service}-{environment}.
	Namespace string `json:"namespace,omitempty"`
	// The condition to leave this environment.
	Soak      *Soak     `json:"soak,omitempty"`
	Approvals Approvals `json:"approvals,omitzero"`
	// What is written replaces the default as a whole. Default: the forge's attestation.
	Provenance *Provenance `json:"provenance,omitempty" sluice:"whole"`
	// A list that is written replaces the default list as a whole.
	Checks []Check `json:"checks,omitempty"`
	// Conditions of the policy's own, beside the built-in gates.
	Gates        []CustomGate      `json:"gates,omitempty"`
	Windows      Windows           `json:"windows,omitzero"`
	Rollout      Rollout           `json:"rollout,omitzero"`
	Rollback     Rollback          `json:"rollback,omitzero"`
	Verification VerificationTimes `json:"verification,omitzero"`
	Hotfix       Hotfix            `json:"hotfix,omitzero"`
	// Rollouts that may run at the same time in this environment. Default: 10.
	MaxConcurrent int `json:"maxConcurrent,omitempty" jsonschema:"minimum=1"`
}

// Cluster says where an environment runs. Empty: the cluster that Sluice runs in.
type Cluster struct {
	// A file that the daemon can read, never a file of this repository.
	KubeconfigFile string `json:"kubeconfigFile,omitempty"`
	// A context of that file. Default: its current context.
	Context string `json:"context,omitempty"`
}

// Soak is what an artifact has to show, together with its configuration, in an environment before it may leave it.
type Soak struct {
	// Time in which it was measured and healthy. Default: 15m.
	Duration Duration `json:"duration,omitempty"`
	// Percentage points by which the error rate may exceed the baseline's. Default: 0.1.
	ErrorRateIncreasePoints float64 `json:"errorRateIncreasePoints,omitempty"`
	// Requests that must have been seen. Default: 500.
	MinRequests int `json:"minRequests,omitempty" jsonschema:"minimum=0"`
}

// Approvals is the number of eligible approvals that a promotion needs, by its change class.
type Approvals struct {
	// Default: 1.
	Standard int `json:"standard" jsonschema:"minimum=0,maximum=10"`
	// Default: 2.
	Breaking int `json:"breaking" jsonschema:"minimum=0,maximum=10"`
	// Default: 2.
	Security int `json:"security" jsonschema:"minimum=0,maximum=10"`
	// Default: 2.
	Hotfix int `json:"hotfix" jsonschema:"minimum=0,maximum=10"`
	// Teams (organisation/team) whose members' approvals count. Default: anybody with write access.
	Teams []string `json:"teams,omitempty"`
	// Whether an author of the promoted source commits may not approve. Default: false.
	ExcludeSourceAuthors bool `json:"excludeSourceAuthors,omitempty"`
}

// For returns the number of approvals that a change class needs. A class it does
// not know needs the largest number of all.
func (a Approvals) For(change string) int {
	switch change {
	case ChangeStandard:
		return a.Standard
	case ChangeBreaking:
		return a.Breaking
	case ChangeSecurity:
		return a.Security
	case ChangeHotfix:
		return a.Hotfix
	}
	return max(a.Standard, a.Breaking, a.Security, a.Hotfix)
}

// Provenance says which proofs tie a digest to artifact.source.commit. One of them is
// enough; without any, a promotion waits.
type Provenance struct {
	// Keys that may sign an in-toto statement with SLSA provenance in provenance/<service>/sha256-<digits>.jsonl of this repository.
	Keys []ProvenanceKey `json:"keys,omitempty"`
	// Whether an attestation that the forge keeps for the digest in the source repository is accepted. That the forge keeps it there is what counts: its signature is not verified, so whoever may write attestations to that repository is trusted.
	Attestation bool `json:"attestation,omitempty"`
	// A check on the source commit whose external id is the digest.
	Check *ProvenanceCheck `json:"check,omitempty"`
}

// ProvenanceKey is a public key that may sign provenance statements.
type ProvenanceKey struct {
	Name string `json:"name" jsonschema:"required"`
	// PEM. ECDSA, Ed25519, or RSA of at least 2048 bits.
	PublicKey string `json:"publicKey" sluice:"multiline" jsonschema:"required"`
}

// ProvenanceCheck names the check run whose external id is the digest.
type ProvenanceCheck struct {
	Name string `json:"name" jsonschema:"required"`
	// Slug or id of the app that must have written it. Whoever can act as this app in the source repository is trusted; with github-actions that is every workflow there that may write checks.
	App string `json:"app" jsonschema:"required"`
}

// Check is a check run or status that must have concluded with success.
type Check struct {
	// The gate that this check answers, for example tests. Unique within the environment.
	Gate string `json:"gate" jsonschema:"required"`
	// Where to look: source (the commit in artifact.source), merge (the promotion's own commit), or the name of an earlier
	// environment: the commit that promoted the same artifact and base there, once they were stable.
	On string `json:"on" jsonschema:"required"`
	// Name of the check run.
	Name string `json:"name" jsonschema:"required"`
	// Slug of the app that must have written it: any app can write a check of any name. Required on source and merge.
	// Default on an environment: github-actions.
	App string `json:"app,omitempty"`
	// Additionally asks for an analysis of the source commit by the forge's code scanning, without open alerts. For checks on source.
	Alerts *Alerts `json:"alerts,omitempty"`
}

// OnEnvironment reports whether the check is asked on what an earlier environment has proven.
func (c Check) OnEnvironment() bool { return c.On != OnSource && c.On != OnMerge }

// Alerts refuses open code-scanning alerts of a severity and above. Where a rule has no
// security severity, its level counts: an error as high, a warning as medium, else low.
type Alerts struct {
	Severity string `json:"severity" jsonschema:"required,enum=critical,enum=high,enum=medium,enum=low"`
}

// Windows is when a promotion may start.
type Windows struct {
	// IANA name. Default: UTC.
	Timezone string `json:"timezone,omitempty"`
	// A rollout begins only while one is open. Default: from 08:00 for 10h, Monday to Thursday.
	Open    []Window       `json:"open,omitempty"`
	Freezes []FreezePeriod `json:"freezes,omitempty"`
}

// Window opens at every time of Cron and stays open for Duration.
type Window struct {
	// Five fields: minute, hour, day of month, month, day of week, on the clocks of the zone.
	Cron string `json:"cron" jsonschema:"required"`
	// Elapsed time, also where clocks change meanwhile.
	Duration Duration `json:"duration" jsonschema:"required"`
}

// FreezePeriod lets no rollout begin from the start of one day through the end of another, in the zone of the windows.
type FreezePeriod struct {
	From    Date   `json:"from" jsonschema:"required"`
	Through Date   `json:"through" jsonschema:"required"`
	Reason  string `json:"reason" jsonschema:"required"`
}

// Rollout is how a candidate gets its traffic.
type Rollout struct {
	// Default: canary, the only one in this version.
	Strategy string `json:"strategy,omitempty" jsonschema:"enum=canary"`
	// Percent of the traffic for the candidate, rising to 100. Default: 5, 25, 50, 100 (100 in the first environment).
	Steps []int `json:"steps,omitempty"`
	// Shortest length of a step. Default: 5m.
	Interval Duration `json:"interval,omitempty"`
	// A rollout that has not proven itself after this time is rolled back. Default: 2h.
	Deadline Duration `json:"deadline,omitempty"`
}

// Rollback is what makes a rollout fail, and for how long it can.
type Rollback struct {
	// Percentage points that the candidate's error rate has to exceed stable's by. Default: 0.5.
	ErrorRateIncreasePoints float64 `json:"errorRateIncreasePoints,omitempty"`
	// Percent that the candidate's 99th percentile of latency has to exceed stable's by. Default: 50.
	LatencyP99IncreasePercent float64 `json:"latencyP99IncreasePercent,omitempty"`
	// Failures of a health check in a row. Default: 2.
	HealthCheckFailures int `json:"healthCheckFailures,omitempty" jsonschema:"minimum=1"`
	// Largest error rate of a first release, which has no stable to be compared with. Default: 1%.
	MaxErrorRate Percent `json:"maxErrorRate,omitempty"`
	// How long after 100 percent the old revision is kept at full size. Default: 30m.
	Window Duration `json:"window,omitempty"`
	// What happens in git to a merged promotion that a gate refuses. revert: it is reverted. pullRequest: a pull
	// request that reverts it waits for a person. none: nothing. Default: revert.
	OnReject string `json:"onReject,omitempty" jsonschema:"enum=revert,enum=pullRequest,enum=none"`
}

// VerificationTimes are three timers that start together at 100 percent.
type VerificationTimes struct {
	// Smoke tests have to have passed by then. Default: 5m.
	Smoke Duration `json:"smoke,omitempty"`
	// How long errors and latency are compared. Default: 15m.
	Observe Duration `json:"observe,omitempty"`
	// How long the business metric is watched. Default: 30m.
	Business Duration `json:"business,omitempty"`
}

// Hotfix is what a promotion of class hotfix does not have to wait for.
type Hotfix struct {
	// Of soak, window and freeze. Default: soak.
	Waives []string `json:"waives,omitempty"`
	// Time to bring the fix through the normal flow. Default: 24h.
	Backfill Duration `json:"backfill,omitempty"`
	// Default: 25, 100.
	Steps []int `json:"steps,omitempty"`
	// Default: 2m.
	Interval Duration `json:"interval,omitempty"`
}

// Index returns the place of an environment in promotion order, or -1.
func (p Policy) Index(environment string) int {
	for i, e := range p.Environments {
		if e.Name == environment {
			return i
		}
	}
	return -1
}

// Environment returns the environment of that name.
func (p Policy) Environment(name string) (Environment, bool) {
	i := p.Index(name)
	if i < 0 {
		return Environment{}, false
	}
	return p.Environments[i], true
}

// Predecessor returns the environment that comes right before name; there is none
// before the first and before an unknown one.
func (p Policy) Predecessor(name string) (Environment, bool) {
	i := p.Index(name)
	if i < 1 {
		return Environment{}, false
	}
	return p.Environments[i-1], true
}

// NamespaceFor returns the namespace of a service in this environment.
func (e Environment) NamespaceFor(service string) string {
	return strings.NewReplacer("{service}", service, "{environment}", e.Name).Replace(e.Namespace)
}
