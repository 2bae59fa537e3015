package reconciler

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sluice-cd/sluice/reconciler/environments"
	"github.com/sluice-cd/sluice/reconciler/gate"
	"github.com/sluice-cd/sluice/reconciler/intake"
	"github.com/sluice-cd/sluice/reconciler/release"
	"github.com/sluice-cd/sluice/reconciler/render"
	"github.com/sluice-cd/sluice/schemas"
)

// follow tells the record what git asks for.
func (p *pass) follow(ctx context.Context) error {
	p.apply(release.Controlled{Paused: p.stopped(), Holds: p.held()})
	switch {
	case p.of.Inputs == "" && p.of.Problem == "" && p.record.Fresh():
		return nil // nobody asked for it yet
	case p.of.Problem != "":
		p.apply(release.Kept{Reason: "its files cannot be used: " + p.of.Problem})
		return nil
	case p.of.Inputs == "":
		p.apply(release.Kept{Reason: "its directory is not in git; to take it away, merge `state: retired` first"})
		return nil
	case p.of.Inputs == intake.Retired:
		return p.retire(ctx)
	case p.lost != nil:
		return p.lost
	}
	want, err := p.Releases.Want(p.rules, p.key, p.of)
	if err != nil {
		return err
	}
	if p.record.Fresh() {
		return p.begin(ctx, want)
	}
	p.apply(release.Wanted{Want: want})
	return nil
}

// stopped reports whether the release may not move forward: it is paused, or its
// environment is frozen. A hotfix for which the policy waives the freeze moves, and
// nothing stops the way back.
func (p *pass) stopped() bool {
	c := p.of.Control
	if candidate := p.record.Candidate; candidate != nil && candidate.Return {
		return false
	}
	return c.Paused || c.Frozen != "" && !p.unfrozen()
}

func (p *pass) unfrozen() bool {
	candidate := p.record.Candidate
	if candidate == nil || candidate.Promotion.Class != schemas.ChangeHotfix {
		return false
	}
	environment, _ := p.rules.Policy.Environment(p.key.Environment)
	return slices.Contains(environment.Hotfix.Waives, "freeze")
}

// held lists the record's holds that git has too. What is refused decides, not the
// id beside it, which anybody may edit. One that was in git counts until nothing
// of it is refused any more.
func (p *pass) held() []string {
	var ids []string
	for _, h := range p.record.Holds {
		some, all := p.of.Control.Refuses(h.Inputs, h.Digests)
		if all || some && h.InGit {
			ids = append(ids, h.ID)
		}
	}
	return ids
}

// retire takes the release away once that was proven like a promotion.
func (p *pass) retire(ctx context.Context) error {
	if p.record.Phase == release.Removing || p.record.Phase == release.Removed {
		return nil
	}
	if p.of.Genesis {
		p.apply(release.Wanted{Retired: true})
		return nil
	}
	if p.again = p.askAgain(p.of.Commit); p.again.After(p.now) {
		return nil
	}
	want := release.Want{Promotion: release.Promotion{Commit: p.of.Commit, At: p.of.At}}
	facts, err := p.facts(ctx, environments.Candidate{Key: p.key, Want: want, Retired: true}, p.record.Stable)
	if err != nil {
		return err
	}
	summary := gate.Summarize(gate.Evaluate(facts, p.now))
	if summary.Outcome != gate.OutcomeDeploy {
		p.apply(release.Kept{Reason: "its retirement is not allowed: " + summary.Title})
		p.again = earlier(p.now.Add(p.Poll), summary.NextCheck)
		p.asked(p.of.Commit, p.again)
		return nil
	}
	if unread := p.Reconciler.unread(p.now, maxUnread); unread != "" {
		p.apply(release.Kept{Reason: "its retirement is allowed, but " + unread})
		p.again = p.now.Add(time.Second)
		return nil
	}
	p.apply(release.Wanted{Retired: true})
	return nil
}

// An ask is when the gates are to be asked again about a retirement. A record
// has no place for it, and asking once more after a restart is harmless.
type ask struct {
	commit string
	again  time.Time
}

func (p *pass) askAgain(commit string) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if a := p.asks[p.key]; a.commit == commit {
		return a.again
	}
	return time.Time{}
}

func (p *pass) asked(commit string, again time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asks[p.key] = ask{commit, again}
}

