package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/reconciler"
	"github.com/sluice-cd/sluice/reconciler/cluster"
	"github.com/sluice-cd/sluice/reconciler/environments"
	"github.com/sluice-cd/sluice/reconciler/gate"
	"github.com/sluice-cd/sluice/reconciler/release"
	"github.com/sluice-cd/sluice/reconciler/render"
	"github.com/sluice-cd/sluice/schemas"
)

// pullFlags are those that only a pull request is explained with.
type pullFlags struct {
	hubFlags
	at  string
	ifs []string
}

func (f *pullFlags) add(command *cobra.Command) {
	f.hubFlags.add(command)
	command.Flags().StringVar(&f.at, "at", "", "instant to judge a pull request at, such as 2026-12-24T10:00:00Z (default: now)")
	command.Flags().StringArrayVar(&f.ifs, "if", nil, "suppose approve=LOGIN[,LOGIN] or check=NAME[,NAME]; may be repeated")
}

// parsePull takes 17, #17 and the address of a pull request, which also says of
// which repository.
func parsePull(s string) (number int, repository string, ok bool) {
	text := strings.TrimPrefix(s, "#")
	if u, err := url.Parse(s); err == nil && u.Host != "" {
		parts := strings.Split(strings.Trim(u.Path, "/"), "/")
		if len(parts) < 4 || parts[2] != "pull" && parts[2] != "pulls" {
			return 0, "", false
		}
		repository, text = parts[0]+"/"+parts[1], parts[3]
	}
	number, err := strconv.Atoi(text)
	return number, repository, err == nil && number > 0
}

// An inspection is everything that a pull request is judged with.
type inspection struct {
	loop       *reconciler.Reconciler
	repository *environments.Repository
	supposed   *supposition
	policy     string // commit
	notes      []string
}

func (f *pullFlags) explain(cmd *cobra.Command, records recordFlags, number int, repository string) error {
	at := time.Now().UTC()
	if f.at != "" {
		var err error
		if at, err = time.Parse(time.RFC3339, f.at); err != nil {
			return fmt.Errorf("--at %s: write an instant such as 2026-12-24T10:00:00+01:00", f.at)
		}
	}
	given, err := parseIfs(f.ifs)
	if err != nil {
		return err
	}
	if f.repository == "" && f.config == "" {
		f.repository = repository
	}
	log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelError}))
	h, err := f.open(cmd.Context(), log)
	if err != nil {
		return err
	}
	defer h.close()
	if repository != "" && !strings.EqualFold(repository, h.cfg.Forge.Repository) {
		return fmt.Errorf("the pull request is of %s, and the configuration names %s", repository, h.cfg.Forge.Repository)
	}
	i, err := h.inspect(cmd.Context(), records.cluster, at, log)
	if err != nil {
		return codedError{exitFailed, err}
	}
	answer, err := i.answer(cmd.Context(), h, number, given, at)
	if err != nil {
		return codedError{exitFailed, err}
	}
	return answer.print(cmd.OutOrStdout(), records.output)
}

// inspect prepares a loop that decides nothing and writes nowhere.
func (h *hub) inspect(ctx context.Context, where schemas.DaemonCluster, at time.Time, log *slog.Logger) (*inspection, error) {
	tip, err := h.mirror.Tip(ctx)
	if err != nil {
		return nil, err
	}
	i := &inspection{supposed: &supposition{Forge: h.driver, own: h.cfg.Forge.Repository, at: at}}
	i.repository = environments.New(environments.Config{
		Mirror: h.mirror, Forge: i.supposed, Name: h.cfg.Forge.Repository, Branch: h.cfg.Repository.Branch,
	})
	store, err := recordsOf(ctx, h.cfg.Cluster, where)
	config := reconciler.Config{
		Source: i.repository, Releases: i.repository, Facts: i.repository, Renderer: inProcess{}, Store: store, Observe: true, Log: log,
	}
	if err != nil {
		i.notes = append(i.notes, fmt.Sprintf("the policy is that of %.12s, the newest commit: what is in force is in the daemon's records", tip))
		config.Store, config.Genesis = unread{err}, tip
	}
	i.loop = reconciler.New(config)
	if err := i.loop.Recover(ctx); err != nil {
		return nil, err
	}
	i.policy = i.loop.Policy()
	return i, nil
}

// recordsTimeout is for a cluster that does not answer.
const recordsTimeout = 10 * time.Second

