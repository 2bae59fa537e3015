package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/reconciler/gate"
)

// A shadow is an open promotion of production on a hub, with a cluster that is
// not there.
func newShadow(t *testing.T) *fakeHub {
	t.Helper()
	h := newFakeHub(t)
	code, _, narrated := h.sluice("promote", "checkout", "--to", "production")
	require.Equal(t, exitOK, code, narrated)
	return h
}

// explain asks about #1 and returns the gates by name.
func (h *fakeHub) explain(args ...string) (code int, gates map[string]gate.Result, notes string) {
	h.t.Helper()
	args = append([]string{"explain", "1", "-o", "json", "--kubeconfig", "nowhere"}, args...)
	code, out, narrated := h.sluice(args...)
	var answer struct {
		Kind string
		Item struct {
			Notes    []string
			Releases []struct {
				Release string
				Gates   []gate.Result
				Notes   []string
			}
		}
	}
	require.NoError(h.t, json.Unmarshal([]byte(out), &answer), narrated)
	require.Len(h.t, answer.Item.Releases, 1)
	assert.Equal(h.t, "production/checkout", answer.Item.Releases[0].Release)
	gates = map[string]gate.Result{}
	for _, g := range answer.Item.Releases[0].Gates {
		gates[g.Gate] = g
	}
	return code, gates, strings.Join(append(answer.Item.Notes, answer.Item.Releases[0].Notes...), "\n")
}

func TestAPullRequestIsExplainedWithoutADaemon(t *testing.T) {
	h := newShadow(t)
	before := h.git("for-each-ref")
	h.forge.ResetRequests()
	code, gates, notes := h.explain()
	assert.Equal(t, exitPending, code)
	assert.Equal(t, gate.Pass, gates["integrity"].Verdict, gates["integrity"].Reason)
	assert.Equal(t, gate.Pass, gates["render"].Verdict, gates["render"].Reason)
	assert.Equal(t, gate.Wait, gates["approvals"].Verdict)
	assert.Equal(t, gate.Wait, gates["tests"].Verdict)
	assert.True(t, gates["order"].Unknown, "what was stable in staging is in the records")
	assert.Contains(t, gates["order"].Reason, "records were not read")
	assert.Contains(t, notes, "the policy is that of")
	assert.Contains(t, notes, "what was merged before and is not verified yet is not part of the answer")
	assert.Equal(t, before, h.git("for-each-ref"))
	for route := range h.forge.Requests() {
		assert.True(t, strings.HasPrefix(route, "GET "), route)
	}
}

func TestAnApprovalIsSupposedForWhomItWouldCount(t *testing.T) {
	h := newShadow(t)
	_, gates, _ := h.explain("--if", "approve=bob")
	assert.Equal(t, gate.Pass, gates["approvals"].Verdict, gates["approvals"].Reason)
	_, gates, _ = h.explain("--if", "approve=alice")
	assert.Equal(t, gate.Wait, gates["approvals"].Verdict, "who wrote it cannot approve it")
	_, gates, _ = h.explain("--if", "approve=mallory")
	assert.Equal(t, gate.Wait, gates["approvals"].Verdict, "who is in no team cannot approve it")

	code, _, narrated := h.sluice("explain", "1", "--kubeconfig", "nowhere", "--if", "approve=nobody")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, narrated, "the forge knows nobody of that name")
}

func TestAChecksSuccessIsSupposedByItsGate(t *testing.T) {
	h := newShadow(t)
	_, gates, _ := h.explain("--if", "check=tests,validate")
	assert.Equal(t, gate.Pass, gates["tests"].Verdict, gates["tests"].Reason)
	assert.Equal(t, gate.Pass, gates["validate"].Verdict, gates["validate"].Reason)
	assert.Equal(t, gate.Wait, gates["sast"].Verdict)

	code, _, narrated := h.sluice("explain", "1", "--kubeconfig", "nowhere", "--if", "check=taste")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, narrated, "the policy has contract-tests, sast, tests, validate")
}

func TestTheClockOfAnExplanationCanBeMoved(t *testing.T) {
	h := newFakeHub(t)
	policy := strings.Replace(exampleFiles(t)["sluice.yaml"], "# freezes:", "freezes:", 1)
	h.push(map[string]string{"sluice.yaml": policy})
	code, _, narrated := h.sluice("promote", "checkout", "--to", "production")
	require.Equal(t, exitOK, code, narrated)
	_, gates, _ := h.explain("--at", "2026-12-17T12:00:00Z")
	assert.Equal(t, gate.Pass, gates["freeze"].Verdict)
	_, gates, _ = h.explain("--at", "2026-12-24T12:00:00Z")
	assert.Equal(t, gate.Wait, gates["freeze"].Verdict)
	assert.Equal(t, "2027-01-03T23:00:00Z", gates["freeze"].NextCheck.UTC().Format("2006-01-02T15:04:05Z07:00"))
}

func TestAnExplanationIsReadableAndSaysWhatToDo(t *testing.T) {
	h := newShadow(t)
	code, out, narrated := command(t, "explain", h.forge.URL+"/acme/environments/pull/1",
		"--forge-url", h.forge.APIURL(), "--token-file", h.token, "--kubeconfig", "nowhere")
	require.Equal(t, exitPending, code, narrated)
	assert.Contains(t, out, "#1 production/checkout: promote 1.42.0\n")
	assert.Contains(t, out, "\nproduction/checkout: Waiting: ")
	assert.Regexp(t, `(?m)^  … wait +approvals +0 of 1`, out)
	assert.Regexp(t, `(?m)^ +→ `, out)
	assert.Regexp(t, `(?m)^  ✓ pass +integrity`, out)

	code, _, narrated = h.sluice("explain", "7", "--kubeconfig", "nowhere")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, narrated, "read #7: no such pull request is open against main")
}

func TestARefusedPullRequestIsDenied(t *testing.T) {
	h := newFakeHub(t)
	require.NoError(t, h.repo.Branch("alice", "broken", "main"))
	_, err := h.repo.Push("alice", "broken", "break", map[string]string{"production/checkout/release.yaml": "kind: Nothing\n"})
	require.NoError(t, err)
	_, err = h.repo.OpenPR("alice", "Break", "broken", "main")
	require.NoError(t, err)
	code, out, _ := h.sluice("explain", "1", "--kubeconfig", "nowhere")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, out, "production/checkout: production/checkout/release.yaml:1:")
}
