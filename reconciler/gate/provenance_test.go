package gate_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/reconciler/gate"
	"github.com/sluice-cd/sluice/schemas"
)

// origin returns a promotion with one edit to what is known of its origin.
func origin(edit func(*gate.Origin)) gate.Facts {
	f := promotion()
	edit(&f.Origins[0])
	return f
}

func TestEachKindOfProofIsEnoughWhereThePolicyAcceptsIt(t *testing.T) {
	kept := signed(sourceCommit)
	kept.Key = ""
	kinds := map[string]struct {
		policy schemas.Provenance
		facts  func(*gate.Origin)
		says   string
	}{
		"key":         {schemas.Provenance{Keys: []schemas.ProvenanceKey{{Name: "build"}}}, func(o *gate.Origin) {}, "statement signed with key build: ddddddddddd… of github.com/acme/checkout, by builder"},
		"attestation": {schemas.Provenance{Attestation: true}, func(o *gate.Origin) { o.Statements = []gate.Statement{kept} }, "attestation kept by the forge, its signature not verified"},
		"check": {schemas.Provenance{Check: &schemas.ProvenanceCheck{Name: "image", App: "github-actions"}},
			func(o *gate.Origin) { o.Statements, o.Runs = nil, []forge.Check{built(1, "success")} }, "check image by github-actions has the digest as external id"},
	}
	for proof, of := range kinds {
		for accepted, by := range kinds {
			f := origin(of.facts)
			f.Environment.Provenance = &by.policy
			r := ask(t, f, gate.Provenance)
			assert.Equal(t, proof == accepted, r.Verdict == gate.Pass, "%s where %s is accepted: %s", proof, accepted, r.Reason)
			if proof == accepted {
				assert.Equal(t, "sha256:6d6d6d6d6d6d… was built from ddddddddddd… of acme/checkout", r.Reason)
				assert.Contains(t, texts(r), of.says)
			} else {
				assert.Equal(t, gate.Missing, r.Cause)
			}
		}
	}
}

func TestAnArtifactOfAnotherCommitOrRepositoryIsRefused(t *testing.T) {
	r := ask(t, origin(func(o *gate.Origin) { o.Statements[0].Commit = head }), gate.Provenance)
	assert.True(t, r.Final)
	assert.Equal(t, "sha256:6d6d6d6d6d6d… was built from aaaaaaaaaaa… of github.com/acme/checkout, not from ddddddddddd… of acme/checkout", r.Reason)

	for _, elsewhere := range []string{"github.com/mallory/checkout", "gitlab.com/acme/checkout", "acme/checkout", ""} {
		r = ask(t, origin(func(o *gate.Origin) { o.Statements[0].Repository = elsewhere }), gate.Provenance)
		assert.True(t, r.Final, elsewhere)
	}
	r = ask(t, origin(func(o *gate.Origin) { o.Home, o.Statements[0].Repository = "", "" }), gate.Provenance)
	assert.True(t, r.Final, "two unknown addresses are not the same")
}

func TestAStatementOfAnotherDigestOrByAStrangerProvesNothing(t *testing.T) {
	r := ask(t, origin(func(o *gate.Origin) { o.Statements[0].Digests = []string{otherDigest} }), gate.Provenance)
	assert.Equal(t, gate.Missing, r.Cause)
	assert.Equal(t, "nothing proves yet that sha256:6d6d6d6d6d6d… was built from ddddddddddd… of acme/checkout", r.Reason)
	assert.Equal(t, "the build, by attesting it in acme/checkout, or a statement signed with a key of the policy, or check image of github-actions with the digest as external id", r.Unblocks)

	f := origin(func(o *gate.Origin) {
		o.Statements[0].Key = "stranger"
		o.Ignored = []gate.Evidence{{Text: "line 1: it is signed by no key of the policy"}}
	})
	r = ask(t, f, gate.Provenance)
	assert.Equal(t, gate.Missing, r.Cause)
	assert.Contains(t, texts(r), "line 1: it is signed by no key of the policy")
}

func TestOfTwoCommitsThatGiveTheSameBytesEitherIsTheSource(t *testing.T) {
	f := origin(func(o *gate.Origin) { o.Statements = []gate.Statement{signed(head), signed(sourceCommit)} })
	assert.Equal(t, gate.Pass, ask(t, f, gate.Provenance).Verdict)
}

