package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluice-cd/sluice/reconciler/release"
	"github.com/sluice-cd/sluice/reconciler/request"
)

// asking is a command that asks for one change of one release.
func asking(use, short, long, example string, ask func(ctx context.Context, key release.Key, h *hub, clerk *request.Clerk, dry bool) (request.Filed, error)) *cobra.Command {
	var flags requestFlags
	command := &cobra.Command{
		Use: use + " <environment>/<service>", Short: short, Long: long, Example: example,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			key, err := release.ParseKey(args[0])
			if err != nil {
				return err
			}
			return flags.file(cmd, func(ctx context.Context, h *hub, clerk *request.Clerk) (request.Filed, error) {
				return ask(ctx, key, h, clerk, flags.dry)
			})
		},
	}
	flags.add(command)
	return command
}

const stricterHelp = `It makes things stricter, so it is committed to the branch at once; where the
branch takes no pushes, a pull request is opened instead. Prints the commit or
the pull request's address.`

const looserHelp = `It makes things looser, so it is a pull request that needs the approvals of a
standard promotion. Prints its address.`

func newHoldCommand() *cobra.Command {
	var hold request.Hold
	command := asking("hold", "Refuse an artifact or a revision from now on",
		"Put an artifact, or one revision of a release's inputs, on hold: no promotion may\nbring it until the hold is lifted. What runs goes on.\n\n"+stricterHelp,
		"  sluice hold production/checkout --digest sha256:6d1c… --reason \"leaks memory, INC-2093\"\n  sluice hold production/checkout --revision 0a1b2c3d --reason \"wrong replicas\"",
		func(ctx context.Context, key release.Key, h *hub, clerk *request.Clerk, dry bool) (request.Filed, error) {
			hold.At, hold.By = time.Now(), h.login(ctx)
			return clerk.Hold(ctx, key, hold, dry)
		})
	command.Flags().StringVar(&hold.Digest, "digest", "", "artifact, as sha256:…")
	command.Flags().StringVar(&hold.Revision, "revision", "", "revision, as status shows it")
	command.Flags().StringVar(&hold.Reason, "reason", "", "why, in one line")
	command.PreRunE = func(*cobra.Command, []string) error {
		if hold.Digest == "" && hold.Revision == "" {
			return errors.New("say what to hold: --digest sha256:… or --revision …; `sluice pause` stops a release whatever it asks for")
		}
		return reasonGiven(hold.Reason)
	}
	return command
}

func newLiftCommand() *cobra.Command {
	var digest, revision string
	command := asking("lift", "Open a pull request that takes holds out",
		"Take the holds of a release out, or those of one artifact or revision.\n\n"+looserHelp,
		"  sluice lift production/checkout\n  sluice lift production/checkout --digest sha256:6d1c…",
		func(ctx context.Context, key release.Key, _ *hub, clerk *request.Clerk, dry bool) (request.Filed, error) {
			return clerk.Lift(ctx, key, digest, revision, dry)
		})
	command.Flags().StringVar(&digest, "digest", "", "only the holds of this artifact")
	command.Flags().StringVar(&revision, "revision", "", "only the holds of this revision")
	return command
}

func newPauseCommand() *cobra.Command {
	var reason string
	command := asking("pause", "Stop a release from moving forward",
		"Pause a release: no new rollout, and no step forward of a running one. What runs\ngoes on, and a rollback still happens.\n\n"+stricterHelp,
		"  sluice pause production/checkout --reason \"looking into INC-2093\"",
		func(ctx context.Context, key release.Key, _ *hub, clerk *request.Clerk, dry bool) (request.Filed, error) {
			return clerk.Pause(ctx, key, reason, dry)
		})
	command.Flags().StringVar(&reason, "reason", "", "why, in one line")
	command.PreRunE = func(*cobra.Command, []string) error { return reasonGiven(reason) }
	return command
}

func newResumeCommand() *cobra.Command {
	return asking("resume", "Open a pull request that ends a pause", "End the pause of a release.\n\n"+looserHelp,
		"  sluice resume production/checkout",
		func(ctx context.Context, key release.Key, _ *hub, clerk *request.Clerk, dry bool) (request.Filed, error) {
			return clerk.Resume(ctx, key, dry)
		})
}

func reasonGiven(reason string) error {
	if strings.TrimSpace(reason) == "" {
		return errors.New("say why: --reason \"…\"")
	}
	return nil
}

// login is whose token it is, for the record; "" where the forge does not say.
func (h *hub) login(ctx context.Context) string {
	ask, ok := h.driver.(accountant)
	if !ok || h.cfg.Forge.AppID != 0 {
		return ""
	}
	user, err := ask.Account(ctx, "")
	if err != nil {
		return ""
	}
	return user.Login
}
