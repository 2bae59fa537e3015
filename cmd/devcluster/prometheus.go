package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery"
	"github.com/prometheus/prometheus/discovery/file"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/scrape"
	"github.com/prometheus/prometheus/tsdb"
)

const (
	// jobName is the job of a target whose file gives none.
	jobName = "devcluster"
	// lookback, querySamples and queryTimeout are a Prometheus server's defaults.
	lookback     = 5 * time.Minute
	querySamples = 50_000_000
	queryTimeout = 2 * time.Minute
	// discoveryDelay is how long changed target files are gathered before they are
	// applied. Prometheus waits 5 s for each of two steps.
	discoveryDelay = 100 * time.Millisecond
)

// runPrometheus is Prometheus's own storage, scraper, file discovery and query
// engine, without its web interface, rules and remote storage. args are the
// storage directory, the targets directory and the scrape interval.
func runPrometheus(ctx context.Context, args []string, ready func(string)) error {
	if len(args) != 3 {
		return errors.New("prometheus: three arguments, storage, targets and interval, are required")
	}
	interval, err := time.ParseDuration(args[2])
	if err != nil {
		return fmt.Errorf("read scrape interval: %w", err)
	}
	listener, err := inheritedListener()
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	registry := prometheus.NewRegistry()
	db, err := tsdb.Open(args[0], log, registry, tsdb.DefaultOptions(), nil)
	if err != nil {
		return fmt.Errorf("open storage: %w", err)
	}
	defer func() { _ = db.Close() }() // what was not written survives in its log
	stopScraping, err := startScraping(ctx, db, args[1], interval, registry, log)
	if err != nil {
		return err
	}
	defer stopScraping()
	promQL := parser.NewParser(parser.Options{})
	engine := promql.NewEngine(promql.EngineOpts{
		Logger: log, Reg: registry, Parser: promQL,
		MaxSamples: querySamples, Timeout: queryTimeout, LookbackDelta: lookback,
		EnableAtModifier: true, EnableNegativeOffset: true,
		// Prometheus: a subquery without a step uses the global evaluation interval.
		NoStepSubqueryIntervalFn: func(int64) int64 { return interval.Milliseconds() },
	})
	defer func() { _ = engine.Close() }()

	server := &http.Server{Handler: queryAPI(engine, db), ReadHeaderTimeout: queryTimeout}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	ready("")
	select {
	case err := <-failed:
		return fmt.Errorf("serve queries: %w", err)
	case <-ctx.Done():
		return server.Close()
	}
}

// startScraping scrapes all targets of the files in dir until the returned
// function is called, which waits for the last sample.
func startScraping(ctx context.Context, db *tsdb.DB, dir string, interval time.Duration, registry *prometheus.Registry, log *slog.Logger) (func(), error) {
	ctx, cancel := context.WithCancel(ctx)
	metrics, err := discovery.CreateAndRegisterSDMetrics(registry)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("register discovery metrics: %w", err)
	}
	finder := discovery.NewManager(ctx, log, registry, metrics, discovery.Updatert(discoveryDelay))
	options := &scrape.Options{DiscoveryReloadInterval: model.Duration(discoveryDelay), DiscoveryReloadOnStartup: true}
	scraper, err := scrape.NewManager(options, log, nil, nil, db, registry)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("make scraper: %w", err)
	}
	files := &file.SDConfig{
		Files: []string{filepath.Join(dir, "*.json")},
		// Changes are seen at once; this is for file systems that do not tell.
		RefreshInterval: model.Duration(interval),
	}
	loaded, err := scrapeConfig(interval, log)
	if err == nil {
		err = scraper.ApplyConfig(loaded)
	}
	if err == nil {
		err = finder.ApplyConfig(map[string]discovery.Configs{jobName: {files}})
	}
	if err != nil {
		cancel()
		return nil, fmt.Errorf("apply scrape configuration: %w", err)
	}
	done := make(chan struct{})
	go func() { _ = finder.Run() }() // ends with ctx and says only so
	go func() {
		defer close(done)
		if err := scraper.Run(finder.SyncCh()); err != nil {
			log.Error("scrape targets", "err", err)
		}
	}()
	return func() {
		scraper.Stop()
		<-done
		cancel()
	}, nil
}

// scrapeConfig is Prometheus's default with honor_labels: what a target says about
// itself wins over its file. It goes through YAML because the scraper refuses a
// configuration that was not loaded from it.
func scrapeConfig(interval time.Duration, log *slog.Logger) (*config.Config, error) {
	text := fmt.Sprintf(`
scrape_configs:
- job_name: %s
  honor_labels: true
  scrape_interval: %[2]s
  scrape_timeout: %[2]s
  fallback_scrape_protocol: PrometheusText0.0.4
`, jobName, model.Duration(interval))
	loaded, err := config.Load(text, log)
	if err != nil {
		return nil, fmt.Errorf("make scrape configuration: %w", err)
	}
	return loaded, nil
}
