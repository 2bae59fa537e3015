package render_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/reconciler/render"
)

const stateful = `
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: basket}
spec:
  serviceName: basket
  selector: {matchLabels: {app: basket}}
  updateStrategy: {type: RollingUpdate}
  template:
    metadata: {labels: {app: basket}}
    spec:
      containers:
        - name: basket
          image: registry.example.com/shop/basket@sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
          env: [{name: LEVEL, valueFrom: {configMapKeyRef: {name: basket, key: level}}}]
      volumes: [{name: data, persistentVolumeClaim: {claimName: basket}}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: basket}
data: {level: info}
---
apiVersion: v1
kind: Service
metadata: {name: basket}
spec: {clusterIP: None, selector: {app: basket}}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: basket}
spec: {scaleTargetRef: {apiVersion: apps/v1, kind: StatefulSet, name: basket}, maxReplicas: 3}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: basket}
spec: {maxUnavailable: 1, selector: {matchLabels: {app: basket}}}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: stray}
spec: {maxUnavailable: 1, selector: {matchLabels: {app: elsewhere}}}
`

func TestStatefulSetKeepsNameAndSelectorButNotItsConfiguration(t *testing.T) {
	out := build(t, plus(t, stateful))
	set := find(t, out.Workload, "StatefulSet", "basket")
	assert.Equal(t, map[string]any{"app": "basket"}, field(set, "spec", "selector", "matchLabels"))
	assert.Equal(t, "7f3a9c1e", field(set, "spec", "template", "metadata", "labels", render.LabelRevision))
	env := field(set, "spec", "template", "spec", "containers").([]any)[0].(map[string]any)["env"].([]any)[0]
	assert.Equal(t, map[string]any{"name": "LEVEL", "valueFrom": map[string]any{"configMapKeyRef": map[string]any{"name": "basket-7f3a9c1e", "key": "level"}}}, env)
	find(t, out.Workload, "ConfigMap", "basket-7f3a9c1e")
	scaler := find(t, out.Workload, "HorizontalPodAutoscaler", "basket")
	assert.Equal(t, "basket", field(scaler, "spec", "scaleTargetRef", "name"))
	budget := find(t, out.Workload, "PodDisruptionBudget", "basket")
	assert.Equal(t, map[string]any{"app": "basket"}, field(budget, "spec", "selector", "matchLabels"))
	find(t, out.Shared, "PodDisruptionBudget", "stray")
}

func TestReportSaysWhatChangesInPlace(t *testing.T) {
	report := build(t, plus(t, stateful)).Report
	three := int64(3)
	require.Len(t, report.Workloads, 2)
	assert.Equal(t, render.Workload{
		Kind: "StatefulSet", Name: "basket", InPlace: true, Scaler: "HorizontalPodAutoscaler/basket", MaxReplicas: &three,
		Budget: "basket", Strategy: "RollingUpdate", Claims: []string{"basket"},
	}, report.Workloads[1])
	for _, apex := range report.Services {
		assert.NotEqual(t, "basket", apex.Name, "it has no revisions to choose from")
	}
	assert.Equal(t, []render.Note{{Object: "PodDisruptionBudget/stray", Text: "protects no pods of this release; it is kept as it is"}}, report.Notes)
}

func TestJobsAndCronJobs(t *testing.T) {
	template := "template: {metadata: {labels: {app: job}}, spec: {restartPolicy: Never, imagePullSecrets: [{name: pull}], initContainers: [{name: log, image: a, restartPolicy: Always}], containers: [{name: a, image: a}]}}"
	out := build(t, plus(t, "apiVersion: batch/v1\nkind: Job\nmetadata: {name: once}\nspec: {"+template+"}\n---\napiVersion: batch/v1\nkind: CronJob\nmetadata: {name: nightly}\nspec: {schedule: '0 3 * * *', jobTemplate: {spec: {"+template+"}}}\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: pull}\n"))
	job := find(t, out.Workload, "Job", "once-7f3a9c1e")
	assert.Nil(t, field(job, "spec", "selector"), "the API server makes it")
	cron := find(t, out.Workload, "CronJob", "nightly")
	assert.Equal(t, "7f3a9c1e", field(cron, "spec", "jobTemplate", "spec", "template", "metadata", "labels", render.LabelRevision))
	assert.Equal(t, []any{map[string]any{"name": "pull-7f3a9c1e"}}, field(cron, "spec", "jobTemplate", "spec", "template", "spec", "imagePullSecrets"))
	var sidecars int
	for _, container := range out.Report.Containers {
		if container.Sidecar {
			sidecars++
		}
	}
	assert.Equal(t, 2, sidecars)
}

