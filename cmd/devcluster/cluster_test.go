package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	gatewayclient "sigs.k8s.io/gateway-api/pkg/client/clientset/versioned"
)

const behaviour = "devcluster.sluice.dev/behaviour"

// TestCluster shares one cluster: its subtests use names of their own.
func TestCluster(t *testing.T) {
	t.Parallel()
	r := start(t, "-scrape-interval", "200ms")
	client, err := kubernetes.NewForConfig(r.config(t, "admin"))
	require.NoError(t, err)
	gateways, err := gatewayclient.NewForConfig(r.config(t, "admin"))
	require.NoError(t, err)
	s := &suite{running: r, client: client, gateways: gateways}
	for name, test := range map[string]func(*testing.T){
		"nodes are ready":                           s.nodesAreReady,
		"users without groups may do nothing":       s.usersWithoutGroups,
		"a deployment gets ready and has endpoints": s.deploymentGetsEndpoints,
		"pods behave as annotated":                  s.podsBehave,
		"a behaviour can be changed while running":  s.behaviourChanges,
		"a crash loop counts restarts":              s.crashLoopCounts,
		"jobs complete or fail":                     s.jobsEnd,
		"a daemon set runs on every node":           s.daemonSet,
		"deleted pods go":                           s.deletedPodsGo,
		"an admission policy denies":                s.admissionPolicy,
		"routes are accepted and resolved":          s.routeStatus,
		"metrics are scraped and go stale":          s.metrics,
		"queries are refused like by Prometheus":    s.queryErrors,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t)
		})
	}
}

type suite struct {
	*running
	client   kubernetes.Interface
	gateways gatewayclient.Interface
}

func (s *suite) nodesAreReady(t *testing.T) {
	// The node lifecycle controller takes its taint from a new node when it has seen
	// that the node is ready.
	eventually(t, func(ctx context.Context) (bool, error) {
		nodes, err := s.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		ready := 0
		for _, node := range nodes.Items {
			for _, c := range node.Status.Conditions {
				if c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue && len(node.Spec.Taints) == 0 {
					ready++
				}
			}
		}
		return ready == 3, err
	})
}

func (s *suite) usersWithoutGroups(t *testing.T) {
	for _, user := range []string{"sluice", "alice"} {
		client, err := kubernetes.NewForConfig(s.config(t, user))
		require.NoError(t, err)
		_, err = client.CoreV1().Pods("default").List(t.Context(), metav1.ListOptions{})
		require.True(t, apierrors.IsForbidden(err), "%s: %v", user, err)
		assert.Contains(t, err.Error(), user)
	}
}

func podTemplate(app, behaves string) corev1.PodTemplateSpec {
	template := corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": app}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "registry.example/app:1"}}},
	}
	if behaves != "" {
		template.Annotations = map[string]string{behaviour: behaves}
	}
	return template
}

func (s *suite) createDeployment(t *testing.T, name, behaves string, replicas int32) {
	t.Helper()
	_, err := s.client.AppsV1().Deployments("default").Create(t.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}},
			Template: podTemplate(name, behaves),
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
}

func (s *suite) createService(t *testing.T, name string) {
	t.Helper()
	_, err := s.client.CoreV1().Services("default").Create(t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.ServiceSpec{
			Selector: map[string]string{"app": name},
			Ports:    []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromInt32(8080)}},
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
}

func (s *suite) createPod(t *testing.T, name, behaves string, change func(*corev1.Pod)) {
	t.Helper()
	template := podTemplate(name, behaves)
	pod := &corev1.Pod{ObjectMeta: template.ObjectMeta, Spec: template.Spec}
	pod.Name = name
	if change != nil {
		change(pod)
	}
	_, err := s.client.CoreV1().Pods("default").Create(t.Context(), pod, metav1.CreateOptions{})
	require.NoError(t, err)
}

// awaitPod waits until the pod is as described.
func (s *suite) awaitPod(t *testing.T, name string, as func(*corev1.Pod) bool) {
	t.Helper()
	eventually(t, func(ctx context.Context) (bool, error) {
		pod, err := s.client.CoreV1().Pods("default").Get(ctx, name, metav1.GetOptions{})
		return err == nil && as(pod), err
	})
}

