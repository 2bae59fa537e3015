package cluster

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/sluice-cd/sluice/analysis"
	"github.com/sluice-cd/sluice/reconciler/release"
	"github.com/sluice-cd/sluice/reconciler/render"
)

// Planned is a plan as tests see it.
type Planned struct {
	Objects map[string]*unstructured.Unstructured // by "Kind namespace/name"
	Order   []string
	Open    bool
	Held    string
}

// Plan plans against live objects.
func Plan(key release.Key, state release.State, manifests map[string]render.Output, options Options, live ...*unstructured.Unstructured) (Planned, error) {
	p, err := plannedWith(key, state, manifests, options, live)
	if err != nil {
		return Planned{}, err
	}
	out := Planned{Objects: map[string]*unstructured.Unstructured{}, Open: p.open, Held: p.held}
	for _, w := range p.applicable() {
		out.Objects[w.id.String()] = w.object
		out.Order = append(out.Order, w.id.String())
	}
	return out, nil
}

func plannedWith(key release.Key, state release.State, manifests map[string]render.Output, options Options, objects []*unstructured.Unstructured) (*plan, error) {
	seen := map[identity]*live{}
	for _, o := range objects {
		l, err := digest(o)
		if err != nil {
			return nil, err
		}
		seen[l.identity()] = l
	}
	return newPlan(request{key: key, state: state, manifests: manifests, options: options}, seen)
}

// Pruned is what would be deleted, left behind and refused.
type Pruned struct {
	Remove, Release []string
	Guarded         string
	Waiting         bool
}

// Prune decides what goes when the inventory holds objects; live ones are in
// the cluster too.
func Prune(key release.Key, state release.State, manifests map[string]render.Output, options Options, inventoried, live []*unstructured.Unstructured) (Pruned, error) {
	p, err := plannedWith(key, state, manifests, options, live)
	if err != nil {
		return Pruned{}, err
	}
	i := inventory{entries: map[identity]entry{}}
	for _, o := range inventoried {
		i.entries[identify(o)] = entry{
			APIVersion: o.GetAPIVersion(), Kind: o.GetKind(), Namespace: o.GetNamespace(), Name: o.GetName(),
			UID: string(o.GetUID()), Revision: o.GetLabels()[labelRevision],
		}
	}
	decided := obsolete(i, p)
	out := Pruned{Guarded: decided.guarded, Waiting: decided.waiting}
	for _, e := range decided.remove {
		out.Remove = append(out.Remove, e.identity().String())
	}
	for _, e := range decided.release {
		out.Release = append(out.Release, e.identity().String())
	}
	return out, nil
}

// Owned is owned.
func Owned(fields string, applied map[string]any) bool { return owned([]byte(fields), applied) }

// Owner is the OwnedError for an object, nil when it has no other owner.
func Owner(o *unstructured.Unstructured, label string) *OwnedError { return owner(o, label) }

// PodFacts reads a pod.
func PodFacts(o *unstructured.Unstructured) (analysis.Pod, error) {
	l, err := digest(o)
	if err != nil {
		return analysis.Pod{}, err
	}
	return *l.pod, nil
}

// RouteFacts reads a route.
func RouteFacts(o *unstructured.Unstructured, apex string) (shares map[string]int, accepted bool, reason string, err error) {
	l, err := digest(o)
	if err != nil {
		return nil, false, "", err
	}
	return l.route.shares(apex), l.route.accepted, l.route.reason, nil
}

// Contests are the correction budgets of objects.
type Contests struct{ inner contests }

// NewContests has full budgets.
func NewContests() *Contests { return &Contests{contests{corrected: map[identity][]time.Time{}}} }

// Spend takes a correction of the object of that name out of its budget.
func (c *Contests) Spend(name string, now time.Time) bool {
	return c.inner.spend(identity{Name: name}, now)
}

// Exhausted reports whether none is left.
func (c *Contests) Exhausted(name string, now time.Time) bool {
	return c.inner.exhausted(identity{Name: name}, now)
}

// RememberReady observes the same pods again and again.
func RememberReady(key release.Key, looks ...map[string]release.RevisionStatus) {
	c := &Cluster{}
	for _, look := range looks {
		c.rememberReady(key, look)
	}
}

// Differences says how two contents differ.
func Differences(live, git map[string]any, secret bool) []string {
	var lines []string
	for _, d := range differences("", live, git) {
		lines = append(lines, d.words(secret))
	}
	return lines
}

// ExceptionEnd is when an object's exception ends; zero for none.
func ExceptionEnd(t testing.TB, o *unstructured.Unstructured) time.Time {
	t.Helper()
	l, err := digest(o)
	if err != nil {
		t.Fatal(err)
	}
	if l.exception == nil {
		return time.Time{}
	}
	return l.exception.until.UTC()
}
