package cluster

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/sluice-cd/sluice/analysis"
)

// readySlack is the resolution of the times in a pod's status, doubled: a pod
// whose Ready condition changed later than this after its start became ready
// and lost it again.
const readySlack = 2 * time.Second

func (l *live) readPod(u *unstructured.Unstructured) error {
	var pod corev1.Pod
	if err := convert(map[string]any{"status": u.Object["status"]}, &pod); err != nil {
		return err
	}
	pod.Name = l.Name
	facts := podFacts(&pod)
	l.pod, l.podSet = &facts, u.GetLabels()
	return nil
}

func podFacts(pod *corev1.Pod) analysis.Pod {
	facts := analysis.Pod{Name: pod.Name, Lost: lost(&pod.Status)}
	if pod.Status.StartTime != nil {
		facts.Life.Started = pod.Status.StartTime.Time
	}
	for _, c := range pod.Status.Conditions {
		if c.Type != corev1.PodReady {
			continue
		}
		if facts.Ready = c.Status == corev1.ConditionTrue; facts.Ready {
			facts.Life.Ready = c.LastTransitionTime.Time
		}
		start := pod.Status.StartTime
		facts.BeenReady = facts.Ready ||
			start != nil && c.LastTransitionTime.Sub(start.Time) > readySlack
	}
	for _, c := range pod.Status.ContainerStatuses {
		facts.Restarts += int(c.RestartCount)
		facts.CrashLoop = facts.CrashLoop || c.State.Waiting != nil && c.State.Waiting.Reason == "CrashLoopBackOff"
		facts.OOMKilled = facts.OOMKilled || outOfMemory(c.State.Terminated) || outOfMemory(c.LastTerminationState.Terminated)
	}
	return facts
}

func outOfMemory(t *corev1.ContainerStateTerminated) bool {
	return t != nil && t.Reason == "OOMKilled"
}

// lost reports a pod that ended by the cluster's doing, not by its own.
func lost(status *corev1.PodStatus) bool {
	switch status.Reason {
	case "Evicted", "Preempting", "Shutdown", "NodeShutdown", "NodeLost", "Terminated":
		return true
	}
	for _, c := range status.Conditions {
		if c.Type == corev1.DisruptionTarget && c.Status == corev1.ConditionTrue {
			return true
		}
	}
	return false
}

// sliceFacts is what an EndpointSlice says of a Service.
type sliceFacts struct {
	service string
	ready   []string // addresses
	pods    []string // names of the pods that these are of; "" for what is no pod
}

func (l *live) readSlice(u *unstructured.Unstructured) error {
	var slice discoveryv1.EndpointSlice
	if err := convert(map[string]any{"endpoints": u.Object["endpoints"]}, &slice); err != nil {
		return err
	}
	facts := &sliceFacts{service: l.Labels[labelSliceService]}
	for _, e := range slice.Endpoints {
		if e.Conditions.Ready == nil || *e.Conditions.Ready {
			facts.ready = append(facts.ready, e.Addresses...)
			name := ""
			if e.TargetRef != nil && e.TargetRef.Kind == kindPod.Kind {
				name = e.TargetRef.Name
			}
			facts.pods = append(facts.pods, name)
		}
	}
	l.slice = facts
	return nil
}

// readyTargets names the pods that are a Service's ready endpoints.
func readyTargets(objects map[identity]*live, service string) map[string]bool {
	pods := map[string]bool{}
	for _, l := range objects {
		if l.slice != nil && l.slice.service == service {
			for _, name := range l.slice.pods {
				pods[name] = true
			}
		}
	}
	return pods
}

// readyEndpoints counts a Service's ready endpoints. An address counts once:
// while the controller moves it, it is in two slices.
func readyEndpoints(objects map[identity]*live, service string) int {
	seen := map[string]bool{}
	for _, l := range objects {
		if l.slice == nil || l.slice.service != service {
			continue
		}
		for _, address := range l.slice.ready {
			seen[address] = true
		}
	}
	return len(seen)
}
