package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"strings"

	"github.com/pmezard/go-difflib/difflib"
	"github.com/spf13/cobra"

	"github.com/sluice-cd/sluice/gitsource"
	"github.com/sluice-cd/sluice/reconciler/request"
	"github.com/sluice-cd/sluice/schemas"
)

// hubFlags say where the environments repository is, for commands that need no
// daemon.
type hubFlags struct {
	config     string
	repository string
	url        string
	forge      string
	branch     string
	tokenFile  string
}

// defaultConfig is read where nothing else is said.
const defaultConfig = "sluice-daemon.yaml"

func (f *hubFlags) add(command *cobra.Command) {
	flags := command.Flags()
	flags.StringVar(&f.config, "config", "", "the daemon's configuration (default "+defaultConfig+", unless --repository is given)")
	flags.StringVarP(&f.repository, "repository", "R", "", "owner/name of the environments repository")
	flags.StringVar(&f.forge, "forge-url", "", "address of the forge's API (default https://api.github.com)")
	flags.StringVar(&f.url, "url", "", "address to clone from (default: the repository's on the forge)")
	flags.StringVar(&f.branch, "branch", "", "branch that Sluice follows (default main)")
	flags.StringVar(&f.tokenFile, "token-file", "", "file with your token for the forge")
}

// read is the configuration that the flags add up to. What a flag says wins.
func (f *hubFlags) read() (schemas.Daemon, error) {
	var cfg schemas.Daemon
	if f.config != "" || f.repository == "" {
		var err error
		cfg, err = readConfig(cmp.Or(f.config, defaultConfig))
		switch {
		case f.config == "" && errors.Is(err, fs.ErrNotExist):
			return cfg, fmt.Errorf("say where the environments repository is: --repository owner/name with --token-file, or --config with the daemon's configuration")
		case err != nil:
			return cfg, err
		}
	}
	f.over(&cfg)
	if cfg.Forge.TokenFile == "" && cfg.Forge.AppID == 0 {
		return cfg, errors.New("name a file with your token: --token-file")
	}
	if owner, name, ok := strings.Cut(cfg.Forge.Repository, "/"); !ok || owner == "" || name == "" || strings.Contains(name, "/") {
		return cfg, fmt.Errorf("repository %q: write owner/name", cfg.Forge.Repository)
	}
	if cfg.Repository.URL == "" {
		cfg.Repository.URL = webOf(cfg.Forge.URL) + "/" + cfg.Forge.Repository + ".git"
	}
	return cfg, nil
}

func (f *hubFlags) over(cfg *schemas.Daemon) {
	if f.repository != "" && f.repository != cfg.Forge.Repository {
		cfg.Forge.Repository, cfg.Repository.URL = f.repository, ""
	}
	if f.tokenFile != "" {
		cfg.Forge.TokenFile, cfg.Repository.TokenFile = f.tokenFile, ""
		cfg.Forge.AppID, cfg.Forge.InstallationID, cfg.Forge.PrivateKeyFile = 0, 0, ""
	}
	cfg.Forge.URL = cmp.Or(f.forge, cfg.Forge.URL)
	cfg.Repository.URL = cmp.Or(f.url, cfg.Repository.URL)
	cfg.Repository.Branch = cmp.Or(f.branch, cfg.Repository.Branch, "main")
}

// webOf is the address for people of the forge whose API is at this one.
func webOf(api string) string {
	u, err := url.Parse(cmp.Or(api, "https://api.github.com"))
	if err != nil {
		return ""
	}
	if u.Host == "api.github.com" {
		return "https://github.com"
	}
	return strings.TrimSuffix(strings.TrimRight(u.Scheme+"://"+u.Host+u.Path, "/"), "/api/v3")
}

// A hub is the environments repository with its forge, for one command.
type hub struct {
	cfg    schemas.Daemon
	driver forgeDriver
	api    gitsource.Pusher // nil where commits are pushed
	mirror *gitsource.Mirror
	dir    string
}

