package reconciler

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sluice-cd/sluice/reconciler/environments"
	"github.com/sluice-cd/sluice/reconciler/gate"
	"github.com/sluice-cd/sluice/reconciler/intake"
	"github.com/sluice-cd/sluice/reconciler/release"
	"github.com/sluice-cd/sluice/reconciler/render"
	"github.com/sluice-cd/sluice/schemas"
)

// prove asks the gates about a pending candidate, or about what waits behind a
// rollout, when it is time to.
func (p *pass) prove(ctx context.Context) error {
	r := p.record
	q, due := release.Asking(r, p.now)
	if !due || !p.located() {
		return nil
	}
	if p.of.Problem != "" || p.of.Inputs != q.Want.Revision.Inputs {
		return nil // git does not ask for it any more; Kept says why
	}
	judged, err := p.judgement(ctx, q)
	if err != nil {
		return err
	}
	p.apply(judged)
	if p.Observe && p.record.Reason != r.Reason {
		p.Log.Info("release judged", "release", p.key.String(), "commit", judged.Commit, "reason", p.record.Reason)
	}
	return nil
}

// behindTimeout bounds the questions about what waits behind a rollout: what has
// traffic is looked at every second, and no forge may keep it waiting for long.
const behindTimeout = 5 * time.Second

// judgement is judge, except that behind a rollout an answer that does not come is
// one that is waited for: the rollout has no part in it.
func (p *pass) judgement(ctx context.Context, q release.Query) (release.Judged, error) {
	if p.record.Phase == release.Pending {
		return p.judge(ctx, q)
	}
	ctx, cancel := context.WithTimeout(ctx, behindTimeout)
	defer cancel()
	judged, err := p.judge(ctx, q)
	if err != nil {
		judged.Outcome, judged.Reason = release.Wait, "the gates could not be asked: "+err.Error()
	}
	return judged, nil
}

// judge asks everybody who has a say in a promotion.
func (p *pass) judge(ctx context.Context, q release.Query) (release.Judged, error) {
	judged := release.Judged{Commit: q.Want.Promotion.Commit, Recheck: p.now.Add(p.Poll), Place: p.planned}
	output, renderErr := p.render(ctx, p.planned, q.Want.Revision)
	var refusal *render.Refusal
	if renderErr != nil && !errors.As(renderErr, &refusal) {
		return judged, fmt.Errorf("render the candidate of %s: %w", p.key, renderErr)
	}
	if q.Want.Promotion.Genesis {
		judged.Outcome, judged.Reason = release.Proceed, "part of the baseline"
		judged.Promotion = q.Want.Promotion
		judged.Promotion.Policy = p.git.Policy
		if refusal != nil {
			judged.Outcome, judged.Reason = release.Wait, "it does not render: "+refusal.Error()
		}
	} else if err := p.ask(ctx, q, &judged, output, refusal); err != nil {
		return judged, err
	}
	if err := p.plan(ctx, q, &judged, output); err != nil {
		return judged, err
	}
	p.hesitate(&judged)
	return judged, p.unchanged(ctx, &judged)
}

// unchanged keeps a rollout from replacing an adopted workload that is not what
// was adopted any more: nobody has judged the difference.
func (p *pass) unchanged(ctx context.Context, judged *release.Judged) error {
	if !p.record.Adopted || judged.Outcome != release.Proceed {
		return nil
	}
	_, differs, err := p.compare(ctx, *p.record.Stable)
	if differs != "" {
		judged.Outcome = release.Wait
		judged.Reason = "every gate passes, but what runs is not what was adopted any more: " + differs
	}
	return err
}

// hesitate keeps what passes every gate from beginning where that could not go
// well now.
func (p *pass) hesitate(judged *release.Judged) {
	if judged.Outcome != release.Proceed {
		return
	}
	from, unread := p.record.Place.Namespace, p.Reconciler.unread(p.now, maxUnread)
	switch {
	case p.record.Stable != nil && from != "" && from != p.planned.Namespace:
		judged.Outcome = release.Wait
		judged.Reason = fmt.Sprintf("the policy moves it from namespace %s to %s, which no rollout can do: retire it first, or put the namespace back", from, p.planned.Namespace)
	case unread != "":
		judged.Outcome, judged.Reason = release.Wait, "every gate passes, but "+unread
		judged.Recheck = p.now.Add(time.Second)
	case p.Observe:
		judged.Outcome, judged.Reason = release.Wait, "every gate passes; it would be deployed if this daemon did not only observe"
	}
}

