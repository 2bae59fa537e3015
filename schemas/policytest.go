package schemas

import (
	"fmt"
	"reflect"
	"slices"
)

// KindPolicyTest is the kind of a file with cases that a policy has to decide in
// a certain way. Sluice itself reads none.
const KindPolicyTest = "PolicyTest"

// PolicyTest says what the gates of one environment have to answer. A case says
// only in what it differs from a reviewed promotion of what the environment before
// has proven, whose checks have succeeded and that nobody has approved.
type PolicyTest struct {
	APIVersion string `json:"apiVersion" jsonschema:"required,enum=sluice.dev/v1alpha1"`
	Kind       string `json:"kind" jsonschema:"required,enum=PolicyTest"`
	// The policy, from the directory of this file.
	Policy string `json:"policy" jsonschema:"required"`
	// The environment that is promoted to.
	Environment string `json:"environment" jsonschema:"required"`
	// Who reviews. Whoever is not listed may write and is in no team.
	People []TestPerson `json:"people,omitempty"`
	Cases  []TestCase   `json:"cases" jsonschema:"required,minItems=1"`

	origin *origin
}

// TestPerson is a reviewer.
type TestPerson struct {
	Login string   `json:"login" jsonschema:"required"`
	Teams []string `json:"teams,omitempty"`
	// May not write to the repository.
	Reader bool `json:"reader,omitempty"`
}

// TestCase is one promotion and what is to be said of it.
type TestCase struct {
	Name string `json:"name" jsonschema:"required"`
	// When it is judged.
	At Time `json:"at" jsonschema:"required"`
	// Default: standard.
	Change   string `json:"change,omitempty" jsonschema:"enum=standard,enum=breaking,enum=security,enum=hotfix"`
	Incident string `json:"incident,omitempty"`
	// It is merged. Default: the pull request is open.
	Merged bool `json:"merged,omitempty"`
	// How it came about: reviewed, pushed (without a pull request), altered (what
	// landed is not what was reviewed) or unknown. Default: reviewed.
	Came string `json:"came,omitempty" jsonschema:"enum=reviewed,enum=pushed,enum=altered,enum=unknown"`
	// Who opened it and wrote its commits. Default: author.
	Author string `json:"author,omitempty"`
	// What says that the artifact was built from its source commit: proven, missing,
	// elsewhere (it was built from another commit) or unknown. Default: proven.
	Provenance string `json:"provenance,omitempty" jsonschema:"enum=proven,enum=missing,enum=elsewhere,enum=unknown"`
	// Labels of the pull request that the artifact was built from.
	Labels []string `json:"labels,omitempty"`
	// Logins.
	Approvals  []string `json:"approvals,omitempty"`
	Objections []string `json:"objections,omitempty"`
	// Checks that have not succeeded, by their gates.
	Checks []TestCheck `json:"checks,omitempty"`
	// What the environment before says of artifact and base: proven, moving (it is
	// rolling them out), serving (they have all traffic and are being verified),
	// never or unknown. Default: proven.
	Upstream string `json:"upstream,omitempty" jsonschema:"enum=proven,enum=moving,enum=serving,enum=never,enum=unknown"`
	// How long they have soaked there. Default: a day.
	Soaked *Duration `json:"soaked,omitempty"`
	// What it renders to: good, unpinned (an image without a digest), unprobed (no
	// health probes), broken or unknown. Default: good.
	Manifests string `json:"manifests,omitempty" jsonschema:"enum=good,enum=unpinned,enum=unprobed,enum=broken,enum=unknown"`
	// What people or Sluice have stopped: held, paused, frozen.
	Stopped []string `json:"stopped,omitempty"`
	// A hotfix that was not backfilled yet: due or overdue.
	Hotfix string `json:"hotfix,omitempty" jsonschema:"enum=due,enum=overdue"`

	Expect TestExpectation `json:"expect" jsonschema:"required"`
}

// TestCheck is the state of one check.
type TestCheck struct {
	Gate string `json:"gate" jsonschema:"required"`
	// failed, running, missing, unknown where the forge does not answer, or alerted: it
	// succeeded, but code scanning has an alert that it minds.
	Is string `json:"is" jsonschema:"required,enum=failed,enum=running,enum=missing,enum=unknown,enum=alerted"`
}

