package gate_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/reconciler/gate"
)

const auditors = "acme/auditors"

func section(owners ...string) gate.Section {
	return gate.Section{File: "CODEOWNERS", Line: 3, Path: "production/checkout/release.yaml", Owners: owners}
}

func TestAnOwnerOfThePathsHasToApprove(t *testing.T) {
	byCarol := review(202, carol, forge.Approved, -time.Minute)
	for name, c := range map[string]struct {
		edit  func(*gate.Change)
		cause gate.Cause
		says  string
	}{
		"an owner did":       {func(c *gate.Change) { c.Reviews = append(c.Reviews, byCarol) }, gate.Met, "1 of 1 approval"},
		"nobody of them did": {func(*gate.Change) {}, gate.Short, "release.yaml needs the approval of an owner: acme/auditors (CODEOWNERS line 3)"},
		"the owner wrote it": {func(c *gate.Change) { c.Reviews = append(c.Reviews, byCarol); c.Commits[0].Author = carol }, gate.Short, "needs the approval"},
		"the owner's is stale": {func(c *gate.Change) {
			byOld := byCarol
			byOld.Commit = earlierHead
			c.Reviews = append(c.Reviews, byOld)
		}, gate.Short, "needs the approval"},
		"the owners are not known": {func(c *gate.Change) { c.Reviews = append(c.Reviews, byCarol); delete(c.Members, auditors) }, gate.Unknown, "could not be asked"},
		"the owner objects":        {func(c *gate.Change) { c.Reviews = append(c.Reviews, review(202, carol, forge.ChangesRequested, -1)) }, gate.Short, "requested changes"},
		"a login owns it": {func(c *gate.Change) {
			c.Sections.List[0].Owners = []string{"alice"}
			c.Members["alice"] = members(alice)
		}, gate.Met, "1 of 1"},
		"one of two owners": {func(c *gate.Change) { c.Sections.List[0].Owners = []string{auditors, releasers} }, gate.Met, "1 of 1"},
		"an e-mail owns it": {func(c *gate.Change) {
			c.Sections.List[0].Owners, c.Sections.List[0].Unresolved = nil, []string{"ops@example.com"}
		}, gate.Short, "an e-mail address is no account"},
		"two sections": {func(c *gate.Change) {
			c.Reviews = append(c.Reviews, byCarol)
			c.Sections.List = append(c.Sections.List, section("acme/other"))
			c.Members["acme/other"] = members(bob)
		}, gate.Short, "acme/other"},
		"the file is broken": {func(c *gate.Change) { c.Sections = gate.Sections{Fault: "CODEOWNERS: line 3: bad"} }, gate.Unknown, "line 3: bad"},
		"nobody owns it":     {func(c *gate.Change) { c.Sections.List = nil }, gate.Met, "1 of 1"},
		"it is the base":     {func(c *gate.Change) { c.Base = true }, gate.Met, "1 of 1"},
	} {
		t.Run(name, func(t *testing.T) {
			f := promotion()
			f.Changes[0].Sections.List = []gate.Section{section(auditors)}
			f.Changes[0].Members[auditors] = members(carol)
			c.edit(&f.Changes[0])
			r := ask(t, f, gate.Approvals)
			assert.Equal(t, c.cause, r.Cause, r.Reason)
			assert.Contains(t, r.Reason, c.says)
		})
	}
}

func TestOwnersCountWhereNoApprovalIsNeededOtherwise(t *testing.T) {
	f := promotion()
	f.Environment.Approvals.Standard, f.Environment.Approvals.Breaking, f.Environment.Approvals.Security, f.Environment.Approvals.Hotfix = 0, 0, 0, 0
	f.Changes[0].Sections.List = []gate.Section{section(auditors)}
	f.Changes[0].Members[auditors] = members(carol)
	assert.Equal(t, gate.Short, ask(t, f, gate.Approvals).Cause)
}
