package charts_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/sluice-cd/sluice/reconciler/release"
)

// installed is a site whose guard is in force and whose release serves.
func installed(t testing.TB, changes ...string) *site {
	t.Helper()
	x := newSite(t, changes...)
	probe := object(t, fmt.Sprintf(
		"{apiVersion: v1, kind: ConfigMap, metadata: {name: probe, namespace: %s, labels: {sluice.dev/release: %s.checkout}}}", x.app, x.key.Environment))
	var err error
	for deadline := time.Now().Add(patience); !apierrors.IsForbidden(err); time.Sleep(beat) {
		require.True(t, time.Now().Before(deadline), "the guard is not in force: %v", err)
		_, err = x.as(x.config, probe).Create(t.Context(), probe, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	}
	x.settle(serving(old))
	return x
}

// refused requires an answer of the guard, and not of something else.
func refused(t testing.TB, err error, says string) {
	t.Helper()
	require.Error(t, err)
	assert.True(t, apierrors.IsForbidden(err), "%v", err)
	assert.ErrorContains(t, err, "ValidatingAdmissionPolicy")
	assert.ErrorContains(t, err, says)
}

func TestAdministratorCannotChangeWhatSluiceManages(t *testing.T) {
	x := installed(t)
	admin, deployment := x.config, "checkout-"+old
	instead := "open a promotion pull request in https://github.com/acme/environments.git; to stop what is under way, push " +
		x.key.String() + "/control.yaml with paused there."
	client, err := kubernetes.NewForConfig(admin)
	require.NoError(t, err)
	scale := &autoscalingv1.Scale{ObjectMeta: metav1.ObjectMeta{Name: deployment, Namespace: x.app}, Spec: autoscalingv1.ScaleSpec{Replicas: 9}}
	managed := fmt.Sprintf("labels: {sluice.dev/release: %s.checkout}", x.key.Environment)
	revisionOnly := "labels: {app: checkout, sluice.dev/revision: " + old + "}"
	require.NoError(t, x.create(admin, "{apiVersion: v1, kind: ConfigMap, metadata: {name: foreign}}"))
	require.NoError(t, x.create(x.account(), `{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: ledger, `+managed+`}, spec: {replicas: 0,
		selector: {matchLabels: {app: a}}, template: {metadata: {labels: {app: a}}, spec: {containers: [{name: a, image: b}]}}}}`))

	for name, c := range map[string]struct {
		attack error
		says   string
	}{
		"kubectl set image": {x.merge(admin, deployments, deployment,
			`{"spec":{"template":{"spec":{"containers":[{"name":"app","image":"evil"}]}}}}`), instead},
		"kubectl edit replicas":           {x.merge(admin, deployments, deployment, `{"spec":{"replicas":9}}`), instead},
		"kubectl rollout restart":         {x.merge(admin, deployments, deployment, `{"spec":{"template":{"metadata":{"annotations":{"a":"b"}}}}}`), instead},
		"kubectl scale deployment":        {x.merge(admin, deployments, deployment, `{"spec":{"replicas":9}}`, "scale"), "deployments/" + deployment + " is written by Sluice alone"},
		"kubectl scale statefulset":       {x.merge(admin, statefulSets, "ledger", `{"spec":{"replicas":9}}`, "scale"), "statefulsets/ledger is written by Sluice alone"},
		"an autoscaler's request":         {second(client.AppsV1().Deployments(x.app).UpdateScale(t.Context(), deployment, scale, metav1.UpdateOptions{})), "is written by Sluice alone"},
		"kubectl delete":                  {x.delete(admin, deployments, deployment), instead},
		"kubectl delete --all":            {x.as(admin, x.named(services, "")).DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{}), instead},
		"edit of a Secret":                {x.merge(admin, secrets, "keys-"+old, `{"stringData":{"key":"other"}}`), instead},
		"edit of a Service":               {x.merge(admin, services, "checkout", `{"spec":{"selector":{"sluice.dev/revision":"bbbb2222"}}}`), instead},
		"edit of a route":                 {x.merge(admin, routes, "checkout", `{"spec":{"hostnames":["evil.example.com"]}}`), instead},
		"removal of the label":            {x.merge(admin, deployments, deployment, `{"metadata":{"labels":{"sluice.dev/release":null}}}`), instead},
		"the label for another release":   {x.merge(admin, deployments, deployment, `{"metadata":{"labels":{"sluice.dev/release":"dev.mine"}}}`), instead},
		"the label on a foreign object":   {x.merge(admin, configMaps, "foreign", `{"metadata":{`+jsonLabel(x)+`}}`), instead},
		"a new object with the label":     {x.create(admin, "{apiVersion: v1, kind: ConfigMap, metadata: {name: forged, "+managed+"}}"), instead},
		"the label taken by the status":   {x.merge(admin, budgets, "checkout-"+old, `{"metadata":{"labels":{"sluice.dev/release":null}}}`, "status"), instead},
		"a finalizer":                     {x.merge(admin, deployments, deployment, `{"metadata":{"finalizers":["a.example/b"]}}`), instead},
		"a pod that poses as the release": {x.create(admin, "{apiVersion: v1, kind: Pod, metadata: {name: forged, "+managed+"}, spec: {containers: [{name: a, image: evil}]}}"), instead},
		"a pod with the revision alone":   {x.create(admin, "{apiVersion: v1, kind: Pod, metadata: {name: forged, "+revisionOnly+"}, spec: {containers: [{name: a, image: evil}]}}"), "is written by Sluice alone"},
		"a Deployment of such pods": {x.create(admin, "{apiVersion: apps/v1, kind: Deployment, metadata: {name: forged}, spec: {selector: {matchLabels: {app: checkout}}, template: {metadata: {"+revisionOnly+
			"}, spec: {containers: [{name: a, image: evil}]}}}}"), "is written by Sluice alone"},
		"a CronJob of such pods": {x.create(admin, "{apiVersion: batch/v1, kind: CronJob, metadata: {name: forged}, spec: {schedule: '* * * * *', jobTemplate: {spec: {template: {metadata: {"+revisionOnly+
			"}, spec: {restartPolicy: Never, containers: [{name: a, image: evil}]}}}}}}"), "is written by Sluice alone"},
		"an image in a pod":               {x.merge(admin, pods, x.pod(), `{"metadata":{"annotations":{"a":"b"}}}`), instead},
		"somebody with all rights":        {x.delete(x.user("alice"), services, "checkout"), instead},
		"a ServiceAccount of kube-system": {x.delete(x.user("system:serviceaccount:kube-system:my-robot", "system:serviceaccounts"), services, "checkout"), instead},
		"an account of the same name":     {x.delete(x.user("system:serviceaccount:default:sluice"), services, "checkout"), instead},
		"Sluice's inventory":              {x.deleteRecord(), "configmaps/" + x.key.Environment + ".checkout.inventory is written by Sluice alone"},
	} {
		t.Run(name, func(t *testing.T) { refused(t, c.attack, c.says) })
	}
	x.settle(serving(old))
}

