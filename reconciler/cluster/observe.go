package cluster

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"

	"github.com/sluice-cd/sluice/analysis"
	"github.com/sluice-cd/sluice/reconciler/release"
	"github.com/sluice-cd/sluice/reconciler/render"
)

// Observe says what the cluster is like compared with state, from the
// informers' caches. When these cannot be relied on, everything is Unknowable
// and the error is an ErrUnknown.
func (c *Cluster) Observe(ctx context.Context, key release.Key, state release.State, manifests map[string]render.Output, options Options) (release.Observed, error) {
	if state.Observed {
		return release.Observed{At: c.now(), Converged: true, Route: release.RouteStatus{Accepted: true}}, nil
	}
	p, err := c.open(ctx, request{key: key, state: state, manifests: manifests, options: options})
	if err == nil {
		err = c.trouble(p.options.Namespace, p.kinds)
	}
	if err != nil {
		return c.unknowable(state, err), fmt.Errorf("observe %s: %w", key, err)
	}
	o := release.Observed{At: c.now(), Revisions: map[string]release.RevisionStatus{}, Route: p.routeStatus()}
	for _, revision := range p.revisions() {
		o.Revisions[revision] = c.revisionStatus(p, revision)
	}
	c.rememberReady(key, o.Revisions)
	obsolete := obsolete(p.inventory, p.plan)
	o.Guarded = obsolete.guarded
	o.Contested = c.contested(p)
	o.Rehoming = p.rehoming()
	o.Converged = p.held == "" && o.Rehoming == "" && obsolete.done() && c.inPlace(p)
	return o, nil
}

// rememberReady replaces the time at which each pod became ready by the time at
// which it first did. Kubernetes keeps only the last, and a pod that flaps must
// not be taken for a fresh one each time. After a restart the last one counts.
func (c *Cluster) rememberReady(key release.Key, revisions map[string]release.RevisionStatus) {
	known, _ := c.ready.Load(key)
	before, _ := known.(map[string]time.Time)
	after := map[string]time.Time{}
	for _, status := range revisions {
		for i := range status.Pods {
			pod := &status.Pods[i]
			if first, ok := before[pod.Name]; ok {
				pod.Life.Ready = first
			}
			if !pod.Life.Ready.IsZero() {
				after[pod.Name] = pod.Life.Ready
			}
		}
	}
	c.ready.Store(key, after)
}

func (c *Cluster) unknowable(state release.State, err error) release.Observed {
	o := release.Observed{
		At: c.now(), Revisions: map[string]release.RevisionStatus{},
		Route: release.RouteStatus{Reason: err.Error(), Candidate: state.Traffic.Candidate},
	}
	for _, w := range state.Workloads {
		o.Revisions[w.Revision] = release.RevisionStatus{Readiness: release.Unknowable, Reason: err.Error()}
	}
	return o
}

func (p pruning) done() bool {
	return len(p.remove)+len(p.release) == 0 && p.guarded == "" && !p.waiting
}

func (c *Cluster) inPlace(p *pass) bool {
	if !p.open && p.routeWanted() {
		return false
	}
	for _, w := range p.applicable() {
		l := p.seen[w.id]
		standing := c.compare(w, l)
		if standing == drifted && c.excepted(l) {
			continue
		}
		if standing != inPlace {
			return false
		}
	}
	return true
}

// routeWanted reports that the State has somebody to send traffic to.
func (p *pass) routeWanted() bool { return p.route != nil && total(p.target()) > 0 }

// contested lists the objects that somebody keeps changing back.
func (c *Cluster) contested(p *pass) []release.Contest {
	var contested []release.Contest
	for _, w := range p.applicable() {
		l := p.seen[w.id]
		if c.compare(w, l) != drifted || c.excepted(l) || !c.contests.exhausted(w.id, c.now()) {
			continue
		}
		contest := release.Contest{Object: w.id.String()}
		if l != nil {
			contest.Manager, contest.At = l.last.manager, l.last.at
		}
		contested = append(contested, contest)
	}
	return contested
}