// recordsOf is the store of a daemon. It is an error where none has ever run: no
// record would then look like one that says no.
func recordsOf(ctx context.Context, configured, flags schemas.DaemonCluster) (reconciler.Store, error) {
	if flags.KubeconfigFile == "" && flags.Context == "" && configured.KubeconfigFile != "" {
		flags = configured
	}
	config, err := clientConfig(flags)
	if err != nil {
		return nil, err
	}
	config.Timeout = recordsTimeout
	kube, err := cluster.New(cluster.Config{REST: config, Namespace: flags.Namespace, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, recordsTimeout)
	defer cancel()
	_, _, err = kube.Load(ctx, "repository")
	if errors.Is(err, release.ErrNotFound) {
		return nil, fmt.Errorf("no daemon keeps records in namespace %s of this cluster", flags.Namespace)
	}
	return kube, err
}

// unread is a store of which only that is known.
type unread struct{ why error }

// Load finds no repository, so that the caller's own baseline is taken, and
// cannot tell about releases.
func (u unread) Load(_ context.Context, name string) ([]byte, string, error) {
	if !strings.Contains(name, ".") {
		return nil, "", release.ErrNotFound
	}
	return nil, "", fmt.Errorf("the daemon's records were not read: %w", u.why)
}

// Save is never called under a Scratch.
func (u unread) Save(context.Context, string, []byte, string) (string, error) { return "", u.why }

// inProcess renders here: whoever asks about a pull request does so once.
type inProcess struct{}

// renderTimeout is generous for one release.
const renderTimeout = time.Minute

// Build implements reconciler.Renderer.
func (inProcess) Build(ctx context.Context, in render.Input) (render.Output, error) {
	ctx, cancel := context.WithTimeout(ctx, renderTimeout)
	defer cancel()
	return render.Build(ctx, in)
}

// A pullAnswer is what is printed.
type pullAnswer struct {
	Number   int                     `json:"number"`
	Title    string                  `json:"title"`
	URL      string                  `json:"url"`
	At       time.Time               `json:"at"`
	Policy   string                  `json:"policy"`
	Verdict  gate.Verdict            `json:"verdict"`
	Releases []reconciler.Evaluation `json:"releases"`
	Notes    []string                `json:"notes,omitempty"`
}

func (i *inspection) answer(ctx context.Context, h *hub, number int, given ifs, at time.Time) (pullAnswer, error) {
	rules, err := i.repository.Rules(i.policy)
	if err != nil {
		return pullAnswer{}, err
	}
	proposal, err := i.repository.Proposal(ctx, rules, number)
	if errors.Is(err, environments.ErrNotOpen) {
		return pullAnswer{}, fmt.Errorf("%w; what was merged is explained by its release: sluice explain <environment>/<service>", err)
	}
	if err != nil {
		return pullAnswer{}, err
	}
	i.supposed.pull = proposal.PullRequest
	if i.supposed.approvals, err = given.people(ctx, h.driver); err != nil {
		return pullAnswer{}, err
	}
	if i.supposed.checks, err = given.named(rules.Policy); err != nil {
		return pullAnswer{}, err
	}
	releases, err := i.loop.Inspect(ctx, proposal, at)
	if err != nil {
		return pullAnswer{}, err
	}
	return newPullAnswer(proposal.PullRequest, releases, i.policy, i.notes, at), nil
}

func newPullAnswer(pr forge.PullRequest, releases []reconciler.Evaluation, policy string, notes []string, at time.Time) pullAnswer {
	a := pullAnswer{Number: pr.Number, Title: pr.Title, URL: pr.URL, At: at, Policy: policy, Verdict: gate.Pass, Releases: releases, Notes: notes}
	for _, e := range releases {
		if e.Summary.Verdict == gate.Fail || a.Verdict == gate.Pass {
			a.Verdict = e.Summary.Verdict
		}
	}
	if len(releases) == 0 {
		a.Notes = append(a.Notes, "it changes no release after the first environment, so nothing is asked about it")
	}
	return a
}

func (a pullAnswer) print(w io.Writer, output string) error {
	if output == "json" {
		if err := printJSON(w, "PullRequestExplanation", map[string]any{"item": a}); err != nil {
			return err
		}
		return a.code()
	}
	fmt.Fprintf(w, "#%d %s\n%s\n", a.Number, oneLine(a.Title), a.URL)
	notes := a.Notes
	for _, e := range a.Releases {
		fmt.Fprintf(w, "\n%s: %s\n", e.Release, e.Summary.Title)
		if err := printGates(w, e.Gates); err != nil {
			return err
		}
		notes = append(notes, e.Notes...)
	}
	if len(notes) > 0 {
		fmt.Fprintln(w)
	}
	for _, note := range notes {
		fmt.Fprintln(w, "note:", oneLine(note))
	}
	return a.code()
}

// printGates writes a table of the verdicts, with what to do below those that do
// not pass.
func printGates(w io.Writer, gates []gate.Result) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, g := range gates {
		fmt.Fprintf(table, "  %s %s\t%s\t%s\n", icon(g.Verdict), g.Verdict, g.Gate, g.Reason)
		if g.Verdict == gate.Pass {
			continue
		}
		if g.Unblocks != "" {
			fmt.Fprintf(table, "  \t\t→ %s\n", g.Unblocks)
		}
		if !g.NextCheck.IsZero() {
			fmt.Fprintf(table, "  \t\t→ time alone can change it at %s\n", g.NextCheck.Format(time.RFC3339))
		}
	}
	return table.Flush()
}

func icon(v gate.Verdict) string {
	switch v {
	case gate.Pass:
		return "✓"
	case gate.Fail:
		return "✗"
	case gate.Wait:
	}
	return "…"
}

// oneLine keeps what somebody else wrote from moving the cursor.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if !strconv.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, ""))
}

// code is the exit code of an answer that was printed.
func (a pullAnswer) code() error {
	switch a.Verdict {
	case gate.Pass:
		return nil
	case gate.Fail:
		return errDenied
	case gate.Wait:
	}
	return errPending
}