func TestCustomScalersFollowTheWorkload(t *testing.T) {
	out := build(t, plus(t, `
apiVersion: apps/v1
kind: Deployment
metadata: {name: worker}
spec:
  selector: {matchLabels: {app: worker}}
  template:
    metadata: {labels: {app: worker}}
    spec: {containers: [{name: a, image: a}]}
---
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: worker}
spec:
  scaleTargetRef: {name: worker}
  minReplicaCount: 1
  maxReplicaCount: 9
  triggers: [{type: kafka, authenticationRef: {name: kafka}}]
---
apiVersion: keda.sh/v1alpha1
kind: TriggerAuthentication
metadata: {name: kafka}
spec: {secretTargetRef: [{parameter: password, name: kafka, key: password}]}
---
apiVersion: autoscaling.k8s.io/v1
kind: VerticalPodAutoscaler
metadata: {name: worker}
spec: {targetRef: {apiVersion: apps/v1, kind: Deployment, name: worker}}
---
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata: {name: worker}
spec: {groups: [{name: worker, rules: []}]}
---
apiVersion: monitoring.coreos.com/v1
kind: PodMonitor
metadata: {name: worker}
spec: {selector: {matchLabels: {app.kubernetes.io/name: worker}}, podMetricsEndpoints: [{port: metrics}]}
`))
	scaled := find(t, out.Workload, "ScaledObject", "worker-7f3a9c1e")
	assert.Equal(t, "worker-7f3a9c1e", field(scaled, "spec", "scaleTargetRef", "name"))
	vertical := find(t, out.Workload, "VerticalPodAutoscaler", "worker-7f3a9c1e")
	assert.Equal(t, "worker-7f3a9c1e", field(vertical, "spec", "targetRef", "name"))
	find(t, out.Shared, "TriggerAuthentication", "kafka")
	find(t, out.Shared, "PrometheusRule", "worker")
}

func TestConfigurationIsFollowedThroughEveryKindOfReference(t *testing.T) {
	out := build(t, plus(t, `
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec:
      initContainers: [{name: i, image: a, envFrom: [{secretRef: {name: s1}}]}]
      containers:
        - {name: c, image: a, env: [{name: A, valueFrom: {secretKeyRef: {name: s2, key: a}}}, {name: B, value: b}]}
      volumes:
        - {name: v1, secret: {secretName: s3}}
        - {name: v2, projected: {sources: [{secret: {name: s4}}, {configMap: {name: c1}}]}}
        - {name: v3, secret: {secretName: not-rendered}}
---
{apiVersion: v1, kind: Secret, metadata: {name: s1}}
---
{apiVersion: v1, kind: Secret, metadata: {name: s2}}
---
{apiVersion: v1, kind: Secret, metadata: {name: s3}}
---
{apiVersion: v1, kind: Secret, metadata: {name: s4}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: c1}}
---
{apiVersion: v1, kind: Secret, metadata: {name: unused}}
`))
	for _, name := range []string{"s1", "s2", "s3", "s4"} {
		find(t, out.Workload, "Secret", name+"-7f3a9c1e")
	}
	find(t, out.Workload, "ConfigMap", "c1-7f3a9c1e")
	find(t, out.Shared, "Secret", "unused")
	text, err := find(t, out.Workload, "DaemonSet", "agent").MarshalJSON()
	require.NoError(t, err)
	for _, name := range []string{"s1", "s2", "s3", "s4", "c1"} {
		assert.Contains(t, string(text), `"`+name+`-7f3a9c1e"`)
		assert.NotContains(t, string(text), `"`+name+`"`)
	}
	assert.Contains(t, string(text), `"not-rendered"`)
}

func TestReleaseWithoutWorkloadIsShared(t *testing.T) {
	in := with(t, map[string]string{overlay: "resources: [dashboard.yaml]\n"})
	in.Images = nil
	out := build(t, in)
	assert.Empty(t, out.Workload)
	find(t, out.Shared, "ConfigMap", "checkout-dashboard")
}

