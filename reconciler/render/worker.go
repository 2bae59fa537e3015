package render

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
	"time"

	"sigs.k8s.io/kustomize/kyaml/openapi"
	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// hello is the first frame that a worker reads.
type hello struct {
	Memory  int64         `json:"memory"`  // bytes that builds may use on top of what the warm worker has
	Timeout time.Duration `json:"timeout"` // of one build
}

// answer is what a worker sends for each job, and once for the hello.
type answer struct {
	Output  *Output  `json:"output,omitempty"`
	Refusal *Refusal `json:"refusal,omitempty"`
	Error   string   `json:"error,omitempty"`
}

// Worker serves builds on two pipes until in ends. It is the whole of its
// process: it takes away the process's network transport and PATH, limits its
// memory, and ends the process when a build exceeds its limits. A program
// calls it, and nothing else, when a Pool has started it for that.
func Worker(ctx context.Context, in io.Reader, out io.Writer) error {
	if err := confine(); err != nil {
		return err
	}
	first, err := readFrame(in)
	if err != nil {
		return fmt.Errorf("read hello: %w", err)
	}
	var limits hello
	if err := json.Unmarshal(first, &limits); err != nil {
		return fmt.Errorf("read hello: %w", err)
	}
	warm()
	if err := limitMemory(limits.Memory); err != nil {
		return err
	}
	w := watch{limits: limits, start: heap()}
	go w.run(ctx)
	if err := writeFrame(out, answer{}); err != nil {
		return err
	}
	return serve(ctx, in, out, &w)
}

func serve(ctx context.Context, in io.Reader, out io.Writer, w *watch) error {
	for ctx.Err() == nil {
		data, err := readFrame(in)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var j job
		if err := json.Unmarshal(data, &j); err != nil {
			return fmt.Errorf("read job: %w", err)
		}
		w.began.Store(time.Now().UnixNano())
		result := reply(j.build(ctx))
		w.began.Store(0)
		if err := writeFrame(out, result); err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}

// reply keeps a refusal typed on its way through the pipe.
func reply(out Output, err error) answer {
	var refusal *Refusal
	switch {
	case errors.As(err, &refusal):
		return answer{Refusal: refusal}
	case err != nil:
		return answer{Error: err.Error()}
	}
	return answer{Output: &out}
}

// confine takes from the process what a build has no use for. The scan of the
// input already refuses everything that would use it.
func confine() error {
	http.DefaultTransport = denied{}
	if err := os.Setenv("PATH", ""); err != nil {
		return fmt.Errorf("clear PATH: %w", err)
	}
	return nil
}

// denied is a transport without a network.
type denied struct{}

func (denied) RoundTrip(r *http.Request) (*http.Response, error) {
	return nil, fmt.Errorf("request %s: a build has no network", r.URL.Host)
}

// warm parses kustomize's copy of the Kubernetes schema, which costs several
// builds' time.
func warm() {
	openapi.SchemaForResourceType(yaml.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"})
}

// watch ends the process when a build takes too much memory or time. The
// kernel's limit does the former sooner where there is one, and the pool the
// latter unless it is dead.
type watch struct {
	limits hello
	start  uint64       // bytes when the worker was warm
	began  atomic.Int64 // when the running build began, in nanoseconds; 0 between builds
}

const (
	// watchInterval lets a build that allocates 1 GB/s overshoot by 20 MB.
	watchInterval = 20 * time.Millisecond
	// exitMemory and exitTime are the worker's exit codes.
	exitMemory, exitTime = 3, 4
)

func (w *watch) run(ctx context.Context) {
	debug.SetMemoryLimit(int64(w.start) + w.limits.Memory*3/4) // collect harder before giving up
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			if heap() > w.start+uint64(w.limits.Memory) {
				os.Exit(exitMemory)
			}
			if began := w.began.Load(); began != 0 && now.UnixNano()-began > 2*int64(w.limits.Timeout) {
				os.Exit(exitTime)
			}
		}
	}
}

// heap is the memory that the Go runtime holds, in bytes.
func heap() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64() - sample[1].Value.Uint64()
}
