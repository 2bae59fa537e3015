package gate

import (
	"time"

	"github.com/sluice-cd/sluice/schemas"
)

// PolicyFacts is what is known about a change of what the policy's owners own.
type PolicyFacts struct {
	// Repository, Branch and Merged as in Facts.
	Repository string
	Branch     string
	Merged     bool
	// Owners are those of the policy before the change: nobody appoints
	// themselves.
	Owners []string
	Change Change
}

// EvaluatePolicy says whether a change of the rules is accepted: a reviewed
// pull request with the approval of an owner, or of somebody who may write
// where the policy names no owner.
func EvaluatePolicy(p PolicyFacts, now time.Time) []Result {
	change := p.Change
	// The paths are the point of this change, not an addition to a release.
	change.Owned = nil
	f := Facts{
		Merged:     p.Merged,
		Repository: p.Repository,
		Branch:     p.Branch,
		Class:      schemas.ChangeStandard,
		Changes:    []Change{change},
	}
	f.Environment.Approvals = schemas.Approvals{Standard: 1, Teams: p.Owners}
	owners := approvals(f)
	if len(change.Weakens) > 0 {
		owners.reason += "; it asks for less: " + some(change.Weakens)
	}
	return []Result{
		integrity(f).result(Integrity, p.Merged, now),
		owners.result(Owners, p.Merged, now),
	}
}
