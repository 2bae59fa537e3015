package analysis

import (
	"fmt"
	"time"
)

// Pod is what the cluster says about one pod of the candidate.
type Pod struct {
	Name string `json:"name"`
	// Life is when it started and when it was first seen ready.
	Life Life `json:"life,omitzero"`
	// Ready is the pod's present readiness, BeenReady whether it ever was ready: a
	// pod that is still starting is slow, not sick.
	Ready     bool `json:"ready"`
	BeenReady bool `json:"beenReady"`
	// Restarts counts the restarts of the pod's containers.
	Restarts  int  `json:"restarts,omitempty"`
	CrashLoop bool `json:"crashLoop,omitempty"`
	OOMKilled bool `json:"oomKilled,omitempty"`
	// Lost is a pod that was evicted or preempted or whose node is gone: the
	// cluster's doing, so it counts neither as failing nor as a pod.
	Lost bool `json:"lost,omitempty"`
}

// maxRestarts is how often a pod may restart before it counts as failing.
const maxRestarts = 2

// ailment is why the pod counts as failing; "" when it does not.
func (p Pod) ailment() string {
	switch {
	case p.CrashLoop:
		return "crashes again and again"
	case p.OOMKilled:
		return "ran out of memory"
	case p.Restarts >= maxRestarts:
		return fmt.Sprintf("restarted %d times", p.Restarts)
	case p.BeenReady && !p.Ready:
		return "is no longer ready"
	}
	return ""
}

// Health is one look at the candidate's pods.
type Health struct {
	At      time.Time `json:"at"`
	Pods    int       `json:"pods"`
	Failing int       `json:"failing"`
	// Failed says that so many pods fail that the candidate does. One look is not
	// enough to act on; see Streak.
	Failed bool `json:"failed"`
	// Known is false when there was no pod to look at.
	Known  bool   `json:"known"`
	Reason string `json:"reason"`
}

// HealthOf looks at the candidate's pods. The candidate fails when all its pods
// do, or more than a tenth of them and more than one.
func HealthOf(pods []Pod, at time.Time) Health {
	h := Health{At: at}
	var first string
	for _, p := range pods {
		if p.Lost {
			continue
		}
		h.Pods++
		if ill := p.ailment(); ill != "" {
			h.Failing++
			if first == "" {
				first = fmt.Sprintf("pod %s %s", p.Name, ill)
			}
		}
	}
	h.Known = h.Pods > 0
	h.Failed = h.Known && (h.Failing == h.Pods || h.Failing > 1 && 10*h.Failing > h.Pods)
	switch {
	case !h.Known:
		h.Reason = "The candidate has no pods to look at."
	case h.Failing == 0:
		h.Reason = fmt.Sprintf("None of the candidate's %d pods fails.", h.Pods)
	default:
		h.Reason = fmt.Sprintf("%d of the candidate's %d pods fail: %s.", h.Failing, h.Pods, first)
	}
	return h
}

// Streak counts failed looks in a row.
type Streak struct {
	Count int       `json:"n,omitempty"`
	Since time.Time `json:"t,omitzero"`
	Last  time.Time `json:"l,omitzero"`
}

// After is the streak after another look. A failed look less than apart after
// the last counted one is the same failure seen twice and does not count. A
// healthy look ends the streak; one that could not be made changes nothing.
func (s Streak) After(h Health, apart time.Duration) Streak {
	switch {
	case !h.Known:
		return s
	case !h.Failed:
		return Streak{}
	case s.Count == 0:
		return Streak{Count: 1, Since: h.At, Last: h.At}
	case h.At.Sub(s.Last) < apart:
		return s
	}
	s.Count++
	s.Last = h.At
	return s
}