func jsonLabel(x *site) string {
	return fmt.Sprintf(`"labels":{"sluice.dev/release":"%s.checkout"}`, x.key.Environment)
}

func second[T any](_ T, err error) error { return err }

func (x *site) pod() string {
	x.t.Helper()
	list, err := x.as(x.config, x.named(pods, "")).List(x.t.Context(), metav1.ListOptions{LabelSelector: "sluice.dev/revision=" + old})
	require.NoError(x.t, err)
	require.NotEmpty(x.t, list.Items)
	return list.Items[0].GetName()
}

func (x *site) deleteRecord() error {
	o := x.named(configMaps, x.key.Environment+".checkout.inventory")
	o.SetNamespace(x.system)
	return x.as(x.config, o).Delete(x.t.Context(), o.GetName(), metav1.DeleteOptions{})
}

func TestPeopleMayDoWhatIsNotARelease(t *testing.T) {
	x := installed(t)
	admin, deployment := x.config, "checkout-"+old
	require.NoError(t, x.create(admin, "{apiVersion: v1, kind: ConfigMap, metadata: {name: mine}}"))
	require.NoError(t, x.merge(admin, configMaps, "mine", `{"data":{"a":"b"}}`))
	require.NoError(t, x.delete(admin, configMaps, "mine"))
	require.NoError(t, x.merge(admin, budgets, "checkout-"+old, `{"status":{"disruptionsAllowed":1}}`, "status"), "a status")
	require.NoError(t, x.delete(admin, pods, x.pod()), "a restart of one pod")
	require.NoError(t, x.create(admin, `{apiVersion: apps/v1, kind: Deployment, metadata: {name: mine}, spec: {replicas: 0,
		selector: {matchLabels: {app: mine}}, template: {metadata: {labels: {app: mine}}, spec: {containers: [{name: a, image: b}]}}}}`))
	require.NoError(t, x.merge(admin, deployments, "mine", `{"spec":{"replicas":1}}`, "scale"), "to scale what is not Sluice's")
	require.NoError(t, x.delete(admin, deployments, "mine"))
	assert.False(t, x.gone(deployments, deployment))
	x.settle(serving(old))
}

