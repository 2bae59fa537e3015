package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Annotations of a pod that the node simulator obeys; doc.go has the table. They
// are read at every event, so changing one on a running pod changes the pod.
const (
	behaviourAnnotation = "devcluster.sluice.dev/behaviour"
	stopAfterAnnotation = "devcluster.sluice.dev/stop-after"
)

// A kind of behaviour, without its argument.
type kind string

const (
	kindReady         kind = "ready"
	kindReadyAfter    kind = "ready-after"
	kindNeverReady    kind = "never-ready"
	kindUnreadyAfter  kind = "unready-after"
	kindCrashLoop     kind = "crash-loop"
	kindCrashAfter    kind = "crash-after"
	kindImagePull     kind = "image-pull"
	kindConfigError   kind = "config-error"
	kindUnschedulable kind = "unschedulable"
	kindSucceed       kind = "succeed"
	kindSucceedAfter  kind = "succeed-after"
	kindFail          kind = "fail"
	kindFailAfter     kind = "fail-after"
)

// A behaviour is what a pod's containers do, and when: after counts from the start
// of the pod.
type behaviour struct {
	kind  kind
	after time.Duration
}

// behaviourOf is the pod's annotation, or what its owner makes likely. An
// annotation that cannot be read is an error: a typo must not pass for ready.
func behaviourOf(pod *corev1.Pod) (behaviour, error) {
	text, ok := pod.Annotations[behaviourAnnotation]
	if !ok {
		return behaviour{kind: defaultKind(pod)}, nil
	}
	name, seconds, timed := strings.Cut(text, "=")
	b := behaviour{kind: kind(strings.TrimSpace(name))}
	switch b.kind {
	case kindReady, kindNeverReady, kindCrashLoop, kindImagePull, kindConfigError,
		kindUnschedulable, kindSucceed, kindFail:
		if timed {
			return b, fmt.Errorf("behaviour %q takes no seconds", text)
		}
		return b, nil
	case kindReadyAfter, kindUnreadyAfter, kindCrashAfter, kindSucceedAfter, kindFailAfter:
		after, err := parseSeconds(seconds)
		b.after = after
		return b, err
	default:
		return b, fmt.Errorf("unknown behaviour %q", text)
	}
}

// defaultKind is ready, or succeed for the pod of a Job.
func defaultKind(pod *corev1.Pod) kind {
	for _, owner := range pod.OwnerReferences {
		if owner.Kind == "Job" {
			return kindSucceed
		}
	}
	return kindReady
}

// stopAfter is how long the pod ignores its deletion.
func stopAfter(pod *corev1.Pod) (time.Duration, error) {
	text, ok := pod.Annotations[stopAfterAnnotation]
	if !ok {
		return 0, nil
	}
	return parseSeconds(text)
}

func parseSeconds(text string) (time.Duration, error) {
	seconds, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil || seconds < 0 || seconds > 1e6 {
		return 0, fmt.Errorf("%q is not a number of seconds", text)
	}
	return time.Duration(seconds * float64(time.Second)), nil
}
