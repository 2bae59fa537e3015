package gate_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/sluice-cd/sluice/reconciler/gate"
	"github.com/sluice-cd/sluice/schemas"
)

func TestOnlyAWellFormedDigestNamesAnArtifact(t *testing.T) {
	for _, bad := range []string{
		"", "latest", "sha256:", "sha256:6d1c", "sha256:" + strings.Repeat("6D", 32), "sha512:" + strings.Repeat("6d", 32),
		digest + "\n", " " + digest, "sha256:" + strings.Repeat("0", 64), digest + "@" + digest,
	} {
		f := promotion()
		f.Artifacts[0].Digest = bad
		f.Upstream.Proven[0].Artifacts[0].Digest = bad
		for _, first := range []bool{false, true} {
			f.First = first
			assert.Equal(t, gate.Fail, ask(t, f, gate.Artifacts).Verdict, "%q", bad)
		}
	}
}

func TestADigestThatWasNeverUpstreamIsRefused(t *testing.T) {
	f := promotion()
	f.Artifacts[0].Digest = otherDigest
	r := ask(t, f, gate.Artifacts)
	assert.True(t, r.Final)
	assert.Equal(t, "sha256:7e7e7e7e7e7e… of registry.example.com/shop/checkout was never deployed in staging", r.Reason)

	f.Upstream.Moving = []gate.Artifact{{Image: image, Digest: otherDigest}}
	assert.Equal(t, gate.Pass, ask(t, f, gate.Artifacts).Verdict, "staging is at it")
	r = ask(t, f, gate.Order)
	assert.Equal(t, gate.Wait, r.Verdict)
	assert.Equal(t, "staging is still proving this artifact", r.Reason)
}

func TestAnImageWithoutADigestIsNamed(t *testing.T) {
	f := promotion()
	f.Unpinned = []string{"nginx:latest", "busybox"}
	r := ask(t, f, gate.Artifacts)
	assert.Equal(t, "nginx:latest has no digest (and 1 more image)", r.Reason)
	assert.Contains(t, texts(r), "busybox has no digest")
}

func TestArtifactAndBaseMustHaveBeenStableTogether(t *testing.T) {
	proof := func(base string, artifacts ...gate.Artifact) gate.Proof {
		return gate.Proof{Artifacts: artifacts, BaseTree: base, Since: mergedAt.Add(-time.Hour)}
	}
	one, other := gate.Artifact{Image: image, Digest: digest}, gate.Artifact{Image: image, Digest: otherDigest}
	worker := gate.Artifact{Image: image + "-worker", Digest: otherDigest}
	cases := map[string]struct {
		proven []gate.Proof
		reason string
	}{
		"nothing":          {nil, "this artifact has not been stable in staging yet"},
		"each, not both":   {[]gate.Proof{proof(baseTree, other), proof(head, one)}, "this artifact was stable in staging, but with another base"},
		"base alone":       {[]gate.Proof{proof(baseTree, other)}, "this artifact has not been stable in staging yet"},
		"one of two":       {[]gate.Proof{proof(baseTree, one, worker)}, "this artifact has not been stable in staging yet"},
		"under other name": {[]gate.Proof{proof(baseTree, gate.Artifact{Image: "elsewhere", Digest: digest})}, "this artifact has not been stable in staging yet"},
		"without a date":   {[]gate.Proof{{Artifacts: []gate.Artifact{one}, BaseTree: baseTree}}, "this artifact has not been stable in staging yet"},
	}
	for name, c := range cases {
		f := promotion()
		f.Upstream.Proven = c.proven
		r := ask(t, f, gate.Order)
		assert.Equal(t, gate.Wait, r.Verdict, name)
		assert.Equal(t, c.reason, r.Reason, name)
	}
	f := promotion()
	f.Upstream.Proven = []gate.Proof{proof(baseTree, other), proof(baseTree, one)}
	r := ask(t, f, gate.Order)
	assert.Equal(t, gate.Pass, r.Verdict)
	assert.Equal(t, "artifact and base were stable together in staging since 2026-11-23 11:00 UTC", r.Reason)
}

func TestAHotfixNeedsOnlyWhatServesUpstream(t *testing.T) {
	f := promotion()
	serving := f.Upstream.Proven[0]
	f.Upstream.Moving, f.Upstream.Proven, f.Upstream.Serving = serving.Artifacts, nil, &serving
	assert.Equal(t, gate.Wait, ask(t, f, gate.Order).Verdict, "anything else waits until it is stable there")

	f.Class, f.Incident = schemas.ChangeHotfix, "INC-7"
	r := ask(t, f, gate.Order)
	assert.Equal(t, gate.Pass, r.Verdict)
	assert.Equal(t, "artifact and base serve all traffic of staging together, healthy since 2026-11-23 11:00 UTC; a hotfix need not wait for more", r.Reason)
	assert.Equal(t, gate.Pass, ask(t, f, gate.Artifacts).Verdict)

	f.Upstream.Serving.BaseTree = head
	assert.Equal(t, gate.Wait, ask(t, f, gate.Order).Verdict, "with another base")
}

func TestTwoImagesMayNotSwapTheirDigests(t *testing.T) {
	f := promotion()
	f.Artifacts = []gate.Artifact{{Image: "api", Digest: digest}, {Image: "worker", Digest: otherDigest}}
	f.Upstream.Proven[0].Artifacts = []gate.Artifact{{Image: "worker", Digest: otherDigest}, {Image: "api", Digest: digest}}
	assert.Equal(t, gate.Pass, ask(t, f, gate.Order).Verdict, "in any order of the list")
	f.Artifacts = []gate.Artifact{{Image: "api", Digest: otherDigest}, {Image: "worker", Digest: digest}}
	assert.Equal(t, gate.Wait, ask(t, f, gate.Order).Verdict)
}

func TestAReleaseWithoutABaseProvesNothing(t *testing.T) {
	f := promotion()
	f.BaseTree, f.Upstream.Proven[0].BaseTree = "", ""
	assert.True(t, ask(t, f, gate.Order).Unknown)
}
