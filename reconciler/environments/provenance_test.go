package environments_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/gitsource/forge/forgetest"
	"github.com/sluice-cd/sluice/gitsource/gittest"
	"github.com/sluice-cd/sluice/reconciler/environments"
	"github.com/sluice-cd/sluice/reconciler/gate"
)

// accept makes production accept other proofs than attestations.
func (w *world) accept(proofs string) {
	w.t.Helper()
	changed := strings.Replace(policy, "  - name: production\n", "  - name: production\n    provenance: "+proofs+"\n", 1)
	require.NotEqual(w.t, policy, changed)
	w.propose("rules", map[string]string{"sluice.yaml": changed}).approve("carol").merge(gittest.Squash)
	require.Equal(w.t, w.poll().Mark, w.record.Policy, "the policy is accepted")
}

// promoted merges a release of an artifact that names a source commit.
func (w *world) promoted(of, source string) {
	w.t.Helper()
	f := w.file(of)
	f.source = source
	w.propose("promote-"+of, map[string]string{unproven: f.String()}).approve("bob").merge(gittest.Squash)
}

func (w *world) origin() gate.Result {
	w.t.Helper()
	return w.verdicts()[gate.Provenance]
}

// later is a second commit of the source's protected branch.
func (w *world) later() string {
	w.t.Helper()
	sha := w.must(w.source.Push("alice", "main", "later", map[string]string{"main.go": "package main // later\n"}))
	w.check(w.source, sha, "test", "success")
	w.check(w.source, sha, "sast", "success")
	return sha
}

func TestAttestedArtifactIsProven(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.promoted("two", w.built)
	r := w.origin()
	assert.Equal(t, gate.Missing, r.Cause, r.Reason)
	assert.Contains(t, r.Unblocks, "attesting it in "+sourceName)

	w.source.AttestBuild(digest("two"), w.built)
	r = w.origin()
	require.Equal(t, gate.Pass, r.Verdict, r.Reason)
	assert.Contains(t, r.Evidence[0].Text, "attestation kept by the forge, its signature not verified")
}

func TestDigestThatWasBuiltFromAnotherCommitIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.source.Branch("mallory", "aside", "main"))
	evil := w.must(w.source.Push("mallory", "aside", "evil", map[string]string{"main.go": "package evil\n"}))
	w.source.AttestBuild(digest("two"), evil)
	w.promoted("two", w.built)

	results := w.verdicts()
	assert.Equal(t, gate.Pass, results["tests"].Verdict, "the commit that the author typed in is a good one")
	r := results[gate.Provenance]
	assert.True(t, r.Final, r.Reason)
	assert.Contains(t, r.Reason, fmt.Sprintf("was built from %.11s… of", evil))
	assert.Contains(t, r.Reason, fmt.Sprintf("not from %.11s… of %s", w.built, sourceName))
}

func TestAttestationThatAnotherRepositoryKeepsProvesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.forge.Repository("mallory/checkout").AttestBuild(digest("two"), w.built)
	w.promoted("two", w.built)
	assert.Equal(t, gate.Missing, w.origin().Cause)

	// Replayed: the source repository keeps what another one's workflow said.
	said := w.forge.Repository("mallory/checkout").Statement(digest("two"), w.built)
	w.source.Attest(digest("two"), envelope(t, said, func([]byte) []byte { return nil }))
	r := w.origin()
	assert.True(t, r.Final, r.Reason)
	assert.Contains(t, r.Reason, "/mallory/checkout, not from")
}

func TestAttestationThatIsNoStatementProvesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, bundle := range []string{`{}`, `{"dsseEnvelope":{"payloadType":"text/plain"}}`, `{"dsseEnvelope":[]}`} {
		w.source.Attest(digest("two"), []byte(bundle))
	}
	w.source.Attest(digest("two"), envelope(t, []byte(`{"_type":"https://in-toto.io/Statement/v1"}`), func([]byte) []byte { return nil }))
	w.promoted("two", w.built)
	r := w.origin()
	assert.Equal(t, gate.Missing, r.Cause, r.Reason)
	assert.Len(t, r.Evidence, 4, "and says why each does not count")
}