func TestWorkloadHashIgnoresRevisionAndScale(t *testing.T) {
	want := build(t, shop()).WorkloadHash
	in := shop()
	in.Revision = "other"
	assert.Equal(t, want, build(t, in).WorkloadHash, "revision")
	in.Revision = ""
	assert.Equal(t, want, build(t, in).WorkloadHash, "plain")

	size := "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: checkout}\nspec: {minReplicas: 7, maxReplicas: 70}\n"
	resized := build(t, with(t, map[string]string{"production/checkout/size.yaml": size}))
	assert.Equal(t, want, resized.WorkloadHash, "autoscaler bounds")
	assert.NotEqual(t, build(t, shop()).ManifestHash, resized.ManifestHash)

	budget := "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: checkout}\nspec: {maxUnavailable: 2, selector: {matchLabels: {app: checkout}}}\n"
	assert.Equal(t, want, build(t, with(t, map[string]string{"services/checkout/base/budget.yaml": budget})).WorkloadHash, "disruption budget")

	shared := strings.Replace("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: checkout-dashboard}\ndata: {title: T}\n", "T", "Basket", 1)
	assert.Equal(t, want, build(t, with(t, map[string]string{"production/checkout/dashboard.yaml": shared})).WorkloadHash, "shared objects")
}

func TestWorkloadHashFollowsImageAndConfiguration(t *testing.T) {
	want := build(t, shop()).WorkloadHash
	in := shop()
	in.Images = map[string]string{image: "sha256:" + strings.Repeat("0", 64)}
	assert.NotEqual(t, want, build(t, in).WorkloadHash, "image")
	assert.NotEqual(t, want, build(t, with(t, map[string]string{"services/checkout/base/limits.ini": "basket = 51"})).WorkloadHash, "mounted file")
	metrics := "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: checkout}\nspec: {minReplicas: 4, maxReplicas: 20, metrics: []}\n"
	assert.NotEqual(t, want, build(t, with(t, map[string]string{"production/checkout/size.yaml": metrics})).WorkloadHash, "what it scales by")
}

func TestBuildNeedsEveryImage(t *testing.T) {
	in := shop()
	in.Images["registry.example.com/shop/other"] = digest
	assert.Contains(t, refused(t, in).What, "no container uses image registry.example.com/shop/other")
	in = shop()
	in.Images = map[string]string{"shop/checkout": digest}
	assert.Contains(t, refused(t, in).What, "no container uses image shop/checkout")
}

func TestReportNamesImagesThatAreNotPinned(t *testing.T) {
	in := shop()
	in.Images = nil
	in.Limits.Kinds = append(render.DefaultKinds(), parse(t, "{apiVersion: apps.example.com/v1, kind: Farm}").GroupVersionKind().GroupKind())
	in.Files = plus(t, `
apiVersion: apps.example.com/v1
kind: Farm
metadata: {name: farm}
spec: {pools: [{name: small, template: {image: "registry.example.com:5000/farm:1"}}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: models}
spec:
  selector: {matchLabels: {app: models}}
  template:
    metadata: {labels: {app: models}}
    spec:
      containers: [{name: a, image: "a@sha256:short"}]
      volumes: [{name: weights, image: {reference: "registry.example.com/weights:2"}}]
`).Files
	loose := map[string]string{}
	for _, image := range build(t, in).Report.Images {
		if !image.Pinned {
			loose[image.Object+" "+image.Container] = image.Image
		}
	}
	assert.Equal(t, map[string]string{
		"Deployment/checkout warm":         image + ":latest",
		"Deployment/checkout app":          image,
		"Deployment/models a":              "a@sha256:short",
		"Deployment/models volume weights": "registry.example.com/weights:2",
		"Farm/farm small":                  "registry.example.com:5000/farm:1",
	}, loose)
}

func TestBuildChecksItsCaller(t *testing.T) {
	tests := map[string]func(*render.Input){
		"directory": func(in *render.Input) { in.Dir = "../production" },
		"service":   func(in *render.Input) { in.Service = "../payments" },
		"namespace": func(in *render.Input) { in.Namespace = "" },
		"release":   func(in *render.Input) { in.Release = "production/" + strings.Repeat("x", 60) },
		"revision":  func(in *render.Input) { in.Revision = "7F3A" },
		"digest":    func(in *render.Input) { in.Images = map[string]string{image: "sha256:6d1c"} },
	}
	for word, change := range tests {
		in := shop()
		change(&in)
		_, err := render.Build(t.Context(), in)
		assert.ErrorContains(t, err, "check input: ", word)
	}
}
