package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/sluice-cd/sluice/reconciler/release"
)

// A Record is one file of the branch.
type Record struct {
	APIVersion string `json:"apiVersion" jsonschema:"enum=sluice.dev/v1alpha1"`
	Kind       string `json:"kind" jsonschema:"enum=Evidence"`
	// The intent that asked for the record. It never repeats with other content.
	ID string `json:"id"`
	// The version of Sluice that wrote it.
	Version string           `json:"sluiceVersion"`
	Spec    release.Evidence `json:"spec"`
}

func encode(id, version string, e release.Evidence) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	record := Record{APIVersion: "sluice.dev/v1alpha1", Kind: "Evidence", ID: id, Version: version, Spec: e}
	if err := encoder.Encode(record); err != nil {
		return nil, fmt.Errorf("encode evidence %s: %w", id, err)
	}
	return b.Bytes(), nil
}

// Path is where a record is kept: below its release, sorted by time, with the
// revision for people to search by, and told apart by its id.
func Path(id string, e release.Evidence) string {
	sum := sha256.Sum256([]byte(id))
	parts := []string{e.At.UTC().Format("20060102T150405Z"), revision(e), e.Kind, hex.EncodeToString(sum[:4])}
	if parts[1] == "" {
		parts = append(parts[:1], parts[2:]...)
	}
	return fmt.Sprintf("evidence/%s/%s.json", e.Release, strings.Join(parts, "-"))
}

// revision is what the evidence is about, as its objects are named; "" when it
// is about none.
func revision(e release.Evidence) string {
	switch {
	case e.Candidate != nil:
		return e.Candidate.Revision.ID
	case e.Backfill != nil:
		return e.Backfill.Inputs[:min(8, len(e.Backfill.Inputs))]
	case e.Hold != nil:
		return e.Hold.Inputs[:min(8, len(e.Hold.Inputs))]
	}
	return ""
}