func TestWhatCouldNotBeReadMightHaveBeenTheProof(t *testing.T) {
	f := origin(func(o *gate.Origin) { o.Statements, o.Unknown = []gate.Statement{signed(head)}, "403" })
	assert.True(t, ask(t, f, gate.Provenance).Unknown, "nothing is refused for good before everything was read")
	f.Origins[0].Statements = append(f.Origins[0].Statements, signed(sourceCommit))
	assert.Equal(t, gate.Pass, ask(t, f, gate.Provenance).Verdict, "one proof is enough")
}

func TestTheSourceOfAnArtifactHasToBeProtected(t *testing.T) {
	r := ask(t, origin(func(o *gate.Origin) { o.Contained = gate.Answer{Reason: "main is not protected"} }), gate.Provenance)
	assert.True(t, r.Final)
	assert.Equal(t, "ddddddddddd… of acme/checkout is not in a protected branch that counts: main is not protected", r.Reason)
	assert.True(t, ask(t, origin(func(o *gate.Origin) { o.Contained = gate.Answer{Yes: true, Unknown: "timeout"} }), gate.Provenance).Unknown)
}

func TestOnlyThePinnedAppsCheckWithTheDigestProvesABuild(t *testing.T) {
	with := func(runs ...forge.Check) gate.Result {
		return ask(t, origin(func(o *gate.Origin) { o.Statements, o.Runs = nil, runs }), gate.Provenance)
	}
	of := func(id int64, externalID, conclusion string) forge.Check {
		r := built(id, conclusion)
		r.ExternalID = externalID
		return r
	}
	assert.Equal(t, gate.Pass, with(of(1, digest, "success")).Verdict)
	assert.Equal(t, gate.Missing, with(of(1, otherDigest, "success")).Cause, "the digest of another image")
	assert.Equal(t, gate.Pass, with(of(1, digest, "success"), of(2, otherDigest, "failure")).Verdict, "images of one commit have a run each")
	assert.Equal(t, gate.Missing, with(of(1, "", "success")).Cause)
	assert.Equal(t, gate.Missing, with(of(1, strings.ToUpper(digest), "success")).Cause)

	spoof := of(1, digest, "success")
	spoof.AppID, spoof.App = 666, "evil"
	r := with(spoof)
	assert.Equal(t, gate.Missing, r.Cause)
	assert.Contains(t, texts(r), "a check of the same name by app evil (666) does not count")

	elsewhere := of(1, digest, "success")
	elsewhere.Commit = head
	assert.Equal(t, gate.Missing, with(elsewhere).Cause, "a run on another commit")
	named := of(1, digest, "success")
	named.Name = "test"
	assert.Equal(t, gate.Missing, with(named).Cause)
}

func TestABuildThatFailsWhenItIsRepeatedTakesItsProofBack(t *testing.T) {
	for _, externalID := range []string{digest, ""} {
		again := built(2, "failure")
		again.ExternalID = externalID
		r := ask(t, origin(func(o *gate.Origin) { o.Statements, o.Runs = nil, []forge.Check{again, built(1, "success")} }), gate.Provenance)
		assert.Equal(t, gate.Concluded, r.Cause, externalID)
		again.Status, again.Conclusion = "in_progress", ""
		r = ask(t, origin(func(o *gate.Origin) { o.Statements, o.Runs = nil, []forge.Check{again, built(1, "success")} }), gate.Provenance)
		assert.Equal(t, gate.Missing, r.Cause, externalID)
	}
}

func TestEveryArtifactNeedsAProof(t *testing.T) {
	f := promotion()
	f.Artifacts = append(f.Artifacts, gate.Artifact{Image: image + "-worker", Digest: otherDigest, Repository: source, SourceCommit: sourceCommit})
	assert.True(t, ask(t, f, gate.Provenance).Unknown, "the second was not looked up")
	second := f.Origins[0]
	second.Digest, second.Statements = otherDigest, nil
	f.Origins = append(f.Origins, second)
	assert.Equal(t, gate.Missing, ask(t, f, gate.Provenance).Cause)
	f.Origins[1].Statements = []gate.Statement{signed(sourceCommit)}
	assert.Equal(t, gate.Pass, ask(t, f, gate.Provenance).Verdict)
	f.Artifacts = nil
	assert.True(t, ask(t, f, gate.Provenance).Unknown)
}
