package gate

import (
	"fmt"
	"slices"
	"time"

	"github.com/sluice-cd/sluice/schemas"
)

// What a policy may let a hotfix go without, see schemas.Hotfix.
const (
	waivesWindow = "window"
	waivesFreeze = "freeze"
)

// waived reports whether the candidate is a hotfix that need not wait for a gate.
func (f Facts) waived(gate string) bool {
	return f.path() == hotfix && slices.Contains(f.Environment.Hotfix.Waives, gate)
}

func (f Facts) waiver(gate string) finding {
	return met("a hotfix does not wait for the " + gate + ": hotfix.waives of the policy says so")
}

// orWaived adds the way that the policy offers to a hotfix.
func (f Facts) orWaived(unblocks, gate string) string {
	if f.path() != hotfix {
		return unblocks
	}
	return fmt.Sprintf("%s; for hotfixes also the owners of the policy, by listing %s in hotfix.waives of %s", unblocks, gate, foreign(f.Environment.Name))
}

// window: a rollout may begin now. One that runs is not asked again.
func window(f Facts, now time.Time) finding {
	w := f.Environment.Windows
	switch {
	case len(w.Open) == 0:
		return met("there are no change windows")
	case f.waived(waivesWindow):
		return f.waiver(waivesWindow)
	}
	z, all, err := opening(w)
	if err != nil {
		return unknown("the change window cannot be told: "+foreign(err.Error()), "the owners of the policy: correct windows")
	}
	var next time.Time
	for _, h := range all {
		if since, ok := h.openSince(now); ok {
			return met("the change window is open since " + z.words(since, now))
		}
		if at, ok := h.openingAfter(now); ok {
			next = earlier(next, at)
		}
	}
	if next.IsZero() {
		return finding{cause: Later, reason: "the change window never opens", unblocks: "the owners of the policy: correct windows.open"}
	}
	return finding{
		cause:    Later,
		reason:   "the change window opens " + z.words(next, now),
		unblocks: f.orWaived("time", waivesWindow),
		next:     next,
	}
}

func opening(w schemas.Windows) (zone, []hours, error) {
	z, err := zoneOf(w.Timezone)
	if err != nil {
		return z, nil, err
	}
	var all []hours
	for _, o := range w.Open {
		h, err := z.hours(o.Cron, o.Duration.Std())
		if err != nil {
			return z, nil, err
		}
		all = append(all, h)
	}
	return z, all, nil
}

// frozen: neither the policy nor somebody in a hurry has frozen the environment.
func frozen(f Facts, now time.Time) finding {
	w := f.Environment.Windows
	switch {
	case f.waived(waivesFreeze):
		return f.waiver(waivesFreeze)
	case f.Frozen.Frozen:
		return f.frozenByHand()
	case len(w.Freezes) == 0:
		return met("not frozen")
	}
	z, spans, err := freezes(w)
	if err != nil {
		return unknown("whether it is frozen cannot be told: "+foreign(err.Error()), "the owners of the policy: correct windows")
	}
	span, ok := thawing(spans, now)
	if !ok {
		return met("not frozen")
	}
	return finding{
		cause:    Later,
		reason:   fmt.Sprintf("frozen until %s%s", z.words(span.end, now), explained(span.reason)),
		unblocks: f.orWaived("time", waivesFreeze),
		next:     span.end,
	}
}

func (f Facts) frozenByHand() finding {
	name := foreign(f.Environment.Name)
	return finding{
		cause:    Later,
		reason:   name + " is frozen" + explained(f.Frozen.Reason),
		unblocks: f.orWaived(fmt.Sprintf("anybody, by removing freeze from %s in a reviewed pull request", foreign(f.Frozen.file(name))), waivesFreeze),
	}
}

func (f Freeze) file(environment string) string {
	if f.Path == "" {
		return environment + "/control.yaml"
	}
	return f.Path
}

// A span is a dated freeze, its end excluded.
type span struct {
	begin, end time.Time
	reason     string
}

// freezes are whole days on the clocks of the policy's zone.
func freezes(w schemas.Windows) (zone, []span, error) {
	z, err := zoneOf(w.Timezone)
	if err != nil {
		return z, nil, err
	}
	var spans []span
	for _, f := range w.Freezes {
		from, err := time.Parse(time.DateOnly, string(f.From))
		if err != nil {
			return z, nil, fmt.Errorf("read the first day of a freeze: %w", err)
		}
		through, err := time.Parse(time.DateOnly, string(f.Through))
		if err != nil {
			return z, nil, fmt.Errorf("read the last day of a freeze: %w", err)
		}
		spans = append(spans, span{z.instant(from), z.instant(through.AddDate(0, 0, 1)), f.Reason})
	}
	return z, spans, nil
}

// thawing joins the freezes that follow each other without a gap: it is frozen
// until the last of them ends. The reason is that of the first.
func thawing(spans []span, now time.Time) (span, bool) {
	var whole span
	for end := now; ; end = whole.end {
		i := slices.IndexFunc(spans, func(s span) bool { return !s.begin.After(end) && s.end.After(end) })
		if i < 0 {
			return whole, !whole.end.IsZero()
		}
		if whole.end.IsZero() {
			whole = spans[i]
		}
		whole.end = spans[i].end
	}
}