// revisions lists those wanted and those still found.
func (p *pass) revisions() []string {
	var all []string
	for _, w := range p.state.Workloads {
		all = append(all, w.Revision)
	}
	for id, l := range p.seen {
		if revision := l.revision(); revision != "" && (id.groupKind() == kindDeployment || l.pod != nil) {
			all = append(all, revision)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func (c *Cluster) revisionStatus(p *pass, revision string) release.RevisionStatus {
	s := release.RevisionStatus{Replicas: p.size[revision], Pods: p.pods(revision)}
	apex := p.apex(revision)
	s.Endpoints = p.readyBehind(apex, revision)
	if p.options.Traffic == Gateway {
		s.Endpoints = p.endpoints(revision)
	}
	s.Readiness, s.Reason = c.readiness(p, revision)
	need := max(1, p.sizeBehind(apex, revision))
	if s.Readiness == release.Ready && s.Endpoints < need && p.options.Traffic == Gateway && p.exists(revision) {
		s.Readiness = release.InProgress
		s.Reason = fmt.Sprintf("its Service has %d of %d endpoints yet", s.Endpoints, need)
	}
	return s
}

func (p *pass) pods(revision string) []analysis.Pod {
	var pods []analysis.Pod
	for _, l := range p.seen {
		if l.pod != nil && l.revision() == revision && l.DeletionTimestamp == nil {
			pods = append(pods, *l.pod)
		}
	}
	slices.SortFunc(pods, func(a, b analysis.Pod) int { return cmp.Compare(a.Name, b.Name) })
	return pods
}

// readiness is the worst of a revision's workload objects.
func (c *Cluster) readiness(p *pass, revision string) (release.Readiness, string) {
	readiness, reason := release.Absent, "nothing of it is applied"
	missing := ""
	for _, w := range p.objects {
		if w.revision != revision {
			continue
		}
		l := p.seen[w.id]
		if l == nil && p.inventory.entries[w.id].UID != "" {
			return release.Unknowable, fmt.Sprintf("%s is not in the cache; it is being applied again", w.id)
		}
		if l == nil {
			missing = w.id.String()
			continue
		}
		if r, why := c.objectReadiness(p, w, l); severity(r) > severity(readiness) || readiness == release.Absent {
			readiness, reason = r, why
		}
	}
	if missing != "" && readiness == release.Ready {
		return release.InProgress, missing + " is not applied yet"
	}
	return readiness, reason
}

func severity(r release.Readiness) int {
	return slices.Index([]release.Readiness{release.Absent, release.Ready, release.InProgress, release.Unknowable, release.Failed}, r)
}

// objectReadiness is one object's. The status of a content that is to be
// replaced says nothing of the new one.
func (c *Cluster) objectReadiness(p *pass, w *wanted, l *live) (release.Readiness, string) {
	if c.compare(w, l) == differs {
		return release.InProgress, fmt.Sprintf("a change of %s is not applied yet", w.id)
	}
	reason := fmt.Sprintf("%s: %s", w.id, l.message)
	switch l.status {
	case status.CurrentStatus:
		if l.running > 0 && len(p.pods(w.revision)) == 0 {
			return release.Unknowable, fmt.Sprintf("%s reports %d ready pods and none is in the cache", w.id, l.running)
		}
		return release.Ready, ""
	case status.FailedStatus:
		return release.Failed, reason
	case status.InProgressStatus, status.TerminatingStatus, status.NotFoundStatus:
		return release.InProgress, reason
	default:
		return release.Unknowable, reason
	}
}

// routeStatus reads the division of traffic back from what is live.
func (p *pass) routeStatus() release.RouteStatus {
	t := p.state.Traffic
	s := release.RouteStatus{Accepted: true, Reason: p.held, Candidate: t.Candidate}
	switch p.options.Traffic {
	case Gateway:
		p.readGateway(&s)
	case Replicas:
		s.Weight, s.Achievable = p.countedWeight(), p.countedShare()
	default:
		s.Weight, s.Achievable = t.Weight, p.countedShare()
	}
	return s
}

func (p *pass) readGateway(s *release.RouteStatus) {
	l := p.liveRoute()
	if l == nil {
		s.Accepted = !p.routeWanted()
		if !s.Accepted && s.Reason == "" {
			s.Reason = "the route is not applied yet"
		}
		return
	}
	t := p.state.Traffic
	for revision, percent := range l.route.shares(p.options.Service) {
		if revision == t.Candidate || t.Candidate == "" && revision != t.Stable {
			s.Weight += percent
		}
	}
	s.Achievable = float64(s.Weight)
	s.Accepted = l.route.accepted
	s.Reason = cmp.Or(s.Reason, l.route.reason)
}

func (p *pass) liveRoute() *live {
	for id, l := range p.seen {
		if l.route != nil && id.Name == p.options.Route {
			return l
		}
	}
	return nil
}

// countedWeight is the weight that the apex Service's selector stands for.
func (p *pass) countedWeight() int {
	t := p.state.Traffic
	l := p.seen[serviceIdentity(p.options.Namespace, p.options.Service)]
	if l == nil || t.Candidate == "" {
		return 0
	}
	switch l.selector[labelRevision] {
	case t.Candidate:
		return 100
	case "":
		if _, both := p.serving(); both {
			return t.Weight
		}
		return int(math.Round(p.countedShare()))
	}
	return 0
}

// countedShare is the percentage of the ready pods that are the candidate's.
func (p *pass) countedShare() float64 {
	t := p.state.Traffic
	candidate, stable := p.readyBehind(p.apex(t.Candidate), t.Candidate), p.readyBehind(p.apex(t.Stable), t.Stable)
	if t.Candidate == "" || candidate+stable == 0 {
		return 0
	}
	return 100 * float64(candidate) / float64(candidate+stable)
}
