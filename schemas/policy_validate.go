package schemas

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// Validate returns everything that is wrong with the meaning of a policy. The
// problems have paths; Decode adds file and position.
func (p Policy) Validate() Problems {
	var ps Problems
	for i, owner := range p.Owners {
		if !isOwner(owner) {
			ps.add(fmt.Sprintf("owners[%d]", i), "write organisation/team or a user name", "%q is not an owner", owner)
		}
	}
	p.Classes.validate(&ps, "classes")
	if len(p.Environments) == 0 {
		ps.add("environments", "list at least one, or leave the list out", "there are no environments")
	}
	earlier := map[string]bool{}
	for i, e := range p.Environments {
		at := fmt.Sprintf("environments[%d]", i)
		if earlier[e.Name] {
			ps.add(at+".name", "rename or remove one", "%q is there twice", e.Name)
		}
		e.validate(&ps, at, earlier)
		earlier[e.Name] = true
	}
	return ps
}

func (e Environment) validate(ps *Problems, at string, earlier map[string]bool) {
	if !IsEnvironmentName(e.Name) {
		ps.add(at+".name", "use lower-case letters, digits and hyphens, 63 at most, and not services", "%q cannot be the name of an environment", e.Name)
	}
	e.validateNamespace(ps, at+".namespace")
	if e.Cluster.Context != "" && e.Cluster.KubeconfigFile == "" {
		ps.add(at+".cluster.context", "name the kubeconfigFile that has the context", "a context without a kubeconfigFile")
	}
	if e.Soak != nil {
		validateSoak(ps, at+".soak", *e.Soak)
	}
	e.Approvals.validate(ps, at+".approvals")
	if e.Provenance != nil {
		e.Provenance.validate(ps, at+".provenance")
	}
	validateChecks(ps, at+".checks", e.Checks, earlier)
	e.validateGates(ps, at+".gates")
	e.Windows.validate(ps, at+".windows")
	e.Rollout.validate(ps, at+".rollout")
	e.Rollback.validate(ps, at+".rollback")
	e.Hotfix.validate(ps, at+".hotfix", e.Rollout.Deadline)
	if len(earlier) > 0 && e.Hotfix.Backfill <= 0 {
		ps.add(at+".hotfix.backfill", "write a time within which a hotfix has to pass the normal flow, for example 24h", "a hotfix would never have to come back to the normal flow")
	}
	if e.MaxConcurrent < 1 {
		ps.add(at+".maxConcurrent", "write 1 or more", "maxConcurrent is %d", e.MaxConcurrent)
	}
}

func (e Environment) validateNamespace(ps *Problems, at string) {
	// The longest service name shows whether every namespace fits.
	name := e.NamespaceFor("s")
	if !isName(name, maxNameLength) {
		ps.add(at, "use lower-case letters, digits, hyphens, {service} and {environment}", "%q does not give a namespace", e.Namespace)
		return
	}
	if longest := e.NamespaceFor(strings.Repeat("s", MaxServiceName)); len(longest) > maxNameLength {
		ps.add(at, "shorten it", "%q gives a namespace of %d characters for a service name of %d, the limit is %d", e.Namespace, len(longest), MaxServiceName, maxNameLength)
	}
}

func validateSoak(ps *Problems, at string, s Soak) {
	atLeastZero(ps, at+".errorRateIncreasePoints", s.ErrorRateIncreasePoints)
	atLeastZero(ps, at+".minRequests", float64(s.MinRequests))
}

func (a Approvals) validate(ps *Problems, at string) {
	counts := []struct {
		name string
		n    int
	}{{"standard", a.Standard}, {"breaking", a.Breaking}, {"security", a.Security}, {"hotfix", a.Hotfix}}
	for _, c := range counts {
		if c.n < 0 || c.n > 10 {
			ps.add(at+"."+c.name, "write 0 to 10", "%s is %d", c.name, c.n)
		}
	}
	for i, team := range a.Teams {
		if !isRepository(team) {
			ps.add(fmt.Sprintf("%s.teams[%d]", at, i), "write organisation/team", "%q is not a team", team)
		}
	}
}

func validateChecks(ps *Problems, at string, checks []Check, earlier map[string]bool) {
	gates := map[string]bool{}
	for i, c := range checks {
		c.validate(ps, fmt.Sprintf("%s[%d]", at, i), earlier)
		if gates[c.Gate] {
			ps.add(fmt.Sprintf("%s[%d].gate", at, i), "give each check its own gate", "gate %q is there twice", c.Gate)
		}
		gates[c.Gate] = true
	}
}

func (c Check) validate(ps *Problems, at string, earlier map[string]bool) {
	if !isName(c.Gate, maxNameLength) {
		ps.add(at+".gate", "use lower-case letters, digits and hyphens", "%q cannot be the name of a gate", c.Gate)
	}
	if c.Name == "" {
		ps.add(at+".name", "give the name of the check run", "the check has no name")
	}
	if c.OnEnvironment() && !earlier[c.On] {
		ps.add(at+".on", "write source, merge or the name of an earlier environment", "on is %q", c.On)
	}
	if c.App == "" {
		ps.add(at+".app", "give the slug of the app that writes it, for example github-actions", "without an app, anybody who may write checks can pass gate %q", c.Gate)
	}
	if c.Alerts != nil {
		oneOf(ps, at+".alerts.severity", c.Alerts.Severity, "critical", "high", "medium", "low")
		if c.On != OnSource {
			ps.add(at+".alerts", "move it to a check on source", "code is scanned on the source commit, not on %s", c.On)
		}
	}
}

