package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// requestsPerSecond to each release.
const requestsPerSecond = 300

// traffic plays the users: it reads the live weights of the route and the pods
// that are ready, and counts requests per pod as the pods themselves would.
type traffic struct {
	artifacts map[string]artifact // by digest

	mu sync.Mutex // guards the following
	// counts by namespace, pod and status code
	counts map[series]int
}

type series struct{ namespace, pod, code string }

func newTraffic(artifacts map[string]artifact) *traffic {
	t := &traffic{artifacts: map[string]artifact{}, counts: map[series]int{}}
	for _, a := range artifacts {
		t.artifacts[a.Digest] = a
	}
	return t
}

// serve offers the counters on a loopback port until ctx ends.
func (t *traffic) serve(ctx context.Context) (address string, err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	server := &http.Server{Handler: http.HandlerFunc(t.metrics), ReadHeaderTimeout: time.Second}
	go func() { _ = server.Serve(listener) }()
	context.AfterFunc(ctx, func() { _ = server.Close() })
	return listener.Addr().String(), nil
}

func (t *traffic) metrics(w http.ResponseWriter, _ *http.Request) {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := make([]string, 0, len(t.counts))
	for s, n := range t.counts {
		lines = append(lines, fmt.Sprintf("http_requests_total{namespace=%q,pod=%q,code=%q,handler=\"/\"} %d\n", s.namespace, s.pod, s.code, n))
	}
	slices.Sort(lines)
	w.Header().Set("Content-Type", "text/plain; version=0.0.4")
	fmt.Fprint(w, "# TYPE http_requests_total counter\n", strings.Join(lines, ""))
}

// run sends requests until ctx ends.
func (t *traffic) run(ctx context.Context, k *kube, services, environments []string) {
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			n := int(requestsPerSecond * now.Sub(last).Seconds())
			last = now
			for _, service := range services {
				for _, environment := range environments {
					backends, err := k.backends(ctx, service, environment)
					if err == nil {
						t.send(environment, backends, n)
					}
				}
			}
		}
	}
}

// A backend is what one backendRef of the route leads to.
type backend struct {
	weight int
	pods   []corev1.Pod // ready ones
}

// send gives each request to a backend by weight and to any of its pods.
func (t *traffic) send(environment string, backends []backend, n int) {
	total := 0
	for _, b := range backends {
		total += b.weight
	}
	if total == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for range n {
		at := rand.IntN(total)
		for _, b := range backends {
			if at -= b.weight; at < 0 {
				t.answerLocked(environment, b.pods)
				break
			}
		}
	}
}

// answerLocked counts one request. Without a ready pod the gateway answers, and
// no pod counts anything.
func (t *traffic) answerLocked(environment string, pods []corev1.Pod) {
	if len(pods) == 0 {
		return
	}
	pod := pods[rand.IntN(len(pods))]
	_, digest, _ := strings.Cut(pod.Spec.Containers[0].Image, "@")
	a := t.artifacts[digest]
	rate := a.ErrorRate
	if len(a.Environments) > 0 && !slices.Contains(a.Environments, environment) {
		rate = 0
	}
	code := "200"
	if rand.Float64() < rate {
		code = "500"
	}
	t.counts[series{pod.Namespace, pod.Name, code}]++
}

// backends reads the route of the service in an environment.
func (k *kube) backends(ctx context.Context, service, environment string) ([]backend, error) {
	namespace := service + "-" + environment
	route, err := k.route(ctx, namespace, service)
	if err != nil {
		return nil, err
	}
	var out []backend
	for _, ref := range route.Spec.Rules[0].BackendRefs {
		b := backend{weight: int(weightOf(ref))}
		if b.weight > 0 {
			b.pods, err = k.readyPods(ctx, namespace, string(ref.Name))
		}
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, nil
}

func weightOf(ref gatewayv1.HTTPBackendRef) int32 {
	if ref.Weight == nil {
		return 1
	}
	return *ref.Weight
}

func (k *kube) readyPods(ctx context.Context, namespace, service string) ([]corev1.Pod, error) {
	s, err := k.clientset.CoreV1().Services(namespace).Get(ctx, service, metav1.GetOptions{ResourceVersion: "0"})
	if err != nil {
		return nil, err
	}
	pods, err := k.clientset.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{
		LabelSelector: labels.SelectorFromSet(s.Spec.Selector).String(), ResourceVersion: "0",
	})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(pods.Items, func(p corev1.Pod) bool { return !ready(p) }), nil
}

func ready(p corev1.Pod) bool {
	return p.DeletionTimestamp == nil && slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}