// open clones into a directory of its own: one process owns a mirror, and the
// daemon's belongs to the daemon.
func (f *hubFlags) open(ctx context.Context, log *slog.Logger) (*hub, error) {
	cfg, err := f.read()
	if err != nil {
		return nil, err
	}
	driver, api, err := newForge(cfg.Forge, log)
	if err != nil {
		return nil, err
	}
	if cfg.DataDir, err = os.MkdirTemp("", "sluice-"); err != nil {
		return nil, err
	}
	mirror, err := openMirror(ctx, cfg, driver, log)
	if err != nil {
		return nil, codedError{exitFailed, errors.Join(err, os.RemoveAll(cfg.DataDir))}
	}
	return &hub{cfg: cfg, driver: driver, api: api, mirror: mirror, dir: cfg.DataDir}, nil
}

func (h *hub) close() {
	h.mirror.Close()
	_ = os.RemoveAll(h.dir)
}

// clerk files requests in the name of whose token it is: the forge makes the
// commits, so that it knows who made them.
func (h *hub) clerk(log *slog.Logger) *request.Clerk {
	config := gitsource.WriterConfig{Log: log}
	if h.api != nil {
		config.Pusher = h.api
	}
	return &request.Clerk{
		Writer: gitsource.NewWriter(h.mirror, config), History: h.mirror, Proposer: h.driver, Branch: h.cfg.Repository.Branch,
		Repository: h.cfg.Forge.Repository, Web: webOf(h.cfg.Forge.URL),
	}
}

// requestFlags are those of every command that asks for a change.
type requestFlags struct {
	hubFlags
	dry    bool
	output string
}

func (f *requestFlags) add(command *cobra.Command) {
	f.hubFlags.add(command)
	command.Flags().BoolVar(&f.dry, "dry-run", false, "show what would be asked for, write nothing")
	command.Flags().StringVarP(&f.output, "output", "o", "text", "text or json")
}

// file files a request and prints what became of it.
func (f *requestFlags) file(cmd *cobra.Command, ask func(ctx context.Context, h *hub, clerk *request.Clerk) (request.Filed, error)) error {
	if f.output != "text" && f.output != "json" {
		return fmt.Errorf("output %q is neither text nor json", f.output)
	}
	log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	h, err := f.open(cmd.Context(), log)
	if err != nil {
		return err
	}
	defer h.close()
	if h.api == nil && !f.dry {
		return fmt.Errorf("this version makes no commits in your name on %s: use --dry-run, hand what it prints to git apply, and open one yourself", h.cfg.Forge.Kind)
	}
	filed, err := ask(cmd.Context(), h, h.clerk(log))
	for _, note := range filed.Notes {
		fmt.Fprintln(cmd.ErrOrStderr(), "note:", note)
	}
	if err != nil {
		return codedError{exitFailed, err}
	}
	return f.print(cmd.OutOrStdout(), cmd.ErrOrStderr(), filed)
}

// print writes what scripts want to standard output: the address of the pull
// request, or with --dry-run the change.
func (f *requestFlags) print(stdout, stderr io.Writer, filed request.Filed) error {
	if f.output == "json" {
		return printJSON(stdout, "Request", map[string]any{"item": filed, "dryRun": f.dry})
	}
	fmt.Fprintln(stderr, filed.Title)
	switch {
	case f.dry:
		return printChange(stdout, filed)
	case filed.PullRequest == nil:
		fmt.Fprintln(stderr, "committed to branch", filed.Branch)
		_, err := fmt.Fprintln(stdout, filed.Commit)
		return err
	}
	fmt.Fprintf(stderr, "pull request #%d from branch %s; Sluice shows on it what its gates say\n", filed.PullRequest.Number, filed.Branch)
	_, err := fmt.Fprintln(stdout, filed.PullRequest.URL)
	return err
}

// printChange writes a diff that git apply would take.
func printChange(w io.Writer, filed request.Filed) error {
	for _, file := range filed.Files {
		d := difflib.UnifiedDiff{
			A: linesOf(file.Before), B: linesOf(file.After), FromFile: "a/" + file.Path, ToFile: "b/" + file.Path, Context: 3,
		}
		if file.Before == nil {
			d.FromFile = "/dev/null"
		}
		if file.After == nil {
			d.ToFile = "/dev/null"
		}
		if err := difflib.WriteUnifiedDiff(w, d); err != nil {
			return err
		}
	}
	return nil
}

func linesOf(data []byte) []string {
	lines := strings.SplitAfter(string(data), "\n")
	if last := len(lines) - 1; lines[last] == "" {
		return lines[:last]
	}
	lines[len(lines)-1] += "\n"
	return lines
}
