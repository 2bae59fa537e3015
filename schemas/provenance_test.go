package schemas_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/schemas"
)

func publicPEM(t *testing.T, public crypto.PublicKey) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func TestProvenanceKeysAreOfAKindThatSignsToday(t *testing.T) {
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	edwards, _, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	long, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	for _, public := range []crypto.PublicKey{&curve.PublicKey, edwards, &long.PublicKey} {
		got, err := schemas.ProvenanceKey{Name: "ci", PublicKey: publicPEM(t, public)}.Public()
		require.NoError(t, err)
		assert.Equal(t, public, got)
	}

	good := publicPEM(t, edwards)
	for _, bad := range []string{
		"", "abc", good + good, strings.Replace(good, "PUBLIC KEY", "PRIVATE KEY", 2),
		"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
	} {
		_, err := schemas.ProvenanceKey{Name: "ci", PublicKey: bad}.Public()
		assert.Error(t, err, bad)
	}
}

func TestProvenanceKeysNeedNamesOfTheirOwn(t *testing.T) {
	edwards, _, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	block := "|\n        " + strings.ReplaceAll(strings.TrimSpace(publicPEM(t, edwards)), "\n", "\n        ") + "\n"
	key := func(name string) string { return "    - name: " + name + "\n      publicKey: " + block }
	text := emptyPolicy + "environments:\n- name: a\n  provenance:\n    keys:\n"
	p := decodePolicy(t, text+key("one")+key("two"))
	require.Len(t, p.Environments[0].Provenance.Keys, 2)
	assert.Contains(t, strings.Join(policyProblems(t, text+key("one")+key("one")), "\n"), `"one" is there twice`)
}
