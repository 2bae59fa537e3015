package provenance_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/reconciler/provenance"
)

const (
	payloadType = "application/vnd.in-toto+json"
	sha         = "dddddddddddddddddddddddddddddddddddddddd"
	otherSHA    = "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee"
)

var sum = strings.Repeat("6d", 32)

func v1(origin string, materials ...string) string {
	return fmt.Sprintf(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"checkout","digest":{"sha256":%q}}],
"predicateType":"https://slsa.dev/provenance/v1","predicate":{"buildDefinition":{"buildType":"https://actions.github.io/buildtypes/workflow/v1",
"externalParameters":{"workflow":{"ref":"refs/heads/main","repository":%q,"path":".github/workflows/build.yml"}},
"resolvedDependencies":[%s]},"runDetails":{"builder":{"id":"https://github.com/acme/checkout/.github/workflows/build.yml@refs/heads/main"}}}}`,
		sum, origin, strings.Join(materials, ","))
}

func v02(origin string, materials ...string) string {
	return fmt.Sprintf(`{"_type":"https://in-toto.io/Statement/v0.1","subject":[{"name":"checkout","digest":{"sha256":%q}}],
"predicateType":"https://slsa.dev/provenance/v0.2","predicate":{"builder":{"id":"builder"},"invocation":{"configSource":%s},"materials":[%s]}}`,
		strings.ToUpper(sum), origin, strings.Join(materials, ","))
}

func git(uri, commit string) string {
	return fmt.Sprintf(`{"uri":%q,"digest":{"gitCommit":%q}}`, uri, commit)
}

func sha1(uri, commit string) string {
	return fmt.Sprintf(`{"uri":%q,"digest":{"sha1":%q}}`, uri, commit)
}

func envelope(t *testing.T, payload string, sign ...func([]byte) []byte) []byte {
	t.Helper()
	e := dsse.Envelope{PayloadType: payloadType, Payload: base64.StdEncoding.EncodeToString([]byte(payload))}
	for _, s := range sign {
		e.Signatures = append(e.Signatures, dsse.Signature{KeyID: "whatever", Sig: base64.StdEncoding.EncodeToString(s(dsse.PAE(payloadType, []byte(payload))))})
	}
	data, err := json.Marshal(e)
	require.NoError(t, err)
	return data
}

func statement(t *testing.T, payload string) (provenance.Statement, error) {
	t.Helper()
	e, err := provenance.Open(envelope(t, payload))
	require.NoError(t, err)
	return e.Statement()
}

const checkout = "git+https://github.com/acme/checkout@refs/heads/main"

func TestAStatementNamesDigestRepositoryAndCommit(t *testing.T) {
	for name, payload := range map[string]string{
		"v1 of a workflow":      v1("https://github.com/acme/checkout", git(checkout, sha), git("git+https://github.com/acme/library", otherSHA)),
		"v1 of any builder":     v1("", git("https://github.com/Acme/Checkout.git", sha), `{"uri":"pkg:docker/alpine@3","digest":{"sha256":"00"}}`),
		"v0.2":                  v02(sha1(checkout, sha), sha1(checkout, sha), sha1("git+https://github.com/acme/library", otherSHA)),
		"v0.2, materials alone": v02(`{}`, sha1("git+ssh://git@github.com/acme/checkout.git@main", sha)),
	} {
		s, err := statement(t, payload)
		require.NoError(t, err, name)
		assert.Equal(t, []string{"sha256:" + sum}, s.Digests, name)
		assert.Equal(t, "github.com/acme/checkout", s.Repository, name)
		assert.Equal(t, sha, s.Commit, name)
		assert.NotEmpty(t, s.Builder, name)
	}
}

func TestAStatementThatLeavesTheSourceOpenIsRefused(t *testing.T) {
	const library = "git+https://github.com/acme/library"
	for name, c := range map[string]struct{ payload, want string }{
		"two repositories": {v1("", git(checkout, sha), git(library, otherSHA)), "names 2 repositories"},
		"two commits":      {v1("https://github.com/acme/checkout", git(checkout, sha), git(checkout, otherSHA)), "names 2 commits"},
		"config elsewhere": {v02(sha1(checkout, otherSHA), sha1(checkout, sha)), "names 2 commits"},
		"no commit":        {v1("https://github.com/acme/checkout", git(library, sha)), "names no source commit"},
		"an abbreviation":  {v1("https://github.com/acme/checkout", git(checkout, sha[:12])), "names no source commit"},
		"no address":       {v1("acme/checkout", git(checkout, sha)), "is not the address of a repository"},
		"other predicate":  {strings.ReplaceAll(v1("", git(checkout, sha)), "slsa.dev/provenance/v1", "spdx.dev/Document"), "is not SLSA provenance"},
		"other type":       {strings.ReplaceAll(v1("", git(checkout, sha)), "in-toto.io/Statement/v1", "example.com/v1"), "is not an in-toto statement"},
		"no digest":        {strings.ReplaceAll(v1("", git(checkout, sha)), `"sha256"`, `"sha512"`), "no subject has a sha256 digest"},
		"not JSON":         {"{", "read a statement"},
	} {
		_, err := statement(t, c.payload)
		assert.ErrorContains(t, err, c.want, name)
	}
}

// signers are one of each kind of key, with what signs for it.
func signers(t *testing.T) (keys []provenance.Key, signs []func([]byte) []byte) {
	t.Helper()
	add := func(name string, public crypto.PublicKey, sign func([]byte) ([]byte, error)) {
		keys = append(keys, provenance.Key{Name: name, Public: public})
		signs = append(signs, func(data []byte) []byte {
			signature, err := sign(data)
			require.NoError(t, err)
			return signature
		})
	}
	hash := func(data []byte) []byte { s := sha256.Sum256(data); return s[:] }
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384()} {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		require.NoError(t, err)
		add(curve.Params().Name, &key.PublicKey, func(data []byte) ([]byte, error) {
			sum := hash(data)
			if curve == elliptic.P384() {
				long := sha512.Sum384(data)
				sum = long[:]
			}
			return ecdsa.SignASN1(rand.Reader, key, sum)
		})
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	add("ed25519", public, func(data []byte) ([]byte, error) { return ed25519.Sign(private, data), nil })
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	add("rsa", &key.PublicKey, func(data []byte) ([]byte, error) {
		return rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, hash(data))
	})
	add("rsa-pss", &key.PublicKey, func(data []byte) ([]byte, error) {
		return rsa.SignPSS(rand.Reader, key, crypto.SHA256, hash(data), nil)
	})
	return keys, signs
}

func TestTheKeyThatSignedIsFound(t *testing.T) {
	keys, signs := signers(t)
	payload := v1("https://github.com/acme/checkout", git(checkout, sha))
	for i, sign := range signs {
		e, err := provenance.Open(envelope(t, payload, sign))
		require.NoError(t, err)
		by, err := e.Signer([]provenance.Key{keys[i]})
		require.NoError(t, err, keys[i].Name)
		assert.Equal(t, keys[i].Name, by.Name)

		var strangers []provenance.Key
		for _, key := range keys {
			if key.Name[:3] != keys[i].Name[:3] {
				strangers = append(strangers, key)
			}
		}
		_, err = e.Signer(strangers)
		assert.ErrorIs(t, err, provenance.ErrNoSigner, keys[i].Name)
		_, err = e.Signer(nil)
		assert.ErrorIs(t, err, provenance.ErrNoSigner)
	}
	e, err := provenance.Open(envelope(t, payload, signs[0], signs[2]))
	require.NoError(t, err)
	by, err := e.Signer(keys[2:3])
	require.NoError(t, err, "one of several signatures is enough")
	assert.Equal(t, "ed25519", by.Name)
}

func TestASignatureCoversTypeAndPayload(t *testing.T) {
	keys, signs := signers(t)
	whole := envelope(t, v1("https://github.com/acme/checkout", git(checkout, sha)), signs[2])
	other := base64.StdEncoding.EncodeToString([]byte(v1("https://github.com/acme/checkout", git(checkout, otherSHA))))
	var swapped map[string]any
	require.NoError(t, json.Unmarshal(whole, &swapped))
	swapped["payload"] = other
	data, err := json.Marshal(swapped)
	require.NoError(t, err)
	e, err := provenance.Open(data)
	require.NoError(t, err)
	_, err = e.Signer(keys)
	assert.ErrorIs(t, err, provenance.ErrNoSigner)

	swapped["payloadType"] = "text/plain"
	data, err = json.Marshal(swapped)
	require.NoError(t, err)
	_, err = provenance.Open(data)
	assert.ErrorContains(t, err, "payload type")
}

func TestABundleIsReadForItsEnvelope(t *testing.T) {
	keys, signs := signers(t)
	inner := envelope(t, v1("https://github.com/acme/checkout", git(checkout, sha)), signs[0])
	e, err := provenance.Open([]byte(`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{},"dsseEnvelope":` + string(inner) + `}`))
	require.NoError(t, err)
	_, err = e.Signer(keys)
	assert.NoError(t, err)
}

func TestEnvelopesAreBounded(t *testing.T) {
	_, signs := signers(t)
	many := make([]func([]byte) []byte, 17)
	for i := range many {
		many[i] = signs[2]
	}
	for name, data := range map[string][]byte{
		"size":       []byte(`{"payload":"` + strings.Repeat("A", provenance.MaxBytes) + `"}`),
		"signatures": envelope(t, "{}", many...),
		"empty":      nil,
		"list":       []byte("[]"),
		"payload":    []byte(`{"payloadType":"application/vnd.in-toto+json","payload":"%"}`),
		"signature":  []byte(`{"payloadType":"application/vnd.in-toto+json","payload":"e30=","signatures":[{"sig":"%"}]}`),
	} {
		_, err := provenance.Open(data)
		assert.Error(t, err, name)
	}
}

func FuzzStatement(f *testing.F) {
	f.Add([]byte(v1("https://github.com/acme/checkout", git(checkout, sha))))
	f.Add([]byte(v02(sha1(checkout, sha), sha1(checkout, sha))))
	f.Add([]byte(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":null}],"predicate":[]}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		data, err := json.Marshal(dsse.Envelope{PayloadType: payloadType, Payload: base64.StdEncoding.EncodeToString(payload)})
		require.NoError(t, err)
		e, err := provenance.Open(data)
		require.NoError(t, err)
		s, err := e.Statement()
		if err == nil && (len(s.Digests) == 0 || len(s.Commit) != 40 || s.Repository == "") {
			t.Fatalf("accepted without saying what it is about: %+v", s)
		}
		_, err = e.Signer(nil)
		require.Error(t, err)
	})
}
