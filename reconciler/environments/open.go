package environments

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/sluice-cd/sluice/gitsource/forge"
)

// ErrNotOpen says that no such pull request is open against the branch.
var ErrNotOpen = errors.New("no such pull request is open")

// Proposal reads one open pull request; ErrNotOpen where there is none.
func (r *Repository) Proposal(ctx context.Context, rules Rules, number int) (Proposal, error) {
	open, err := r.forge.OpenPullRequests(ctx, r.branch)
	if err != nil {
		return Proposal{}, err
	}
	i := slices.IndexFunc(open, func(pr forge.PullRequest) bool { return pr.Number == number })
	if i < 0 {
		return Proposal{}, fmt.Errorf("read #%d: %w against %s of %s", number, ErrNotOpen, r.branch, r.name)
	}
	return r.proposal(ctx, rules, open[i])
}
