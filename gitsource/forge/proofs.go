package forge

// An Attestation is what a forge keeps about an artifact for the repository that
// it was built in.
type Attestation struct {
	// Bundle is the Sigstore bundle as the forge keeps it. Nobody has verified
	// its signature.
	Bundle []byte `json:"bundle"`
}
