package schemas_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/schemas"
)

func policyProblems(t *testing.T, text string) []string {
	t.Helper()
	_, err := schemas.DecodePolicy("sluice.yaml", []byte(text))
	require.Error(t, err)
	var ps schemas.Problems
	require.ErrorAs(t, err, &ps)
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return lines
}

func TestEveryProblemIsReportedWithItsPosition(t *testing.T) {
	got := policyProblems(t, `apiVersion: sluice.dev/v1alpha1
kind: Policy
environments:
  - name: dev
  - name: production
    aprovals: {standard: 1}
    rollout: {steps: [5, 50, 25, 100], interval: fast}
    rollback:
      healthCheckFailures: two
      onReject: shrug
    maxConcurrent: 3
    maxConcurrent: 4
`)
	assert.Equal(t, []string{
		`sluice.yaml:6:5: unknown field "aprovals"; use name, cluster, namespace, soak, approvals, provenance, checks, gates, windows, rollout, rollback, verification, hotfix or maxConcurrent`,
		`sluice.yaml:7:30: step 25 does not rise from 50 to at most 100; write rising percentages from 1 to 100`,
		`sluice.yaml:7:50: environments[1].rollout.interval: "fast" is not a duration such as 30s, 15m or 2h; correct the value`,
		`sluice.yaml:9:28: environments[1].rollback.healthCheckFailures is "two"; write a whole number`,
		`sluice.yaml:10:17: onReject is "shrug"; write revert, pullRequest or none`,
		`sluice.yaml:12:5: environments[1].maxConcurrent is there twice; keep one of the two`,
	}, got)
}

func TestMissingFieldIsReportedAtItsParent(t *testing.T) {
	_, err := schemas.DecodeRelease("r.yaml", []byte("apiVersion: sluice.dev/v1alpha1\nkind: Release\nartifact:\n  image: registry.example.com/shop/checkout\n"))
	require.Error(t, err)
	assert.Contains(t, err.Error(), `r.yaml:3:1: "" is not a digest; write sha256:`)
}

func TestWrittenSettingsAreMergedOverTheDefaultsOfTheirPlace(t *testing.T) {
	p := decodePolicy(t, emptyPolicy+`
environments:
  - name: one
  - name: two
    approvals: {breaking: 3}
    rollout: {interval: 10s}
    checks: []
  - name: three
    checks: [{gate: two-e2e, on: two, name: e2e}]
`)
	two, _ := p.Environment("two")
	assert.Equal(t, schemas.Approvals{Standard: 1, Breaking: 3, Security: 2, Hotfix: 2}, two.Approvals)
	assert.Equal(t, []int{5, 25, 50, 100}, two.Rollout.Steps)
	assert.Equal(t, 10*time.Second, two.Rollout.Interval.Std())
	assert.Empty(t, two.Checks)
	require.NotNil(t, two.Soak, "what comes between first and last soaks")
	three, _ := p.Environment("three")
	assert.Equal(t, []string{"two-e2e"}, gates(three))
}

func TestWrittenProvenanceAcceptsOnlyWhatItLists(t *testing.T) {
	p := decodePolicy(t, emptyPolicy+`
environments:
  - name: one
  - name: two
    provenance: {check: {name: image, app: shop-ci}}
  - name: three
`)
	two, _ := p.Environment("two")
	assert.Equal(t, &schemas.Provenance{Check: &schemas.ProvenanceCheck{Name: "image", App: "shop-ci"}}, two.Provenance)
	three, _ := p.Environment("three")
	assert.Equal(t, &schemas.Provenance{Attestation: true}, three.Provenance)
}

func TestAppendingAnEnvironmentLoosensNoOther(t *testing.T) {
	three := decodePolicy(t, emptyPolicy+"environments: [{name: dev}, {name: staging}, {name: production}]")
	four := decodePolicy(t, emptyPolicy+"environments: [{name: dev}, {name: staging}, {name: production}, {name: production-us}]")
	was, is := three.Environments[2], four.Environments[2]
	assert.NotNil(t, is.Soak)
	is.Soak = nil
	assert.Equal(t, was, is)
	assert.Equal(t, []string{"tests", "sast", "contract-tests", "validate", "production-e2e"}, gates(four.Environments[3]))
}

