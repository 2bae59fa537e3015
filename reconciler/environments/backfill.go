package environments

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/reconciler/gate"
	"github.com/sluice-cd/sluice/reconciler/release"
	"github.com/sluice-cd/sluice/schemas"
)

// Backfilled says whether every commit that a hotfix was built from is on the
// protected default branch of its repository and contained in what was promoted.
// Whoever only copied the change there has to merge the commit as well: that two
// commits do the same is nothing that a forge can tell.
func (r *Repository) Backfilled(ctx context.Context, promoted, owed []release.Source) gate.Answer {
	if len(owed) == 0 {
		return gate.Answer{Reason: "what the hotfix was built from is not known"}
	}
	q := r.inquire(time.Time{})
	for _, o := range owed {
		onDefault := []string{defaultBranch}
		if _, a := q.contained(ctx, onDefault, schemas.ArtifactSource{Repository: o.Repository, Commit: o.Commit}); !a.Yes {
			return a
		}
		if a := q.descends(ctx, promoted, o); !a.Yes {
			return a
		}
	}
	return gate.Answer{Yes: true}
}

// descends: all that was built from the repository contains the commit.
func (q *inquiry) descends(ctx context.Context, promoted []release.Source, owed release.Source) gate.Answer {
	found := false
	for _, p := range promoted {
		if !strings.EqualFold(p.Repository, owed.Repository) {
			continue
		}
		found = true
		at := forge.BranchState{Repository: p.Repository, Name: fmt.Sprintf("commit %.12s", p.Commit), Commit: p.Commit}
		yes, err := q.ask.Contains(ctx, at, owed.Commit)
		if err != nil {
			return gate.Answer{Unknown: err.Error()}
		}
		if !yes {
			return gate.Answer{Reason: fmt.Sprintf("%.12s of %s is not in %.12s, which it is built from", owed.Commit, owed.Repository, p.Commit)}
		}
	}
	if !found {
		return gate.Answer{Reason: "nothing of it is built from " + owed.Repository}
	}
	return gate.Answer{Yes: true}
}
