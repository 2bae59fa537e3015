package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// firstBackoff and maxBackoff bound the pause between crashes. A kubelet takes 10 s
// and 5 min; nobody wants to wait for that here.
const (
	firstBackoff = time.Second
	maxBackoff   = 10 * time.Second
)

// A placement is where a pod runs and since when. It is fixed when the pod is first
// seen on its node.
type placement struct {
	podIP  string
	hostIP string
	start  time.Time
}

// A moment is the state of all containers of a pod: they act as one.
type moment struct {
	phase    corev1.PodPhase
	ready    bool
	state    corev1.ContainerState
	last     corev1.ContainerState
	restarts int32
	since    time.Time // when ready or phase changed last
}

// podStatus is what a kubelet would report at now, and how long that stays true:
// zero means until something else changes. It is a pure function of its arguments,
// so a restarted simulator continues where the last one was.
func podStatus(pod *corev1.Pod, b behaviour, p placement, now time.Time) (corev1.PodStatus, time.Duration) {
	m, wake := momentOf(pod, b, p.start, now)
	status := *pod.Status.DeepCopy()
	status.ObservedGeneration = pod.Generation
	status.Phase = m.phase
	status.HostIP = p.hostIP
	status.HostIPs = []corev1.HostIP{{IP: p.hostIP}}
	status.PodIP = p.podIP
	status.PodIPs = []corev1.PodIP{{IP: p.podIP}}
	start := metav1.NewTime(p.start)
	status.StartTime = &start
	status.InitContainerStatuses = initStatuses(pod, p.start)
	status.ContainerStatuses = nil
	for _, c := range pod.Spec.Containers {
		status.ContainerStatuses = append(status.ContainerStatuses, containerStatus(pod, c, m))
	}
	setConditions(pod, &status, m, p.start)
	return status, wake
}

func momentOf(pod *corev1.Pod, b behaviour, start, now time.Time) (moment, time.Duration) {
	at := start.Add(b.after)
	left := at.Sub(now)
	switch b.kind {
	case kindReadyAfter:
		if left > 0 {
			return running(start, false, start), left
		}
		return running(start, true, at), 0
	case kindUnreadyAfter:
		if left > 0 {
			return running(start, true, start), left
		}
		return running(start, false, at), 0
	case kindNeverReady:
		return running(start, false, start), 0
	case kindCrashLoop, kindCrashAfter:
		if left > 0 {
			return running(start, true, start), left
		}
		return crashLoop(at, now)
	case kindImagePull:
		return waiting(start, "ImagePullBackOff", "Back-off pulling image"), 0
	case kindConfigError:
		return waiting(start, "CreateContainerConfigError", "configuration of the container is missing"), 0
	case kindSucceed, kindSucceedAfter:
		if left > 0 {
			return running(start, true, start), left
		}
		return terminated(corev1.PodSucceeded, start, at), 0
	case kindFail, kindFailAfter:
		if left > 0 {
			return running(start, true, start), left
		}
		// A pod that restarts its containers never fails: it crashes.
		if pod.Spec.RestartPolicy != corev1.RestartPolicyNever {
			return crashLoop(at, now)
		}
		return terminated(corev1.PodFailed, start, at), 0
	default:
		return running(start, true, start), 0
	}
}

func running(start time.Time, ready bool, since time.Time) moment {
	return moment{
		phase: corev1.PodRunning,
		ready: ready,
		state: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(start)}},
		since: since,
	}
}

func waiting(start time.Time, reason, message string) moment {
	return moment{
		phase: corev1.PodPending,
		state: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}},
		since: start,
	}
}

func terminated(phase corev1.PodPhase, start, at time.Time) moment {
	return moment{
		phase: phase,
		state: corev1.ContainerState{Terminated: exit(phase == corev1.PodSucceeded, start, at)},
		since: at,
	}
}

func exit(success bool, start, at time.Time) *corev1.ContainerStateTerminated {
	code, reason := int32(1), "Error"
	if success {
		code, reason = 0, "Completed"
	}
	return &corev1.ContainerStateTerminated{
		ExitCode: code, Reason: reason,
		StartedAt: metav1.NewTime(start), FinishedAt: metav1.NewTime(at),
	}
}

