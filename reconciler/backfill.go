package reconciler

import (
	"context"
	"slices"
	"time"

	"github.com/sluice-cd/sluice/reconciler/gate"
	"github.com/sluice-cd/sluice/reconciler/release"
	"github.com/sluice-cd/sluice/schemas"
)

const (
	// repayAgain is how often it is asked whether a hotfix was backfilled: its
	// commit may get to the default branch at any time.
	repayAgain = 5 * time.Minute
	// repayTimeout bounds the question; nothing waits for the answer.
	repayTimeout = 5 * time.Second
)

// backfills gathers what the hotfixes of the release owe and whether a candidate
// would bring it. Only what goes the normal flow is asked.
func (p *pass) backfills(ctx context.Context, facts gate.Facts) []gate.Backfill {
	if facts.First || facts.Retired || facts.Return || facts.Class == schemas.ChangeHotfix {
		return nil
	}
	promoted := sources(facts.Artifacts)
	var out []gate.Backfill
	for _, b := range p.record.Backfills {
		owed := gate.Backfill{Name: b.Name(), Deadline: b.Deadline, URL: b.URL, Contained: p.Facts.Backfilled(ctx, promoted, b.Sources)}
		for _, s := range b.Sources {
			owed.Sources = append(owed.Sources, gate.BuiltFrom{Repository: s.Repository, Commit: s.Commit})
		}
		out = append(out, owed)
	}
	return out
}

// sources lists what artifacts were built from, each once.
func sources(artifacts []gate.Artifact) []release.Source {
	var out []release.Source
	for _, a := range artifacts {
		s := release.Source{Repository: a.Repository, Commit: a.SourceCommit}
		if s != (release.Source{}) && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// settleBackfills asks whether what came by the normal flow contains what is owed.
// It does so afterwards: the forge may have been away when it was promoted, and a
// commit may get to the default branch later than an artifact that contains it.
func (p *pass) settleBackfills(ctx context.Context) error {
	if release.Looking(p.record) {
		return nil // no forge keeps a rollout waiting
	}
	ctx, cancel := context.WithTimeout(ctx, repayTimeout)
	defer cancel()
	for _, b := range p.record.Backfills {
		if b.Carrier == nil || !p.mayRepay(b) {
			continue
		}
		switch answer := p.Facts.Backfilled(ctx, b.Carrier.Sources, b.Sources); {
		case answer.Unknown != "":
			p.Log.Warn("whether a hotfix was backfilled could not be asked, will ask again", "release", p.key.String(), "hotfix", b.Name(), "error", answer.Unknown)
		case answer.Yes:
			p.apply(release.Backfilled{ID: b.ID, Carrier: b.Carrier.Commit})
		}
	}
	return nil
}

// mayRepay reports whether it is time to ask, and if so puts the next time off.
func (p *pass) mayRepay(b release.Backfill) bool {
	question := b.ID + " " + b.Carrier.Commit
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now.Before(p.repays[question]) {
		return false
	}
	if len(p.repays) > maxRepays {
		clear(p.repays)
	}
	p.repays[question] = p.now.Add(repayAgain)
	return true
}

// maxRepays bounds the memory of what was asked; asking again is harmless.
const maxRepays = 10_000

// sayBackfills logs what became of them, once it is saved.
func (p *pass) sayBackfills() {
	before := map[string]release.Backfill{}
	for _, b := range p.saved.record.Backfills {
		before[b.ID] = b
	}
	for _, b := range p.record.Backfills {
		was, known := before[b.ID]
		delete(before, b.ID)
		log := p.Log.With("release", p.key.String(), "hotfix", b.Name(), "deadline", b.Deadline)
		switch {
		case b.Overdue && !was.Overdue:
			log.Error("a hotfix has not come by the normal flow in time, so only what contains it is promoted")
		case b.Announced && !was.Announced:
			log.Warn("a hotfix is due to come by the normal flow soon")
		case !known:
			log.Info("a hotfix has to come by the normal flow")
		}
	}
	for _, b := range before {
		p.Log.Info("a hotfix owes nothing any more", "release", p.key.String(), "hotfix", b.Name())
	}
}
