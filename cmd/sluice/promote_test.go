package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPromoteOpensOnePullRequestAndPrintsItsAddress(t *testing.T) {
	h := newFakeHub(t)
	code, out, narrated := h.sluice("promote", "checkout", "--to", "production")
	require.Equal(t, exitOK, code, narrated)
	assert.Regexp(t, `^http://\S+/acme/environments/pull/1\n$`, out)
	assert.Contains(t, narrated, "pull request #1 from branch promote/checkout-production-")

	code, again, narrated := h.sluice("promote", "checkout", "--to", "production", "-o", "json")
	require.Equal(t, exitOK, code, narrated)
	var answer struct {
		APIVersion, Kind string
		Item             struct {
			Branch      string
			PullRequest struct{ Number int }
			Files       []struct{ Path string }
		}
	}
	require.NoError(t, json.Unmarshal([]byte(again), &answer))
	assert.Equal(t, "sluice.dev/v1alpha1 Request", answer.APIVersion+" "+answer.Kind)
	assert.Equal(t, 1, answer.Item.PullRequest.Number)
	assert.Equal(t, "production/checkout/release.yaml", answer.Item.Files[0].Path)
	assert.Equal(t, "M\tproduction/checkout/release.yaml", h.git("diff", "--name-status", "main", answer.Item.Branch))
}

func TestPromoteReadsTheDaemonsConfiguration(t *testing.T) {
	h := newFakeHub(t)
	config := filepath.Join(t.TempDir(), "daemon.yaml")
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, `apiVersion: sluice.dev/v1alpha1
kind: Daemon
repository: {url: %s}
forge: {url: %s, repository: acme/environments, tokenFile: %s}
dataDir: /nowhere/that/this/command/writes
`, h.forge.CloneURL(fakeRepository), h.forge.APIURL(), h.token), 0o600))
	code, out, narrated := command(t, "promote", "checkout", "--to", "production", "--config", config, "--dry-run")
	require.Equal(t, exitOK, code, narrated)
	assert.Contains(t, out, "--- a/production/checkout/release.yaml\n+++ b/production/checkout/release.yaml\n@@ ")
	assert.Contains(t, out, "\n-  version: 1.41.0\n")
	assert.Contains(t, out, "\n+  version: 1.42.0\n")
	assert.NotContains(t, h.git("for-each-ref"), "promote/")
}

func TestAPromotionThatMakesNoSenseIsDenied(t *testing.T) {
	h := newFakeHub(t)
	code, out, narrated := h.sluice("promote", "checkout", "--to", "production", "--from", "dev")
	assert.Equal(t, exitFailed, code)
	assert.Empty(t, out)
	assert.Contains(t, narrated, "error: staging comes right before production, and no environment may be skipped; promote from staging")
}