// unproven lists the changes since a revision that was proven, nil for none. What
// was stable earlier does not end the list: going back to it is a change like any
// other.
func (p *pass) unproven(trusted *release.Revision) []intake.Change {
	return p.of.Unproven(func(inputs string) bool { return trusted != nil && trusted.Inputs == inputs })
}

// begin compares what git asks for with what runs, before anything was decided.
// The baseline is adopted when it is what runs. Where something else runs a
// record was lost, or the baseline is not what somebody thinks: replacing it
// blindly could take away what serves.
func (p *pass) begin(ctx context.Context, want release.Want) error {
	observed, err := p.running(ctx, want.Revision)
	var refusal *render.Refusal
	if errors.As(err, &refusal) && !p.of.Genesis {
		p.apply(release.Wanted{Want: want}) // the gates say why it cannot be rendered
		return nil
	}
	if err != nil {
		return err
	}
	others, itself := split(observed, want.Revision.ID)
	switch {
	case observed.Revisions[want.Revision.ID].Readiness == release.Unknowable:
		return fmt.Errorf("look at what runs of %s: the cluster does not say", p.key)
	case len(others) > 0:
		p.apply(release.Adopted{Revision: want.Revision, Place: p.planned,
			Differs: fmt.Sprintf("revision %s runs and git says %s", strings.Join(others, " and "), want.Revision.ID)})
		return nil
	case !p.of.Genesis && p.record.Phase == release.Stable:
		p.apply(release.Wanted{Want: want})
		return nil
	}
	return p.adopt(ctx, want.Revision, itself)
}

// adopt tells the record what runs of the baseline: under the revision's own
// names (ours), under those that its authors gave it, or not at all.
func (p *pass) adopt(ctx context.Context, revision release.Revision, ours bool) error {
	found, differs, err := p.compare(ctx, revision)
	if err != nil {
		return err
	}
	e := release.Adopted{Revision: revision, Place: p.planned, Differs: differs}
	switch {
	case ours && found:
		e.Differs = fmt.Sprintf("revision %s runs beside a workload that Sluice did not create; delete one of them", revision.ID)
	case differs == "" && found && !p.of.Genesis:
		e.Differs = "git has moved on from it, and what runs equals what git says now; name that commit with --genesis"
	case p.of.Genesis && (ours || found && differs == ""):
		e.Same, e.Ours = true, ours
		if e.Revision, err = p.rendered(ctx, revision); err != nil {
			return err
		}
	}
	p.apply(e)
	return nil
}

// compare asks what runs under the names that the revision's authors gave it.
func (p *pass) compare(ctx context.Context, revision release.Revision) (found bool, differs string, err error) {
	in, err := p.Releases.Manifests(p.key, revision, p.planned.Namespace)
	if err != nil {
		return false, "", err
	}
	in.Revision = ""
	plain, err := p.Renderer.Build(ctx, in)
	if err != nil {
		return false, "", err
	}
	return p.Cluster.Compare(ctx, p.key, plain)
}

// running asks what runs where a revision would.
func (p *pass) running(ctx context.Context, revision release.Revision) (release.Observed, error) {
	output, err := p.render(ctx, p.planned, revision)
	if err != nil {
		return release.Observed{}, err
	}
	state := release.State{
		Workloads: []release.Workload{{Revision: revision.ID, Share: 100}},
		Shared:    revision.ID, Traffic: release.Traffic{Stable: revision.ID},
	}
	observed, err := p.Cluster.Observe(ctx, p.key, state, map[string]render.Output{revision.ID: output}, p.planned)
	if err != nil {
		return observed, fmt.Errorf("look at what runs of %s: %w", p.key, err)
	}
	return observed, nil
}

// rendered completes a revision by what it renders to.
func (p *pass) rendered(ctx context.Context, revision release.Revision) (release.Revision, error) {
	output, err := p.render(ctx, p.planned, revision)
	revision.Workload, revision.Manifest = output.WorkloadHash, output.ManifestHash
	return revision, err
}

// split separates a revision that exists in the cluster from the others.
func split(o release.Observed, id string) (others []string, itself bool) {
	for _, found := range slices.Sorted(maps.Keys(o.Revisions)) {
		switch status := o.Revisions[found]; {
		case status.Readiness == release.Absent || status.Readiness == "":
		case found == id:
			itself = true
		default:
			others = append(others, found)
		}
	}
	return others, itself
}
