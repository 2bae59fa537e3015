package gate_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/reconciler/gate"
	"github.com/sluice-cd/sluice/schemas"
)

func withSource(edit func(*gate.Source)) gate.Facts {
	f := promotion()
	edit(&f.Sources[0])
	return f
}

func TestSignsInTheSourceRepositoryMakeAPromotionStricter(t *testing.T) {
	contract := &schemas.SignCheck{Name: "api-contract", App: "github-actions"}
	for name, c := range map[string]struct {
		edit  func(*gate.Facts)
		why   string // in the evidence
		cause gate.Cause
	}{
		"a breaking label":         {func(f *gate.Facts) { label(f, "breaking") }, "label breaking, so the change is breaking", gate.Short},
		"in capitals":              {func(f *gate.Facts) { label(f, "Breaking-Change") }, "so the change is breaking", gate.Short},
		"a security label":         {func(f *gate.Facts) { label(f, "security") }, "so the change is security", gate.Short},
		"a label of the policy":    {func(f *gate.Facts) { label(f, "api"); f.Classes.Breaking.Labels = []string{"api"} }, "label api", gate.Short},
		"a label of nothing":       {func(f *gate.Facts) { label(f, "breaking"); f.Classes = schemas.Classes{} }, "", gate.Met},
		"a check says so":          {func(f *gate.Facts) { f.Classes.Breaking.Check = contract; signal(f, "failure") }, "api-contract on dddddddddd", gate.Short},
		"a check says nothing new": {func(f *gate.Facts) { f.Classes.Breaking.Check = contract; signal(f, "neutral") }, "so the change is breaking", gate.Short},
		"a check says no":          {func(f *gate.Facts) { f.Classes.Breaking.Check = contract; signal(f, "success") }, "", gate.Met},
		"a check is running":       {func(f *gate.Facts) { f.Classes.Breaking.Check = contract; signal(f, "") }, "", gate.Unknown},
		"a check is missing":       {func(f *gate.Facts) { f.Classes.Breaking.Check = contract }, "", gate.Unknown},
		"too many commits":         {func(f *gate.Facts) { f.Sources[0].TooMany = true }, "more commits since", gate.Short},
		"not answered":             {func(f *gate.Facts) { f.Sources[0].Unknown = "timeout" }, "", gate.Unknown},
		"not asked":                {func(f *gate.Facts) { f.Sources = nil }, "", gate.Unknown},
		"of another commit":        {func(f *gate.Facts) { f.Sources[0].To = earlierSource }, "", gate.Unknown},
		"silent":                   {func(f *gate.Facts) { f.Sources[0].Record = gate.RecordSilent }, "", gate.Unknown},
		"a forge that cannot tell": {func(f *gate.Facts) { f.Sources[0].Record = gate.NoRecord }, "could not be checked", gate.Met},
		"of a removal":             {func(f *gate.Facts) { f.Sources, f.Retired = nil, true }, "", gate.Met},
		"all classes need as many": {func(f *gate.Facts) {
			f.Sources, f.Environment.Approvals = nil, schemas.Approvals{Standard: 1, Breaking: 1, Security: 1, Hotfix: 1, Teams: []string{releasers}}
		}, "", gate.Met},
	} {
		t.Run(name, func(t *testing.T) {
			f := promotion()
			c.edit(&f)
			r := ask(t, f, gate.Approvals)
			assert.Equal(t, c.cause, r.Cause, r.Reason)
			assert.Contains(t, texts(r), c.why)

			f.Changes[0].Reviews = append(f.Changes[0].Reviews, review(202, bob, forge.Approved, -1))
			assert.Equal(t, gate.Met, ask(t, f, gate.Approvals).Cause, "two approvals are enough for every class")
		})
	}
}

func label(f *gate.Facts, name string) { f.Sources[0].PullRequests[0].Labels = []string{"x", name} }

func signal(f *gate.Facts, conclusion string) {
	f.Sources[0].Runs = []forge.Check{run(300, "api-contract", sourceCommit, conclusion)}
}

func TestSpoofedSignCheckSaysNothing(t *testing.T) {
	f := promotion()
	f.Classes.Breaking.Check = &schemas.SignCheck{Name: "api-contract", App: "github-actions"}
	signal(&f, "success")
	f.Sources[0].Runs[0].App, f.Sources[0].Runs[0].AppID = "evil", 666
	assert.Equal(t, gate.Unknown, ask(t, f, gate.Approvals).Cause)
}