// ask fills in what the gates say.
func (p *pass) ask(ctx context.Context, q release.Query, judged *release.Judged, output render.Output, refusal *render.Refusal) error {
	facts, err := p.facts(ctx, environments.Candidate{Key: p.key, Want: q.Want}, q.Trusted)
	if err != nil {
		return err
	}
	p.describe(&facts, output, refusal)
	results := gate.Evaluate(facts, p.now)
	summary := gate.Summarize(results)
	judged.Gates, judged.Reason = gates(results), summary.Title
	judged.Outcome = outcome(summary.Outcome)
	judged.Promotion = promotion(q.Want.Promotion, facts, p.git.Policy)
	judged.Reviewed = p.reviewed(q, facts)
	judged.Sources = sources(facts.Artifacts)
	judged.Decision = decision(*judged, output, results)
	if !summary.NextCheck.IsZero() && summary.NextCheck.Before(judged.Recheck) {
		judged.Recheck = summary.NextCheck
	}
	return nil
}

// reviewed is the candidate as its reviewers saw it: at the end of its pull
// request. A rebase may have changed the inputs in an earlier commit, whose
// release.yaml can say something else beside them.
func (p *pass) reviewed(q release.Query, facts gate.Facts) release.Revision {
	n := len(facts.Changes)
	if n == 0 || !facts.Changes[n-1].Content.Yes {
		return release.Revision{}
	}
	end, err := p.Releases.Want(p.rules, p.key, intake.Release{Inputs: q.Want.Revision.Inputs, Commit: facts.Changes[n-1].Commit})
	if err != nil {
		return release.Revision{} // what was found by its own commit stays
	}
	return end.Revision
}

// describe adds what is known of the rendered manifests.
func (p *pass) describe(facts *gate.Facts, output render.Output, refusal *render.Refusal) {
	if refusal != nil {
		facts.RenderError = refusal.Error()
		return
	}
	facts.Rendered = true
	for _, image := range output.Report.Images {
		if !image.Pinned {
			facts.Unpinned = append(facts.Unpinned, fmt.Sprintf("%s, container %s: %s", image.Object, image.Container, image.Image))
		}
	}
	health, own := p.rules.Services[p.key.Service].Health, map[string]string{}
	for _, a := range facts.Artifacts {
		own[a.Image] = a.Digest
	}
	for _, u := range output.Report.Unprobed(own, health) {
		facts.Unprobed = append(facts.Unprobed, u.String())
	}
	if health.Excepted() {
		facts.Exception = health.Incident + ", " + health.Reason
	}
}

// facts gathers what git, the forge, the environment before and this release's
// own record know. What changed up to the trusted revision is proven.
func (p *pass) facts(ctx context.Context, c environments.Candidate, trusted *release.Revision) (gate.Facts, error) {
	c.Stable, c.Genesis, c.Changes = trusted, p.git.Genesis, p.unproven(trusted)
	c.Proven = p.provenEarlier(ctx, c.Want.Revision)
	facts, err := p.Facts.Facts(ctx, p.rules, c, p.now)
	if err != nil {
		return facts, err
	}
	if c.Want.Return || c.PullRequest != nil && release.Returns(p.record, c.Want.Revision.Inputs, p.now) {
		facts = returning(facts)
	}
	facts.Upstream = p.upstream(ctx)
	facts.Paused = gate.Pause{
		Paused: p.of.Control.Paused, Reason: p.of.Control.Reason, Path: environments.ControlPath(p.key),
	}
	facts.Frozen = gate.Freeze{
		Frozen: p.of.Control.Frozen != "", Reason: p.of.Control.Frozen, Path: environments.FreezePath(p.key.Environment),
	}
	facts.Holds = p.holds()
	facts.Backfills = p.backfills(ctx, facts)
	return facts, nil
}

// returning are the facts of a return. Its file is that of the promotion that was
// proven once, so what that says of its class is about another change.
func returning(facts gate.Facts) gate.Facts {
	facts.Return, facts.Class, facts.Incident = true, schemas.ChangeStandard, ""
	facts.Changes = slices.Clone(facts.Changes)
	if n := len(facts.Changes); n > 0 {
		facts.Changes[n-1].Class = ""
	}
	return facts
}

