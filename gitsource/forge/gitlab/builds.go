package gitlab

import (
	"context"
	"fmt"
	"time"

	"github.com/sluice-cd/sluice/gitsource/forge"
)

// Home is the address at which people find a project, and by which statements
// about a build name it.
func (c *Client) Home(fullName string) string { return c.base.JoinPath(fullName).String() }

// Attestations is never answered: what GitLab keeps of them is not read.
func (c *Client) Attestations(_ context.Context, fullName, digest string) ([]forge.Attestation, error) {
	return nil, fmt.Errorf("list attestations of %s in %s: %w", digest, fullName, forge.ErrNoRecord)
}

// Analyses is never answered: what GitLab finds in code is not read.
func (c *Client) Analyses(_ context.Context, branch forge.BranchState, _ string) ([]forge.Analysis, error) {
	return nil, fmt.Errorf("list code scanning analyses of %s: %w", branch.Repository, forge.ErrNoRecord)
}

// Alerts is never answered: what GitLab finds in code is not read.
func (c *Client) Alerts(_ context.Context, branch forge.BranchState, _ time.Time) ([]forge.Alert, error) {
	return nil, fmt.Errorf("list code scanning alerts of %s: %w", branch.Repository, forge.ErrNoRecord)
}
