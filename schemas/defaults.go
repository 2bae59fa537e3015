package schemas

import (
	"fmt"
	"time"
)

// DefaultPolicy returns the policy that an empty sluice.yaml means.
func DefaultPolicy() Policy {
	p := Policy{
		APIVersion:   APIVersion,
		Kind:         KindPolicy,
		Environments: defaultEnvironments([]string{"dev", "staging", "production"}),
	}
	p.Classes.defaults()
	return p
}

// defaultEnvironments returns environments of these names with the defaults of
// their place; see the package documentation.
func defaultEnvironments(names []string) []Environment {
	environments := make([]Environment, len(names))
	for i, name := range names {
		e := firstEnvironment()
		if i > 0 {
			e = laterEnvironment()
		}
		e.Name = name
		if soaksByDefault(i, len(names)) {
			e.Soak = &Soak{}
			e.Soak.defaults()
		}
		if i > 0 && soaksByDefault(i-1, len(names)) {
			before := names[i-1]
			e.Checks = append(e.Checks, Check{Gate: before + "-e2e", On: before, Name: "e2e", App: defaultApp})
		}
		environments[i] = e
	}
	return environments
}

// defaultApp writes the checks of the default policy.
const defaultApp = "github-actions"

// pinApps names the app of each check on an environment that names none. Such a check
// has no app in older policies, and one that anybody may report would prove nothing.
func (p *Policy) pinApps() {
	for i, e := range p.Environments {
		for j, c := range e.Checks {
			at := fmt.Sprintf("environments[%d].checks[%d]", i, j)
			if c.OnEnvironment() && c.App == "" && !p.origin.has(at+".app") {
				e.Checks[j].App = defaultApp
			}
		}
	}
}

func soaksByDefault(i, n int) bool {
	isLast, isFirst, beforeLast := i == n-1, i == 0, i == n-2
	return !isLast && (!isFirst || beforeLast)
}

// firstEnvironment deploys what arrives at once. It keeps the rollback triggers,
// which cost nothing while there is no window.
func firstEnvironment() Environment {
	e := Environment{
		Namespace:     "{service}-{environment}",
		Rollout:       defaultRollout(),
		Rollback:      defaultRollback(),
		MaxConcurrent: 10,
	}
	e.Rollout.Steps, e.Rollout.Interval = []int{100}, 0
	e.Rollback.Window = 0
	return e
}

func laterEnvironment() Environment {
	return Environment{
		Namespace: "{service}-{environment}",
		Approvals: Approvals{Standard: 1, Breaking: 2, Security: 2, Hotfix: 2},
		// What needs no setting up but a step of the build.
		Provenance: &Provenance{Attestation: true},
		Checks: []Check{
			{Gate: "tests", On: OnSource, Name: "test", App: defaultApp},
			{Gate: "sast", On: OnSource, Name: "sast", App: defaultApp, Alerts: &Alerts{Severity: "high"}},
			{Gate: "contract-tests", On: OnSource, Name: "contract-tests", App: defaultApp},
			{Gate: "validate", On: OnMerge, Name: "validate", App: defaultApp},
		},
		Windows: Windows{
			Timezone: "UTC",
			Open:     []Window{{Cron: "0 8 * * MON-THU", Duration: Duration(10 * time.Hour)}},
		},
		Rollout:  defaultRollout(),
		Rollback: defaultRollback(),
		Verification: VerificationTimes{
			Smoke:    Duration(5 * time.Minute),
			Observe:  Duration(15 * time.Minute),
			Business: Duration(30 * time.Minute),
		},
		Hotfix: Hotfix{
			Waives:   []string{"soak"},
			Backfill: Duration(24 * time.Hour),
			Steps:    []int{25, 100},
			Interval: Duration(2 * time.Minute),
		},
		MaxConcurrent: 10,
	}
}

func defaultRollout() Rollout {
	return Rollout{
		Strategy: StrategyCanary,
		Steps:    []int{5, 25, 50, 100},
		Interval: Duration(5 * time.Minute),
		Deadline: Duration(2 * time.Hour),
	}
}

func defaultRollback() Rollback {
	return Rollback{
		ErrorRateIncreasePoints:   0.5,
		LatencyP99IncreasePercent: 50,
		HealthCheckFailures:       2,
		MaxErrorRate:              1,
		Window:                    Duration(30 * time.Minute),
		OnReject:                  OnRejectRevert,
	}
}

func (s *Soak) defaults() {
	*s = Soak{Duration: Duration(15 * time.Minute), ErrorRateIncreasePoints: 0.1, MinRequests: 500}
}

func (s *Service) defaults() {
	*s = Service{
		Traffic: Traffic{Kind: TrafficGateway},
		Health:  Health{Startup: "/health/startup", Live: "/health/live", Ready: "/health/ready"},
	}
}

func (h *SmokeHTTP) defaults() { h.Expect = 200 }

func (h *SyntheticHTTP) defaults() {
	h.Expect, h.Every = 200, Duration(30*time.Second)
}

func (m *LatencyMetric) defaults() { m.Quantile = 0.99 }

func (m *BusinessMetric) defaults() { m.Drop = 20 }

func (r *Release) defaults() { r.Change = ChangeStandard }
