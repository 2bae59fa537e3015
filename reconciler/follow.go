package reconciler

import (
	"context"
	"fmt"

	"github.com/sluice-cd/sluice/reconciler/environments"
	"github.com/sluice-cd/sluice/reconciler/gate"
	"github.com/sluice-cd/sluice/reconciler/intake"
	"github.com/sluice-cd/sluice/reconciler/release"
	"github.com/sluice-cd/sluice/reconciler/render"
)

// follow tells the record what git asks for.
func (p *pass) follow(ctx context.Context) error {
	p.apply(release.Controlled{Paused: p.of.Control.Paused, Holds: rollbacks(p.of.Control.Holds)})
	switch {
	case p.of.Problem != "":
		p.apply(release.Kept{Reason: "its files cannot be used: " + p.of.Problem})
		return nil
	case p.of.Inputs == "":
		p.apply(release.Kept{Reason: "its directory is not in git; to take it away, merge `state: retired` first"})
		return nil
	case p.of.Inputs == intake.Retired:
		return p.retire(ctx)
	}
	want, err := p.Releases.Want(p.rules, p.key, p.of)
	if err != nil {
		return err
	}
	if p.record.Fresh() && p.of.Genesis {
		return p.adopt(ctx, want.Revision)
	}
	p.apply(release.Wanted{Want: want})
	return nil
}

func rollbacks(holds []intake.Hold) []string {
	var ids []string
	for _, h := range holds {
		if h.Rollback != "" {
			ids = append(ids, h.Rollback)
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
	want := release.Want{Promotion: release.Promotion{Commit: p.of.Commit, At: p.of.At}}
	facts, err := p.facts(ctx, environments.Candidate{Key: p.key, Want: want, Retired: true, Changes: p.unproven()})
	if err != nil {
		return err
	}
	summary := gate.Summarize(gate.Evaluate(facts, p.now))
	if summary.Outcome != gate.OutcomeDeploy {
		p.apply(release.Kept{Reason: "its retirement is not allowed: " + summary.Title})
		return nil
	}
	p.apply(release.Wanted{Retired: true})
	return nil
}

// unproven lists the changes since what is stable. What was stable earlier does
// not end the list: going back to it is a change like any other.
func (p *pass) unproven() []intake.Change {
	return p.of.Unproven(func(inputs string) bool {
		return p.record.Stable != nil && p.record.Stable.Inputs == inputs
	})
}

// adopt compares the baseline with what runs.
func (p *pass) adopt(ctx context.Context, revision release.Revision) error {
	output, err := p.render(ctx, revision)
	if err != nil {
		return err
	}
	revision.Workload, revision.Manifest = output.WorkloadHash, output.ManifestHash
	state := release.State{
		Workloads: []release.Workload{{Revision: revision.ID, Share: 100}},
		Shared:    revision.ID, Traffic: release.Traffic{Stable: revision.ID},
	}
	observed, err := p.Cluster.Observe(ctx, p.key, state, map[string]render.Output{revision.ID: output}, p.place)
	if err != nil {
		return fmt.Errorf("look at what runs of %s: %w", p.key, err)
	}
	e := release.Adopted{Revision: revision}
	switch status := observed.Revisions[revision.ID]; {
	case status.Readiness == release.Unknowable:
		return fmt.Errorf("look at what runs of %s: the cluster does not say", p.key)
	case status.Readiness != release.Absent && status.Readiness != "":
		e.Same, e.Ours = true, true
	case running(observed) != "":
		e.Differs = "revision " + running(observed) + " runs and git says " + revision.ID
	}
	p.apply(e)
	return nil
}

// running names a revision of the release that exists in the cluster.
func running(o release.Observed) string {
	for id, status := range o.Revisions {
		if status.Readiness != release.Absent && status.Readiness != "" {
			return id
		}
	}
	return ""
}
