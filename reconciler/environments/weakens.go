package environments

import (
	"maps"
	"slices"

	"github.com/sluice-cd/sluice/reconciler/gate"
)

// Weakens says in words what rules ask less of than others: first the policy,
// then each service.
func Weakens(before, after Rules) []string {
	out := gate.Weakens(before.Policy, after.Policy)
	for _, name := range slices.Sorted(maps.Keys(before.Services)) {
		if service, kept := after.Services[name]; kept {
			out = append(out, gate.WeakensService(before.Services[name], service)...)
		}
	}
	return out
}

// weakens compares the rules of two commits, for people to see. Rules that cannot
// be read are not in force either, so they take nothing away.
func (q *inquiry) weakens(before, after string, owned []string) []string {
	if len(owned) == 0 {
		return nil
	}
	was, err := q.Rules(before)
	if err != nil {
		return nil
	}
	is, err := q.Rules(after)
	if err != nil {
		return nil
	}
	return Weakens(was, is)
}
