package main

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
	"k8s.io/component-base/cli"
	"k8s.io/kubernetes/cmd/kube-controller-manager/app"
)

// runControllerManager runs kube-controller-manager's own command, with its own
// signal handling. It never calls ready: the parent watches for its first effect.
func runControllerManager(_ context.Context, args []string, _ func(string)) error {
	command := app.NewControllerManagerCommand()
	command.SetArgs(args)
	if code := cli.Run(command); code != 0 {
		return fmt.Errorf("run kube-controller-manager: exit code %d", code)
	}
	return nil
}

// controllers are those that act on objects a release can contain, and those that
// clean up after them. Storage, certificates, cloud and bootstrap are left out.
func controllers() []string {
	return []string{
		"clusterrole-aggregation-controller",
		"cronjob-controller",
		"daemonset-controller",
		"deployment-controller",
		"disruption-controller",
		"endpoints-controller",
		"endpointslice-controller",
		"garbage-collector-controller",
		"horizontal-pod-autoscaler-controller",
		"job-controller",
		"namespace-controller",
		"node-lifecycle-controller",
		"pod-garbage-collector-controller",
		"replicaset-controller",
		"resourcequota-controller",
		"root-ca-certificate-publisher-controller",
		"serviceaccount-controller",
		"statefulset-controller",
		"taint-eviction-controller",
		"ttl-after-finished-controller",
		"validatingadmissionpolicy-status-controller",
	}
}

func controllerManagerArgs(d dataDir) []string {
	return []string{
		"--kubeconfig=" + d.kubeconfig(adminUser),
		"--controllers=" + strings.Join(controllers(), ","),
		"--root-ca-file=" + d.ca(),
		// As in any other cluster, admission policies see each controller by its own
		// name, and not as the administrator.
		"--use-service-account-credentials=true",
		"--leader-elect=false",
		"--secure-port=0",
		// The defaults of 20 and 30 requests a second are for a shared cluster: 1000
		// Deployments would take minutes.
		"--kube-api-qps=2000",
		"--kube-api-burst=4000",
		"--concurrent-deployment-syncs=20",
		"--concurrent-replicaset-syncs=20",
		"--concurrent-service-endpoint-syncs=20",
		"--concurrent-gc-syncs=20",
		"--concurrent-namespace-syncs=20",
		"--horizontal-pod-autoscaler-sync-period=2s",
	}
}

// awaitControllers waits for the first effect of the controller manager: it has no
// port to ask, and leader election is off.
func awaitControllers(ctx context.Context, config *rest.Config) error {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("make client: %w", err)
	}
	list := cache.NewListWatchFromClient(client.CoreV1().RESTClient(), "serviceaccounts",
		metav1.NamespaceDefault, fields.OneTermEqualSelector("metadata.name", "default"))
	_, err = watchtools.UntilWithSync(ctx, list, &corev1.ServiceAccount{}, nil, func(e watch.Event) (bool, error) {
		return e.Type == watch.Added || e.Type == watch.Modified, nil
	})
	if err != nil && context.Cause(ctx) != nil {
		return context.Cause(ctx)
	}
	return err
}
