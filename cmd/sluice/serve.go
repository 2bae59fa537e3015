package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/sluice-cd/sluice/analysis/prometheus"
	"github.com/sluice-cd/sluice/gitsource"
	"github.com/sluice-cd/sluice/reconciler"
	"github.com/sluice-cd/sluice/reconciler/audit"
	"github.com/sluice-cd/sluice/reconciler/cluster"
	"github.com/sluice-cd/sluice/reconciler/environments"
	"github.com/sluice-cd/sluice/reconciler/meter"
	"github.com/sluice-cd/sluice/reconciler/render"
	"github.com/sluice-cd/sluice/reconciler/restore"
	"github.com/sluice-cd/sluice/schemas"
)

type serveFlags struct {
	config  string
	genesis string
	observe bool
	json    bool
}

func newServeCommand() *cobra.Command {
	var flags serveFlags
	command := &cobra.Command{
		Use:   "serve",
		Short: "Follow the environments repository and release what it asks for",
		Example: `  sluice serve --config sluice-daemon.yaml --genesis $(git rev-parse origin/main)   # the first start
  sluice serve --config sluice-daemon.yaml
  sluice serve --config sluice-daemon.yaml --observe --genesis $(git rev-parse origin/main)`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
			if flags.json {
				log = slog.New(slog.NewJSONHandler(cmd.ErrOrStderr(), nil))
			}
			return serve(cmd.Context(), flags, log)
		},
	}
	command.Flags().StringVar(&flags.config, "config", "sluice-daemon.yaml", "the daemon's configuration")
	command.Flags().StringVar(&flags.genesis, "genesis", "", "commit to begin with: the first start's baseline, or the tip to accept after the history was rewritten")
	command.Flags().BoolVar(&flags.observe, "observe", false, "evaluate and report, write nothing anywhere")
	command.Flags().BoolVar(&flags.json, "json", false, "log in JSON")
	return command
}

func readConfig(file string) (schemas.Daemon, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return schemas.Daemon{}, fmt.Errorf("read configuration: %w", err)
	}
	return schemas.DecodeDaemon(file, data)
}

// serve wires everything by hand, from what knows least to the loop.
func serve(ctx context.Context, flags serveFlags, log *slog.Logger) error {
	cfg, err := readConfig(flags.config)
	if err != nil {
		return err
	}
	hub, api, err := newForge(cfg.Forge, log)
	if err != nil {
		return err
	}
	mirror, err := openMirror(ctx, cfg, hub, log)
	if err != nil {
		return err
	}
	defer mirror.Close()
	history, _ := hub.(environments.History) // not every forge has one
	repository := environments.New(environments.Config{
		Mirror: mirror, Forge: hub, History: history, Name: cfg.Forge.Repository, Branch: cfg.Repository.Branch,
	})
	writer, err := newWriter(mirror, api, cfg, log)
	if err != nil {
		return err
	}
	sources, err := newSources(cfg.Metrics)
	if err != nil {
		return err
	}
	pool, err := newRenderPool()
	if err != nil {
		return err
	}
	defer func() { _ = pool.Close() }()
	waker := &waker{}
	kube, err := newCluster(cfg.Cluster, waker, log)
	if err != nil {
		return err
	}
	loop := reconciler.New(reconciler.Config{
		Store: kube, Source: repository, Releases: repository, Facts: repository,
		Renderer: pool, Cluster: kube, Meter: meter.New(sources),
		Committer: &restore.Committer{Writer: writer, Inputs: repository, Trees: mirror, Branch: cfg.Repository.Branch, Proposer: hub, Version: version()},
		Ledger:    &audit.Ledger{Writer: writer, Version: version()},
		Announcer: hub,
		Genesis:   flags.genesis, Environments: cfg.Environments, Observe: flags.observe, Poll: cfg.Poll.Std(), Log: log,
	})
	waker.to(loop.Wake)
	health, err := newHealthServer(cfg.Listen, loop, log)
	if err != nil {
		return err
	}
	return runAll(ctx, kube.Run, loop.Run, health.Run)
}

