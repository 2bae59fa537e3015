package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sluice-cd/sluice/reconciler/request"
	"github.com/sluice-cd/sluice/schemas"
)

func newPromoteCommand() *cobra.Command {
	var flags requestFlags
	var p request.Promotion
	command := &cobra.Command{
		Use:   "promote <service>",
		Short: "Open a pull request that moves a service on to the next environment",
		Long: `Open a pull request that makes an environment ask for the artifact and the base
that the environment before it asks for. Only those fields of release.yaml
change; every other byte stays.

Asking again finds the same pull request. Nothing is asked of the daemon: what
the gates say is shown on the pull request.

Exit code 0: there is a pull request, 1: it makes no sense now, 2: wrong usage.`,
		Example: `  sluice promote checkout --to production --repository acme/environments --token-file token
  sluice promote checkout --to production --dry-run
  sluice promote checkout --to production --class hotfix --incident INC-2093`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			p.Service = args[0]
			if err := checkPromotion(p); err != nil {
				return err
			}
			return flags.file(cmd, func(ctx context.Context, _ *hub, clerk *request.Clerk) (request.Filed, error) {
				return clerk.Promote(ctx, p, flags.dry)
			})
		},
	}
	flags.add(command)
	command.Flags().StringVar(&p.To, "to", "", "environment to promote to")
	command.Flags().StringVar(&p.From, "from", "", "environment to promote from (default: the one before)")
	command.Flags().StringVar(&p.Class, "class", schemas.ChangeStandard, "standard, breaking, security or hotfix")
	command.Flags().StringVar(&p.Incident, "incident", "", "incident that a hotfix is for, such as INC-2093")
	return command
}

func checkPromotion(p request.Promotion) error {
	switch {
	case !schemas.IsServiceName(p.Service):
		return fmt.Errorf("%q is not a service's name", p.Service)
	case p.To == "":
		return errors.New("say where to: --to <environment>")
	case p.Class == schemas.ChangeHotfix && p.Incident == "":
		return errors.New("a hotfix names its incident: --incident INC-2093")
	case p.Class != schemas.ChangeHotfix && p.Incident != "":
		return errors.New("--incident is for --class hotfix")
	}
	switch p.Class {
	case schemas.ChangeStandard, schemas.ChangeBreaking, schemas.ChangeSecurity, schemas.ChangeHotfix:
		return nil
	}
	return fmt.Errorf("class %q: write standard, breaking, security or hotfix", p.Class)
}