func TestDoubtAboutTheClassSaysWhatItWaitsFor(t *testing.T) {
	r := ask(t, withSource(func(s *gate.Source) { s.Unknown = "HTTP 503" }), gate.Approvals)
	assert.Equal(t, gate.Wait, r.Verdict)
	assert.Contains(t, r.Reason, "1 of 2 approvals if it is of the strictest class")
	assert.Contains(t, r.Reason, "HTTP 503")

	f := withSource(func(s *gate.Source) { s.Unknown = "HTTP 503" })
	f.Changes[0].Reviews = nil
	assert.Equal(t, gate.Short, ask(t, f, gate.Approvals).Cause, "it is short for whatever class it is of")
}

func TestAHotfixStaysOneWhateverItsCommitsAre(t *testing.T) {
	f := promotion()
	f.Class, f.Incident = schemas.ChangeHotfix, "INC-1"
	f.Environment.Approvals.Breaking = 3
	label(&f, "breaking")
	f.Changes[0].Reviews = append(f.Changes[0].Reviews, review(202, bob, forge.Approved, -1))
	assert.Contains(t, ask(t, f, gate.Approvals).Reason, "2 of 3")
	assert.Equal(t, gate.Pass, ask(t, f, gate.HotfixRef).Verdict)
}

func TestWhoWroteWhatIsPromotedDoesNotApproveIt(t *testing.T) {
	for name, c := range map[string]struct {
		edit  func(*gate.Facts)
		why   string
		cause gate.Cause
	}{
		"somebody else wrote it": {func(*gate.Facts) {}, "alice approved and counts", gate.Met},
		"the approver wrote it":  {func(f *gate.Facts) { f.Sources[0].Commits[0].Author = alice }, "wrote commit dddddddddd", gate.Short},
		"the approver helped":    {func(f *gate.Facts) { f.Sources[0].Commits[0].CoAuthors = []forge.User{{ID: alice.ID}} }, "co-wrote", gate.Short},
		"nobody knows who wrote": {func(f *gate.Facts) { f.Sources[0].Commits[0].Author = forge.User{} }, "belongs to no account", gate.Met},
		"not answered":           {func(f *gate.Facts) { f.Sources[0].Unknown = "timeout" }, "timeout", gate.Unknown},
		"not asked":              {func(f *gate.Facts) { f.Sources = nil }, "has not been looked up", gate.Unknown},
		"too many commits":       {func(f *gate.Facts) { f.Sources[0].TooMany = true }, "nobody can say who wrote all of it", gate.Short},
		"a forge without record": {func(f *gate.Facts) { f.Sources[0].Record = gate.NoRecord }, "could not be checked", gate.Met},
		"the first release":      {func(f *gate.Facts) { f.Sources[0].From = "" }, "only who wrote the 1 newest commits", gate.Met},
		"it is only the base":    {func(f *gate.Facts) { f.Sources[0].Commits[0].Author = alice; f.Changes[0].Base = true }, "", gate.Met},
	} {
		t.Run(name, func(t *testing.T) {
			f := promotion()
			f.Environment.Approvals.ExcludeSourceAuthors = true
			f.Environment.Approvals.Breaking, f.Environment.Approvals.Security, f.Environment.Approvals.Hotfix = 1, 1, 1
			c.edit(&f)
			r := ask(t, f, gate.Approvals)
			assert.Equal(t, c.cause, r.Cause, r.Reason)
			assert.Contains(t, texts(r), c.why)
		})
	}
	f := promotion()
	f.Sources[0].Commits[0].Author = alice
	assert.Equal(t, gate.Met, ask(t, f, gate.Approvals).Cause, "the policy does not ask for it")
}

func TestFirstEnvironmentThatAsksForSomeClassesProvesThemToo(t *testing.T) {
	f := promotion()
	f.First, f.Environment.Approvals = true, schemas.Approvals{Breaking: 1}
	f.Changes[0].Content = gate.Answer{Reason: "differs"}
	assert.Equal(t, gate.Pass, ask(t, f, gate.Integrity).Verdict)
	label(&f, "breaking")
	assert.Equal(t, gate.Fail, ask(t, f, gate.Integrity).Verdict, "an approval counts for what was reviewed only")
}
