package reconciler

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sluice-cd/sluice/reconciler/environments"
	"github.com/sluice-cd/sluice/reconciler/gate"
	"github.com/sluice-cd/sluice/reconciler/release"
	"github.com/sluice-cd/sluice/reconciler/render"
	"github.com/sluice-cd/sluice/reconciler/report"
)

// PreviewOnce shows on every open pull request what its gates say, as far as that
// may have changed, and on the merged ones how their deployments go. The latter
// come last: a pull request may be merged while it is looked at.
func (c *Reconciler) PreviewOnce(ctx context.Context) error {
	return errors.Join(c.previewAll(ctx), c.reportDeployments(ctx))
}

func (c *Reconciler) previewAll(ctx context.Context) error {
	git, _ := c.known()
	rules, err := c.Releases.Rules(git.Policy)
	if err != nil {
		return err
	}
	proposals, err := c.Facts.Proposals(ctx, rules)
	errs := []error{err}
	if err == nil {
		c.keepLooks(proposals)
	}
	for _, p := range proposals {
		now := time.Now()
		basis := c.basis(git, rules, p)
		if c.isDue(p.PullRequest.Number, basis, now) {
			shown, err := c.preview(ctx, rules, p)
			if err == nil { // else it would look better than it may be
				err = c.announcePreview(ctx, p.PullRequest.Head.Commit, shown)
			}
			c.looked(p.PullRequest, basis, shown, err, now)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// preview asks the gates about every release that a pull request changes. It is
// complete only without an error.
func (c *Reconciler) preview(ctx context.Context, rules environments.Rules, p environments.Proposal) (report.Preview, error) {
	out := report.Preview{Number: p.PullRequest.Number, URL: p.PullRequest.URL, Scope: strings.Join(c.Environments, ","), Policy: p.Owned}
	for name, problem := range p.Problems {
		if key, err := release.ParseKey(name); err == nil && c.ours(key) {
			out.Releases = append(out.Releases, report.Release{Environment: key.Environment, Service: key.Service, Problem: problem, Status: gate.StatusFailure})
		}
	}
	var errs []error
	for _, candidate := range p.Candidates {
		if !c.ours(candidate.Key) {
			continue
		}
		r, err := c.previewOne(ctx, candidate)
		if err != nil {
			errs = append(errs, fmt.Errorf("preview %s in #%d: %w", candidate.Key, p.PullRequest.Number, err))
			continue
		}
		out.Releases = append(out.Releases, r)
	}
	slices.SortFunc(out.Releases, func(a, b report.Release) int {
		return cmp.Or(cmp.Compare(a.Environment, b.Environment), cmp.Compare(a.Service, b.Service))
	})
	out.Environments = c.reported(rules, out.Releases)
	return out, errors.Join(errs...)
}

// reported lists the environments that have something to say: all of this
// daemon's that something is promoted to, and those that are touched.
func (c *Reconciler) reported(rules environments.Rules, touched []report.Release) []string {
	var out []string
	for _, e := range rules.Policy.Environments {
		ours := c.ours(release.Key{Environment: e.Name})
		changes := slices.ContainsFunc(touched, func(r report.Release) bool { return r.Environment == e.Name })
		if ours && (changes || !rules.First(e.Name)) {
			out = append(out, e.Name)
		}
	}
	return out
}

func (c *Reconciler) previewOne(ctx context.Context, candidate environments.Candidate) (report.Release, error) {
	out := report.Release{
		Environment: candidate.Key.Environment, Service: candidate.Key.Service, To: candidate.Want.Revision.Version,
	}
	p, err := c.newPass(ctx, candidate.Key)
	if err != nil {
		return out, err
	}
	if p.record.Stable != nil {
		out.From = p.record.Stable.Version
	}
	if !p.located() {
		out.Problem, out.Status = p.lost.Error(), gate.StatusPending
		return out, nil
	}
	facts, err := p.facts(ctx, candidate, p.record.Stable)
	if err != nil {
		return out, err
	}
	if !candidate.Retired {
		output, err := p.render(ctx, p.planned, candidate.Want.Revision)
		var refusal *render.Refusal
		if err != nil && !errors.As(err, &refusal) {
			return out, err
		}
		p.describe(&facts, output, refusal)
	}
	out.Results = gate.Evaluate(facts, time.Now())
	out.Diff, err = p.difference(ctx, candidate)
	return out, err
}

// difference is what would change in the cluster. Both sides are rendered without
// a revision, whose names would differ everywhere.
func (p *pass) difference(ctx context.Context, candidate environments.Candidate) (report.Diff, error) {
	before, refused, err := p.plainly(ctx, p.record.Stable)
	if err != nil || refused != "" {
		return report.Diff{Unknown: refused}, err
	}
	wanted := &candidate.Want.Revision
	if candidate.Retired {
		wanted = nil
	}
	after, refused, err := p.plainly(ctx, wanted)
	if err != nil || refused != "" {
		return report.Diff{Unknown: refused}, err
	}
	d := report.Compare(objectsOf(before), objectsOf(after))
	d.First = p.record.Stable == nil
	return d, nil
}

// plainly renders what a revision consists of, nil for nothing, or says why its
// files cannot be rendered.
func (p *pass) plainly(ctx context.Context, revision *release.Revision) (out render.Output, refused string, err error) {
	if revision == nil {
		return out, "", nil
	}
	in, err := p.Releases.Manifests(p.key, *revision, p.planned.Namespace)
	if err != nil {
		return out, "", err
	}
	in.Revision = ""
	out, err = p.Renderer.Build(ctx, in)
	var refusal *render.Refusal
	if errors.As(err, &refusal) {
		return out, refusal.Error(), nil
	}
	return out, "", err
}
