package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"time"
)

// certLifetime is longer than any cluster is kept.
const certLifetime = 365 * 24 * time.Hour

// writePKI writes a new authority, a serving certificate for loopback and the key
// that signs ServiceAccount tokens. Everything is new at each start: nothing
// outside the data directory ever trusts it.
func writePKI(d dataDir, now time.Time) error {
	caKey, err := newKey()
	if err != nil {
		return err
	}
	ca := certTemplate("devcluster-ca", 1, now)
	ca.IsCA = true
	ca.BasicConstraintsValid = true
	ca.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	if err := writeCert(d.ca(), ca, ca, caKey, caKey); err != nil {
		return err
	}
	key, err := newKey()
	if err != nil {
		return err
	}
	leaf := certTemplate("kube-apiserver", 2, now)
	leaf.KeyUsage = x509.KeyUsageDigitalSignature
	leaf.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	leaf.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv4(10, 96, 0, 1)}
	leaf.DNSNames = []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"}
	if err := writeCert(d.servingCert(), leaf, ca, key, caKey); err != nil {
		return err
	}
	if err := writeKey(d.servingKey(), key); err != nil {
		return err
	}
	tokenKey, err := newKey()
	if err != nil {
		return err
	}
	return writeKey(d.serviceAccountKey(), tokenKey)
}

func newKey() (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generate key: %w", err)
	}
	return key, nil
}

func certTemplate(name string, serial int64, now time.Time) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(serial),
		Subject:      pkix.Name{CommonName: name},
		// An hour back, so that a clock that is set a little later still accepts it.
		NotBefore: now.Add(-time.Hour),
		NotAfter:  now.Add(certLifetime),
	}
}

func writeCert(path string, cert, issuer *x509.Certificate, key, issuerKey *ecdsa.PrivateKey) error {
	der, err := x509.CreateCertificate(rand.Reader, cert, issuer, key.Public(), issuerKey)
	if err != nil {
		return fmt.Errorf("sign %s: %w", cert.Subject.CommonName, err)
	}
	return writePEM(path, "CERTIFICATE", der, 0o644)
}

func writeKey(path string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return fmt.Errorf("encode key: %w", err)
	}
	return writePEM(path, "EC PRIVATE KEY", der, 0o600)
}

func writePEM(path, kind string, der []byte, mode os.FileMode) error {
	content := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	if err := os.WriteFile(path, content, mode); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