func TestControllersGoOnWithTheirWork(t *testing.T) {
	x := installed(t)
	deployment := "checkout-" + old
	// The manifests leave the size to the autoscaler, and its lower bound is 2.
	require.Eventually(t, func() bool {
		n, _, _ := nested[int64](x.live(deployments, deployment), "spec", "replicas")
		return n == 2
	}, patience, beat, "the autoscaler scales")
	require.NotEmpty(t, x.live(deployments, deployment).GetAnnotations()["deployment.kubernetes.io/revision"], "the deployment controller's note")

	account := x.account()
	parent := fmt.Sprintf("{apiVersion: v1, kind: ConfigMap, metadata: {name: parent, labels: {sluice.dev/release: %s.other}}}", x.key.Environment)
	require.NoError(t, x.create(account, parent))
	child := fmt.Sprintf("{apiVersion: v1, kind: ConfigMap, metadata: {name: child, labels: {sluice.dev/release: %s.other}, "+
		"ownerReferences: [{apiVersion: v1, kind: ConfigMap, name: parent, uid: %s}]}}", x.key.Environment, x.live(configMaps, "parent").GetUID())
	require.NoError(t, x.create(account, child))
	require.NoError(t, x.delete(account, configMaps, "parent"))
	require.Eventually(t, func() bool { return x.gone(configMaps, "child") }, patience, beat, "the garbage collector deletes")

	x.settle(serving(young))
	require.Eventually(t, func() bool {
		list, err := x.as(x.config, x.named(replicaSets, "")).List(t.Context(), metav1.ListOptions{LabelSelector: "sluice.dev/revision=" + old})
		return err == nil && len(list.Items) == 0
	}, patience, beat, "ReplicaSets go with their Deployment")

	x.settle(release.State{Retired: true})
	require.NoError(t, x.create(account, parent))
	namespace := object(t, "{apiVersion: v1, kind: Namespace, metadata: {name: "+x.app+"}}")
	require.NoError(t, x.as(x.config, namespace).Delete(t.Context(), x.app, metav1.DeleteOptions{}))
	require.Eventually(t, func() bool {
		_, err := x.as(x.config, namespace).Get(t.Context(), x.app, metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	}, patience, beat, "the namespace controller deletes")
}

func TestBreakGlassNeedsAnIncidentAndAnEnd(t *testing.T) {
	x := installed(t)
	commander, service := x.user("carol", commanders), "checkout"
	write := func(who *rest.Config, incident, until, more string) error {
		return x.merge(who, services, service, fmt.Sprintf(
			`{"metadata":{"annotations":{"sluice.dev/break-glass":%q,"sluice.dev/break-glass-until":%q,"note":%q}}}`, incident, until, more))
	}
	in := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(time.RFC3339) }

	refused(t, x.merge(commander, services, service, `{"metadata":{"annotations":{"note":"a"}}}`), "Name the incident: services/checkout needs the annotation sluice.dev/break-glass")
	refused(t, write(commander, "because", in(time.Hour), "b"), "Name the incident")
	refused(t, write(commander, "INC-2093", "", "c"), "Say when the exception ends")
	refused(t, write(commander, "INC-2093", "tomorrow", "d"), "Say when the exception ends")
	refused(t, write(commander, "INC-2093", "2026-02-31T25:00:00Z", "d"), "Say when the exception ends")
	refused(t, write(commander, "INC-2093", in(-time.Minute), "e"), "The exception ended at")
	refused(t, write(commander, "INC-2093", in(5*time.Hour), "f"), "An exception lasts 4 h at most")
	refused(t, write(x.user("alice"), "INC-2093", in(time.Hour), "g"), "In an emergency a member of "+commanders+" may change it in one write")
	refused(t, x.delete(commander, services, service), "Name the incident: services/checkout needs the annotation sluice.dev/break-glass with a value like [A-Z][A-Z0-9]*-[0-9]+ before it is deleted.")
	refused(t, x.merge(commander, deployments, "checkout-"+old, `{"spec":{"replicas":9}}`, "scale"), "is written by Sluice alone")

	require.NoError(t, write(commander, "INC-2093", in(3*time.Hour), "h"))
	require.NoError(t, x.merge(commander, services, service, `{"metadata":{"annotations":{"note":"i"}}}`), "while it lasts")
	refused(t, write(x.user("alice"), "INC-2093", in(time.Hour), "j"), "is written by Sluice alone")
	refused(t, x.merge(commander, services, service, `{"metadata":{"annotations":{"sluice.dev/break-glass":null}}}`), "Name the incident")
	refused(t, x.merge(commander, services, service, `{"metadata":{"labels":{"sluice.dev/release":null}}}`), "Leave the labels of sluice.dev")
	refused(t, write(commander, "INC-2093", in(5*time.Hour), "k"), "An exception lasts 4 h at most")
	require.NoError(t, x.delete(commander, services, service), "it names its incident")
}

