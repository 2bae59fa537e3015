package schemas

import "fmt"

// Classes says by which signs a promotion is breaking or a security fix,
// whatever its release file calls it. A sign only ever makes it stricter.
type Classes struct {
	// Default: the labels breaking and breaking-change.
	Breaking Signs `json:"breaking,omitzero"`
	// Default: the label security.
	Security Signs `json:"security,omitzero"`
}

// Signs of a change class in the repository that the artifact is built from.
type Signs struct {
	// Labels of the pull requests that brought the promoted commits; upper and lower case are the same. An empty list looks for none.
	Labels []string `json:"labels,omitempty"`
	// A check of artifact.source.commit that says whether the class applies.
	Check *SignCheck `json:"check,omitempty"`
}

// SignCheck names a check that ends with success when the class does not apply. Any other end means that it does.
type SignCheck struct {
	Name string `json:"name" jsonschema:"required"`
	// Slug of the app that must have written it.
	App string `json:"app" jsonschema:"required"`
}

func (c *Classes) defaults() {
	c.Breaking.Labels = []string{"breaking", "breaking-change"}
	c.Security.Labels = []string{"security"}
}

func (c Classes) validate(ps *Problems, at string) {
	c.Breaking.validate(ps, at+".breaking")
	c.Security.validate(ps, at+".security")
}

func (s Signs) validate(ps *Problems, at string) {
	for i, label := range s.Labels {
		if label == "" {
			ps.add(fmt.Sprintf("%s.labels[%d]", at, i), "give the name of a label", "the label has no name")
		}
	}
	if s.Check != nil && (s.Check.Name == "" || s.Check.App == "") {
		ps.add(at+".check", "give both name and app", "the check is not complete")
	}
}
