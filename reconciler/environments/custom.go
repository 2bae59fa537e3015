package environments

import (
	"context"

	"github.com/sluice-cd/sluice/reconciler/gate"
	"github.com/sluice-cd/sluice/schemas"
)

// custom adds what only the conditions of custom gates speak about. Where a check
// asks for the same runs, the forge is asked once.
func (q *inquiry) custom(ctx context.Context, rules Rules, file schemas.Release, c Candidate, f *gate.Facts) {
	if len(f.Environment.Gates) == 0 {
		return
	}
	f.Service = c.Key.Service
	for _, a := range file.List() {
		if f.Version == "" {
			f.Version = a.Version
		}
	}
	f.Runs = map[string]gate.CheckFacts{
		schemas.OnSource: q.sourceFacts(ctx, schemas.Check{On: schemas.OnSource}, rules.Services[c.Key.Service], file),
		schemas.OnMerge:  q.mergeFacts(ctx, f.Changes, c),
	}
}