// TestEndOfBreakGlassCannotBeForged writes the times that the guard reads as a clock.
func TestEndOfBreakGlassCannotBeForged(t *testing.T) {
	x := installed(t)
	commander := x.user("carol", commanders)
	in := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(time.RFC3339) }
	annotate := func(until string) string {
		return fmt.Sprintf(`{"metadata":{"annotations":{"sluice.dev/break-glass":"INC-2093","sluice.dev/break-glass-until":%q}}}`, until)
	}
	forge := func(until, at string, keep bool) error {
		o := x.live(services, "checkout")
		annotations := o.GetAnnotations()
		annotations["sluice.dev/break-glass"], annotations["sluice.dev/break-glass-until"] = "INC-2093", until
		o.SetAnnotations(annotations)
		entries := o.GetManagedFields()
		when, err := time.Parse(time.RFC3339, at)
		require.NoError(t, err)
		for i := range entries {
			entries[i].Time = &metav1.Time{Time: when}
		}
		if !keep {
			entries = []metav1.ManagedFieldsEntry{{}}
		}
		o.SetManagedFields(entries)
		_, err = x.as(commander, o).Update(t.Context(), o, metav1.UpdateOptions{})
		return err
	}
	refused(t, forge(in(100*time.Hour), in(99*time.Hour), true), "An exception lasts 4 h at most")
	refused(t, forge(in(-time.Hour), in(-2*time.Hour), true), "The exception ended at")
	refused(t, forge(in(time.Hour), in(0), false), "The exception ended at")
	require.NoError(t, x.merge(commander, services, "checkout", annotate(in(3*time.Hour))))
	refused(t, forge(in(100*time.Hour), in(99*time.Hour), true), "An exception lasts 4 h at most")
	refused(t, forge(in(100*time.Hour), in(99*time.Hour), false), "The exception ended at")
}

func TestExceptionStandsUntilItsEndAndIsThenPutBack(t *testing.T) {
	x := installed(t)
	commander := x.user("carol", commanders)
	change := func(port int, end time.Duration) error {
		return x.merge(commander, services, "checkout", fmt.Sprintf(
			`{"metadata":{"annotations":{"sluice.dev/break-glass":"INC-2093","sluice.dev/break-glass-until":%q}},"spec":{"ports":[{"name":"http","port":80,"targetPort":%d}]}}`,
			time.Now().Add(end).UTC().Format(time.RFC3339), port))
	}
	port := func() int64 {
		ports, _, _ := nested[[]any](x.live(services, "checkout"), "spec", "ports")
		return ports[0].(map[string]any)["targetPort"].(int64)
	}
	require.NoError(t, change(8181, 3*time.Hour))
	x.until(serving(old), func() bool { return x.log.says("left as it was changed in an emergency") }, "it is seen, and the log says so")
	x.settle(serving(old))
	assert.EqualValues(t, 8181, port(), "it stays as it was changed")

	require.NoError(t, change(8282, 3*time.Second))
	x.until(serving(old), func() bool { return port() == 8080 }, "it is put back after its end")
	assert.NotContains(t, x.live(services, "checkout").GetAnnotations(), "sluice.dev/break-glass")
	refused(t, x.delete(commander, services, "checkout"), "Name the incident")

	require.NoError(t, change(8383, 3*time.Hour))
	x.settle(serving(young))
	assert.EqualValues(t, 8080, port(), "a release goes before an exception")
}

func TestWithoutABreakGlassGroupNobodyIsToldOfOne(t *testing.T) {
	x := installed(t, "guard: {breakGlass: {groups: []}}")
	err := x.delete(x.user("carol", commanders), services, "checkout")
	refused(t, err, "is written by Sluice alone")
	assert.NotContains(t, err.Error(), "emergency")
}

func TestNamedIdentitiesAndControllersPassAndExemptNamespacesAreFree(t *testing.T) {
	x := installed(t, "guard: {identities: [robot], extraControllers: ['system:serviceaccount:keda:keda-operator']}")
	require.NoError(t, x.merge(x.user("robot"), services, "checkout", `{"metadata":{"annotations":{"a":"b"}}}`))
	require.NoError(t, x.merge(x.user("system:serviceaccount:keda:keda-operator"), deployments, "checkout-"+old, `{"spec":{"replicas":3}}`, "scale"))
	refused(t, x.delete(x.config, services, "checkout"), "is written by Sluice alone")

	free := one(t, manifests(t, "sluice", values(t, "guard: {exemptNamespaces: [checkout-staging]}")), "ValidatingAdmissionPolicyBinding", "")
	selected, _, err := nested[[]any](free, "spec", "matchResources", "namespaceSelector", "matchExpressions")
	require.NoError(t, err)
	names := selected[0].(map[string]any)["values"].([]any)
	assert.True(t, slices.Equal(names, []any{"sluice", "checkout-production"}), "%v", names)
}
