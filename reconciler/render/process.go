package render

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"
)

// startTimeout covers the start of a process and its schema (50 ms when the
// machine is idle).
const startTimeout = 30 * time.Second

// process is a running worker. One build at a time uses it.
type process struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    io.ReadCloser
	stderr *head
	memory int64
}

// start runs a worker with an empty environment: it inherits no credentials.
func (p *Pool) start(ctx context.Context) (*process, error) {
	worker := &process{cmd: exec.Command(p.command[0], p.command[1:]...), stderr: &head{}, memory: p.Memory}
	worker.cmd.Env = []string{"PATH="}
	worker.cmd.Stderr = worker.stderr
	var err error
	if worker.in, err = worker.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("%w: open pipe: %w", ErrWorker, err)
	}
	if worker.out, err = worker.cmd.StdoutPipe(); err != nil {
		return nil, fmt.Errorf("%w: open pipe: %w", ErrWorker, err)
	}
	if err := worker.cmd.Start(); err != nil {
		return nil, fmt.Errorf("%w: start: %w", ErrWorker, err)
	}
	if _, err := worker.ask(ctx, hello{Memory: p.Memory, Timeout: p.Timeout}, startTimeout); err != nil {
		return nil, err
	}
	return worker, nil
}

// errTimeout is the cause of a context that ran out by our own limit.
var errTimeout = errors.New("out of time")

// ask sends a request and waits for the answer. On any error the process is
// over.
func (w *process) ask(ctx context.Context, request any, timeout time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, errTimeout)
	defer cancel()
	stop := context.AfterFunc(ctx, w.kill) // ends the pipes, and so the calls below
	data, err := w.exchange(request)
	if stop() && err == nil {
		return data, nil
	}
	w.kill()
	_ = w.cmd.Wait() // how it ended is in ProcessState
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errTimeout):
		return nil, fmt.Errorf("%w: no answer within %s; it was replaced", ErrWorker, timeout)
	case cause != nil:
		return nil, cause
	}
	return nil, fmt.Errorf("%w: %s; it was replaced", ErrWorker, w.reason(err))
}

func (w *process) exchange(request any) ([]byte, error) {
	w.stderr.reset()
	if err := writeFrame(w.in, request); err != nil {
		return nil, err
	}
	return readFrame(w.out)
}

// kill ends the process; that it is over already is no error.
func (w *process) kill() { _ = w.cmd.Process.Kill() }

// reason says in words why a worker is over.
func (w *process) reason(err error) string {
	said := w.stderr.String()
	switch {
	case w.cmd.ProcessState.ExitCode() == exitMemory, outOfMemory(said):
		return fmt.Sprintf("it needed more than %d MiB of memory", w.memory>>20)
	case w.cmd.ProcessState.ExitCode() == exitTime:
		return "it took too long"
	}
	first, _, _ := strings.Cut(said, "\n")
	return oneLine(fmt.Sprintf("%v (%s) %s", err, w.cmd.ProcessState, first))
}

// outOfMemory recognises what a Go program says at its end when it may not have
// more. The stack of a new thread counts, too.
func outOfMemory(said string) bool {
	return slices.ContainsFunc([]string{"out of memory", "allocate", "pthread_create failed", "failed to create new OS thread"},
		func(words string) bool { return strings.Contains(said, words) })
}

// close lets an idle worker end by itself.
func (w *process) close() error {
	if err := errors.Join(w.in.Close(), w.cmd.Wait()); err != nil {
		return fmt.Errorf("end render worker: %w", err)
	}
	return nil
}

// head keeps the first few KiB that a worker writes to its standard error:
// the runtime says there why it gives up, before a long trace.
type head struct {
	// mu guards the following
	mu   sync.Mutex
	kept bytes.Buffer
}

const headSize = 4 << 10

func (h *head) Write(data []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.kept.Write(data[:min(len(data), headSize-min(headSize, h.kept.Len()))])
	return len(data), nil
}

func (h *head) reset() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.kept.Reset()
}

func (h *head) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.kept.String()
}
