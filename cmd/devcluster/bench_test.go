package main_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// BenchmarkDeployments measures how long 1000 Deployments of one replica take from
// the first request until all are available. The cluster's start is not counted.
func BenchmarkDeployments(b *testing.B) {
	const deployments = 1000
	for range b.N {
		b.StopTimer()
		r := start(b)
		client, err := kubernetes.NewForConfig(r.config(b, "admin"))
		require.NoError(b, err)
		b.StartTimer()
		createDeployments(b, client, deployments)
		eventually(b, func(ctx context.Context) (bool, error) {
			list, err := client.AppsV1().Deployments("default").List(ctx, metav1.ListOptions{ResourceVersion: "0"})
			if err != nil {
				return false, err
			}
			available := 0
			for _, d := range list.Items {
				available += int(d.Status.AvailableReplicas)
			}
			return available == deployments, nil
		})
		b.StopTimer()
		require.NoError(b, r.stdin.Close())
		<-r.ended
	}
}

func createDeployments(b *testing.B, client kubernetes.Interface, count int) {
	b.Helper()
	group, ctx := errgroup.WithContext(b.Context())
	group.SetLimit(16)
	for i := range count {
		group.Go(func() error {
			name, replicas := fmt.Sprintf("many-%d", i), int32(1)
			_, err := client.AppsV1().Deployments("default").Create(ctx, &appsv1.Deployment{
				ObjectMeta: metav1.ObjectMeta{Name: name},
				Spec: appsv1.DeploymentSpec{
					Replicas: &replicas,
					Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}},
					Template: podTemplate(name, ""),
				},
			}, metav1.CreateOptions{})
			return err
		})
	}
	require.NoError(b, group.Wait())
}
