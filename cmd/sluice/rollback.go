package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluice-cd/sluice/gitsource"
	"github.com/sluice-cd/sluice/reconciler/audit"
	"github.com/sluice-cd/sluice/reconciler/release"
	"github.com/sluice-cd/sluice/reconciler/request"
)

func newRollbackCommand() *cobra.Command {
	var to string
	command := asking("rollback", "Open a pull request that goes back to what was stable before",
		`Make a release's directory what it was when something else was stable there within
the last 30 days, byte for byte but for control.yaml. What was stable is read from
the evidence on the audit branch. Without --to it is what was stable last.

A rollout that goes wrong needs none of this: Sluice rolls it back by itself.`,
		`  sluice rollback production/checkout
  sluice rollback production/checkout --to 1.41.0
  sluice rollback production/checkout --to 4be1d0c --dry-run`,
		func(ctx context.Context, key release.Key, h *hub, clerk *request.Clerk, dry bool) (request.Filed, error) {
			evidence, err := h.evidence(ctx)
			if err != nil {
				return request.Filed{}, err
			}
			return clerk.Return(ctx, request.Return{Key: key, To: to, Evidence: evidence, Now: time.Now()}, dry)
		})
	command.Flags().StringVar(&to, "to", "", "version, commit or revision to go back to")
	return command
}

// evidence is the tip of the audit branch, "" where there is none.
func (h *hub) evidence(ctx context.Context) (string, error) {
	tips, err := h.mirror.Fetch(ctx, "refs/heads/"+audit.Branch)
	switch {
	case errors.Is(err, gitsource.ErrNoBranch):
		return "", nil
	case err != nil:
		return "", err
	}
	return tips[0], nil
}
