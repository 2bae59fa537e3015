package schemas

import (
	"fmt"
	"slices"

	"github.com/sluice-cd/sluice/schemas/condition"
)

// What a custom gate does where its condition does not hold.
const (
	OnFalseReject = "reject"
	OnFalseWait   = "wait"
)

// Bounds of the work of one decision, and of reading one policy.
const (
	maxCustomGates = 20  // of an environment
	maxConditions  = 200 // of a policy
)

// CustomGate is a condition of the policy's own. It is asked beside the built-in gates, so
// it can only make things stricter.
type CustomGate struct {
	// Unique within the environment, and not that of a built-in gate.
	Name string `json:"name" jsonschema:"required,maxLength=63,pattern=^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"`
	// CEL. Where it is false, the gate passes because it does not apply. Default: it always applies.
	AppliesWhen Condition `json:"appliesWhen,omitzero"`
	// CEL. It has to be true.
	Requires Condition `json:"requires" jsonschema:"required"`
	// What is said where requires is false.
	Message string `json:"message" jsonschema:"required,maxLength=200"`
	// Who or what can change the answer. Default: the author of the promotion.
	Unblocks string `json:"unblocks,omitempty" jsonschema:"maxLength=200"`
	// What follows where requires is false. reject: the change is not acceptable. wait: it is, but not yet. Default: reject.
	OnFalse string `json:"onFalse,omitempty" jsonschema:"enum=reject,enum=wait"`
}

// A Condition is a CEL expression on one line; package condition lists what it may speak about.
type Condition struct {
	text     string
	compiled condition.Condition
	fault    error
}

// NewCondition compiles an expression; Validate says what is wrong with it.
func NewCondition(text string) Condition {
	c := Condition{text: text}
	c.compiled, c.fault = condition.Compile(text)
	return c
}

// String is the expression as it was written, "" where there is none.
func (c Condition) String() string { return c.text }

// IsZero reports whether no expression was written.
func (c Condition) IsZero() bool { return c.text == "" && c.fault == nil }

// Holds evaluates the condition, see condition.Condition.
func (c Condition) Holds(f condition.Facts) (bool, error) { return c.compiled.Holds(f) }

// MarshalText implements encoding.TextMarshaler.
func (c Condition) MarshalText() ([]byte, error) { return []byte(c.text), nil }

// UnmarshalText implements encoding.TextUnmarshaler. What is wrong is found when the
// whole policy was read, and reported by Validate with a position.
func (c *Condition) UnmarshalText(text []byte) error {
	*c = Condition{text: string(text)}
	return nil
}

// compileGates compiles the conditions of a policy, as many as one may have.
func (p *Policy) compileGates() {
	n := 0
	for _, e := range p.Environments {
		for i := range e.Gates {
			for _, c := range []*Condition{&e.Gates[i].AppliesWhen, &e.Gates[i].Requires} {
				if c.text == "" {
					continue
				}
				if n++; n > maxConditions {
					c.fault = fmt.Errorf("the policy has more than %d conditions", maxConditions)
					continue
				}
				*c = NewCondition(c.text)
			}
		}
	}
}

func (g *CustomGate) defaults() {
	g.OnFalse, g.Unblocks = OnFalseReject, "the author of the promotion"
}

// builtIn lists the names that custom gates cannot have.
func builtIn() []string {
	return []string{
		"integrity", "artifact", "provenance", "render", "health-probes", "hotfix", "hold", "paused", "freeze",
		"approvals", "codeowners", "order", "backfill", "soak", "window", "owners", "class", "return", "migration",
	}
}

func (e Environment) validateGates(ps *Problems, at string) {
	if len(e.Gates) > maxCustomGates {
		ps.add(at, "join some of them with && or ||", "there are %d gates, the limit is %d", len(e.Gates), maxCustomGates)
		return
	}
	taken := builtIn()
	for _, c := range e.Checks {
		taken = append(taken, c.Gate)
	}
	for i, g := range e.Gates {
		item := fmt.Sprintf("%s[%d]", at, i)
		switch {
		case !isName(g.Name, maxNameLength):
			ps.add(item+".name", "use lower-case letters, digits and hyphens", "%q cannot be the name of a gate", g.Name)
		case slices.Contains(taken, g.Name):
			ps.add(item+".name", "choose another name", "gate %q is there already", g.Name)
		}
		taken = append(taken, g.Name)
		g.validate(ps, item)
	}
}

// maxSentence is the largest number of characters of what a custom gate says.
const maxSentence = 200

func (g CustomGate) validate(ps *Problems, at string) {
	g.AppliesWhen.validate(ps, at+".appliesWhen")
	if g.Requires.IsZero() {
		ps.add(at+".requires", "write a condition in CEL", "the gate requires nothing")
	}
	g.Requires.validate(ps, at+".requires")
	if g.Message == "" {
		ps.add(at+".message", "say what is asked for, for those whom the gate stops", "the gate has no message")
	}
	for name, text := range map[string]string{"message": g.Message, "unblocks": g.Unblocks} {
		if n := len([]rune(text)); n > maxSentence {
			ps.add(at+"."+name, "shorten it", "%s has %d characters, the limit is %d", name, n, maxSentence)
		}
	}
	oneOf(ps, at+".onFalse", g.OnFalse, OnFalseReject, OnFalseWait)
}

func (c Condition) validate(ps *Problems, at string) {
	if c.fault == nil {
		return
	}
	ps.add(at, "correct the condition; it may speak about "+enumerate(condition.Variables()), "%s: %s", at, c.fault)
}
