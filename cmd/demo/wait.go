package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Waiting in the story: how often to look, and when to give up. The machine may
// be busy, so the limit is many times what a step takes.
const (
	lookEvery = 100 * time.Millisecond
	patience  = 3 * time.Minute
)

// errBroken is wrapped by what must never be seen: waiting on would not help.
var errBroken = errors.New("that must not happen")

// until looks again and again until done says so. state is what it saw last, for
// the error when it does not come to that.
func until(ctx context.Context, what string, look func(context.Context) (done bool, state string, err error)) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	state := "nothing was seen"
	for {
		done, seen, err := look(ctx)
		if done {
			return nil
		}
		if errors.Is(err, errBroken) {
			return fmt.Errorf("waited for %s: %w", what, err)
		}
		if seen != "" {
			state = seen
		}
		if err != nil {
			state = err.Error()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited for %s; last seen: %s", what, state)
		case <-time.After(lookEvery):
		}
	}
}