// TestExpectation is what the gates have to say.
type TestExpectation struct {
	// Of all gates together: pass, wait or fail.
	Verdict string `json:"verdict" jsonschema:"required,enum=pass,enum=wait,enum=fail"`
	// Gates that do not pass; all the others have to.
	Gates []TestGate `json:"gates,omitempty"`
}

// TestGate is one gate's answer.
type TestGate struct {
	Gate    string `json:"gate" jsonschema:"required"`
	Verdict string `json:"verdict" jsonschema:"required,enum=wait,enum=fail"`
	// A part of its reason.
	Because string `json:"because,omitempty"`
}

// DecodePolicyTest reads a file of cases. The error is of type Problems.
func DecodePolicyTest(file string, data []byte) (PolicyTest, error) {
	d := newDecoder(file)
	t := PolicyTest{}
	root := d.parse(data, KindPolicyTest)
	if root == nil {
		return t, d.finish(nil)
	}
	d.value("", root, reflect.ValueOf(&t).Elem())
	t.origin = d.origin
	return t, d.finish(t.Validate())
}

func (c *TestCase) defaults() {
	c.Change, c.Came, c.Author, c.Provenance, c.Upstream, c.Manifests = ChangeStandard, "reviewed", "author", "proven", "proven", "good"
}

// Position returns where a case was written.
func (t PolicyTest) Position(i int) (line, column int) {
	at := t.origin.nearest(fmt.Sprintf("cases[%d]", i))
	return at.line, at.column
}

// Validate returns everything that is wrong with the meaning of the cases.
func (t PolicyTest) Validate() Problems {
	var ps Problems
	if t.Policy == "" {
		ps.add("policy", "name the policy's file, such as ../environments/sluice.yaml", "the policy is missing")
	}
	if t.Environment == "" {
		ps.add("environment", "name an environment of the policy", "the environment is missing")
	}
	if len(t.Cases) == 0 {
		ps.add("cases", "write one", "there is no case")
	}
	for i, p := range t.People {
		if p.Login == "" {
			ps.add(fmt.Sprintf("people[%d].login", i), "write one", "the login is missing")
		}
	}
	seen := map[string]bool{}
	for i, c := range t.Cases {
		at := fmt.Sprintf("cases[%d]", i)
		c.validate(&ps, at)
		if seen[c.Name] {
			ps.add(at+".name", "give each case a name of its own", "%q is there twice", c.Name)
		}
		seen[c.Name] = true
	}
	return ps
}

func (c TestCase) validate(ps *Problems, at string) {
	if c.Name == "" {
		ps.add(at+".name", "say what the case is about", "the name is missing")
	}
	if c.At.IsZero() {
		ps.add(at+".at", "write an instant such as 2026-03-02T10:00:00Z", "the instant is missing")
	}
	oneOf(ps, at+".change", c.Change, ChangeStandard, ChangeBreaking, ChangeSecurity, ChangeHotfix)
	oneOf(ps, at+".came", c.Came, "reviewed", "pushed", "altered", "unknown")
	oneOf(ps, at+".provenance", c.Provenance, "proven", "missing", "elsewhere", "unknown")
	oneOf(ps, at+".upstream", c.Upstream, "proven", "moving", "serving", "never", "unknown")
	oneOf(ps, at+".manifests", c.Manifests, "good", "unpinned", "unprobed", "broken", "unknown")
	if c.Hotfix != "" {
		oneOf(ps, at+".hotfix", c.Hotfix, "due", "overdue")
	}
	for i, s := range c.Stopped {
		oneOf(ps, fmt.Sprintf("%s.stopped[%d]", at, i), s, "held", "paused", "frozen")
	}
	for i, check := range c.Checks {
		oneOf(ps, fmt.Sprintf("%s.checks[%d].is", at, i), check.Is, "failed", "running", "missing", "unknown", "alerted")
	}
	if slices.Contains([]string{"pushed", "altered"}, c.Came) && !c.Merged {
		ps.add(at+".came", "add merged: true", "%s is what only something on the branch can be", c.Came)
	}
	oneOf(ps, at+".expect.verdict", c.Expect.Verdict, "pass", "wait", "fail")
	for i, g := range c.Expect.Gates {
		oneOf(ps, fmt.Sprintf("%s.expect.gates[%d].verdict", at, i), g.Verdict, "wait", "fail")
	}
}
