package restore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/sluice-cd/sluice/gitsource"
	"github.com/sluice-cd/sluice/reconciler"
	"github.com/sluice-cd/sluice/reconciler/environments"
	"github.com/sluice-cd/sluice/reconciler/release"
	"github.com/sluice-cd/sluice/schemas"
)

// Writer commits to a branch; see gitsource.Writer.
type Writer interface {
	Write(ctx context.Context, p gitsource.Proposal) (sha string, err error)
}

// Inputs says what a commit asks for of a release.
type Inputs interface {
	Rules(commit string) (environments.Rules, error)
	Inputs(rules environments.Rules, key release.Key, commit string) (string, error)
}

// A Committer writes to the followed branch.
type Committer struct {
	Writer Writer
	Inputs Inputs
	Branch string
	// Version of Sluice, for the trailers.
	Version string
}

// Commit implements reconciler.Committer.
func (c *Committer) Commit(ctx context.Context, key release.Key, commit release.Commit) (string, error) {
	sha, err := c.Writer.Write(ctx, gitsource.Proposal{
		Branch: c.Branch,
		Time:   time.Now(),
		Decide: func(tip gitsource.TipView) (gitsource.Plan, error) { return c.decide(key, commit, tip) },
	})
	switch {
	case errors.Is(err, gitsource.ErrNothingToDo):
		return "", nil
	case errors.Is(err, gitsource.ErrRefused), errors.Is(err, gitsource.ErrBadPlan), errors.Is(err, gitsource.ErrBadMessage):
		return "", fmt.Errorf("%w: %w", reconciler.ErrRefused, err)
	}
	return sha, err
}

// decide plans the commit for one tip.
func (c *Committer) decide(key release.Key, commit release.Commit, tip gitsource.TipView) (gitsource.Plan, error) {
	var edits []gitsource.Edit
	wanted, err := c.wanted(key, commit, tip)
	if err != nil {
		return gitsource.Plan{}, err
	}
	if wanted == commit.Bad.Revision.Inputs {
		edits = append(edits, gitsource.RestoreDir{Dir: key.String(), Commit: commit.Good, Except: []string{"control.yaml"}})
	}
	if commit.Hold != nil {
		hold, err := holdEdits(key, *commit.Hold, tip)
		if err != nil {
			return gitsource.Plan{}, err
		}
		edits = append(edits, hold...)
	}
	return gitsource.Plan{Message: message(key, commit, wanted), Trailers: c.trailers(key, commit), Edits: edits}, nil
}

// wanted is what the tip asks for, under the policy the promotion was judged by.
func (c *Committer) wanted(key release.Key, commit release.Commit, tip gitsource.TipView) (string, error) {
	policy := commit.Bad.Promotion.Policy
	if policy == "" {
		policy = commit.Bad.Promotion.Commit
	}
	rules, err := c.Inputs.Rules(policy)
	if err != nil {
		return "", err
	}
	return c.Inputs.Inputs(rules, key, tip.SHA)
}

// holdEdits adds the hold to the control file: one entry for each digest, or
// one for the revision where the digests are also stable's.
func holdEdits(key release.Key, hold release.Hold, tip gitsource.TipView) ([]gitsource.Edit, error) {
	path := environments.ControlPath(key)
	data, err := tip.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	before := string(data)
	for _, h := range entries(hold) {
		if data, err = schemas.AddHold(path, data, h); err != nil {
			return nil, fmt.Errorf("%w: write the hold: %w", gitsource.ErrBadPlan, err)
		}
	}
	if string(data) == before {
		return nil, nil
	}
	return []gitsource.Edit{gitsource.SetFile{Path: path, Content: data}}, nil
}

func entries(hold release.Hold) []schemas.Hold {
	entry := schemas.Hold{
		Revision: hold.Inputs, Reason: hold.Reason, By: "sluice", At: schemas.Time{Time: hold.At.Truncate(time.Second)}, Rollback: hold.ID,
	}
	if len(hold.Digests) == 0 {
		return []schemas.Hold{entry}
	}
	entry.Digest = hold.Digests[0]
	out := []schemas.Hold{entry}
	for i, digest := range hold.Digests[1:] {
		entry.Digest, entry.Rollback = digest, fmt.Sprintf("%s-%d", hold.ID, i+2)
		out = append(out, entry)
	}
	return out
}
