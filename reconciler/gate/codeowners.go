package gate

import (
	"fmt"
	"strings"

	"github.com/sluice-cd/sluice/schemas"
)

// Sections is what CODEOWNERS says of the paths of a change.
type Sections struct {
	List []Section
	// Fault says why the file in force cannot be used, "" where it can or where
	// there is none.
	Fault string
}

// A Section is what one line of CODEOWNERS says of a change.
type Section struct {
	File string
	Line int
	// Path is the first one that the line is about, More the number of the others.
	Path string
	More int
	// Owners are teams ("org/team") and logins, Unresolved e-mail addresses, which
	// a forge links to no account.
	Owners     []string
	Unresolved []string
}

// owners judges each section of a change: an owner has to have approved it.
func (f Facts) owners(c Change) []finding {
	if c.Base {
		return nil // it was brought in before, by the rules of then
	}
	if c.Sections.Fault != "" {
		return []finding{unknown("whose files "+c.name()+" changes is not known: "+foreign(c.Sections.Fault),
			"the owners of the policy, by correcting that file")}
	}
	var findings []finding
	for _, s := range c.Sections.List {
		findings = append(findings, f.ownedBy(c, s))
	}
	return findings
}

// ownedBy judges one section. Who may approve for an owner is who may approve at
// all: a person without a hand in the change.
func (f Facts) ownedBy(c Change, s Section) finding {
	what, where := foreign(s.Path), fmt.Sprintf("%s line %d", foreign(s.File), s.Line)
	if s.More > 0 {
		what += fmt.Sprintf(" and %d more", s.More)
	}
	if len(s.Owners) == 0 {
		return finding{
			cause:    Short,
			reason:   fmt.Sprintf("%s belongs to %s (%s), and an e-mail address is no account that could approve", what, foreign(strings.Join(s.Unresolved, " ")), where),
			unblocks: "the owners of the policy: name a team or an account in " + where,
		}
	}
	owners := foreign(strings.Join(s.Owners, " or "))
	t := tally(c.reviewers(schemas.Approvals{Teams: s.Owners}, f.barred(c)))
	switch {
	case t.approved > 0 && len(t.objecting) == 0:
		return met("").because(Evidence{Text: fmt.Sprintf("an owner of %s approved: %s (%s)", what, owners, where)})
	case len(t.objecting) > 0:
		return finding{
			cause: Short, reason: fmt.Sprintf("%s, an owner of %s (%s), requested changes", names(t.objecting), what, where),
			unblocks: names(t.objecting) + " by approving or withdrawing, or somebody who may dismiss the request",
		}
	case t.atMost() > 0:
		return unknown(fmt.Sprintf("%s needs the approval of %s (%s), and whether %s is one could not be asked", what, owners, where, names(t.undecided)), askForge)
	}
	return finding{
		cause:    Short,
		reason:   fmt.Sprintf("%s needs the approval of an owner: %s (%s)", f.prefix(c)+what, owners, where),
		unblocks: f.approvers(schemas.Approvals{Teams: s.Owners}, 1),
	}
}
