package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluice-cd/sluice/reconciler/rehearsal"
	"github.com/sluice-cd/sluice/schemas"
)

func newPolicyCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "policy",
		Short: "Work on a policy before it is in force",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	command.AddCommand(newPolicyTestCommand())
	return command
}

func newPolicyTestCommand() *cobra.Command {
	var output string
	command := &cobra.Command{
		Use:   "test <directory or file>...",
		Short: "Play made-up promotions against a policy and compare what its gates say",
		Long: `Read files of kind PolicyTest, and of directories every *.yaml in them. Each
names a policy, an environment and cases: promotions and what the gates have to
say of them. The gates are the daemon's own.

Exit code 0: every case is as expected, 1: one is not, 2: a file cannot be used.`,
		Example: `  sluice policy test policy-tests/
  sluice policy test policy-tests/production.yaml -o json | jq '.items[] | select(.passed | not)'`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if output != "text" && output != "json" {
				return fmt.Errorf("output %q is neither text nor json", output)
			}
			files, err := testFiles(args)
			if err != nil {
				return err
			}
			var played []playedCase
			for _, file := range files {
				cases, err := play(file)
				if err != nil {
					return err
				}
				played = append(played, cases...)
			}
			return printPlayed(cmd.OutOrStdout(), cmd.ErrOrStderr(), output, played)
		},
	}
	command.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	return command
}

// testFiles lists the files that are named, and those in directories that are.
func testFiles(args []string) ([]string, error) {
	var out []string
	for _, arg := range args {
		info, err := os.Stat(arg)
		if err != nil {
			return nil, fmt.Errorf("read tests: %w", err)
		}
		if !info.IsDir() {
			out = append(out, arg)
			continue
		}
		found, err := filepath.Glob(filepath.Join(arg, "*.yaml"))
		if err != nil || len(found) == 0 {
			return nil, errors.Join(err, fmt.Errorf("read tests: there is no *.yaml in %s", arg))
		}
		slices.Sort(found)
		out = append(out, found...)
	}
	return out, nil
}

// A playedCase is an outcome with where its case is written.
type playedCase struct {
	File string `json:"file"`
	Line int    `json:"line"`
	rehearsal.Outcome
}

func play(file string) ([]playedCase, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read test: %w", err)
	}
	test, err := schemas.DecodePolicyTest(file, data)
	if err != nil {
		return nil, err
	}
	named := filepath.Join(filepath.Dir(file), filepath.FromSlash(test.Policy))
	data, err = os.ReadFile(named)
	if err != nil {
		return nil, fmt.Errorf("%s: read the policy that it names: %w", file, err)
	}
	policy, err := schemas.DecodePolicy(named, data)
	if err != nil {
		return nil, err
	}
	outcomes, err := rehearsal.Play(test, policy)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	out := make([]playedCase, len(outcomes))
	for i, o := range outcomes {
		line, _ := test.Position(i)
		out[i] = playedCase{File: file, Line: line, Outcome: o}
	}
	return out, nil
}

func printPlayed(stdout, stderr io.Writer, output string, played []playedCase) error {
	failed := 0
	for _, p := range played {
		if !p.Passed {
			failed++
		}
	}
	if output == "json" {
		if err := printJSON(stdout, "PolicyTestResult", map[string]any{"items": played}); err != nil {
			return err
		}
	} else if err := printCases(stdout, played); err != nil {
		return err
	}
	fmt.Fprintf(stderr, "%s, %d not as expected\n", count(len(played), "case"), failed)
	if failed > 0 {
		return errDenied
	}
	return nil
}

func printCases(w io.Writer, played []playedCase) error {
	var b strings.Builder
	for i, p := range played {
		if i == 0 || played[i-1].File != p.File {
			fmt.Fprintf(&b, "%s\n", p.File)
		}
		if p.Passed {
			fmt.Fprintf(&b, "  ✓ %s\n", p.Name)
			continue
		}
		fmt.Fprintf(&b, "  ✗ %s (line %d)\n", p.Name, p.Line)
		for _, d := range p.Differences {
			fmt.Fprintf(&b, "      %s\n", d)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
