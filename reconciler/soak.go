package reconciler

import (
	"context"
	"fmt"
	"time"

	"github.com/sluice-cd/sluice/analysis"
	"github.com/sluice-cd/sluice/reconciler/meter"
	"github.com/sluice-cd/sluice/reconciler/release"
	"github.com/sluice-cd/sluice/schemas"
)

const (
	// soakLook is how often a soak is looked at, unless it is a short one.
	soakLook = 30 * time.Second
	// soakedLook is how often what has soaked is looked at: it may still fail
	// before it is promoted.
	soakedLook = time.Minute
)

// soak looks at what is stable where the policy wants it to soak before it goes
// on. It goes on looking at its health afterwards, since a failure takes the soak
// back, but counts no more requests and writes nothing as long as there is none.
func (p *pass) soak(ctx context.Context) error {
	need, ok := p.soakAsked()
	proof, soaking := release.Soaking(p.record)
	if !ok || !soaking || !p.located() {
		return nil
	}
	var s release.Soak
	if proof.Soak != nil {
		s = *proof.Soak
	}
	every, done := soakEvery(need), p.hasSoaked(s, need)
	if next := s.Seen.Add(every); !done && next.After(p.now) {
		p.again = earlier(p.again, next)
		return nil
	}
	p.again = earlier(p.again, p.now.Add(every))
	e, err := p.lookAtStable(ctx, s, need)
	if err != nil {
		return err
	}
	if e.Every = every; done && e.Failed == "" {
		p.again = earlier(p.again, p.now.Add(max(every, soakedLook)))
		return nil
	}
	p.apply(e)
	return nil
}

// soakAsked is what the policy asks of the environment's releases before they
// may leave it; nobody leaves the last one.
func (p *pass) soakAsked() (schemas.Soak, bool) {
	i := p.rules.Policy.Index(p.key.Environment)
	if i < 0 || i == len(p.rules.Policy.Environments)-1 {
		return schemas.Soak{}, false
	}
	need := p.rules.Policy.Environments[i].Soak
	if need == nil {
		return schemas.Soak{}, false
	}
	return *need, true
}

func soakEvery(need schemas.Soak) time.Duration {
	return min(soakLook, max(need.Duration.Std()/10, time.Second))
}

func (p *pass) hasSoaked(s release.Soak, need schemas.Soak) bool {
	return s.Healthy >= need.Duration.Std() && (!p.metered() || s.Requests >= int64(need.MinRequests))
}

func (p *pass) metered() bool { return p.rules.Services[p.key.Service].Metrics.Errors != nil }

// lookAtStable asks the cluster, and the counters where there are any.
func (p *pass) lookAtStable(ctx context.Context, s release.Soak, need schemas.Soak) (release.Soaked, error) {
	v, err := p.view(ctx, p.record)
	if err != nil {
		return release.Soaked{}, err
	}
	observed, err := p.Cluster.Observe(ctx, p.key, v.state, v.manifests, v.place)
	if err != nil {
		return release.Soaked{}, fmt.Errorf("look at what soaks of %s: %w", p.key, err)
	}
	stable := *p.record.Stable
	status := observed.Revisions[stable.ID]
	health := analysis.HealthOf(status.Pods, observed.At)
	e := release.Soaked{
		Inputs: stable.Inputs, At: observed.At, Metered: p.metered(),
		Ready: status.Readiness == release.Ready && health.Known && !health.Failed,
	}
	switch {
	case health.Failed:
		e.Failed = health.Reason
	case status.Readiness == release.Failed:
		e.Failed = "the workload failed: " + status.Reason
	}
	if !e.Ready || !e.Metered || s.Watched.IsZero() {
		return e, nil
	}
	prefix, err := podPrefix(v.manifests[stable.ID])
	if err != nil {
		return e, err
	}
	service := p.rules.Services[p.key.Service]
	reading, err := p.Meter.Ticks(ctx, meter.Question{
		Metrics: service.Metrics, Health: service.Health, Namespace: v.place.Namespace,
		Candidate: prefix, Began: s.Watched, StepBegan: s.Watched, Interval: need.Duration.Std(),
		Last: s.Measured, Lives: livesOf(status), Situation: analysis.Situation{Weight: 1, Up: true},
	}, p.now)
	e.Ticks = reading.Ticks
	return e, err
}

func livesOf(status release.RevisionStatus) map[string]analysis.Life {
	lives := map[string]analysis.Life{}
	for _, pod := range status.Pods {
		if !pod.Life.Started.IsZero() {
			lives[pod.Name] = pod.Life
		}
	}
	return lives
}
