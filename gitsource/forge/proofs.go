package forge

import "time"

// An Attestation is what a forge keeps about an artifact for the repository that
// it was built in.
type Attestation struct {
	// Bundle is the Sigstore bundle as the forge keeps it. Nobody has verified
	// its signature.
	Bundle []byte `json:"bundle"`
}

// An Analysis is one upload of a code scanner's results for a branch.
type Analysis struct {
	ID     int64  `json:"id"`
	Commit string `json:"commit"`
	Tool   string `json:"tool"`
	// Error is why the forge could not read all of it, "" when it could.
	Error     string    `json:"error,omitempty"`
	CreatedAt time.Time `json:"createdAt"`
}

// An Alert is one finding of a code scanner on a branch.
type Alert struct {
	Number int    `json:"number"`
	URL    string `json:"url,omitempty"`
	Rule   string `json:"rule"`
	Tool   string `json:"tool"`
	// Severity is "critical", "high", "medium" or "low" for a rule about security,
	// "error", "warning", "note" or "none" for another one, "" when not told.
	Severity  string    `json:"severity,omitempty"`
	CreatedAt time.Time `json:"createdAt"`
	// FixedAt is when an analysis of the branch did not find it any more; zero
	// while it is open.
	FixedAt time.Time `json:"fixedAt,omitzero"`
}
