package cluster_test

import (
	"log/slog"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"

	"github.com/sluice-cd/sluice/reconciler/cluster"
)

func TestNamespaceThatTheDaemonMayNotUseIsRefusedBeforeAnythingIsAsked(t *testing.T) {
	c, err := cluster.New(cluster.Config{
		REST: &rest.Config{Host: "https://127.0.0.1:1"}, Namespace: "sluice",
		Namespaces: []string{"checkout-staging", "checkout-production"}, Log: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	s := production()
	err = c.Converge(t.Context(), s.key, serving(old), both(t, s), s.options())
	require.ErrorIs(t, err, cluster.ErrRefused)
	assert.ErrorContains(t, err, "namespace shop is not one of those that the daemon may use (checkout-staging, checkout-production)")
	_, err = c.Observe(t.Context(), s.key, serving(old), both(t, s), s.options())
	assert.ErrorIs(t, err, cluster.ErrRefused)
}
