package condition_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/schemas/condition"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func facts() condition.Facts {
	return condition.Facts{
		Release: condition.Release{
			Environment: "production", Service: "checkout", Class: "standard", Version: "1.42.0",
			Artifacts: []condition.Artifact{{Image: "registry.example.com/shop/checkout", Digest: "sha256:6d", Repository: "acme/checkout", Commit: "9f2c"}},
		},
		PullRequest: condition.PullRequest{Number: 12, Title: "Promote checkout", Author: "dana", Labels: []string{"risky"}, Approvals: 1},
		Checks:      condition.Checks{Source: map[string]string{"github-actions/test": "success"}, Merge: map[string]string{"ci/load": "pending"}},
		Upstream:    condition.Upstream{Environment: "staging", StableSince: now.Add(-time.Hour)},
		Change:      condition.Change{Paths: []string{"production/checkout/release.yaml"}},
		Now:         now,
	}
}

func TestAConditionSpeaksAboutTheFacts(t *testing.T) {
	for text, want := range map[string]bool{
		`release.service == "checkout" && release.environment == "production"`: true,
		`release.class in ["breaking", "security"]`:                            false,
		`"risky" in pullRequest.labels && pullRequest.approvals >= 2`:          false,
		`checks.source["github-actions/test"] == "success"`:                    true,
		`"other/test" in checks.source`:                                        false,
		`checks.merge["ci/load"] == "success"`:                                 false,
		`now - upstream.stableSince >= duration("24h")`:                        false,
		`now.getDayOfWeek("Europe/Berlin") == 1`:                               true,
		`change.paths.all(p, p.startsWith("production/"))`:                     true,
		`release.artifacts.exists(a, a.image.matches("^registry\\."))`:         true,
		`release.artifacts[0].digest.startsWith("sha256:")`:                    true,
		`has(release.incident)`:                                                false,
		`pullRequest.title.contains("☃")`:                                      false,
	} {
		c, err := condition.Compile(text)
		require.NoError(t, err, text)
		got, err := c.Holds(facts())
		require.NoError(t, err, text)
		assert.Equal(t, want, got, text)
	}
}

func TestAFaultSaysWhereItIs(t *testing.T) {
	for text, want := range map[string]string{
		``:                                     "Syntax error: mismatched input '<EOF>'",
		`release.service = "x"`:                "column 17: Syntax error: token recognition error at: '= '",
		`release.servce == "x"`:                "column 8: undefined field 'servce'",
		`true && realease.service == "x"`:      "column 9: undeclared reference to 'realease'",
		`pullRequest.number == "12"`:           "column 20: found no matching overload for '_==_' applied to '(int, string)'",
		`pullRequest.number`:                   "it is of type int, and has to be true or false",
		`dyn(true)`:                            "it is of type dyn, and has to be true or false",
		`release.service.matches("[")`:         "column 25: invalid matches argument",
		`now > timestamp("yesterday")`:         "column 17: invalid timestamp argument",
		strings.Repeat("!", 3000) + "true":     "it has 3004 bytes, the limit is 2000",
		strings.Repeat("(", 900) + "true":      "expression recursion limit exceeded: 50",
		"release.service == '\x1b[31m' + x\ny": "column 1: Syntax error: extraneous input 'y'",
		`[1, "a"].size() > 0`:                  "column 5: expected type 'int' but found 'string'",
		`os.getenv("TOKEN") == ""`:             "column 1: undeclared reference to 'os'",
	} {
		_, err := condition.Compile(text)
		require.Error(t, err, text)
		assert.Contains(t, err.Error(), want, text)
		assert.NotContains(t, err.Error(), "\n")
		assert.NotContains(t, err.Error(), "\x1b")
		assert.LessOrEqual(t, len(err.Error()), 1000)
	}
}

func TestACostBombIsRefused(t *testing.T) {
	for name, text := range map[string]string{
		"paths by paths":      `change.paths.all(a, change.paths.all(b, a != b + "x"))`,
		"three deep":          `change.paths.all(a, pullRequest.labels.all(b, pullRequest.labels.all(c, a != b + c)))`,
		"literal lists":       `[` + strings.TrimSuffix(strings.Repeat("1,", 120), ",") + `].all(a, change.paths.all(b, b.contains("aaaaaaaaaaaaaaaa")))`,
		"growing texts":       `[1,2,3].map(a, change.paths.map(b, b + b + b + b)).size() > 0 && change.paths.all(a, change.paths.map(b, b + a).size() > 0)`,
		"regular expressions": `change.paths.all(p, ` + strings.TrimSuffix(strings.Repeat(`p.matches("(a+)+(b+)+(c+)+(d+)+(e+)+(f+)+$") || `, 20), " || ") + `)`,
	} {
		_, err := condition.Compile(text)
		assert.Error(t, err, name)
	}
}