func ready(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

func waitsFor(reason string) func(*corev1.Pod) bool {
	return func(p *corev1.Pod) bool {
		for _, c := range p.Status.ContainerStatuses {
			if c.State.Waiting != nil && c.State.Waiting.Reason == reason {
				return !ready(p)
			}
		}
		return false
	}
}

func inPhase(phase corev1.PodPhase) func(*corev1.Pod) bool {
	return func(p *corev1.Pod) bool { return p.Status.Phase == phase }
}

func (s *suite) deploymentGetsEndpoints(t *testing.T) {
	s.createDeployment(t, "web", "", 3)
	s.createService(t, "web")
	eventually(t, func(ctx context.Context) (bool, error) {
		d, err := s.client.AppsV1().Deployments("default").Get(ctx, "web", metav1.GetOptions{})
		return err == nil && d.Status.AvailableReplicas == 3, err
	})
	var addresses []string
	eventually(t, func(ctx context.Context) (bool, error) {
		slices, err := s.client.DiscoveryV1().EndpointSlices("default").List(ctx,
			metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=web"})
		addresses = nil
		for _, slice := range slices.Items {
			for _, e := range slice.Endpoints {
				if *e.Conditions.Ready {
					addresses = append(addresses, e.Addresses...)
				}
			}
		}
		return len(addresses) == 3, err
	})
	for _, address := range addresses {
		assert.Contains(t, address, "10.244.")
	}
}

func (s *suite) podsBehave(t *testing.T) {
	for behaves, as := range map[string]func(*corev1.Pod) bool{
		"ready":             ready,
		"ready-after=0.5":   ready,
		"never-ready":       func(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodRunning && !ready(p) },
		"unready-after=0.5": func(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodRunning && !ready(p) },
		"crash-loop":        waitsFor("CrashLoopBackOff"),
		"crash-after=0.5":   waitsFor("CrashLoopBackOff"),
		"image-pull":        waitsFor("ImagePullBackOff"),
		"config-error":      waitsFor("CreateContainerConfigError"),
		"unschedulable":     func(p *corev1.Pod) bool { return p.Spec.NodeName == "" && len(p.Status.Conditions) == 1 },
		"succeed":           inPhase(corev1.PodSucceeded),
		"succeed-after=0.5": inPhase(corev1.PodSucceeded),
		"fail":              waitsFor("CrashLoopBackOff"),
		"ready=7":           func(p *corev1.Pod) bool { return p.Status.Reason == "InvalidBehaviour" },
		"redy":              func(p *corev1.Pod) bool { return p.Status.Reason == "InvalidBehaviour" },
		"ready-after=soon":  func(p *corev1.Pod) bool { return p.Status.Reason == "InvalidBehaviour" },
	} {
		t.Run(behaves, func(t *testing.T) {
			t.Parallel()
			name := fmt.Sprintf("behaves-%x", behaves)
			s.createPod(t, name, behaves, nil)
			s.awaitPod(t, name, as)
		})
	}
}

func (s *suite) behaviourChanges(t *testing.T) {
	s.createPod(t, "changing", "", nil)
	s.awaitPod(t, "changing", ready)
	patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:"never-ready"}}}`, behaviour)
	_, err := s.client.CoreV1().Pods("default").Patch(t.Context(), "changing",
		"application/merge-patch+json", []byte(patch), metav1.PatchOptions{})
	require.NoError(t, err)
	s.awaitPod(t, "changing", func(p *corev1.Pod) bool { return !ready(p) })
}

func (s *suite) crashLoopCounts(t *testing.T) {
	s.createPod(t, "crashing", "crash-loop", nil)
	s.awaitPod(t, "crashing", func(p *corev1.Pod) bool {
		return len(p.Status.ContainerStatuses) == 1 && p.Status.ContainerStatuses[0].RestartCount >= 2
	})
}

func (s *suite) jobsEnd(t *testing.T) {
	for behaves, want := range map[string]batchv1.JobConditionType{"": batchv1.JobComplete, "fail": batchv1.JobFailed} {
		never := int32(0)
		template := podTemplate("job", behaves)
		template.Spec.RestartPolicy = corev1.RestartPolicyNever
		job, err := s.client.BatchV1().Jobs("default").Create(t.Context(), &batchv1.Job{
			ObjectMeta: metav1.ObjectMeta{GenerateName: "job-"},
			Spec:       batchv1.JobSpec{BackoffLimit: &never, Template: template},
		}, metav1.CreateOptions{})
		require.NoError(t, err)
		eventually(t, func(ctx context.Context) (bool, error) {
			job, err := s.client.BatchV1().Jobs("default").Get(ctx, job.Name, metav1.GetOptions{})
			for _, c := range job.Status.Conditions {
				if c.Type == want && c.Status == corev1.ConditionTrue {
					return true, nil
				}
			}
			return false, err
		})
	}
}

func (s *suite) daemonSet(t *testing.T) {
	_, err := s.client.AppsV1().DaemonSets("default").Create(t.Context(), &appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{Name: "everywhere"},
		Spec: appsv1.DaemonSetSpec{
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "everywhere"}},
			Template: podTemplate("everywhere", ""),
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	eventually(t, func(ctx context.Context) (bool, error) {
		d, err := s.client.AppsV1().DaemonSets("default").Get(ctx, "everywhere", metav1.GetOptions{})
		return err == nil && d.Status.NumberReady == 3, err
	})
}

func (s *suite) deletedPodsGo(t *testing.T) {
	s.createPod(t, "short", "", nil)
	s.createPod(t, "stubborn", "", func(p *corev1.Pod) {
		p.Annotations = map[string]string{"devcluster.sluice.dev/stop-after": "2"}
	})
	pods := s.client.CoreV1().Pods("default")
	for _, name := range []string{"short", "stubborn"} {
		s.awaitPod(t, name, ready)
		require.NoError(t, pods.Delete(t.Context(), name, metav1.DeleteOptions{}))
	}
	gone := func(name string) {
		eventually(t, func(ctx context.Context) (bool, error) {
			_, err := pods.Get(ctx, name, metav1.GetOptions{})
			return apierrors.IsNotFound(err), nil
		})
	}
	stubborn, err := pods.Get(t.Context(), "stubborn", metav1.GetOptions{})
	require.NoError(t, err)
	assert.NotNil(t, stubborn.DeletionTimestamp)
	gone("short")
	gone("stubborn")
}

func (s *suite) admissionPolicy(t *testing.T) {
	fail := admissionv1.Fail
	_, err := s.client.AdmissionregistrationV1().ValidatingAdmissionPolicies().Create(t.Context(), &admissionv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "no-forbidden"},
		Spec: admissionv1.ValidatingAdmissionPolicySpec{
			FailurePolicy: &fail,
			MatchConstraints: &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{{
				RuleWithOperations: admissionv1.RuleWithOperations{
					Operations: []admissionv1.OperationType{admissionv1.Create},
					Rule:       admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"configmaps"}},
				},
			}}},
			Validations: []admissionv1.Validation{{Expression: `!object.metadata.name.startsWith("forbidden")`}},
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = s.client.AdmissionregistrationV1().ValidatingAdmissionPolicyBindings().Create(t.Context(), &admissionv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "no-forbidden"},
		Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName:        "no-forbidden",
			ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	eventually(t, func(ctx context.Context) (bool, error) {
		_, err := s.client.CoreV1().ConfigMaps("default").Create(ctx, &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{GenerateName: "forbidden-"},
		}, metav1.CreateOptions{})
		return apierrors.IsInvalid(err), nil
	})
}

func (s *suite) routeStatus(t *testing.T) {
	s.createService(t, "backend")
	namespace, port := gatewayv1.Namespace("default"), gatewayv1.PortNumber(80)
	backend := func(name string) gatewayv1.HTTPBackendRef {
		return gatewayv1.HTTPBackendRef{BackendRef: gatewayv1.BackendRef{
			BackendObjectReference: gatewayv1.BackendObjectReference{Name: gatewayv1.ObjectName(name), Port: &port},
		}}
	}
	routes := s.gateways.GatewayV1().HTTPRoutes("default")
	route := &gatewayv1.HTTPRoute{
		ObjectMeta: metav1.ObjectMeta{Name: "shop"},
		Spec: gatewayv1.HTTPRouteSpec{
			CommonRouteSpec: gatewayv1.CommonRouteSpec{ParentRefs: []gatewayv1.ParentReference{
				{Name: "devcluster", Namespace: &namespace}, {Name: "nowhere"},
			}},
			Rules: []gatewayv1.HTTPRouteRule{{BackendRefs: []gatewayv1.HTTPBackendRef{backend("backend"), backend("late")}}},
		},
	}
	_, err := routes.Create(t.Context(), route, metav1.CreateOptions{})
	require.NoError(t, err)

	// reason waits for the status of the current generation and returns the reason.
	reason := func(parent int, condition string, want string) {
		t.Helper()
		var last string
		eventually(t, func(ctx context.Context) (bool, error) {
			r, err := routes.Get(ctx, "shop", metav1.GetOptions{})
			if err != nil || len(r.Status.Parents) != 2 {
				return false, err
			}
			c := meta.FindStatusCondition(r.Status.Parents[parent].Conditions, condition)
			if c == nil || c.ObservedGeneration != r.Generation {
				return false, nil
			}
			last = c.Reason
			return c.Reason == want && (c.Status == metav1.ConditionTrue) == (want == condition), nil
		})
		assert.Equal(t, want, last)
	}
	reason(0, "Accepted", "Accepted")
	reason(1, "Accepted", "NoMatchingParent")
	reason(0, "ResolvedRefs", "BackendNotFound")
	s.createService(t, "late")
	reason(0, "ResolvedRefs", "ResolvedRefs")

	eventually(t, func(ctx context.Context) (bool, error) {
		g, err := s.gateways.GatewayV1().Gateways("default").Get(ctx, "devcluster", metav1.GetOptions{})
		return err == nil && len(g.Status.Listeners) == 1 && g.Status.Listeners[0].AttachedRoutes == 1 &&
			meta.IsStatusConditionTrue(g.Status.Conditions, "Programmed"), err
	})
}

// answer is what the Prometheus API says.
type answer struct {
	Status    string   `json:"status"`
	ErrorType string   `json:"errorType"`
	Error     string   `json:"error"`
	Warnings  []string `json:"warnings"`
	Data      struct {
		ResultType string `json:"resultType"`
		Result     []struct {
			Metric map[string]string `json:"metric"`
			Value  [2]any            `json:"value"`
			Values [][2]any          `json:"values"`
		} `json:"result"`
	} `json:"data"`
	Infos []string `json:"infos"`
}

func (s *suite) query(t *testing.T, endpoint string, form url.Values) (answer, int) {
	t.Helper()
	resp, err := http.PostForm(s.Prometheus+"/api/v1/"+endpoint, form)
	require.NoError(t, err)
	defer resp.Body.Close()
	var a answer
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&a))
	return a, resp.StatusCode
}

// awaitResult waits until the query has the given number of series.
func (s *suite) awaitResult(t *testing.T, query string, series int) answer {
	t.Helper()
	var a answer
	eventually(t, func(context.Context) (bool, error) {
		a, _ = s.query(t, "query", url.Values{"query": {query}})
		return a.Status == "success" && len(a.Data.Result) == series, nil
	})
	return a
}

func (s *suite) metrics(t *testing.T) {
	var withExtra atomic.Bool
	withExtra.Store(true)
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, `requests_total{code="200",job="own"} 42`)
		if withExtra.Load() {
			fmt.Fprintln(w, `extra 1`)
		}
	}))
	defer app.Close()
	u, err := url.Parse(app.URL)
	require.NoError(t, err)
	file := filepath.Join(s.Targets, "app.json")
	content := fmt.Sprintf(`[{"targets":[%q],"labels":{"job":"shop","team":"a"}}]`, u.Host)
	require.NoError(t, os.WriteFile(file+".tmp", []byte(content), 0o600))
	require.NoError(t, os.Rename(file+".tmp", file))

	a := s.awaitResult(t, `requests_total`, 1)
	assert.Equal(t, "vector", a.Data.ResultType)
	assert.Equal(t, map[string]string{
		"__name__": "requests_total", "code": "200", "job": "own", "instance": u.Host, "team": "a",
	}, a.Data.Result[0].Metric)
	assert.Equal(t, "42", a.Data.Result[0].Value[1])
	s.awaitResult(t, `up{job="shop",team="a"} == 1`, 1)

	s.awaitResult(t, `extra{job="shop"}`, 1)
	withExtra.Store(false)
	s.awaitResult(t, `extra{job="shop"}`, 0) // at once, not after the lookback of 5 min

	now := fmt.Sprint(a.Data.Result[0].Value[0])
	ranged, _ := s.query(t, "query_range", url.Values{"query": {`up{job="shop"}`}, "start": {now}, "end": {now}, "step": {"1"}})
	require.Equal(t, "matrix", ranged.Data.ResultType, ranged.Error)

	require.NoError(t, os.Remove(file))
	s.awaitResult(t, `up{job="shop"}`, 0)
	s.awaitResult(t, `requests_total`, 0)
}

func (s *suite) queryErrors(t *testing.T) {
	a, code := s.query(t, "query", url.Values{"query": {`up{`}})
	assert.Equal(t, http.StatusBadRequest, code)
	assert.Equal(t, "bad_data", a.ErrorType)
	a, code = s.query(t, "query", url.Values{"query": {`vector(1) + on() group_left() (label_replace(vector(1),"a","b","","") or label_replace(vector(1),"a","c","",""))`}})
	assert.Equal(t, http.StatusUnprocessableEntity, code)
	assert.Equal(t, "execution", a.ErrorType)
	a, code = s.query(t, "query_range", url.Values{"query": {`up`}, "start": {"0"}, "end": {"100000"}, "step": {"1"}})
	assert.Equal(t, http.StatusBadRequest, code)
	assert.Contains(t, a.Error, "11000")
	two := `label_replace(vector(1),"a","b","","") or label_replace(vector(1),"a","c","","")`
	a, _ = s.query(t, "query", url.Values{"query": {two}, "limit": {"1"}})
	assert.Equal(t, []string{"results truncated due to limit"}, a.Warnings)
	a, _ = s.query(t, "query", url.Values{"query": {`rate(up[1m])`}})
	assert.Equal(t, "success", a.Status)
}
