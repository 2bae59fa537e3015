package main

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sluice-cd/sluice/reconciler/intake"
)

func TestARewrittenHistoryFreezesUntilAnOperatorAcceptsIt(t *testing.T) {
	t.Parallel()
	s := newScene(t, []string{"rewritten"})
	s.begin()
	s.promote(s.forge, good)
	settled := s.awaitSettled(s.production(), good)
	s.until("the branch to be read", func(context.Context) (bool, string, error) {
		return s.repository().Mark == s.git("rev-parse", "main"), s.repository().Mark, nil
	})

	// The same files, as if the promotion had been pushed instead of merged.
	tip := s.git("-c", "user.name=Dana", "-c", "user.email=dana@example.com",
		"commit-tree", "main^{tree}", "-p", "main^1", "-m", "rewritten")
	require.NoError(t, s.forge.environments.Branch(developer, "main", tip))
	s.until("reading to freeze", func(context.Context) (bool, string, error) {
		return s.repository().Frozen != "", s.repository().Mark, nil
	})
	frozen, _ := s.record(s.production())
	assert.True(t, runs(frozen.Stable, good))
	assert.Equal(t, 100, s.share(frozen.Stable.ID), "what runs serves on")

	s.kill()
	s.forge.server.ResetRequests()
	s.start()
	s.until("the daemon to look around again", func(context.Context) (bool, string, error) {
		return s.forge.server.Requests()["GET /repos/{owner}/{repo}/pulls"] > 2, "", nil
	})
	assert.NotEmpty(t, s.repository().Frozen, "a restart accepts nothing")
	s.kill()

	s.start("--genesis", tip)
	s.until("reading to go on", func(context.Context) (bool, string, error) {
		return s.repository().Frozen == "", s.repository().Frozen, nil
	})
	s.promote(s.forge, fixed)
	after := s.awaitSettled(s.production(), fixed)
	assert.Equal(t, settled.Attempt+1, after.Attempt, "accepting the tip rolled nothing out")
}

// repository is what Sluice remembers of the branch.
func (s *scene) repository() intake.Repository {
	s.t.Helper()
	var m corev1.ConfigMap
	require.NoError(s.t, s.kube.objects.Get(s.t.Context(), client.ObjectKey{Namespace: s.world.records, Name: "repository"}, &m))
	r, err := intake.Decode([]byte(m.Data["document.json"]))
	require.NoError(s.t, err)
	return r
}
