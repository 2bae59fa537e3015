package reconciler

import (
	"context"
	"reflect"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/sluice-cd/sluice/analysis"
	"github.com/sluice-cd/sluice/reconciler/release"
	"github.com/sluice-cd/sluice/reconciler/render"
	"github.com/sluice-cd/sluice/schemas"
)

const (
	// prepareTime bounds how long a candidate may take to become ready. It is a
	// Deployment's own default and only matters for what never fails.
	prepareTime = 10 * time.Minute
	// silence bounds how long a candidate may run without counters while stable
	// has them.
	silence = 15 * time.Minute
	// healthEvery is the time between two failures that count as two.
	healthEvery = 10 * time.Second
)

// plan freezes the policy for the rollout that may begin now.
func (p *pass) plan(ctx context.Context, q release.Query, judged *release.Judged, output render.Output) error {
	environment, _ := p.rules.Policy.Environment(p.key.Environment)
	judged.Plan = planOf(environment, p.rules.Services[p.key.Service], judged.Promotion.Class)
	judged.Workload, judged.Manifest = output.WorkloadHash, output.ManifestHash
	if p.rules.First(p.key.Environment) {
		judged.Plan.Backfill = 0 // nothing is asked there that a hotfix could go without
	}
	switch {
	case p.record.Stable == nil:
		judged.Plan.Steps = []int{100}
		return nil
	case q.Want.Return:
		judged.Plan = judged.Plan.AtOnce()
	}
	if judged.Outcome != release.Proceed || p.record.Phase != release.Pending {
		return nil // it does not begin yet
	}
	return p.planAgainst(ctx, q, judged, output)
}

// planAgainst finds out what changes besides the workload, or instead of it.
// Without a change of the workload the objects keep the names of the stable
// revision. Only what is a matter of scale needs no judging: shared objects serve
// stable too.
func (p *pass) planAgainst(ctx context.Context, q release.Query, judged *release.Judged, output render.Output) error {
	stable, err := p.render(ctx, p.planned, *p.record.Stable)
	if err != nil {
		return err
	}
	revision := q.Want.Revision
	revision.ID = p.record.Stable.ID
	renamed, err := p.render(ctx, p.planned, revision)
	if err != nil {
		return err
	}
	// What runs and was rendered otherwise would be restarted.
	known := p.record.Stable.Workload == "" || p.record.Stable.Workload == stable.WorkloadHash
	inPlace := known && stable.WorkloadHash == output.WorkloadHash
	judged.Plan.Shared = !sameObjects(stable.Shared, renamed.Shared)
	switch {
	case inPlace:
		judged.Manifest, judged.Plan.InPlace, judged.Plan.Steps = renamed.ManifestHash, true, []int{100}
		if !judged.Plan.Shared {
			judged.Plan.Measured, judged.Plan.Window = false, 0
		}
	case judged.Plan.Shared && !q.Want.Return:
		judged.Plan.Steps = append([]int{0}, judged.Plan.Steps...)
	}
	if q.Want.Return {
		judged.Plan.Shared = false // they were proven together with it
	}
	return nil
}

// sameObjects compares two renders of what revisions share, in any order.
func sameObjects(a, b []*unstructured.Unstructured) bool {
	if len(a) != len(b) {
		return false
	}
	return !slices.ContainsFunc(a, func(x *unstructured.Unstructured) bool {
		return !slices.ContainsFunc(b, func(y *unstructured.Unstructured) bool {
			return reflect.DeepEqual(x.Object, y.Object)
		})
	})
}

func planOf(e schemas.Environment, s schemas.Service, class string) release.Plan {
	limits := analysis.DefaultLimits()
	limits.IncreasePoints = e.Rollback.ErrorRateIncreasePoints
	limits.MaxErrorRate = float64(e.Rollback.MaxErrorRate) / 100
	steps, interval := pace(e, class)
	exception, backfill := class == schemas.ChangeHotfix, time.Duration(0)
	if exception {
		backfill = e.Hotfix.Backfill.Std()
	}
	return release.Plan{
		Exception: exception, Backfill: backfill,
		Steps: steps, Interval: interval,
		Prepare: prepareTime, Deadline: e.Rollout.Deadline.Std(), Window: e.Rollback.Window.Std(),
		Measured: s.Metrics.Errors != nil, Limits: limits, Silence: silence,
		HealthFailures: e.Rollback.HealthCheckFailures,
		HealthEvery:    min(healthEvery, max(interval/5, time.Second)),
		OnReject:       e.Rollback.OnReject,
	}
}

// pace is how fast a class of change gets its traffic. A policy that says nothing
// else of hotfixes gives them the steps of every rollout.
func pace(e schemas.Environment, class string) (steps []int, interval time.Duration) {
	steps, interval = e.Rollout.Steps, e.Rollout.Interval.Std()
	if class != schemas.ChangeHotfix {
		return steps, interval
	}
	if len(e.Hotfix.Steps) > 0 {
		steps = e.Hotfix.Steps
	}
	if e.Hotfix.Interval > 0 {
		interval = e.Hotfix.Interval.Std()
	}
	return steps, interval
}
