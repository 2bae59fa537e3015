package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// options of up and run.
type options struct {
	data              string
	readyFile         string
	scrapeInterval    time.Duration
	nodes             int
	untilStdinCloses  bool
	acceptsStdinClose bool
}

// parseOptions returns the options and the arguments after them.
func parseOptions(o options, name string, args []string, stderr io.Writer) (options, []string, error) {
	flags := flag.NewFlagSet("devcluster "+name, flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.data, "data", "", "data `directory`; kept if it exists already, otherwise removed at the end (default: a temporary one)")
	flags.StringVar(&o.readyFile, "ready-file", "", "`file` to write when everything answers (default: ready.json in the data directory)")
	flags.DurationVar(&o.scrapeInterval, "scrape-interval", time.Second, "how often metrics targets are scraped")
	flags.IntVar(&o.nodes, "nodes", 3, "number of simulated nodes")
	if o.acceptsStdinClose {
		flags.BoolVar(&o.untilStdinCloses, "until-stdin-closes", false, "end when standard input reaches its end, as it does when the parent dies")
	}
	if err := flags.Parse(args); err != nil {
		return o, nil, err
	}
	if o.nodes < 1 || o.nodes > maxNodes {
		return o, nil, fmt.Errorf("-nodes must be between 1 and %d", maxNodes)
	}
	if o.scrapeInterval < time.Millisecond {
		return o, nil, errors.New("-scrape-interval must be at least 1ms")
	}
	if o.readyFile != "" {
		path, err := filepath.Abs(o.readyFile)
		if err != nil {
			return o, nil, fmt.Errorf("resolve -ready-file: %w", err)
		}
		o.readyFile = path
	}
	return o, flags.Args(), nil
}

// usageCode is the exit code for arguments that flag.Parse refused.
func usageCode(err error, stderr io.Writer) int {
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	fmt.Fprintf(stderr, "devcluster: %v\n", err)
	return 2
}

// errAsked is the cause of a context that ended because somebody wanted it to.
var errAsked = errors.New("asked to end")

// signalled is such a cause that names the signal.
type signalled struct{ os.Signal }

func (s signalled) Error() string   { return "received " + s.String() }
func (s signalled) Is(e error) bool { return e == errAsked }

// untilSignal ends with the first SIGINT, SIGTERM or SIGHUP, the cause being
// signalled. A second one has its default effect: it ends this process at once,
// and the children with it.
func untilSignal(parent context.Context) (context.Context, context.CancelCauseFunc) {
	ctx, cancel := context.WithCancelCause(parent)
	received := make(chan os.Signal, 1)
	signal.Notify(received, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		defer signal.Stop(received)
		select {
		case s := <-received:
			cancel(signalled{s})
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

func up(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	o, rest, err := parseOptions(options{acceptsStdinClose: true}, "up", args, stderr)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("unexpected argument %q", rest[0])
	}
	if err != nil {
		return usageCode(err, stderr)
	}
	ctx, cancel := untilSignal(context.Background())
	defer cancel(nil)
	if o.untilStdinCloses {
		go func() {
			_, _ = io.Copy(io.Discard, stdin)
			cancel(errAsked)
		}()
	}
	started := time.Now()
	err = withCluster(ctx, o, func(ctx context.Context, f facts) error {
		fmt.Fprintf(stdout, "devcluster ready in %.1f s: KUBECONFIG=%s prometheus=%s\n",
			time.Since(started).Seconds(), f.Kubeconfig, f.Prometheus)
		<-ctx.Done()
		return context.Cause(ctx)
	})
	if err != nil && !errors.Is(err, errAsked) {
		fmt.Fprintf(stderr, "devcluster: %v\n", err)
		return 1
	}
	return 0
}
