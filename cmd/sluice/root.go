package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/sluice-cd/sluice/reconciler/render"
)

// Exit codes, the same for every command.
const (
	exitOK      = 0
	exitFailed  = 1 // denied, invalid or failed
	exitUsage   = 2 // wrong usage or configuration
	exitPending = 8 // not decided yet
)

// A codedError ends the program with its code. Its text was printed already
// when it is empty.
type codedError struct {
	code int
	err  error
}

func (e codedError) Error() string { return e.err.Error() }
func (e codedError) Unwrap() error { return e.err }

// errDenied ends a command with exit code 1 after the answer was printed, which
// is no.
var errDenied = errors.New("denied")

func exitCode(err error, stderr io.Writer) int {
	var coded codedError
	switch {
	case err == nil, errors.Is(err, context.Canceled):
		return exitOK
	case errors.Is(err, errInvalid), errors.Is(err, errDenied):
		return exitFailed
	case errors.Is(err, errPending):
		return exitPending
	case errors.As(err, &coded):
		fmt.Fprintln(stderr, "error:", err)
		return coded.code
	}
	fmt.Fprintln(stderr, "error:", err)
	return exitUsage
}

func newRootCommand(stdin io.Reader) *cobra.Command {
	root := &cobra.Command{
		Use:   "sluice",
		Short: "Prove promotions, roll them out step by step, and roll back in git",
		Long: `Sluice follows an environments repository. A merged pull request that moves a
digest to the next environment is proven on its merge commit, rolled out step by
step under a statistical judge, and rolled back in git when it is bad.`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(newServeCommand(), newStatusCommand(), newExplainCommand(), newPolicyCommand(), newPromoteCommand(), newRollbackCommand(),
		newHoldCommand(), newLiftCommand(), newPauseCommand(), newResumeCommand(), newValidateCommand(), newVersionCommand(), newWorkerCommand(stdin))
	return root
}

// renderWorker is the hidden command under which serve starts its own binary to
// build manifests in a process that can be limited and killed.
const renderWorker = "render-worker"

func newWorkerCommand(stdin io.Reader) *cobra.Command {
	return &cobra.Command{
		Use:    renderWorker,
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return render.Worker(cmd.Context(), stdin, cmd.OutOrStdout())
		},
	}
}
