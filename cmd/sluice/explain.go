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
	var pull pullFlags
	command := &cobra.Command{
		Use:   "explain <environment>/<service> | <pull request>",
		Short: "Say why a release or a pull request is where it is, and what happens next",
		Long: `Say what a release is doing, why, what every gate answered and who can unblock
it, what was measured, and what happens next.

Of an open pull request, by its number or address, say what every gate answers,
as the daemon would. That needs the repository and a token, and no daemon. What
was stable upstream is in the daemon's records: without a cluster that has them,
it is unknown. --at moves the clock alone: everything else is as it is now. --if
supposes an approval, which counts only where that person's would, or a check's
success.

Exit code 0: stable, or every gate passes; 8: on its way or waiting; 1: it needs
a person.`,
		Example: `  sluice explain production/checkout
  sluice explain production/checkout -o json
  sluice explain 17 --repository acme/environments --token-file token
  sluice explain https://github.com/acme/environments/pull/17 --token-file token
  sluice explain 17 --at 2026-12-24T10:00:00+01:00 --if approve=alice --if check=tests`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := flags.check(); err != nil {
				return err
			}
			if number, repository, ok := parsePull(args[0]); ok {
				return pull.explain(cmd, flags, number, repository)
			}
			return flags.explain(cmd, args[0])
		},
	}
	flags.add(command)
	pull.add(command)
	return command
}

func (f *recordFlags) explain(cmd *cobra.Command, name string) error {
	key, err := release.ParseKey(name)
	if err != nil {
		return err
	}
	found, err := f.records(cmd.Context())
	if err != nil {
		return codedError{exitFailed, err}
	}
	i := slices.IndexFunc(found.releases, func(r release.Record) bool { return r.Key == key })
	if i < 0 {
		return codedError{exitFailed, fmt.Errorf("explain %s: there is no record of it; `sluice status` lists those there are", key)}
	}
	return explain(cmd, f.output, found.releases[i], found.reading)
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
