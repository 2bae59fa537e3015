package main

import (
	"sync/atomic"

	"github.com/sluice-cd/sluice/reconciler/release"
)

// A waker carries hints from the cluster to the loop, which is made after it.
type waker struct {
	target atomic.Pointer[func(release.Key)]
}

func (w *waker) to(wake func(release.Key)) { w.target.Store(&wake) }

func (w *waker) wake(key release.Key) {
	if target := w.target.Load(); target != nil {
		(*target)(key)
	}
}
