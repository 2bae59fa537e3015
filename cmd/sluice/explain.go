package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluice-cd/sluice/reconciler/intake"
	"github.com/sluice-cd/sluice/reconciler/release"
)

func newExplainCommand() *cobra.Command {
	var flags recordFlags
	command := &cobra.Command{
		Use:   "explain <environment>/<service>",
		Short: "Say why a release is where it is, and what happens next",
		Long: `Say what a release is doing, why, what every gate answered and who can unblock
it, what was measured, and what happens next.

Exit code 0: stable, 8: on its way or waiting, 1: it needs a person.`,
		Example: `  sluice explain production/checkout
  sluice explain production/checkout -o json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			key, err := release.ParseKey(args[0])
			if err != nil {
				return err
			}
			if err := flags.check(); err != nil {
				return err
			}
			found, err := flags.records(cmd.Context())
			if err != nil {
				return codedError{exitFailed, err}
			}
			i := slices.IndexFunc(found.releases, func(r release.Record) bool { return r.Key == key })
			if i < 0 {
				return codedError{exitFailed, fmt.Errorf("explain %s: there is no record of it; `sluice status` lists those there are", key)}
			}
			return explain(cmd, flags.output, found.releases[i], found.reading)
		},
	}
	flags.add(command)
	return command
}

func explain(cmd *cobra.Command, output string, r release.Record, reading intake.Repository) error {
	e := release.Explain(r, time.Now().UTC())
	if output == "json" {
		if err := printJSON(cmd.OutOrStdout(), "Explanation", map[string]any{"item": e, "repository": readingOf(reading)}); err != nil {
			return err
		}
		return answer(r)
	}
	if _, err := fmt.Fprint(cmd.OutOrStdout(), e.Text()); err != nil {
		return err
	}
	for _, trouble := range reading.Troubles() {
		fmt.Fprintf(cmd.OutOrStdout(), "\n%s\n", readUpTo(reading, trouble))
	}
	return answer(r)
}

// answer is the exit code of an explanation.
func answer(r release.Record) error {
	switch r.Phase {
	case release.Stable, release.Removed:
		return nil
	case release.Frozen:
		return codedError{exitFailed, fmt.Errorf("%s needs a person: %s", r.Key, r.Reason)}
	case release.Pending, release.Rejected, release.Preparing, release.Progressing, release.Verifying,
		release.Reverting, release.Restoring, release.Removing:
	}
	return errPending
}