func TestAttestationsThatCannotBeReadAreUnknown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source.AttestBuild(digest("two"), w.built)
	w.promoted("two", w.built)
	w.poll()
	w.forge.Inject(forgetest.Fault{On: "GET /repos/{owner}/{repo}/attestations/{digest}", Status: http.StatusForbidden, Body: `{"message":"Resource not accessible by integration"}`})
	r := w.origin()
	assert.True(t, r.Unknown, r.Reason)
	w.forge.ClearFaults()
	assert.Equal(t, gate.Pass, w.origin().Verdict)
}

// A signer is a build system's key.
type signer struct {
	pem  string
	sign func([]byte) []byte
}

func newSigner(t *testing.T) signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	require.NoError(t, err)
	return signer{
		pem: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})),
		sign: func(data []byte) []byte {
			sum := sha256.Sum256(data)
			signature, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
			require.NoError(t, err)
			return signature
		},
	}
}

// keys is provenance that accepts the signer's statements alone.
func (s signer) keys() string {
	return fmt.Sprintf("{keys: [{name: build, publicKey: %q}]}", s.pem)
}

func envelope(t *testing.T, payload []byte, sign func([]byte) []byte) []byte {
	t.Helper()
	const kind = "application/vnd.in-toto+json"
	data, err := json.Marshal(dsse.Envelope{
		PayloadType: kind, Payload: base64.StdEncoding.EncodeToString(payload),
		Signatures: []dsse.Signature{{Sig: base64.StdEncoding.EncodeToString(sign(dsse.PAE(kind, payload)))}},
	})
	require.NoError(t, err)
	return append(data, '\n')
}

// leave puts statements about an artifact where the daemon looks for them.
func (w *world) leave(of string, envelopes ...[]byte) {
	w.t.Helper()
	var file strings.Builder
	for _, e := range envelopes {
		file.Write(e)
	}
	w.push("main", map[string]string{environments.StatementsPath("checkout", digest(of)): file.String()})
}

func TestStatementSignedWithAKeyOfThePolicyIsProof(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	build := newSigner(t)
	w.accept(build.keys())
	w.source.AttestBuild(digest("two"), w.built)
	w.promoted("two", w.built)
	r := w.origin()
	assert.Equal(t, gate.Missing, r.Cause, "attestations are not accepted any more: %s", r.Reason)
	before := w.candidate(production).Want.Revision.Inputs

	w.leave("two", envelope(t, w.source.Statement(digest("two"), w.built), build.sign))
	r = w.origin()
	require.Equal(t, gate.Pass, r.Verdict, r.Reason)
	assert.Contains(t, r.Evidence[0].Text, "statement signed with key build")
	assert.Equal(t, before, w.candidate(production).Want.Revision.Inputs, "it is no part of the inputs")
	assert.Equal(t, gate.Pass, w.verdicts()[gate.Integrity].Verdict, "so that a pipeline may push it")
}

func TestForgedStatementsProveNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	build, stranger := newSigner(t), newSigner(t)
	w.accept(build.keys())
	w.promoted("two", w.built)
	good := w.source.Statement(digest("two"), w.built)
	swapped := envelope(t, w.source.Statement(digest("three"), w.built), build.sign)
	var e dsse.Envelope
	require.NoError(t, json.Unmarshal(swapped, &e))
	e.Payload = base64.StdEncoding.EncodeToString(good)
	altered, err := json.Marshal(e)
	require.NoError(t, err)
	for name, lines := range map[string][][]byte{
		"an unknown key":              {envelope(t, good, stranger.sign)},
		"a payload that was replaced": {altered},
		"no signature":                {envelope(t, good, func([]byte) []byte { return nil })},
		"another digest":              {swapped},
		"not an envelope":             {[]byte("trust me\n")},
	} {
		w.leave("two", lines...)
		r := w.origin()
		assert.Equal(t, gate.Missing, r.Cause, "%s: %s", name, r.Reason)
	}
	w.leave("two", envelope(t, good, stranger.sign), []byte("\n"), envelope(t, good, build.sign))
	assert.Equal(t, gate.Pass, w.origin().Verdict, "nor do they hide one that is genuine")
}

