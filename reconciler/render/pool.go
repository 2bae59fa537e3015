package render

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Limits of a build in a worker. A usual one takes 20 ms and 20 MiB.
const (
	BuildTimeout = 10 * time.Second
	BuildMemory  = 512 << 20 // bytes
	CacheSize    = 32 << 20  // bytes; an answer has about 10 KiB
)

var (
	// ErrWorker marks failures of a worker process: it died, or exceeded a
	// limit. It has been replaced; the same build may be tried again.
	ErrWorker = errors.New("render worker failed")
	// ErrClosed is the answer of a closed pool.
	ErrClosed = errors.New("render pool is closed")
)

// Pool builds in worker processes, which are started when they are needed and
// kept. It remembers answers by input, refusals included. Change the exported
// fields before the first build only.
type Pool struct {
	Timeout time.Duration // of one build
	Memory  int64         // of one build, in bytes
	Cache   int64         // of kept answers, in bytes

	command []string
	slots   chan *process // one per worker that may run; nil: not started
	builds  atomic.Int64

	// mu guards the following
	mu     sync.Mutex
	cache  *cache
	closed bool
}

// NewPool returns a pool of at most size workers. The command has to call
// Worker with its standard input and output.
func NewPool(command []string, size int) *Pool {
	p := &Pool{
		Timeout: BuildTimeout, Memory: BuildMemory, Cache: CacheSize,
		command: command, slots: make(chan *process, size),
	}
	for range size {
		p.slots <- nil
	}
	return p
}

// Builds counts the builds that workers were asked for: answers from memory
// are not among them.
func (p *Pool) Builds() int64 { return p.builds.Load() }

// Close waits for running builds and ends all workers. It may be called again.
func (p *Pool) Close() error {
	p.mu.Lock()
	closed := p.closed
	p.closed = true
	p.mu.Unlock()
	if closed {
		return nil
	}
	var errs []error
	for range cap(p.slots) {
		if worker := <-p.slots; worker != nil {
			errs = append(errs, worker.close())
		}
	}
	close(p.slots)
	return errors.Join(errs...)
}

// Build is Build in a worker, or from memory when an equal input was built
// before. Two equal inputs at the same time are both built.
func (p *Pool) Build(ctx context.Context, in Input) (Output, error) {
	j, err := newJob(in)
	if err != nil {
		return Output{}, err
	}
	if in.FilesID == "" {
		if j.Files, err = collect(ctx, in.Files, j.Dir, j.Service, j.Limits); err != nil {
			return Output{}, err
		}
	}
	key, err := keyOf(j, in.FilesID)
	if err != nil {
		return Output{}, err
	}
	if data, known := p.remembered(key); known {
		return decode(data)
	}
	if j.Files == nil {
		if j.Files, err = collect(ctx, in.Files, j.Dir, j.Service, j.Limits); err != nil {
			return Output{}, err
		}
	}
	data, err := p.run(ctx, j)
	if err != nil {
		return Output{}, fmt.Errorf("build %s: %w", j.Release, err)
	}
	out, err := decode(data)
	var refusal *Refusal
	if err == nil || errors.As(err, &refusal) {
		p.remember(key, data)
	}
	return out, err
}

func keyOf(j job, filesID string) (string, error) {
	data, err := json.Marshal(struct {
		Job job
		ID  string
	}{j, filesID})
	if err != nil {
		return "", fmt.Errorf("hash input: %w", err)
	}
	sum := sha256.Sum256(data)
	return string(sum[:]), nil
}

func decode(data []byte) (Output, error) {
	var a answer
	if err := json.Unmarshal(data, &a); err != nil {
		return Output{}, fmt.Errorf("%w: read answer: %w", ErrWorker, err)
	}
	switch {
	case a.Refusal != nil:
		return Output{}, a.Refusal
	case a.Error != "":
		return Output{}, errors.New(a.Error)
	case a.Output == nil:
		return Output{}, fmt.Errorf("%w: empty answer", ErrWorker)
	}
	return *a.Output, nil
}

func (p *Pool) remembered(key string) ([]byte, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cache == nil {
		return nil, false
	}
	return p.cache.get(key)
}

func (p *Pool) remember(key string, data []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cache == nil {
		p.cache = newCache(p.Cache)
	}
	p.cache.put(key, data)
}

// run has one worker build j. A worker that fails leaves its slot empty, so
// that the next build starts another.
func (p *Pool) run(ctx context.Context, j job) ([]byte, error) {
	worker, err := p.take(ctx)
	if err != nil {
		return nil, err
	}
	if worker == nil {
		if worker, err = p.start(ctx); err != nil {
			p.slots <- nil
			return nil, err
		}
	}
	p.builds.Add(1)
	data, err := worker.ask(ctx, j, p.Timeout)
	if err != nil {
		p.slots <- nil
		return nil, err
	}
	p.slots <- worker
	return data, nil
}

func (p *Pool) take(ctx context.Context) (*process, error) {
	p.mu.Lock()
	closed := p.closed
	p.mu.Unlock()
	if closed {
		return nil, ErrClosed
	}
	select {
	case worker, open := <-p.slots:
		if !open {
			return nil, ErrClosed
		}
		return worker, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
