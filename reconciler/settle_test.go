package reconciler_test

import (
	"context"
	"errors"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/reconciler"
	"github.com/sluice-cd/sluice/reconciler/intake"
	"github.com/sluice-cd/sluice/reconciler/release"
)

const (
	// quiet is how far away the next look has to be for a release to have settled.
	quiet = time.Minute
	// poll is how often the tests' daemons read the branch.
	poll = 30 * time.Second
)

// settle reads the branch and runs passes over a release until nothing is due,
// in the time of the bubble that it is called in.
func (w *world) settle(key release.Key) {
	w.t.Helper()
	w.until(key, func(wake time.Time) bool { return w.read() && time.Until(wake) > quiet })
}

// until is settle with another end.
func (w *world) until(key release.Key, done func(wake time.Time) bool) {
	w.t.Helper()
	var polled time.Time
	for range 5000 {
		wake := time.Now().Add(time.Second)
		if time.Since(polled) >= poll || !w.read() {
			if w.once(func(ctx context.Context) error { return w.daemon.IntakeOnce(ctx) }) == nil {
				polled = time.Now()
			}
		}
		err := w.once(func(ctx context.Context) (err error) {
			wake, err = w.daemon.Once(ctx, key)
			return err
		})
		if err == nil && done(wake) {
			return
		}
		if err != nil {
			wake = time.Now().Add(time.Second)
		}
		time.Sleep(time.Until(wake))
	}
	require.Fail(w.t, "nothing settles", "%s: %+v", key, w.record(key))
}

// once is one look of the daemon, and the next daemon when it crashed.
func (w *world) once(look func(context.Context) error) error {
	ctx, cancel := context.WithCancel(w.t.Context())
	defer cancel()
	w.kill = cancel
	err := look(ctx)
	if w.crashed {
		w.crashed = false
		w.begin()
		return errors.Join(err, errFault)
	}
	return err
}

// read reports that the daemon has read all of the branch.
func (w *world) read() bool {
	doc, ok := w.docs["repository"]
	if !ok {
		return false
	}
	if w.marked != doc.version {
		r, err := intake.Decode(doc.data)
		require.NoError(w.t, err)
		w.mark, w.marked = r.Mark, doc.version
	}
	return w.mark == w.commits[len(w.commits)-1].sha
}

// begin starts a daemon, again and again as whoever supervises it does.
func (w *world) begin(change ...func(*reconciler.Config)) {
	w.t.Helper()
	for range 20 {
		w.daemon = w.start(change...)
		ctx, cancel := context.WithCancel(w.t.Context())
		w.kill = cancel
		err := w.daemon.Recover(ctx)
		cancel()
		w.crashed = false
		if err == nil {
			return
		}
		time.Sleep(time.Second)
	}
	require.Fail(w.t, "it does not start")
}