func TestSignedStatementOfAnotherCommitOrRepositoryIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	build := newSigner(t)
	w.accept(build.keys())
	w.promoted("two", w.built)
	for name, payload := range map[string][]byte{
		"commit":     w.source.Statement(digest("two"), w.later()),
		"repository": w.forge.Repository("mallory/checkout").Statement(digest("two"), w.built),
	} {
		w.leave("two", envelope(t, payload, build.sign))
		r := w.origin()
		assert.True(t, r.Final, "%s: %s", name, r.Reason)
	}
}

func TestPullRequestMayBringItsStatementAlong(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	build := newSigner(t)
	w.accept(build.keys())
	w.propose("two", with(map[string]string{unproven: w.file("two").String()}, map[string]string{
		environments.StatementsPath("checkout", digest("two")): string(envelope(t, w.source.Statement(digest("two"), w.built), build.sign)),
	}))
	proposals, err := w.envs.Proposals(t.Context(), w.rules())
	require.NoError(t, err)
	require.Len(t, proposals, 1)
	r := w.judge(w.facts(proposals[0].Candidates[0]))[gate.Provenance]
	assert.Equal(t, gate.Pass, r.Verdict, r.Reason)
}

func TestStatementsFileThatCannotBeUsedProvesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.accept(newSigner(t).keys())
	w.promoted("two", w.built)
	path := environments.StatementsPath("checkout", digest("two"))
	for name, file := range map[string]gittest.File{
		"a link":    {Content: "../sluice.yaml", Mode: "120000"},
		"too large": {Content: strings.Repeat("x", 2<<20)},
		"too long":  {Content: strings.Repeat("{}\n", 200)},
	} {
		w.raw("main", map[string]gittest.File{path: file})
		r := w.origin()
		assert.Equal(t, gate.Missing, r.Cause, "%s: %s", name, r.Reason)
		assert.NotEmpty(t, r.Evidence, name)
	}
}

func TestCheckOfThePinnedAppWithTheDigestIsProof(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.accept("{check: {name: image, app: github-actions}}")
	report := func(app, commit, externalID, conclusion string) {
		_, err := w.source.CheckRun(app, forge.Check{Commit: commit, Name: "image", Conclusion: conclusion, ExternalID: externalID})
		require.NoError(t, err)
	}
	w.promoted("two", w.built)
	report("evil-ci", w.built, digest("two"), "success")
	report("github-actions", w.later(), digest("two"), "success")
	report("github-actions", w.built, digest("three"), "success")
	r := w.origin()
	assert.Equal(t, gate.Missing, r.Cause, r.Reason)
	assert.Contains(t, r.Evidence[0].Text, "by app evil-ci (666) does not count")

	report("github-actions", w.built, digest("two"), "success")
	assert.Equal(t, gate.Pass, w.origin().Verdict)
	report("github-actions", w.built, "", "failure")
	r = w.origin()
	assert.Equal(t, gate.Concluded, r.Cause, "a repetition that fails takes the proof back: %s", r.Reason)
}

func TestProvenSourceHasToBeInItsProtectedBranch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.source.Branch("alice", "aside", "main"))
	aside := w.must(w.source.Push("alice", "aside", "unreviewed", map[string]string{"main.go": "package aside\n"}))
	w.source.AttestBuild(digest("two"), aside)
	w.promoted("two", aside)
	r := w.origin()
	assert.True(t, r.Final, r.Reason)
	assert.Contains(t, r.Reason, "is not in a protected branch that counts")
}

func TestEd25519KeysAreAcceptedToo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	public, private, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKIXPublicKey(public)
	require.NoError(t, err)
	build := signer{
		pem:  string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})),
		sign: func(data []byte) []byte { return ed25519.Sign(private, data) },
	}
	w.accept(build.keys())
	w.leave("two", envelope(t, w.source.Statement(digest("two"), w.built), build.sign))
	w.promoted("two", w.built)
	assert.Equal(t, gate.Pass, w.origin().Verdict)
}
