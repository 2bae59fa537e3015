package reconciler

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sluice-cd/sluice/reconciler/environments"
	"github.com/sluice-cd/sluice/reconciler/intake"
	"github.com/sluice-cd/sluice/reconciler/release"
	"github.com/sluice-cd/sluice/reconciler/render"
	"github.com/sluice-cd/sluice/schemas"
)

// A pass is one look at one release.
type pass struct {
	*Reconciler
	key    release.Key
	now    time.Time
	git    intake.Repository
	of     intake.Release // what git says of the release
	saved  stored
	record release.Record
	rules  environments.Rules
	place  release.Place
}

// Once makes one pass over a release and says when to make the next one. An
// error means that something could not be asked or done; whatever could be
// done without it was done.
func (c *Reconciler) Once(ctx context.Context, key release.Key) (time.Time, error) {
	p, err := c.newPass(ctx, key)
	if err != nil {
		return time.Time{}, err
	}
	observed := errors.Join(p.follow(ctx), p.look(ctx), p.measure(ctx), p.prove(ctx))
	p.apply(release.Tick{})
	moved, err := p.save(ctx)
	if err != nil {
		return time.Time{}, errors.Join(observed, err)
	}
	err = errors.Join(observed, p.converge(ctx), p.pay(ctx))
	if err == nil && (moved || p.owesMore()) {
		return p.now, nil // look at once at what the change has done
	}
	return release.Wake(p.record, p.now), err
}

func (c *Reconciler) newPass(ctx context.Context, key release.Key) (*pass, error) {
	now := time.Now().UTC()
	saved, err := c.load(ctx, key, now)
	if err != nil {
		return nil, err
	}
	git, _ := c.known()
	rules, err := c.Releases.Rules(git.Policy)
	if err != nil {
		return nil, fmt.Errorf("read the policy in force: %w", err)
	}
	p := &pass{Reconciler: c, key: key, now: now, git: git, of: git.Releases[key.String()], saved: saved, record: saved.record, rules: rules}
	return p, p.locate()
}

// locate finds out where the release runs.
func (p *pass) locate() error {
	environment, ok := p.rules.Policy.Environment(p.key.Environment)
	if !ok {
		return fmt.Errorf("locate %s: the policy in force has no environment %s", p.key, p.key.Environment)
	}
	if environment.Cluster != (schemas.Cluster{}) {
		return fmt.Errorf("locate %s: the policy names a cluster for %s; this version runs releases in the daemon's own cluster only", p.key, p.key.Environment)
	}
	service, ok := p.rules.Services[p.key.Service]
	if !ok {
		return fmt.Errorf("locate %s: the service's file cannot be used: %s", p.key, p.rules.Broken[p.key.Service])
	}
	p.place = release.Place{
		Namespace: environment.NamespaceFor(p.key.Service),
		Service:   service.Traffic.Service, Traffic: service.Traffic.Kind, Route: service.Traffic.Route,
	}
	return nil
}

// apply moves the record on and says so when the phase changes.
func (p *pass) apply(e release.Event) {
	before := p.record
	p.record = release.Next(before, e, p.now)
	if before.Phase != p.record.Phase || before.Rollout.Step != p.record.Rollout.Step {
		p.Log.Info("release moved", "release", p.key.String(),
			"from", string(before.Phase), "to", string(p.record.Phase),
			"weight", release.Desired(p.record).Traffic.Weight, "reason", p.record.Reason)
	}
}

// save stores what was decided, before any of it is done.
func (p *pass) save(ctx context.Context) (moved bool, err error) {
	if p.record.Seq == p.saved.record.Seq {
		return false, nil
	}
	saved, err := p.Reconciler.save(ctx, stored{p.record, p.saved.version})
	if err != nil {
		return false, err
	}
	moved = p.saved.record.Phase != p.record.Phase || p.saved.record.Rollout.Step != p.record.Rollout.Step
	p.saved = saved
	return moved, nil
}

// manifests renders what a record's desired state needs. A revision that
// renders to something else than was verified is not applied.
func (p *pass) manifests(ctx context.Context, r release.Record) (map[string]render.Output, error) {
	out := map[string]render.Output{}
	for id, revision := range release.Sources(r) {
		output, err := p.render(ctx, revision)
		if err != nil {
			return nil, err
		}
		if revision.Manifest != "" && revision.Manifest != output.ManifestHash {
			return nil, fmt.Errorf("render %s: revision %s renders to something else than was verified, so what runs is kept", p.key, id)
		}
		out[id] = output
	}
	return out, nil
}

func (p *pass) render(ctx context.Context, revision release.Revision) (render.Output, error) {
	in, err := p.Releases.Manifests(p.rules, p.key, revision)
	if err != nil {
		return render.Output{}, err
	}
	return p.Renderer.Build(ctx, in)
}

// look asks the cluster how far the saved record's state has come.
func (p *pass) look(ctx context.Context) error {
	r := p.saved.record
	switch r.Phase {
	case release.Preparing, release.Progressing, release.Verifying, release.Reverting, release.Removing:
	case release.Stable, release.Pending, release.Rejected, release.Restoring, release.Frozen, release.Removed:
		return nil
	}
	manifests, err := p.manifests(ctx, r)
	if err != nil {
		return err
	}
	observed, err := p.Cluster.Observe(ctx, p.key, release.Desired(r), manifests, p.place)
	if err != nil {
		return fmt.Errorf("look at %s: %w", p.key, err)
	}
	if p.record.Seq == r.Seq {
		p.apply(release.Seen{Observed: observed})
	}
	return nil
}

// converge makes the cluster look as the saved record wants.
func (p *pass) converge(ctx context.Context) error {
	state := release.Desired(p.record)
	if p.Observe || state.Observed || untouched(p.record) {
		return nil
	}
	manifests, err := p.manifests(ctx, p.record)
	if err != nil {
		return err
	}
	if err := p.Cluster.Converge(ctx, p.key, state, manifests, p.place); err != nil {
		return fmt.Errorf("converge %s: %w", p.key, err)
	}
	return nil
}

// untouched reports that nothing of the release was ever applied, so that there
// is nothing to make right.
func untouched(r release.Record) bool {
	return r.Stable == nil && r.Attempt == 0 && r.Phase != release.Removing
}
