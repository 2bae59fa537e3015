package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestStoppingIsACommitAndLooseningAPullRequest(t *testing.T) {
	h := newFakeHub(t)
	code, out, narrated := h.sluice("hold", "production/checkout", "--digest", "sha256:"+strings.Repeat("b", 64), "--reason", "leaks memory")
	require.Equal(t, exitOK, code, narrated)
	assert.Equal(t, h.git("rev-parse", "main")+"\n", out)
	assert.Contains(t, narrated, "committed to branch main")
	assert.Contains(t, h.git("show", "main:production/checkout/control.yaml"), "by: alice")

	code, out, narrated = h.sluice("promote", "checkout", "--to", "production")
	assert.Equal(t, exitFailed, code)
	assert.Empty(t, out)
	assert.Contains(t, narrated, "leaks memory; promote something newer, or have the hold lifted: sluice lift production/checkout")

	code, out, narrated = h.sluice("lift", "production/checkout")
	require.Equal(t, exitOK, code, narrated)
	assert.Regexp(t, `/pull/1\n$`, out)

	code, out, narrated = h.sluice("pause", "production/checkout", "--reason", "looking", "--dry-run")
	require.Equal(t, exitOK, code, narrated)
	assert.Contains(t, out, "\n+paused: true\n+reason: looking\n")
	code, _, narrated = h.sluice("resume", "production/checkout")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, narrated, "production/checkout is not paused")
}

func TestARollbackNeedsEvidence(t *testing.T) {
	h := newFakeHub(t)
	code, _, narrated := h.sluice("rollback", "production/checkout")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, narrated, "there is no audit branch, so nothing says what was stable; revert the promotion in a pull request")
}
