package reconciler

import (
	"context"
	"errors"
	"fmt"

	"github.com/sluice-cd/sluice/reconciler/environments"
	"github.com/sluice-cd/sluice/reconciler/release"
	"github.com/sluice-cd/sluice/reconciler/render"
	"github.com/sluice-cd/sluice/schemas"
)

// locate finds out where the policy puts a release.
func locate(rules environments.Rules, key release.Key) (release.Place, error) {
	environment, ok := rules.Policy.Environment(key.Environment)
	if !ok {
		return release.Place{}, fmt.Errorf("locate %s: the policy in force has no environment %s", key, key.Environment)
	}
	if environment.Cluster != (schemas.Cluster{}) {
		return release.Place{}, fmt.Errorf("locate %s: the policy names a cluster for %s; this version runs releases in the daemon's own cluster only", key, key.Environment)
	}
	service, ok := rules.Services[key.Service]
	if !ok {
		reason := rules.Broken[key.Service]
		if reason == "" {
			reason = "the policy in force has none"
		}
		return release.Place{}, fmt.Errorf("locate %s: the service's file cannot be used: %s", key, reason)
	}
	return release.Place{
		Namespace: environment.NamespaceFor(key.Service),
		Service:   service.Traffic.Service, Traffic: service.Traffic.Kind, Route: service.Traffic.Route,
	}, nil
}

// located reports whether the policy in force has a place for the release.
func (p *pass) located() bool { return p.lost == nil }

// place is where the release runs: where it was put, whatever has become of the
// policy since, or else where it would be put.
func (p *pass) place() (release.Place, error) {
	if p.record.Place != (release.Place{}) {
		return p.record.Place, nil
	}
	return p.planned, p.lost
}

// A view is what the cluster is told of a record.
type view struct {
	state     release.State
	manifests map[string]render.Output
	place     release.Place
}

// view renders what a record's desired state needs. A revision that renders to
// something else than was verified (after an upgrade of Sluice, say) is not
// applied: what runs of it stays as it is, and its share of the traffic can
// still be moved. A candidate that may not be there yet has nothing to keep.
func (p *pass) view(ctx context.Context, r release.Record) (view, error) {
	place, err := p.place()
	if err != nil {
		return view{}, err
	}
	v := view{state: release.Desired(r), manifests: map[string]render.Output{}, place: place}
	for id, revision := range release.Sources(r) {
		output, err := p.render(ctx, place, revision)
		if err != nil {
			return v, err
		}
		v.manifests[id] = output
		if revision.Manifest == "" || revision.Manifest == output.ManifestHash {
			continue
		}
		if r.Phase == release.Preparing && id == r.Candidate.Revision.ID {
			return v, fmt.Errorf("render %s: revision %s renders to something else than was verified, so it is not applied", p.key, id)
		}
		v.state.AsIs = append(v.state.AsIs, id)
	}
	return v, nil
}

// render builds a revision for a place.
func (p *pass) render(ctx context.Context, place release.Place, revision release.Revision) (render.Output, error) {
	in, err := p.Releases.Manifests(p.key, revision, place.Namespace)
	if err != nil {
		return render.Output{}, err
	}
	return p.Renderer.Build(ctx, in)
}

// service is the service as it was when the rollout began: a policy that changes
// meanwhile changes the next rollout.
func (p *pass) service() (schemas.Service, error) {
	rules := p.rules
	if commit := p.record.Candidate.Promotion.Policy; commit != "" && commit != p.git.Policy {
		var err error
		if rules, err = p.Releases.Rules(commit); err != nil {
			return schemas.Service{}, fmt.Errorf("read the policy that the rollout began with: %w", err)
		}
	}
	service, ok := rules.Services[p.key.Service]
	if !ok {
		return service, errors.Join(p.lost, fmt.Errorf("measure %s: the policy has no such service", p.key))
	}
	return service, nil
}