func TestTwoEnvironmentsStillSoakBeforeTheLast(t *testing.T) {
	p := decodePolicy(t, emptyPolicy+"environments: [{name: staging}, {name: production}]")
	assert.NotNil(t, p.Environments[0].Soak)
	assert.Contains(t, gates(p.Environments[1]), "staging-e2e")
}

func TestHostileFilesAreRefused(t *testing.T) {
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'k'; c++ {
		bomb += string(c) + ": &" + string(c) + " [" + strings.Repeat("*"+string(c-1)+",", 9) + "]\n"
	}
	cases := map[string]struct{ text, want string }{
		"empty":                   {"", "the file is empty"},
		"only a comment":          {"# nothing\n", "the file is empty"},
		"nothing but null":        {"---\n", "the file is not a mapping"},
		"a list":                  {"- a\n", "the file is not a mapping"},
		"not YAML":                {"a: b: c\n", "not YAML"},
		"tab":                     {"kind: Policy\n\tapiVersion: x\n", "sluice.yaml:2:1: not YAML"},
		"too large":               {strings.Repeat("#", schemas.MaxFileBytes+1), "the limit is 1048576"},
		"two documents":           {emptyPolicy + "---\nkind: Policy\n", "sluice.yaml:3:1: a second document"},
		"broken after first":      {emptyPolicy + "---\n{", "not YAML"},
		"another kind":            {"apiVersion: sluice.dev/v1alpha1\nkind: Release\n", `kind is "Release"`},
		"another version":         {"apiVersion: sluice.dev/v2\nkind: Policy\n", `apiVersion is "sluice.dev/v2"`},
		"no version":              {"kind: Policy\n", "apiVersion is missing"},
		"alias":                   {emptyPolicy + "owners: [&a acme/platform, *a]\n", "owners[1] is an alias"},
		"merge key":               {emptyPolicy + "<<: {owners: [a]}\n", `unknown field "<<"`},
		"alias bomb":              {emptyPolicy + bomb, `unknown field "a"`},
		"alias bomb in place":     {emptyPolicy + "owners: &a [*a]\n", "owners[0] is an alias"},
		"tag":                     {emptyPolicy + "owners: !!python/object [a]\n", "has the tag"},
		"binary":                  {emptyPolicy + "owners: [!!binary aGk=]\n", "has the tag"},
		"null":                    {emptyPolicy + "environments:\n", "environments has no value"},
		"mapping as a key":        {emptyPolicy + "{a: b}: c\n", "unknown field"},
		"nested deeply":           {emptyPolicy + "owners: " + strings.Repeat("[", 20000), "not YAML"},
		"escape":                  {emptyPolicy + "owners: [\"a\\e[31m\"]\n", "control or invisible character"},
		"trailer":                 {emptyPolicy + "owners: [\"a\\nApproved-By: b\"]\n", "control or invisible character"},
		"right to left":           {emptyPolicy + "owners: [\"a\u202eb\"]\n", "control or invisible character"},
		"not a number":            {emptyPolicy + "environments: [{name: a, rollback: {errorRateIncreasePoints: .nan}}]\n", `is ".nan"`},
		"infinite":                {emptyPolicy + "environments: [{name: a, rollback: {errorRateIncreasePoints: .inf}}]\n", `is ".inf"`},
		"negative time":           {emptyPolicy + "environments: [{name: a, rollout: {interval: -5m}}]\n", "is not a duration"},
		"text for a list":         {emptyPolicy + "owners: acme\n", "owners is not a list"},
		"no environments":         {emptyPolicy + "environments: []\n", "there are no environments"},
		"reserved name":           {emptyPolicy + "environments: [{name: services}]\n", "cannot be the name of an environment"},
		"name twice":              {emptyPolicy + "environments: [{name: a}, {name: a}]\n", `"a" is there twice`},
		"check on a later":        {emptyPolicy + "environments: [{name: a, checks: [{gate: x, on: b, name: x}]}, {name: b}]\n", `on is "b"`},
		"check by anybody":        {emptyPolicy + "environments: [{name: a, checks: [{gate: x, on: source, name: x}]}]\n", "without an app"},
		"check by anybody of dev": {emptyPolicy + "environments: [{name: a}, {name: b, checks: [{gate: x, on: a, name: x, app: ''}]}]\n", "without an app"},
		"steps end early":         {emptyPolicy + "environments: [{name: a, rollout: {steps: [5]}}]\n", "do not end at 100 percent"},
		"deadline too short":      {emptyPolicy + "environments: [{name: a, rollout: {steps: [5, 100], interval: 1h}}]\n", "do not fit into 2h"},
		"not built":               {emptyPolicy + "environments: [{name: a, rollout: {strategy: blue-green}}]\n", "strategy blue-green is not available in this version; use canary"},
		"namespace too long":      {emptyPolicy + "environments: [{name: a, namespace: '{service}-" + strings.Repeat("n", 40) + "'}]\n", "the limit is 63"},
		"freeze backwards":        {emptyPolicy + "environments: [{name: a, windows: {freezes: [{from: 2027-01-03, through: 2026-12-18, reason: x}]}}]\n", "before it begins"},
		"no proof accepted":       {emptyPolicy + "environments: [{name: a, provenance: {}}]\n", "provenance accepts no proof at all"},
		"key without PEM":         {emptyPolicy + "environments: [{name: a, provenance: {keys: [{name: ci, publicKey: abc}]}}]\n", "the key is not complete"},
		"context alone":           {emptyPolicy + "environments: [{name: a, cluster: {context: x}}]\n", "a context without a kubeconfigFile"},
		"approvals below 0":       {emptyPolicy + "environments: [{name: a, approvals: {standard: -1}}]\n", "standard is -1"},
		"team without org":        {emptyPolicy + "environments: [{name: a, approvals: {teams: [releasers]}}]\n", "is not a team"},
		"window never opens":      {emptyPolicy + "environments: [{name: a, windows: {open: [{cron: '0 8 * * MON', duration: 0s}]}}]\n", "the window never opens"},
		"not a cron":              {emptyPolicy + "environments: [{name: a, windows: {open: [{cron: daily, duration: 1h}]}}]\n", "is not a time of opening"},
		"not an hour":             {emptyPolicy + "environments: [{name: a, windows: {open: [{cron: 0 25 * * *, duration: 1h}]}}]\n", `sluice.yaml:3:50: "0 25 * * *" is not a time of opening: end of range (25) above maximum (23)`},
		"a day that no month has": {emptyPolicy + "environments: [{name: a, windows: {open: [{cron: 0 8 30 2 *, duration: 1h}]}}]\n", `sluice.yaml:3:50: "0 8 30 2 *" never comes; name a day that exists`},
		"a zone in a cron":        {emptyPolicy + "environments: [{name: a, windows: {open: [{cron: TZ=UTC 0 8 * * *, duration: 1h}]}}]\n", "is not a time of opening"},
		"no window at all":        {emptyPolicy + "environments: [{name: a, windows: {open: []}}]\n", "no window is ever open; list when rollouts may begin"},
		"freeze without end":      {emptyPolicy + "environments: [{name: a, windows: {freezes: [{from: 2026-12-18, reason: x}]}}]\n", "no beginning or no end"},
		"not a day":               {emptyPolicy + "environments: [{name: a, windows: {freezes: [{from: 2026-13-40, through: 2027-01-01, reason: x}]}}]\n", "is not a day"},
		"waives tests":            {emptyPolicy + "environments: [{name: a, hotfix: {waives: [tests]}}]\n", "waives[0] is \"tests\""},
		"endless hotfix":          {emptyPolicy + "environments: [{name: a}, {name: b, hotfix: {backfill: 0s}}]\n", "a hotfix would never have to come back"},
		"slow hotfix":             {emptyPolicy + "environments: [{name: a, hotfix: {steps: [25, 100], interval: 1h}}]\n", "2 steps of 1h do not fit into 2h"},
		"gate twice":              {emptyPolicy + "environments: [{name: a, checks: [{gate: x, on: merge, name: x, app: a}, {gate: x, on: merge, name: y, app: a}]}]\n", "gate \"x\" is there twice"},
		"alerts of a merge":       {emptyPolicy + "environments: [{name: a, checks: [{gate: x, on: merge, name: x, app: a, alerts: {severity: high}}]}]\n", "code is scanned on the source commit, not on merge"},
		"unknown severity":        {emptyPolicy + "environments: [{name: a, checks: [{gate: x, on: merge, name: x, app: a, alerts: {severity: bad}}]}]\n", "severity is \"bad\""},
		"owner":                   {emptyPolicy + "owners: ['a b']\n", "is not an owner"},
		"none at a time":          {emptyPolicy + "environments: [{name: a, maxConcurrent: 0}]\n", "maxConcurrent is 0"},
		"no deadline":             {emptyPolicy + "environments: [{name: a, rollout: {deadline: 0s}}]\n", "never ends"},
		"text for a flag":         {emptyPolicy + "environments: [{name: a, approvals: {excludeSourceAuthors: maybe}}]\n", "write true or false"},
		"unknown zone":            {emptyPolicy + "environments: [{name: a, windows: {timezone: Mars/Base}}]\n", "is not a time zone"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			assert.Contains(t, strings.Join(policyProblems(t, c.text), "\n"), c.want)
		})
	}
}

