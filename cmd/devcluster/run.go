package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// readyFileVariable tells the command of run where the ready file is.
const readyFileVariable = "SLUICE_DEVCLUSTER"

// commandGrace is how long the command may take to end after a component died.
const commandGrace = 10 * time.Second

// runCommand is the subcommand run.
func runCommand(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	o, command, err := parseOptions(options{}, "run", args, stderr)
	if err == nil && len(command) == 0 {
		err = errors.New("run: a command is required")
	}
	if err != nil {
		return usageCode(err, stderr)
	}
	ctx, cancel := untilSignal(context.Background())
	defer cancel(nil)
	err = withCluster(ctx, o, func(ctx context.Context, f facts) error {
		cmd := exec.Command(command[0], command[1:]...)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdout, stderr
		cmd.Env = append(os.Environ(), readyFileVariable+"="+f.readyFile)
		return supervise(ctx, cmd)
	})
	if code, ok := commandCode(err); ok {
		return code
	}
	fmt.Fprintf(stderr, "devcluster: %v\n", err)
	return 1
}

// supervise runs cmd to its end. A signal that ends ctx is passed on; the death of
// a component ends the command, because all it could do is fail.
func supervise(ctx context.Context, cmd *exec.Cmd) error {
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start command: %w", err)
	}
	var result error // of the command, once ended is closed
	ended := make(chan struct{})
	go func() {
		result = cmd.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return result
	case <-ctx.Done():
	}
	var s signalled
	if errors.As(context.Cause(ctx), &s) {
		_ = cmd.Process.Signal(s.Signal)
		<-ended
		return result
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-ended:
	case <-time.After(commandGrace):
		_ = cmd.Process.Kill()
		<-ended
	}
	return context.Cause(ctx)
}

// commandCode is the exit code of a command that ran to its end, as a shell gives
// it: 128 and the signal's number for one that was killed.
func commandCode(err error) (code int, ran bool) {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0, true
	case !errors.As(err, &exit):
		return 0, false
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal()), true
	}
	return exit.ExitCode(), true
}