func TestFactsThatAreTooLargeAreNotKnown(t *testing.T) {
	c, err := condition.Compile(`change.paths.all(p, p != "x")`)
	require.NoError(t, err)
	f := facts()
	f.Change.Paths = make([]string, 500)
	holds, err := c.Holds(f)
	require.NoError(t, err)
	assert.True(t, holds)

	f.Change.Paths = make([]string, 300_000)
	_, err = c.Holds(f)
	assert.ErrorIs(t, err, condition.ErrUnknown)
	assert.ErrorContains(t, err, "change.paths (it is larger than the 500 that conditions look at)")

	f.Change.Paths = []string{strings.Repeat("x", 300)}
	_, err = c.Holds(f)
	assert.ErrorIs(t, err, condition.ErrUnknown)
}

func TestWhatIsNotKnownIsNeverTrueOrFalse(t *testing.T) {
	f := facts()
	f.Unknown = map[string]string{"pullRequest": "it was pushed directly", "upstream.stableSince": "nothing was stable there"}
	for text, want := range map[string]string{
		`pullRequest.approvals == 0`:                                     "not known: pullRequest (it was pushed directly)",
		`!("risky" in pullRequest.labels)`:                               "not known: pullRequest (it was pushed directly)",
		`has(pullRequest.title)`:                                         "not known: pullRequest (it was pushed directly)",
		`pullRequest.labels.all(l, l != "risky")`:                        "not known: pullRequest (it was pushed directly)",
		`now > upstream.stableSince`:                                     "not known: upstream.stableSince (nothing was stable there)",
		`now > upstream.stableSince || pullRequest.number == 1`:          "not known: pullRequest (it was pushed directly), upstream.stableSince (nothing was stable there)",
		`checks.source["ci/none"] == "success"`:                          "no such key: ci/none",
		`release.artifacts[7].digest == ""`:                              "index out of bounds: 7",
		`1 / (size(pullRequest.labels) - size(pullRequest.labels)) == 1`: "not known",
	} {
		c, err := condition.Compile(text)
		require.NoError(t, err, text)
		_, err = c.Holds(f)
		assert.ErrorContains(t, err, want, text)
	}

	known, err := condition.Compile(`upstream.environment == "staging" || pullRequest.number == 1`)
	require.NoError(t, err)
	holds, err := known.Holds(f)
	require.NoError(t, err, "what does not matter need not be known")
	assert.True(t, holds)

	_, err = condition.Condition{}.Holds(facts())
	assert.ErrorIs(t, err, condition.ErrUnknown)
}

func FuzzCondition(f *testing.F) {
	for _, text := range []string{
		`release.service == "checkout"`, `change.paths.all(p, p.startsWith("a"))`, `now - upstream.stableSince > duration("1h")`,
		`checks.source["github-actions/test"] == "success"`, `has(release.incident) ? true : false`, "((((", "'\x00'", `b"\xff"`, `r"\"`,
		`[1,2].map(x, [x].map(y, y)).size() == 2`, `{"a": 1}.a == 1`, `"%s".format(["a"]) == ""`, `1/0 == 1`, `-9223372036854775808 == 1`,
		`release == release`, `condition.Release{service: "x"} == release`, `type(release) == condition.Release`,
		`timestamp("9999-12-31T23:59:59Z") + duration("9999h") > now`, `now.getHours("../../etc/passwd") > 1`,
	} {
		f.Add(text, "title", false)
	}
	f.Fuzz(func(t *testing.T, text, foreign string, unknown bool) {
		c, err := condition.Compile(text)
		if err != nil {
			assert.NotContains(t, err.Error(), "\n")
			return
		}
		given := facts()
		given.PullRequest.Title, given.PullRequest.Labels = foreign, []string{foreign}
		given.Checks.Source[foreign] = foreign
		if unknown {
			given.Unknown = map[string]string{"pullRequest": "the forge is away"}
		}
		began := time.Now()
		_, err = c.Holds(given)
		assert.Less(t, time.Since(began), 5*time.Second)
		if err != nil {
			assert.NotContains(t, err.Error(), "\n")
		}
	})
}

func BenchmarkCompile(b *testing.B) {
	for b.Loop() {
		if _, err := condition.Compile(`release.class == "breaking" && change.paths.exists(p, p.startsWith("production/"))`); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkHolds(b *testing.B) {
	c, err := condition.Compile(`change.paths.all(p, release.artifacts.all(a, p != a.image))`)
	require.NoError(b, err)
	f := facts()
	f.Change.Paths = make([]string, 500)
	f.Release.Artifacts = slices.Repeat(f.Release.Artifacts, 10)
	for i := range f.Change.Paths {
		f.Change.Paths[i] = "production/checkout/release.yaml"
	}
	for b.Loop() {
		_, err = c.Holds(f)
	}
	require.NoError(b, err)
}
