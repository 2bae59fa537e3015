package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/sluice-cd/sluice/reconciler/catalog"
	"github.com/sluice-cd/sluice/schemas"
)

// errInvalid ends the command with exit code 1 after everything was printed.
var errInvalid = errors.New("the repository is not valid")

func newValidateCommand() *cobra.Command {
	var output string
	command := &cobra.Command{
		Use:   "validate [directory]",
		Short: "Check an environments repository: files, references, rendered manifests",
		Long: `Check the files of an environments repository, what they say about each other,
and what each release renders to: images pinned by digest, probes, routes.

A release with a base is rendered with services/ as of that commit. Outside of a
git repository the files beside it are taken instead, and a note says so.

Every problem is one line on standard output, file:line:column: problem; remedy.
Exit code 0: valid (there may be warnings), 1: not valid, 2: could not check.`,
		Example: `  sluice validate .
  sluice validate environments -o json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if output != "text" && output != "json" {
				return fmt.Errorf("output %q is neither text nor json", output)
			}
			dir := "."
			if len(args) == 1 {
				dir = args[0]
			}
			result, err := validate(cmd.Context(), dir)
			if err != nil {
				return err
			}
			if err := result.print(cmd.OutOrStdout(), cmd.ErrOrStderr(), output); err != nil {
				return err
			}
			if len(result.Problems.Errors()) > 0 {
				return errInvalid
			}
			return nil
		},
	}
	command.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	return command
}

// validation is what one run found.
type validation struct {
	APIVersion string           `json:"apiVersion"`
	Kind       string           `json:"kind"`
	Releases   int              `json:"releases"` // that were read without a problem of their own file
	Problems   catalog.Problems `json:"problems"`
	Notes      []string         `json:"notes,omitempty"`
}

func validate(ctx context.Context, dir string) (validation, error) {
	if info, err := os.Stat(dir); err != nil {
		return validation{}, fmt.Errorf("read repository: %w", err)
	} else if !info.IsDir() {
		return validation{}, fmt.Errorf("read repository: %s is not a directory", dir)
	}
	tree := os.DirFS(dir)
	found, problems := catalog.Load(tree)
	bases, notes, err := openBases(ctx, dir, found)
	if err != nil {
		return validation{}, err
	}
	defer bases.close()
	rendered, err := renderAll(ctx, tree, found, problems, bases.files)
	if err != nil {
		return validation{}, err
	}
	problems = append(append(problems, rendered...), checkMetrics(found)...)
	problems.Sort()
	return validation{
		APIVersion: schemas.APIVersion, Kind: "Validation",
		Releases: len(found.Releases), Problems: problems, Notes: notes,
	}, nil
}

func (v validation) print(stdout, stderr io.Writer, output string) error {
	if output == "json" {
		encoder := json.NewEncoder(stdout)
		encoder.SetIndent("", "  ")
		if v.Problems == nil {
			v.Problems = catalog.Problems{}
		}
		return encoder.Encode(v)
	}
	for _, p := range v.Problems {
		if _, err := fmt.Fprintln(stdout, p); err != nil {
			return err
		}
	}
	for _, note := range v.Notes {
		fmt.Fprintln(stderr, "note:", note)
	}
	failed := len(v.Problems.Errors())
	warned := len(v.Problems) - failed
	_, err := fmt.Fprintf(stderr, "%s, %s, %s\n", count(v.Releases, "release"), count(failed, "problem"), count(warned, "warning"))
	return err
}

func count(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return strconv.Itoa(n) + " " + noun
}

// baseFiles returns the files of a base commit, or nil for those of the working tree.
type baseFiles func(commit string) (fs.FS, error)
