// Command demo plays the life of two promotions against a local Kubernetes, a
// forge and the real sluice: one that is good and one that is rolled back. It
// ends with 0 only when every step happened as it says.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// options are the command line.
type options struct {
	bin      string // directory of the built binaries
	examples string
	stay     bool
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	opts, err := parse(args, stderr)
	if err != nil {
		return 2
	}
	if err := play(ctx, opts, newNarrator(stdout)); err != nil {
		fmt.Fprintln(stderr, "\nThe demo did not go as promised:", err)
		return 1
	}
	return 0
}

func parse(args []string, stderr io.Writer) (options, error) {
	var opts options
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&opts.bin, "bin", "bin", "directory with the binaries sluice and devcluster")
	flags.StringVar(&opts.examples, "examples", "examples", "the examples directory")
	flags.BoolVar(&opts.stay, "stay", isTerminal(os.Stdout), "stay up at the end until Ctrl-C (default: on a terminal)")
	return opts, flags.Parse(args)
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// play sets the scene, tells the story and puts everything away again.
func play(ctx context.Context, opts options, say *narrator) (err error) {
	dir, err := os.MkdirTemp("", "sluice-demo-")
	if err != nil {
		return err
	}
	w, err := setUp(ctx, opts, dir, say)
	if err == nil {
		err = w.story(ctx)
	}
	if err != nil {
		w.explainFailure()
		return fmt.Errorf("%w\n(logs are kept in %s)", err, filepath.Join(dir, "logs"))
	}
	if opts.stay {
		w.stay(ctx)
	}
	w.tearDown()
	return os.RemoveAll(dir)
}
