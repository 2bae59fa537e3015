package reconciler_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/reconciler"
	"github.com/sluice-cd/sluice/reconciler/intake"
)

// A stubborn source does not listen to its context.
type stubborn struct {
	reconciler.Source
	held <-chan struct{}
}

func (s stubborn) Poll(ctx context.Context, record intake.Repository, now time.Time) (intake.Repository, error) {
	<-s.held
	return s.Source.Poll(ctx, record, now)
}

func TestRoundThatNeverEndsIsStuckAndOneThatWorksIsNot(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := alone(t)
		w.many(1)
		held := make(chan struct{})
		stop := w.run(t, func(c *reconciler.Config) { c.Source = stubborn{c.Source, held} })
		time.Sleep(time.Minute)
		assert.True(t, w.daemon.Started())
		assert.Empty(t, w.daemon.Stuck(time.Now()), "it may be slow")
		assert.Empty(t, w.daemon.Unready(time.Now()), "the baseline was read a minute ago")

		time.Sleep(10 * time.Minute)
		assert.Contains(t, w.daemon.Stuck(time.Now()), "reading the branch has been at work since")

		assert.Contains(t, w.daemon.Unready(time.Now()), "has not been read to its end since")

		close(held)
		time.Sleep(w.daemon.Poll + time.Second)
		assert.Empty(t, w.daemon.Stuck(time.Now()))
		assert.Empty(t, w.daemon.Unready(time.Now()))
		require.NoError(t, stop())
	})
}

func TestNothingIsReadyBeforeTheStart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := alone(t)
		daemon := w.start()
		assert.False(t, daemon.Started())
		assert.Empty(t, daemon.Stuck(time.Now()))
		assert.NotEmpty(t, daemon.Unready(time.Now()))
	})
}
