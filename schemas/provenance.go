package schemas

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// Accepts reports whether any proof could satisfy it.
func (p Provenance) Accepts() bool { return len(p.Keys) > 0 || p.Attestation || p.Check != nil }

// minRSABits is what NIST asks for since 2014.
const minRSABits = 2048

// Public returns the key itself: ECDSA, Ed25519, or RSA of at least 2048 bits.
func (k ProvenanceKey) Public() (crypto.PublicKey, error) {
	block, rest := pem.Decode([]byte(k.PublicKey))
	if block == nil || block.Type != "PUBLIC KEY" || strings.TrimSpace(string(rest)) != "" {
		return nil, errors.New("it is not one PEM block of type PUBLIC KEY")
	}
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("read the public key: %w", err)
	}
	switch public := public.(type) {
	case *ecdsa.PublicKey, ed25519.PublicKey:
		return public, nil
	case *rsa.PublicKey:
		if public.N.BitLen() < minRSABits {
			return nil, fmt.Errorf("an RSA key of %d bits is too short, %d is the least", public.N.BitLen(), minRSABits)
		}
		return public, nil
	}
	return nil, errors.New("it is not an ECDSA, Ed25519 or RSA key")
}

func (p Provenance) validate(ps *Problems, at string) {
	if !p.Accepts() {
		ps.add(at, "give keys, attestation: true or a check", "provenance accepts no proof at all")
	}
	seen := map[string]bool{}
	for i, k := range p.Keys {
		item := fmt.Sprintf("%s.keys[%d]", at, i)
		if _, err := k.Public(); k.Name == "" || err != nil {
			if err == nil {
				err = errors.New("it has no name")
			}
			ps.add(item, "give name and publicKey in PEM", "the key is not complete: %s", err)
		}
		if seen[k.Name] {
			ps.add(item+".name", "give each key its own name", "%q is there twice", k.Name)
		}
		seen[k.Name] = true
	}
	if p.Check != nil && (p.Check.Name == "" || p.Check.App == "") {
		ps.add(at+".check", "give both name and app", "the check is not complete")
	}
}