// runAll runs until the first error or the end of the context, which is none.
func runAll(ctx context.Context, runs ...func(context.Context) error) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, run := range runs {
		group.Go(func() error { return run(ctx) })
	}
	if err := group.Wait(); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

func openMirror(ctx context.Context, cfg schemas.Daemon, hub forgeDriver, log *slog.Logger) (*gitsource.Mirror, error) {
	r := cfg.Repository
	auth := gitsource.Auth{TokenFile: r.TokenFile, SSHKeyFile: r.SSHKeyFile, KnownHostsFile: r.KnownHostsFile}
	app, isApp := hub.(gitAuthenticator)
	switch own := r.TokenFile != "" || r.SSHKeyFile != ""; {
	case own || !strings.HasPrefix(r.URL, "http"):
	case isApp && cfg.Forge.AppID != 0:
		auth.Token = app.Token
	default:
		auth.TokenFile = cfg.Forge.TokenFile
	}
	return gitsource.Open(ctx, gitsource.Config{
		URL: r.URL, Branch: r.Branch, Dir: filepath.Join(cfg.DataDir, "mirror"), CAFile: r.CAFile, Auth: auth, Log: log,
	})
}

func newWriter(mirror *gitsource.Mirror, pusher gitsource.Pusher, cfg schemas.Daemon, log *slog.Logger) (*gitsource.Writer, error) {
	by := cfg.Commits
	config := gitsource.WriterConfig{Identity: gitsource.Identity{Name: by.Name, Email: by.Email}, Log: log}
	if cfg.CommitsViaAPI() {
		config.Pusher = pusher
	}
	if by.SigningKeyFile != "" {
		signer, err := gitsource.NewSSHSigner(by.SigningKeyFile)
		if err != nil {
			return nil, err
		}
		config.Signer = signer
	}
	return gitsource.NewWriter(mirror, config), nil
}

func newSources(cfg []schemas.DaemonMetrics) (map[string]meter.Source, error) {
	sources := make(map[string]meter.Source, len(cfg))
	for _, m := range cfg {
		counters, err := prometheus.New(prometheus.Config{URL: m.URL, TokenFile: m.TokenFile, CAFile: m.CAFile})
		if err != nil {
			return nil, fmt.Errorf("metrics source %s: %w", m.Name, err)
		}
		sources[m.Name] = meter.Source{Counters: counters, Scrape: m.Scrape.Std(), Lag: m.Lag.Std()}
	}
	return sources, nil
}

// newRenderPool starts this very binary again for each build process.
func newRenderPool() (*render.Pool, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find own binary: %w", err)
	}
	return render.NewPool([]string{self, renderWorker}, min(runtime.NumCPU(), 4)), nil
}

func newCluster(cfg schemas.DaemonCluster, w *waker, log *slog.Logger) (*cluster.Cluster, error) {
	config, err := restConfig(cfg)
	if err != nil {
		return nil, err
	}
	return cluster.New(cluster.Config{REST: config, Namespace: cfg.Namespace, Namespaces: cfg.Namespaces, BreakGlass: cfg.BreakGlass, Log: log, Wake: w.wake})
}

// restConfig is the cluster that the daemon runs in, or the one it is told.
func restConfig(cfg schemas.DaemonCluster) (*rest.Config, error) {
	if cfg.KubeconfigFile != "" || cfg.Context != "" {
		return clientConfig(cfg)
	}
	config, err := rest.InClusterConfig()
	if err != nil {
		return nil, fmt.Errorf("connect to Kubernetes: not running in a cluster and cluster.kubeconfigFile is not set: %w", err)
	}
	return config, nil
}

// clientConfig finds a cluster as kubectl does.
func clientConfig(cfg schemas.DaemonCluster) (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = cfg.KubeconfigFile
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules,
		&clientcmd.ConfigOverrides{CurrentContext: cfg.Context}).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig: %w", err)
	}
	return config, nil
}
