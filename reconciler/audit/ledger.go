package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"strings"
	"time"

	"github.com/sluice-cd/sluice/gitsource"
	"github.com/sluice-cd/sluice/reconciler"
	"github.com/sluice-cd/sluice/reconciler/release"
)

// Branch is where evidence is kept.
const Branch = "sluice/audit"

// Writer commits to a branch; see gitsource.Writer.
type Writer interface {
	Write(ctx context.Context, p gitsource.Proposal) (sha string, err error)
}

// A Ledger appends to the audit branch.
type Ledger struct {
	Writer Writer
	// Version of Sluice, for the records.
	Version string
}

// Append implements reconciler.Ledger.
func (l *Ledger) Append(ctx context.Context, id string, e release.Evidence) error {
	data, err := encode(id, l.Version, e)
	if err != nil {
		return fmt.Errorf("%w: %w", reconciler.ErrRefused, err)
	}
	path := Path(id, e)
	_, err = l.Writer.Write(ctx, gitsource.Proposal{
		Branch: Branch, Time: dated(e.At, time.Now()), Create: true,
		Decide: func(tip gitsource.TipView) (gitsource.Plan, error) {
			if done, err := exists(tip, path, data); err != nil || done {
				return gitsource.Plan{}, err
			}
			return gitsource.Plan{
				Message:  message(e),
				Trailers: l.trailers(e),
				Edits:    []gitsource.Edit{gitsource.SetFile{Path: path, Content: data}},
			}, nil
		},
	})
	switch {
	case errors.Is(err, gitsource.ErrNothingToDo):
		return nil
	case errors.Is(err, gitsource.ErrRefused), errors.Is(err, gitsource.ErrBadPlan), errors.Is(err, gitsource.ErrBadMessage):
		return fmt.Errorf("append evidence: %w: %w", reconciler.ErrRefused, err)
	case err != nil:
		return fmt.Errorf("append evidence: %w", err)
	}
	return nil
}

// dated is when the thing happened, unless the clock was ahead then.
func dated(at, now time.Time) time.Time {
	if at.IsZero() || at.After(now) {
		return now
	}
	return at
}

// exists reports whether the record is there. Anything else in its place was
// not written by Sluice, and is neither believed nor overwritten.
func exists(tip gitsource.TipView, path string, data []byte) (bool, error) {
	if tip.SHA == "" {
		return false, nil
	}
	there, err := tip.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case errors.Is(err, fs.ErrInvalid), errors.Is(err, gitsource.ErrNotRegular), errors.Is(err, gitsource.ErrFileTooLarge):
		return false, fmt.Errorf("%w: %w", gitsource.ErrBadPlan, err)
	case err != nil:
		return false, err
	}
	if !same(there, data) {
		return false, fmt.Errorf("%w: %s is there and says something else", gitsource.ErrBadPlan, path)
	}
	return true, nil
}

// same compares records but for the version that wrote them: a daemon may be
// upgraded between an append and its repetition.
func same(a, b []byte) bool {
	var x, y map[string]any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return false
	}
	delete(x, "sluiceVersion")
	delete(y, "sluiceVersion")
	return reflect.DeepEqual(x, y)
}

func message(e release.Evidence) string {
	subject := e.Outcome
	if e.Candidate != nil && e.Candidate.Revision.Version != "" {
		subject = e.Candidate.Revision.Version + " " + subject
	}
	if e.Backfill != nil {
		subject = "backfill of hotfix " + e.Backfill.Name() + " " + subject
	}
	return strings.TrimSpace(fmt.Sprintf("%s: %s\n\n%s", e.Release, subject, e.Reason))
}

// trailers are for people and for searching the log.
func (l *Ledger) trailers(e release.Evidence) []gitsource.Trailer {
	out := []gitsource.Trailer{{Key: "Release", Value: e.Release}}
	if e.Candidate != nil {
		for _, a := range e.Candidate.Revision.Artifacts {
			out = append(out, gitsource.Trailer{Key: "Artifact-Digest", Value: a.Digest})
		}
	}
	if e.Backfill != nil {
		out = append(out, gitsource.Trailer{Key: "Exception", Value: strings.TrimSpace(e.Backfill.Class + " " + e.Backfill.Incident)})
	}
	if e.Hold != nil {
		out = append(out, gitsource.Trailer{Key: "Rollback-Id", Value: e.Hold.ID})
	}
	return append(out, gitsource.Trailer{Key: "Sluice-Version", Value: l.Version})
}