func (w Windows) validate(ps *Problems, at string) {
	if _, err := time.LoadLocation(w.Timezone); err != nil || w.Timezone == "Local" {
		ps.add(at+".timezone", "write a name such as Europe/Berlin or UTC", "%q is not a time zone", w.Timezone)
	}
	if w.Open != nil && len(w.Open) == 0 {
		ps.add(at+".open", `list when rollouts may begin; {cron: "0 0 * * *", duration: 25h} is always`, "no window is ever open")
	}
	for i, open := range w.Open {
		validateCron(ps, fmt.Sprintf("%s.open[%d].cron", at, i), open.Cron)
		if open.Duration <= 0 {
			ps.add(fmt.Sprintf("%s.open[%d].duration", at, i), "write how long the window is open", "the window never opens")
		}
	}
	for i, f := range w.Freezes {
		item := fmt.Sprintf("%s.freezes[%d]", at, i)
		switch {
		case f.From == "" || f.Through == "":
			ps.add(item, "give from and through", "the freeze has no beginning or no end")
		case f.Through < f.From:
			ps.add(item+".through", "end it after it begins", "the freeze ends on %s, before it begins on %s", f.Through, f.From)
		}
		if f.Reason == "" {
			ps.add(item+".reason", "say why", "the freeze has no reason")
		}
	}
}

func (r Rollout) validate(ps *Problems, at string) {
	validateStrategy(ps, at+".strategy", r.Strategy)
	validateSteps(ps, at+".steps", r.Steps)
	if r.Deadline <= 0 {
		ps.add(at+".deadline", "write a time after which an unproven rollout goes back, for example 2h", "a rollout without a deadline never ends")
		return
	}
	if need := time.Duration(len(r.Steps)) * r.Interval.Std(); need >= r.Deadline.Std() {
		ps.add(at+".deadline", "lengthen it or shorten the interval", "%d steps of %s do not fit into %s", len(r.Steps), r.Interval, r.Deadline)
	}
}

// validateStrategy accepts the empty string, which stands for the next higher setting.
func validateStrategy(ps *Problems, at, strategy string) {
	switch strategy {
	case StrategyCanary, "":
	case StrategyBlueGreen, StrategyFeatureFlag, StrategyRolling, StrategyApply:
		ps.add(at, "use canary", "strategy %s is not available in this version", strategy)
	default:
		ps.add(at, "use canary", "%q is not a strategy", strategy)
	}
}

func validateSteps(ps *Problems, at string, steps []int) {
	previous := 0
	for i, step := range steps {
		if step <= previous || step > 100 {
			ps.add(fmt.Sprintf("%s[%d]", at, i), "write rising percentages from 1 to 100", "step %d does not rise from %d to at most 100", step, previous)
		}
		previous = step
	}
	if previous != 100 {
		ps.add(at, "end with 100", "the steps do not end at 100 percent")
	}
}

func (r Rollback) validate(ps *Problems, at string) {
	atLeastZero(ps, at+".errorRateIncreasePoints", r.ErrorRateIncreasePoints)
	atLeastZero(ps, at+".latencyP99IncreasePercent", r.LatencyP99IncreasePercent)
	if r.HealthCheckFailures < 1 {
		ps.add(at+".healthCheckFailures", "write 1 or more", "healthCheckFailures is %d", r.HealthCheckFailures)
	}
	oneOf(ps, at+".onReject", r.OnReject, OnRejectRevert, OnRejectPullRequest, OnRejectNone)
}

func (h Hotfix) validate(ps *Problems, at string, deadline Duration) {
	for i, gate := range h.Waives {
		oneOf(ps, fmt.Sprintf("%s.waives[%d]", at, i), gate, "soak", "window", "freeze")
	}
	if len(h.Steps) > 0 {
		validateSteps(ps, at+".steps", h.Steps)
	}
	if need := time.Duration(len(h.Steps)) * h.Interval.Std(); deadline > 0 && need >= deadline.Std() {
		ps.add(at+".interval", "shorten it or lengthen rollout.deadline", "%d steps of %s do not fit into %s", len(h.Steps), h.Interval, deadline)
	}
}

// cronPattern keeps out what the parser would accept besides five fields: a time
// zone of its own, and words such as @daily.
var cronPattern = regexp.MustCompile(`^([0-9*,/-]+ ){3}[0-9A-Za-z*,/-]+ [0-9A-Za-z*,/-]+$`)

const maxCron = 200

// validateCron refuses what nobody can follow, and a day that no calendar has.
func validateCron(ps *Problems, at, expression string) {
	const remedy = "write five fields, for example 0 8 * * MON-THU"
	if len(expression) > maxCron || !cronPattern.MatchString(expression) {
		ps.add(at, remedy, "%q is not a time of opening", expression)
		return
	}
	schedule, err := cron.ParseStandard(expression)
	if err != nil {
		ps.add(at, remedy, "%q is not a time of opening: %s", expression, err)
		return
	}
	if schedule.Next(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		ps.add(at, "name a day that exists", "%q never comes", expression)
	}
}

func isOwner(s string) bool { return isRepository(s) || isRepository("organisation/"+s) }

func atLeastZero(ps *Problems, at string, n float64) {
	if n < 0 {
		ps.add(at, "write 0 or more", "%s is %v", at[strings.LastIndex(at, ".")+1:], n)
	}
}

func oneOf(ps *Problems, at, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		ps.add(at, "write "+enumerate(allowed), "%s is %q", at[strings.LastIndex(at, ".")+1:], value)
	}
}