// upstream is what the environment before has proven of this service.
func (p *pass) upstream(ctx context.Context) gate.Upstream {
	before, ok := p.rules.Policy.Predecessor(p.key.Environment)
	if !ok {
		return gate.Upstream{}
	}
	up := gate.Upstream{
		Environment: before.Name, Soak: before.Soak, Metered: p.metered(), MaxErrorRate: float64(before.Rollback.MaxErrorRate),
	}
	record, err := p.neighbour(ctx, release.Key{Environment: before.Name, Service: p.key.Service})
	if err != nil {
		up.Unknown = err.Error()
		return up
	}
	for _, proof := range record.Proven {
		up.Proven = append(up.Proven, gate.Proof{
			Artifacts: images(proof.Artifacts), BaseTree: proof.BaseTree, Since: proof.Since, Until: proof.Until,
			Soak: soakOf(proof.Soak),
		})
	}
	if record.Candidate != nil {
		up.Moving = images(record.Candidate.Revision.Artifacts)
	}
	if r, since, ok := release.Carrying(record, p.now); ok {
		up.Serving = &gate.Proof{Artifacts: images(r.Artifacts), BaseTree: r.BaseTree, Since: since}
	}
	return up
}

func soakOf(s *release.Soak) gate.Soak {
	if s == nil {
		return gate.Soak{}
	}
	return gate.Soak{Healthy: s.Healthy, Requests: s.Requests, Errors: s.Errors, Failed: s.Failed}
}

// neighbour reads the record of a release that another daemon may own.
func (c *Reconciler) neighbour(ctx context.Context, key release.Key) (release.Record, error) {
	if c.ours(key) {
		s, err := c.load(ctx, key, time.Now().UTC())
		return s.record, err
	}
	data, _, err := c.Store.Load(ctx, document(key))
	if errors.Is(err, release.ErrNotFound) {
		return release.Record{}, nil
	}
	if err != nil {
		return release.Record{}, err
	}
	return release.Decode(data)
}

func images(artifacts []release.Artifact) []gate.Artifact {
	out := make([]gate.Artifact, len(artifacts))
	for i, a := range artifacts {
		out[i] = gate.Artifact{Image: a.Image, Digest: a.Digest}
	}
	return out
}

// holds joins the holds of the control file with those that only the record
// knows, because their commit has not been read back yet.
func (p *pass) holds() []gate.Hold {
	var out []gate.Hold
	for _, h := range p.of.Control.Holds {
		hold := gate.Hold{Revision: h.Revision, Reason: h.Reason, By: h.By, At: h.At, Path: environments.ControlPath(p.key)}
		if h.Digest != "" {
			hold.Digests = []string{h.Digest}
		}
		out = append(out, hold)
	}
	for _, h := range p.record.Holds {
		if h.InGit {
			continue // the control file says what is left of it
		}
		out = append(out, gate.Hold{Inputs: h.Inputs, Digests: h.Digests, Reason: h.Reason, By: "Sluice", At: h.At, Path: environments.ControlPath(p.key)})
	}
	return out
}

func gates(results []gate.Result) []release.Gate {
	out := make([]release.Gate, len(results))
	for i, r := range results {
		g := release.Gate{Name: r.Gate, Verdict: string(r.Verdict), Reason: r.Reason, Unblocks: r.Unblocks, Until: r.NextCheck}
		for _, e := range r.Evidence {
			g.Evidence = append(g.Evidence, joined(e.Text, e.URL))
		}
		out[i] = g
	}
	return out
}

func joined(text, url string) string {
	if url == "" {
		return text
	}
	return text + " " + url
}

func outcome(o gate.Outcome) release.Outcome {
	switch o {
	case gate.OutcomeDeploy:
		return release.Proceed
	case gate.OutcomeReject:
		return release.Reject
	case gate.OutcomeWait:
	}
	return release.Wait
}

// promotion completes how the candidate came to be wanted.
func promotion(p release.Promotion, facts gate.Facts, policy string) release.Promotion {
	p.Policy, p.Class, p.Incident = policy, facts.Class, facts.Incident
	p.ApprovedBy = nil // not those of the answers before, while it waited
	if len(facts.Changes) == 0 {
		return p
	}
	last := facts.Changes[len(facts.Changes)-1]
	if pr := last.PullRequest; pr != nil {
		p.PullRequest, p.URL, p.Author, p.MergedBy = pr.Number, pr.URL, pr.Author.Login, pr.MergedBy.Login
	}
	for _, user := range gate.ApprovedBy(facts) {
		p.ApprovedBy = append(p.ApprovedBy, user.Login)
	}
	return p
}

// decision is a hash over everything that was proven: only what hashes the same
// was allowed.
func decision(judged release.Judged, output render.Output, results []gate.Result) string {
	data, err := json.Marshal(struct {
		Commit    string
		Manifest  string
		Promotion release.Promotion
		Results   []gate.Result
	}{judged.Commit, output.ManifestHash, judged.Promotion, results})
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