// crashLoop is a container that exits as soon as it starts: it crashed first at
// the instant from, and again after 1, 2, 4, 8, 10, 10 … seconds of waiting.
func crashLoop(from, now time.Time) (moment, time.Duration) {
	backoff, crashed, restarts := firstBackoff, from, int32(0)
	for !now.Before(crashed.Add(backoff)) {
		crashed = crashed.Add(backoff)
		backoff = min(2*backoff, maxBackoff)
		restarts++
	}
	m := moment{
		phase:    corev1.PodRunning,
		restarts: restarts,
		since:    from,
		state: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{
			Reason:  "CrashLoopBackOff",
			Message: fmt.Sprintf("back-off %s restarting failed container", backoff),
		}},
		last: corev1.ContainerState{Terminated: exit(false, crashed, crashed)},
	}
	return m, crashed.Add(backoff).Sub(now)
}

func containerStatus(pod *corev1.Pod, c corev1.Container, m moment) corev1.ContainerStatus {
	started := m.state.Running != nil
	status := corev1.ContainerStatus{
		Name:                 c.Name,
		Image:                c.Image,
		State:                m.state,
		LastTerminationState: m.last,
		Ready:                m.ready,
		Started:              &started,
		RestartCount:         m.restarts,
	}
	if m.phase != corev1.PodPending {
		status.ImageID = imageID(c.Image)
		status.ContainerID = containerID(pod, c.Name, m.restarts)
	}
	return status
}

// initStatuses reports init containers as completed, and those that stay (sidecars)
// as running.
func initStatuses(pod *corev1.Pod, start time.Time) []corev1.ContainerStatus {
	var statuses []corev1.ContainerStatus
	for _, c := range pod.Spec.InitContainers {
		m := terminated(corev1.PodSucceeded, start, start)
		m.ready = true
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			m = running(start, true, start)
		}
		statuses = append(statuses, containerStatus(pod, c, m))
	}
	return statuses
}

// imageID is the reference by digest: the one of the spec, or one made from the
// name, so that equal images have equal ids on every node.
func imageID(image string) string {
	if strings.Contains(image, "@sha256:") {
		return image
	}
	sum := sha256.Sum256([]byte(image))
	return image + "@sha256:" + hex.EncodeToString(sum[:])
}

func containerID(pod *corev1.Pod, name string, restarts int32) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%s/%d", pod.UID, name, restarts))
	return "devcluster://" + hex.EncodeToString(sum[:])
}

// setConditions writes the kubelet's conditions and leaves those of others alone.
func setConditions(pod *corev1.Pod, status *corev1.PodStatus, m moment, start time.Time) {
	reason := ""
	if m.phase == corev1.PodSucceeded || m.phase == corev1.PodFailed {
		reason = "PodCompleted"
	} else if !m.ready {
		reason = "ContainersNotReady"
	}
	gatesReason := reason
	if m.ready && !gatesOpen(pod) {
		gatesReason = "ReadinessGatesNotReady"
	}
	// A sandbox exists as soon as the pod is on the node, whatever the images do.
	setCondition(status, pod, corev1.PodReadyToStartContainers, "", start)
	setCondition(status, pod, corev1.PodInitialized, "", start)
	setCondition(status, pod, corev1.ContainersReady, reason, m.since)
	setCondition(status, pod, corev1.PodReady, gatesReason, m.since)
}

func gatesOpen(pod *corev1.Pod) bool {
	for _, gate := range pod.Spec.ReadinessGates {
		if !conditionTrue(pod.Status.Conditions, gate.ConditionType) {
			return false
		}
	}
	return true
}

func conditionTrue(conditions []corev1.PodCondition, t corev1.PodConditionType) bool {
	for _, c := range conditions {
		if c.Type == t {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// setCondition sets t to true, or to false with a reason. The time of a condition
// that keeps its value is kept too.
func setCondition(status *corev1.PodStatus, pod *corev1.Pod, t corev1.PodConditionType, reason string, since time.Time) {
	next := corev1.PodCondition{
		Type: t, Status: corev1.ConditionTrue, Reason: reason,
		ObservedGeneration: pod.Generation, LastTransitionTime: metav1.NewTime(since),
	}
	if reason != "" {
		next.Status = corev1.ConditionFalse
	}
	for i, c := range status.Conditions {
		if c.Type != t {
			continue
		}
		if c.Status == next.Status {
			next.LastTransitionTime = c.LastTransitionTime
		}
		status.Conditions[i] = next
		return
	}
	status.Conditions = append(status.Conditions, next)
}
