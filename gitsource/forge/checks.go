package forge

import (
	"cmp"
	"slices"
)

type checkKey struct {
	app  int64
	name string
}

// LatestChecks keeps the latest run of each (app id, name), sorted by both.
// The run with the highest id is the latest: ids are given by the forge,
// while an app chooses the times it reports, so an old success with a time in
// the future never hides a newer run. Runs of other commits do not belong in
// the same call.
func LatestChecks(runs []Check) []Check {
	latest := make(map[checkKey]Check, len(runs))
	for _, run := range runs {
		key := checkKey{run.AppID, run.Name}
		if known, ok := latest[key]; !ok || run.ID > known.ID {
			latest[key] = run
		}
	}
	kept := make([]Check, 0, len(latest))
	for _, run := range latest {
		kept = append(kept, run)
	}
	slices.SortFunc(kept, func(a, b Check) int {
		return cmp.Or(cmp.Compare(a.AppID, b.AppID), cmp.Compare(a.Name, b.Name))
	})
	return kept
}
