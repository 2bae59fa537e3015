package gate

import "github.com/sluice-cd/sluice/schemas"

// Class returns the change class that applies among those that are claimed: by
// the release file first, then by whatever else is known of the change. The
// one that needs the most approvals wins, the earlier one of equals. A class
// that the policy does not know counts as the strictest, and so does none.
func Class(needed schemas.Approvals, claims ...string) string {
	class := ""
	for i, claim := range claims {
		if i == 0 || needed.For(claim) > needed.For(class) {
			class = claim
		}
	}
	return class
}
