package gitsource

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"
)

var (
	// ErrUnsigned is returned for a commit without a signature.
	ErrUnsigned = errors.New("commit is not signed")
	// ErrBadSignature is returned for a signature that does not verify or is by
	// a key that is not allowed.
	ErrBadSignature = errors.New("commit signature is not valid")
)

// signatureNamespace is git's domain for SSH signatures.
const signatureNamespace = "git"

// Signer signs commits.
type Signer interface {
	// Sign returns the armoured signature of a commit without its signature
	// header. It may be called again for the same commit.
	Sign(payload []byte) ([]byte, error)
}

// SSHSigner signs as git does with gpg.format=ssh.
type SSHSigner struct{ keyFile string }

// NewSSHSigner uses an unencrypted private key file, which is read for each
// signature, so it can be rotated.
func NewSSHSigner(keyFile string) (*SSHSigner, error) {
	s := &SSHSigner{keyFile: keyFile}
	_, err := s.key()
	return s, err
}

func (s *SSHSigner) key() (ssh.Signer, error) {
	data, err := os.ReadFile(s.keyFile)
	if err != nil {
		return nil, fmt.Errorf("read signing key: %w", err)
	}
	key, err := ssh.ParsePrivateKey(data)
	if err != nil {
		return nil, fmt.Errorf("read signing key %s: %w", s.keyFile, err)
	}
	return key, nil
}

// Sign implements Signer.
func (s *SSHSigner) Sign(payload []byte) ([]byte, error) {
	key, err := s.key()
	if err != nil {
		return nil, err
	}
	sig, err := sshsig.Sign(bytes.NewReader(payload), key, sshsig.HashSHA512, signatureNamespace)
	if err != nil {
		return nil, fmt.Errorf("sign commit: %w", err)
	}
	return sshsig.Armor(sig), nil
}

// SignedBy verifies a commit's SSH signature against an allowed signers file,
// the format of ssh-keygen and git, and returns the principal of the key.
// ErrUnsigned, ErrBadSignature or ErrMalformed otherwise. A line with an option
// other than namespaces is not believed, since it may restrict the key.
func (m *Mirror) SignedBy(sha string, allowedSigners []byte) (principal string, err error) {
	hash, err := parseSHA(sha)
	if err != nil {
		return "", err
	}
	c, err := m.fullCommit(hash)
	if err != nil {
		return "", err
	}
	if c.signature == nil {
		return "", fmt.Errorf("%w: %s", ErrUnsigned, sha)
	}
	sig, err := sshsig.Unarmor(c.signature)
	if err != nil {
		return "", fmt.Errorf("%w: %s: %w", ErrBadSignature, sha, err)
	}
	if sig.Namespace != signatureNamespace {
		return "", fmt.Errorf("%w: %s: signed for namespace %q", ErrBadSignature, sha, sig.Namespace)
	}
	for line := range strings.Lines(string(allowedSigners)) {
		who, key, ok := allowedSigner(line)
		if !ok || !bytes.Equal(key.Marshal(), sig.PublicKey.Marshal()) {
			continue
		}
		if err := sshsig.Verify(bytes.NewReader(c.payload), sig, key, sig.HashAlgorithm, signatureNamespace); err != nil {
			return "", fmt.Errorf("%w: %s: %w", ErrBadSignature, sha, err)
		}
		return who, nil
	}
	return "", fmt.Errorf("%w: %s: key %s is not allowed", ErrBadSignature, sha, ssh.FingerprintSHA256(sig.PublicKey))
}

// allowedSigner reads one line: principals, options, key.
func allowedSigner(line string) (who string, key ssh.PublicKey, ok bool) {
	who, rest, found := strings.Cut(strings.TrimSpace(line), " ")
	if !found || strings.HasPrefix(who, "#") {
		return "", nil, false
	}
	key, _, options, _, err := ssh.ParseAuthorizedKey([]byte(rest))
	if err != nil {
		return "", nil, false
	}
	for _, o := range options {
		list, isNamespaces := strings.CutPrefix(o, "namespaces=")
		if !isNamespaces || !slices.Contains(strings.Split(strings.Trim(list, `"`), ","), signatureNamespace) {
			return "", nil, false
		}
	}
	return who, key, true
}
