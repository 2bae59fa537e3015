package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluice-cd/sluice/reconciler"
	"github.com/sluice-cd/sluice/reconciler/cluster"
	"github.com/sluice-cd/sluice/reconciler/intake"
	"github.com/sluice-cd/sluice/reconciler/release"
	"github.com/sluice-cd/sluice/schemas"
)

// errPending ends a command with exit code 8: there is an answer, and it is
// "not yet".
var errPending = errors.New("not decided yet")

// recordFlags say where the daemon keeps its records.
type recordFlags struct {
	cluster schemas.DaemonCluster
	output  string
}

func (f *recordFlags) add(command *cobra.Command) {
	flags := command.Flags()
	flags.StringVar(&f.cluster.KubeconfigFile, "kubeconfig", "", "kubeconfig file (default: as kubectl finds it)")
	flags.StringVar(&f.cluster.Context, "context", "", "context of the kubeconfig")
	flags.StringVarP(&f.cluster.Namespace, "namespace", "n", "sluice", "namespace of the daemon's records")
	flags.StringVarP(&f.output, "output", "o", "table", "table or json")
}

func (f *recordFlags) check() error {
	if f.output != "table" && f.output != "json" {
		return fmt.Errorf("output %q is neither table nor json", f.output)
	}
	return nil
}

// records are what the daemon keeps: the releases by name, and how far it has
// read the environments repository.
type records struct {
	releases []release.Record
	reading  intake.Repository
}

func (f *recordFlags) records(ctx context.Context) (records, error) {
	var out records
	config, err := clientConfig(f.cluster)
	if err != nil {
		return out, err
	}
	kube, err := cluster.New(cluster.Config{REST: config, Namespace: f.cluster.Namespace, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return out, err
	}
	documents, err := kube.List(ctx)
	if err != nil {
		return out, fmt.Errorf("read the daemon's records in namespace %s: %w", f.cluster.Namespace, err)
	}
	return decodeRecords(documents)
}

// decodeRecords leaves out what is no record, such as what the daemon notes for
// pull requests.
func decodeRecords(documents []cluster.Document) (out records, err error) {
	for _, d := range documents {
		if d.Name == reconciler.RepositoryDocument {
			if out.reading, err = intake.Decode(d.Data); err != nil {
				return out, err
			}
		}
		if !strings.Contains(d.Name, ".") {
			continue // of no release
		}
		r, err := release.Decode(d.Data)
		if err != nil {
			return out, err
		}
		out.releases = append(out.releases, r)
	}
	slices.SortFunc(out.releases, func(a, b release.Record) int { return strings.Compare(a.Key.String(), b.Key.String()) })
	return out, nil
}

func newStatusCommand() *cobra.Command {
	var flags recordFlags
	command := &cobra.Command{
		Use:   "status",
		Short: "Show every release: what runs, what is wanted, and why it is not moving",
		Example: `  sluice status
  sluice status -o json | jq '.items[] | select(.phase != "stable")'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := flags.check(); err != nil {
				return err
			}
			found, err := flags.records(cmd.Context())
			if err != nil {
				return codedError{exitFailed, err}
			}
			return printStatus(cmd.OutOrStdout(), flags.output, found, time.Now().UTC())
		},
	}
	flags.add(command)
	return command
}

func printStatus(w io.Writer, output string, found records, now time.Time) error {
	items := make([]release.Explanation, len(found.releases))
	for i, r := range found.releases {
		items[i] = release.Explain(r, now)
	}
	if output == "json" {
		return printJSON(w, "StatusList", map[string]any{"items": items, "repository": readingOf(found.reading)})
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "RELEASE\tPHASE\tSTABLE\tCANDIDATE\tSINCE\tWHY")
	for i, r := range found.releases {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", r.Key, r.Phase,
			shortVersion(r.Stable), candidateVersion(r), age(now.Sub(r.Since)), cut(items[i].Title))
	}
	for _, item := range items {
		for _, b := range item.Backfills {
			fmt.Fprintf(table, "\n%s: %s\n", item.Release, b)
		}
	}
	for _, trouble := range found.reading.Troubles() {
		fmt.Fprintf(table, "\n%s\n", readUpTo(found.reading, trouble))
	}
	return table.Flush()
}

// A reading is how far the environments repository was read, as JSON says it.
type reading struct {
	Commit   string   `json:"commit"` // the last one that was read
	Policy   string   `json:"policy"` // the one whose policy is in force
	Troubles []string `json:"troubles,omitempty"`
}

func readingOf(r intake.Repository) reading {
	return reading{Commit: r.Mark, Policy: r.Policy, Troubles: r.Troubles()}
}

func readUpTo(r intake.Repository, trouble string) string {
	return fmt.Sprintf("The branch was read up to %.12s; %s", r.Mark, trouble)
}

// whyWidth keeps a line of the table readable; explain says everything.
const whyWidth = 90

func cut(s string) string {
	runes := []rune(s)
	if len(runes) <= whyWidth {
		return s
	}
	return string(runes[:whyWidth-1]) + "…"
}

func candidateVersion(r release.Record) string {
	if r.Candidate == nil {
		return "-"
	}
	return shortVersion(&r.Candidate.Revision)
}

func shortVersion(r *release.Revision) string {
	switch {
	case r == nil:
		return "-"
	case r.Version != "":
		return r.Version
	}
	return r.ID
}

// age is a duration as people say it.
func age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

// printJSON writes an object with apiVersion and kind beside its own fields.
func printJSON(w io.Writer, kind string, fields map[string]any) error {
	fields["apiVersion"], fields["kind"] = schemas.APIVersion, kind
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(fields)
}
