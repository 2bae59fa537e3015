package gate_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/reconciler/gate"
	"github.com/sluice-cd/sluice/schemas"
)

// customized returns a promotion that a gate of the policy's own is asked about.
func customized(appliesWhen, requires string) gate.Facts {
	f := promotion()
	g := schemas.CustomGate{Name: "own", Requires: schemas.NewCondition(requires), Message: "ask the duty officer", Unblocks: "the duty officer", OnFalse: schemas.OnFalseReject}
	if appliesWhen != "" {
		g.AppliesWhen = schemas.NewCondition(appliesWhen)
	}
	f.Environment.Gates = []schemas.CustomGate{g}
	f.Service, f.Version = "checkout", "1.42.0"
	f.Changes[0].Paths = []string{"production/checkout/release.yaml"}
	f.Changes[0].PullRequest.Labels = []string{"risky"}
	f.Runs = map[string]gate.CheckFacts{schemas.OnSource: f.Checks["tests"], schemas.OnMerge: f.Checks["validate"]}
	return f
}

func TestACustomGateIsListedAfterTheChecks(t *testing.T) {
	var names []string
	for _, r := range gate.Evaluate(customized("", "true"), now) {
		names = append(names, r.Gate)
	}
	assert.Contains(t, strings.Join(names, " "), "validate own approvals")
}

func TestACustomGateSaysWhatFollows(t *testing.T) {
	for name, c := range map[string]struct {
		appliesWhen, requires string
		want                  gate.Cause
		reason                string
	}{
		"holds":                {"", `pullRequest.approvals == 1`, gate.Met, "what it requires is true"},
		"does not hold":        {"", `!("risky" in pullRequest.labels)`, gate.Refused, "ask the duty officer"},
		"does not apply":       {`release.class == "breaking"`, "false", gate.Met, "does not apply: appliesWhen is false"},
		"applies":              {`release.service == "checkout" && release.version == "1.42.0"`, "false", gate.Refused, "ask the duty officer"},
		"a check":              {"", `checks.source["github-actions/test"] == "success" && checks.merge["github-actions/validate"] == "success"`, gate.Met, "what it requires is true"},
		"paths":                {"", `change.paths.all(p, p.startsWith("production/"))`, gate.Met, "what it requires is true"},
		"stable upstream":      {"", `upstream.environment == "staging" && now - upstream.stableSince < duration("2h")`, gate.Met, "what it requires is true"},
		"error":                {"", `checks.source["ci/none"] == "success"`, gate.Unknown, "what it requires could not be evaluated: no such key: ci/none"},
		"error in appliesWhen": {`checks.source["ci/none"] == "success"`, "true", gate.Unknown, "whether it applies could not be evaluated: no such key: ci/none"},
		"no expression":        {"", "", gate.Unknown, "what it requires could not be evaluated: not known: there is no condition"},
	} {
		r := ask(t, customized(c.appliesWhen, c.requires), "own")
		assert.Equal(t, c.want, r.Cause, name)
		assert.Equal(t, c.reason, r.Reason, name)
	}
}

func TestACustomGateMayWait(t *testing.T) {
	f := customized("", `now >= timestamp("2026-12-01T00:00:00Z")`)
	f.Environment.Gates[0].OnFalse = schemas.OnFalseWait
	r := ask(t, f, "own")
	assert.Equal(t, gate.OutcomeWait, r.Outcome)
	assert.Equal(t, "the duty officer", r.Unblocks)
	later := gate.Evaluate(f, now.AddDate(0, 1, 0))
	assert.Equal(t, gate.Pass, pick(t, later, "own").Verdict)
}

func TestACustomGateDoesNotPassOnWhatIsNotKnown(t *testing.T) {
	for name, c := range map[string]struct {
		condition string
		edit      func(*gate.Facts)
	}{
		"no pull request":     {`pullRequest.number > 0`, func(f *gate.Facts) { f.Changes[0].PullRequest = nil }},
		"reviews unread":      {`pullRequest.approvals >= 0`, func(f *gate.Facts) { f.Changes[0].Unknown = "timeout" }},
		"approver unclear":    {`pullRequest.approvals >= 0`, func(f *gate.Facts) { f.Changes[0].Members = nil }},
		"content unproven":    {`change.paths.size() > 0`, func(f *gate.Facts) { f.Changes[0].Content = gate.Answer{Unknown: "timeout"} }},
		"runs unread":         {`!("x/y" in checks.source)`, func(f *gate.Facts) { f.Runs = nil }},
		"source unprotected":  {`"github-actions/test" in checks.source`, func(f *gate.Facts) { f.Runs["source"].Subjects[0].Contained = gate.Answer{} }},
		"nothing proven":      {`now > upstream.stableSince`, func(f *gate.Facts) { f.Upstream.Proven = nil }},
		"another base proven": {`now > upstream.stableSince`, func(f *gate.Facts) { f.BaseTree = head }},
		"upstream unread":     {`upstream.environment == "staging"`, func(f *gate.Facts) { f.Upstream.Unknown = "timeout" }},
		"no change":           {"true", func(f *gate.Facts) { f.Changes = nil }},
	} {
		f := customized("", c.condition)
		require.Equal(t, gate.Pass, ask(t, f, "own").Verdict, name)
		c.edit(&f)
		assert.Equal(t, gate.Unknown, ask(t, f, "own").Cause, name)
	}
}

