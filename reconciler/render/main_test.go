package render_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/sluice-cd/sluice/reconciler/render"
)

// TestMain lets this binary be its own worker, and a few bad ones.
func TestMain(m *testing.M) {
	if len(os.Args) < 2 {
		os.Exit(m.Run())
	}
	switch os.Args[1] {
	case "worker":
		if err := render.Worker(context.Background(), os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	case "hangs": // greets, then never answers
		_, _ = os.Stdout.Write([]byte{0, 0, 0, 2, '{', '}'})
		_, _ = io.Copy(io.Discard, os.Stdin)
		select {}
	case "dies":
		fmt.Fprintln(os.Stderr, "no such luck")
		os.Exit(7)
	case "threadless": // what the C library's threads say under a limit of memory
		_, _ = os.Stdout.Write([]byte{0, 0, 0, 2, '{', '}'})
		fmt.Fprintln(os.Stderr, "runtime/cgo: pthread_create failed: Resource temporarily unavailable")
		os.Exit(2)
	case "babbles":
		fmt.Println("hello")
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}
	os.Exit(m.Run())
}
