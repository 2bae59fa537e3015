package provenance

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
)

// MaxBytes is the largest envelope that is read. Real ones, certificates and log
// entries included, stay below 100 KiB.
const MaxBytes = 1 << 20

// maxSignatures bounds the work that one envelope can ask for.
const maxSignatures = 16

// A Key may sign statements.
type Key struct {
	Name   string
	Public crypto.PublicKey
}

// An Envelope is a signed statement that nobody has trusted yet.
type Envelope struct {
	payload    []byte
	signed     []byte // what signatures cover: type and payload
	signatures [][]byte
}

// Open reads a DSSE envelope, or the one inside of a Sigstore bundle.
func Open(data []byte) (Envelope, error) {
	if len(data) > MaxBytes {
		return Envelope{}, fmt.Errorf("read an envelope: %d bytes, the limit is %d", len(data), MaxBytes)
	}
	var wire struct {
		dsse.Envelope
		Bundled *dsse.Envelope `json:"dsseEnvelope"`
	}
	if err := json.Unmarshal(data, &wire); err != nil {
		return Envelope{}, fmt.Errorf("read an envelope: %w", err)
	}
	e := wire.Envelope
	if wire.Bundled != nil {
		e = *wire.Bundled
	}
	if e.PayloadType != "application/vnd.in-toto+json" {
		return Envelope{}, fmt.Errorf("read an envelope: payload type %q instead of application/vnd.in-toto+json", e.PayloadType)
	}
	payload, err := e.DecodeB64Payload()
	if err != nil {
		return Envelope{}, fmt.Errorf("read an envelope: its payload is not base64: %w", err)
	}
	if len(e.Signatures) > maxSignatures {
		return Envelope{}, fmt.Errorf("read an envelope: %d signatures, the limit is %d", len(e.Signatures), maxSignatures)
	}
	out := Envelope{payload: payload, signed: dsse.PAE(e.PayloadType, payload)}
	for _, s := range e.Signatures {
		signature, err := decodeBase64(s.Sig)
		if err != nil {
			return Envelope{}, fmt.Errorf("read an envelope: a signature is not base64: %w", err)
		}
		out.signatures = append(out.signatures, signature)
	}
	return out, nil
}

// decodeBase64 takes either alphabet, as DSSE asks of readers.
func decodeBase64(s string) ([]byte, error) {
	standard, err := base64.StdEncoding.DecodeString(s)
	if err == nil {
		return standard, nil
	}
	return base64.URLEncoding.DecodeString(s)
}

// ErrNoSigner says that none of the known keys signed an envelope.
var ErrNoSigner = errors.New("it is signed by no key of the policy")

// Signer returns the first of the keys that signed the envelope. It fails with
// ErrNoSigner when none did.
func (e Envelope) Signer(keys []Key) (Key, error) {
	for _, key := range keys {
		for _, signature := range e.signatures {
			if verify(key.Public, e.signed, signature) {
				return key, nil
			}
		}
	}
	return Key{}, ErrNoSigner
}

// verify takes the hash that goes with the curve, and for RSA both paddings in
// use: the common signers differ in theirs.
func verify(public crypto.PublicKey, signed, signature []byte) bool {
	switch public := public.(type) {
	case ed25519.PublicKey:
		return ed25519.Verify(public, signed, signature)
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(public, curveHash(public, signed), signature)
	case *rsa.PublicKey:
		sum := sha256.Sum256(signed)
		return rsa.VerifyPKCS1v15(public, crypto.SHA256, sum[:], signature) == nil ||
			rsa.VerifyPSS(public, crypto.SHA256, sum[:], signature, nil) == nil
	}
	return false
}

func curveHash(public *ecdsa.PublicKey, signed []byte) []byte {
	switch size := public.Curve.Params().BitSize; {
	case size > 384:
		sum := sha512.Sum512(signed)
		return sum[:]
	case size > 256:
		sum := sha512.Sum384(signed)
		return sum[:]
	}
	sum := sha256.Sum256(signed)
	return sum[:]
}
