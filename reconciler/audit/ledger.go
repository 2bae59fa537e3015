package audit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/sluice-cd/sluice/gitsource"
	"github.com/sluice-cd/sluice/reconciler"
	"github.com/sluice-cd/sluice/reconciler/release"
)

// Branch is where evidence is kept.
const Branch = "sluice/audit"

// A Record is one file of the branch.
type Record struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	// ID is the intent that asked for the record. It never repeats with other
	// content.
	ID      string           `json:"id"`
	Version string           `json:"sluiceVersion"`
	Spec    release.Evidence `json:"spec"`
}

// Writer commits to a branch; see gitsource.Writer.
type Writer interface {
	Write(ctx context.Context, p gitsource.Proposal) (sha string, err error)
}

// A Ledger appends to the audit branch.
type Ledger struct {
	Writer  Writer
	Version string
}

// Append implements reconciler.Ledger.
func (l *Ledger) Append(ctx context.Context, id string, e release.Evidence) error {
	data, err := l.encode(id, e)
	if err != nil {
		return err
	}
	path := Path(id, e)
	_, err = l.Writer.Write(ctx, gitsource.Proposal{
		Branch: Branch, Time: e.At, Create: true,
		Decide: func(tip gitsource.TipView) (gitsource.Plan, error) {
			if done, err := exists(tip, path); err != nil || done {
				return gitsource.Plan{}, err
			}
			return gitsource.Plan{
				Message: fmt.Sprintf("%s: %s", e.Release, title(e)),
				Edits:   []gitsource.Edit{gitsource.SetFile{Path: path, Content: data}},
			}, nil
		},
	})
	switch {
	case errors.Is(err, gitsource.ErrNothingToDo):
		return nil
	case errors.Is(err, gitsource.ErrRefused):
		return fmt.Errorf("append evidence: %w: %w", reconciler.ErrRefused, err)
	case err != nil:
		return fmt.Errorf("append evidence: %w", err)
	}
	return nil
}

func (l *Ledger) encode(id string, e release.Evidence) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	record := Record{APIVersion: "sluice.dev/v1alpha1", Kind: "Evidence", ID: id, Version: l.Version, Spec: e}
	if err := encoder.Encode(record); err != nil {
		return nil, fmt.Errorf("encode evidence %s: %w", id, err)
	}
	return b.Bytes(), nil
}

func exists(tip gitsource.TipView, path string) (bool, error) {
	if tip.SHA == "" {
		return false, nil
	}
	_, err := tip.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// Path is where a record is kept: sorted by release and time, and told apart by
// its id.
func Path(id string, e release.Evidence) string {
	sum := sha256.Sum256([]byte(id))
	return fmt.Sprintf("evidence/%s/%s-%s-%s.json", e.Release,
		e.At.UTC().Format("20060102T150405Z"), e.Kind, hex.EncodeToString(sum[:4]))
}

func title(e release.Evidence) string {
	switch {
	case e.Kind == "rollout" && e.Candidate != nil:
		return strings.TrimSpace(e.Candidate.Revision.Version + " " + e.Outcome)
	default:
		return e.Outcome
	}
}