func TestReportOnAHostileFileIsBounded(t *testing.T) {
	text := emptyPolicy
	for i := range 5000 {
		text += "x" + strings.Repeat("y", i%50) + "_" + time.Duration(i).String() + ": 1\n"
	}
	got := policyProblems(t, text)
	assert.Len(t, got, 101)
	assert.Contains(t, strings.Join(got, "\n"), "4900 more problems are left out")
}

func TestOnlyWhatIsWrittenIsListedAsNotEnforced(t *testing.T) {
	p := decodePolicy(t, emptyPolicy+`
environments:
  - name: dev
  - name: production
    soak: {duration: 1m}
    maxConcurrent: 2
    rollback: {window: 10m, onReject: pullRequest}
    windows: {open: [{cron: "0 0 29 2 *", duration: 1h}]}
    hotfix: {waives: [soak, window], backfill: 24h}
    checks:
      - {gate: e2e, on: dev, name: e2e}
      - {gate: sast, on: source, name: sast, app: a, alerts: {severity: high}}
`)
	var got []string
	for _, w := range p.NotEnforced() {
		assert.Equal(t, schemas.SeverityWarning, w.Severity)
		got = append(got, w.String())
	}
	assert.Equal(t, []string{
		"sluice.yaml:8:20: warning: environments[1].maxConcurrent is not enforced by this version; do not rely on it yet",
	}, got)
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(emptyPolicy))
	f.Add([]byte(serviceText))
	f.Add([]byte(releaseText))
	f.Add([]byte(controlText))
	f.Add([]byte("a: &a [*a]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, err := schemas.DecodePolicy("f", data)
		wellFormed(t, err)
		_, err = schemas.DecodeService("f", "checkout", data)
		wellFormed(t, err)
		_, err = schemas.DecodeRelease("f", data)
		wellFormed(t, err)
		_, err = schemas.DecodeControl("f", data)
		wellFormed(t, err)
	})
}

func wellFormed(t *testing.T, err error) {
	if err == nil {
		return
	}
	var ps schemas.Problems
	require.ErrorAs(t, err, &ps)
	for _, p := range ps {
		assert.NotEmpty(t, p.Message)
		assert.NotEmpty(t, p.Remedy)
		assert.NotContains(t, p.String(), "\n")
		assert.NotContains(t, p.String(), "\x1b")
	}
}
