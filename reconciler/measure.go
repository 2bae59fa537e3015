package reconciler

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/sluice-cd/sluice/analysis"
	"github.com/sluice-cd/sluice/reconciler/meter"
	"github.com/sluice-cd/sluice/reconciler/release"
	"github.com/sluice-cd/sluice/reconciler/render"
	"github.com/sluice-cd/sluice/schemas"
)

// measure reads the ticks that are due for the step under way.
func (p *pass) measure(ctx context.Context) error {
	r := p.record
	if !release.Measuring(r) {
		return nil
	}
	q, err := p.question(ctx)
	if err != nil {
		return err
	}
	e := release.Measured{Attempt: r.Attempt, Step: r.Rollout.Step}
	if len(r.Rollout.Analysis.Dispersion) <= r.Rollout.Step {
		if e.Dispersion, err = p.Meter.Dispersion(ctx, q); err != nil {
			return err
		}
	}
	if e.Ticks, err = p.Meter.Ticks(ctx, q, p.now); err != nil {
		return err
	}
	if len(e.Ticks) > 0 {
		p.apply(e)
	}
	return nil
}

func (p *pass) question(ctx context.Context) (meter.Question, error) {
	r := p.record
	service := p.rules.Services[p.key.Service]
	manifests, err := p.manifests(ctx, r)
	if err != nil {
		return meter.Question{}, err
	}
	q := meter.Question{
		Metrics: service.Metrics, Health: service.Health, Namespace: p.place.Namespace,
		Began: r.Rollout.Began, StepBegan: r.Rollout.StepBegan, Interval: r.Rollout.Plan.Interval,
		Last: lastTick(r.Rollout.Analysis),
	}
	if q.Candidate, err = podPrefix(manifests[r.Candidate.Revision.ID]); err != nil {
		return q, err
	}
	if r.Stable != nil {
		if q.Stable, err = podPrefix(manifests[r.Stable.ID]); err != nil {
			return q, err
		}
	}
	weight := float64(release.Desired(r).Traffic.Weight) / 100
	q.Situation = analysis.Situation{
		Step: r.Rollout.Step, Weight: weight, Up: true,
		Steered: p.place.Traffic != schemas.TrafficNone && r.Stable != nil,
	}
	return q, nil
}

func lastTick(in analysis.Input) time.Time {
	if n := len(in.Ticks); n > 0 {
		return in.Ticks[n-1].At
	}
	return time.Time{}
}

// podPrefix begins the names of a revision's pods.
func podPrefix(output render.Output) (string, error) {
	var names []string
	for _, object := range output.Workload {
		if object.GetKind() == "Deployment" {
			names = append(names, object.GetName())
		}
	}
	if len(names) != 1 {
		return "", fmt.Errorf("measure: a release with metrics needs exactly one Deployment, this one has %d (%s)", len(names), strings.Join(names, ", "))
	}
	return names[0] + "-", nil
}
