package gate

import (
	"fmt"
	"strings"
	"time"
)

// A Backfill is a hotfix that has not come by the normal flow yet.
type Backfill struct {
	Name     string // version and incident
	Deadline time.Time
	// Sources is what it was built from.
	Sources []BuiltFrom
	// Contained: that is on its default branch and in the candidate.
	Contained Answer
	URL       string
}

// A BuiltFrom is a commit of a source repository.
type BuiltFrom struct{ Repository, Commit string }

// backfilled: no hotfix is overdue, or the candidate is what pays for it. What is
// merged while one is overdue waits instead of being rejected: the promotion that
// pays takes its place, and no review is lost to a deadline.
func backfilled(f Facts, now time.Time) finding {
	if len(f.Backfills) == 0 {
		return met("no hotfix has to be backfilled")
	}
	findings := make([]finding, len(f.Backfills))
	for i, b := range f.Backfills {
		findings[i] = b.judge(now).because(b.evidence())
	}
	return worst(findings)
}

func (b Backfill) judge(now time.Time) finding {
	name, c := foreign(b.Name), b.Contained
	switch {
	case c.yes():
		return met("it contains hotfix " + name + ", which it brings back to the normal flow")
	case now.Before(b.Deadline):
		return met(fmt.Sprintf("hotfix %s is not overdue before %s", name, instant(b.Deadline)))
	case c.Unknown != "":
		return unknown(fmt.Sprintf("whether it contains hotfix %s, which is overdue, could not be asked: %s", name, foreign(c.Unknown)), askForge)
	}
	return finding{
		cause:    Missing,
		reason:   fmt.Sprintf("hotfix %s is overdue since %s, and this does not bring it back%s", name, instant(b.Deadline), explained(c.Reason)),
		unblocks: b.remedy(),
	}
}

func (b Backfill) remedy() string {
	return fmt.Sprintf("anybody: merge %s into the default branch, then promote a version that contains it; another hotfix and a return do not wait", b.sources())
}

func (b Backfill) sources() string {
	var out []string
	for _, s := range b.Sources {
		out = append(out, fmt.Sprintf("%s of %s", short(s.Commit), foreign(s.Repository)))
	}
	if len(out) == 0 {
		return "the hotfix"
	}
	return strings.Join(out, " and ")
}

func (b Backfill) evidence() Evidence {
	return Evidence{Text: fmt.Sprintf("hotfix %s, built from %s, is due by %s", foreign(b.Name), b.sources(), instant(b.Deadline)), URL: b.URL}
}