func TestEachPullRequestHasToSatisfyACustomGate(t *testing.T) {
	f := customized("", `!("risky" in pullRequest.labels)`)
	second := change()
	second.PullRequest.Number = 13
	f.Changes = append(f.Changes, second)
	assert.Equal(t, gate.Refused, ask(t, f, "own").Cause, "the one before is not made good")
}

func TestTheChecksOfAConditionAreThoseOfTheAppThatIsNamed(t *testing.T) {
	f := customized("", `checks.source["github-actions/test"] == "success"`)
	spoof := run(999, "test", sourceCommit, "success")
	spoof.AppID, spoof.App = 666, "evil"
	f.Runs["source"].Subjects[0].Runs = []forge.Check{run(1, "test", sourceCommit, "failure"), spoof}
	assert.Equal(t, gate.Refused, ask(t, f, "own").Cause)

	other := f.Runs["source"].Subjects[0]
	other.Runs = nil
	f.Runs["source"] = gate.CheckFacts{Subjects: []gate.Subject{promotion().Checks["tests"].Subjects[0], other}}
	assert.Equal(t, gate.Unknown, ask(t, f, "own").Cause, "a check of one artifact says nothing about the other")
}

func TestWhatACustomGateSaysIsOnePlainLine(t *testing.T) {
	f := customized("", `false && pullRequest.title == "x"`)
	f.Environment.Gates[0].Message = "see\x1b[31m [here](https://evil.example) @everyone\n<img>"
	r := ask(t, f, "own")
	assert.Equal(t, "see [here] (https://evil.example) (at)everyone ‹img›", r.Reason)
}

func TestACustomGateCannotTakeTheNameOfAnother(t *testing.T) {
	f := customized("", "true")
	f.Environment.Gates[0].Name = gate.Integrity
	f.Changes[0].PullRequest.Merged = false
	results := gate.Evaluate(f, now)
	assert.NotEqual(t, gate.Pass, pick(t, results, gate.Integrity).Verdict)
	assert.Equal(t, gate.Pass, pick(t, results, "custom-integrity").Verdict)

	for _, r := range gate.Evaluate(gate.Facts{Environment: schemas.Environment{Name: "production"}}, now) {
		p := schemas.DefaultPolicy()
		p.Environments[2].Gates = []schemas.CustomGate{{Name: r.Gate, Requires: schemas.NewCondition("true"), Message: "x", Unblocks: "x", OnFalse: schemas.OnFalseReject}}
		assert.ErrorContains(t, p.Validate(), "is there already", r.Gate)
	}
}

func TestACustomGateIsAskedWhereChecksAre(t *testing.T) {
	for name, c := range map[string]struct {
		edit func(*gate.Facts)
		want gate.Verdict
	}{
		"hotfix":  {func(f *gate.Facts) { f.Class, f.Incident = schemas.ChangeHotfix, "INC-1" }, gate.Fail},
		"return":  {func(f *gate.Facts) { f.Return = true }, gate.Pass},
		"removal": {func(f *gate.Facts) { f.Retired = true }, gate.Pass},
		"first":   {func(f *gate.Facts) { f.First = true }, gate.Fail},
	} {
		f := customized("", "false")
		c.edit(&f)
		assert.Equal(t, c.want, ask(t, f, "own").Verdict, name)
	}
}

func BenchmarkEvaluateThousandReleases(b *testing.B) {
	facts := make([]gate.Facts, 1000)
	for i := range facts {
		facts[i] = promotion()
	}
	began, n := time.Now(), 0
	for b.Loop() {
		for _, f := range facts {
			n += len(gate.Evaluate(f, now))
		}
	}
	releases := float64(b.N) * float64(len(facts))
	b.ReportMetric(float64(time.Since(began).Nanoseconds())/releases, "ns/release")
	b.ReportMetric(float64(n)/releases, "gates/release")
}
