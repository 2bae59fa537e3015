package reconciler

import (
	"cmp"
	"context"
	"slices"

	"github.com/sluice-cd/sluice/reconciler/environments"
	"github.com/sluice-cd/sluice/reconciler/release"
)

// provenEarlier finds out, for each environment whose checks the policy asks for,
// which commit brought the artifact and base of a revision there.
func (p *pass) provenEarlier(ctx context.Context, revision release.Revision) map[string]environments.Proven {
	environment, _ := p.rules.Policy.Environment(p.key.Environment)
	out := map[string]environments.Proven{}
	for _, check := range environment.Checks {
		if _, known := out[check.On]; known || !check.OnEnvironment() {
			continue
		}
		record, err := p.neighbour(ctx, release.Key{Environment: check.On, Service: p.key.Service})
		there := environments.Proven{Asked: err == nil, Commit: provenBy(record, revision)}
		if err != nil {
			there.Unknown = err.Error()
		}
		out[check.On] = there
	}
	return out
}

// provenBy is the commit of the newest proof of the same artifact and base, ""
// where there is none. An older one may have had another configuration.
func provenBy(record release.Record, revision release.Revision) string {
	for _, proof := range slices.Backward(record.Proven) {
		if proof.BaseTree == revision.BaseTree && sameImages(proof.Artifacts, revision.Artifacts) {
			return proof.Commit
		}
	}
	return ""
}

func sameImages(a, b []release.Artifact) bool {
	byImage := func(x, y release.Artifact) int {
		return cmp.Or(cmp.Compare(x.Image, y.Image), cmp.Compare(x.Digest, y.Digest))
	}
	return slices.Equal(slices.SortedFunc(slices.Values(a), byImage), slices.SortedFunc(slices.Values(b), byImage))
}
