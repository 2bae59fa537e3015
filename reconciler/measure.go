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

// A watch is what a rollout under way needs from one pass to the next. Losing it
// costs nothing but precision.
type watch struct {
	// pods are as they were first seen.
	pods map[string]analysis.Life
	// unread is why the newest tick has no counts.
	unread string
}

// measure reads the ticks that are due for the step under way. Without an answer
// of the cluster it waits: what is missed now can be read later, and only the
// cluster knows what share the candidate could get.
func (p *pass) measure(ctx context.Context) error {
	r := p.record
	switch {
	case !release.Looking(r):
		p.watching(watch{})
		return nil
	case !release.Measuring(r) || p.observed.At.IsZero():
		return nil
	}
	q, err := p.question(ctx)
	if err != nil {
		return err
	}
	reading, err := p.Meter.Ticks(ctx, q, p.now)
	if err != nil {
		return err
	}
	if unread := p.unread(reading); unread != "" {
		p.notes = append(p.notes, unread)
	}
	e := release.Measured{Attempt: r.Attempt, Step: r.Rollout.Step, Ticks: reading.Ticks}
	if len(e.Ticks) == 0 {
		return nil
	}
	if len(r.Rollout.Analysis.Dispersion) <= r.Rollout.Step {
		if e.Dispersion, err = p.Meter.Dispersion(ctx, q); err != nil {
			return err
		}
	}
	p.apply(e)
	return nil
}

func (p *pass) question(ctx context.Context) (meter.Question, error) {
	r := p.record
	service, err := p.service()
	if err != nil {
		return meter.Question{}, err
	}
	v, err := p.view(ctx, r)
	if err != nil {
		return meter.Question{}, err
	}
	arm := r.Candidate.Revision.ID
	if release.BeforeAfter(r) {
		arm = r.Stable.ID // compared with its own past
	}
	q := meter.Question{
		Metrics: service.Metrics, Health: service.Health, Namespace: v.place.Namespace,
		Began: r.Rollout.Began, StepBegan: r.Rollout.StepBegan, Interval: r.Rollout.Plan.Interval,
		Last: lastTick(r.Rollout.Analysis), Lives: p.lives(),
		Situation: analysis.Situation{
			Step: r.Rollout.Step, Weight: p.weight(v), Up: serves(p.observed.Revisions[arm]),
			Steered: v.place.Traffic != schemas.TrafficNone && r.Stable != nil,
		},
	}
	if q.Candidate, err = podPrefix(v.manifests[arm]); err != nil {
		return q, err
	}
	if q.BeforeAfter = release.BeforeAfter(r); q.BeforeAfter {
		q.Stable, q.Situation.Weight = q.Candidate, 0.5 // as much after as before
		return q, nil
	}
	if r.Stable != nil {
		q.Stable, err = podPrefix(v.manifests[r.Stable.ID])
	}
	return q, err
}

// weight is the share that the candidate can be given: a few replicas cannot
// divide traffic as finely as a route.
func (p *pass) weight(v view) float64 {
	if v.place.Traffic == schemas.TrafficReplicas {
		return p.observed.Route.Achievable / 100
	}
	return float64(v.state.Traffic.Weight) / 100
}

// serves reports whether anything of a revision can answer requests.
func serves(s release.RevisionStatus) bool {
	for _, pod := range s.Pods {
		if pod.Ready {
			return true
		}
	}
	return s.Endpoints > 0
}

// lives says of every pod that the cluster knows when it started and when it was
// first ready. The cluster tells only the last time that it became so; a pod that
// loses its readiness again and again would never have warmed up.
func (p *pass) lives() map[string]analysis.Life {
	w, out := p.watched(), map[string]analysis.Life{}
	for _, status := range p.observed.Revisions {
		for _, pod := range status.Pods {
			life := pod.Life
			switch first := w.pods[pod.Name].Ready; {
			case life.Started.IsZero():
				continue
			case !first.IsZero():
				life.Ready = first
			case life.Ready.IsZero() && pod.BeenReady:
				life.Ready = life.Started
			}
			out[pod.Name] = life
		}
	}
	w.pods = out
	p.watching(w)
	return out
}

// unread is why counters cannot be read, as long as that is so.
func (p *pass) unread(reading meter.Reading) string {
	w := p.watched()
	switch {
	case reading.Trouble != nil:
		w.unread = "counters cannot be read: " + reading.Trouble.Error()
	case len(reading.Ticks) > 0:
		w.unread = ""
	}
	p.watching(w)
	return w.unread
}

func (p *pass) watched() watch {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.watches[p.key]
}

func (p *pass) watching(w watch) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if w.pods == nil && w.unread == "" {
		delete(p.watches, p.key)
		return
	}
	p.watches[p.key] = w
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
