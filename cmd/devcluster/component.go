package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"
)

// Names of the components: the subcommand of the child, its key in the ready
// file's pids and the base name of its log.
const (
	etcdName              = "etcd"
	apiServerName         = "kube-apiserver"
	controllerManagerName = "kube-controller-manager"
	nodesName             = "nodes"
	gatewayName           = "gateway"
	prometheusName        = "prometheus"
)

// File descriptors that every component inherits, in the order of
// exec.Cmd.ExtraFiles.
const (
	lifeFD     = 3 // read end of a pipe that the parent never writes: EOF means it is gone
	readyFD    = 4 // write end of a pipe: one line when the component serves
	listenerFD = 5 // a bound TCP socket, for components that serve a port
)

// A component serves until ctx ends. It calls ready once, with what the parent
// needs to know (an address, or nothing).
type component func(ctx context.Context, args []string, ready func(string)) error

func components() map[string]component {
	return map[string]component{
		etcdName:              runEtcd,
		apiServerName:         runAPIServer,
		controllerManagerName: runControllerManager,
		nodesName:             runNodes,
		gatewayName:           runGateway,
		prometheusName:        runPrometheus,
	}
}

func runComponent(serve component, args []string, stderr io.Writer) int {
	dieWithParent(os.NewFile(lifeFD, "life"))
	readyPipe := os.NewFile(readyFD, "ready")
	ready := func(line string) {
		w := bufio.NewWriter(readyPipe)
		fmt.Fprintln(w, line)
		_ = w.Flush() // a parent that no longer reads is a parent that is gone
		_ = readyPipe.Close()
	}
	ctx, stop := signalContext()
	defer stop()
	if err := serve(ctx, args, ready); err != nil {
		fmt.Fprintf(stderr, "devcluster: %v\n", err)
		return 1
	}
	return 0
}

// signalContext ends with SIGTERM and with SIGINT.
func signalContext() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
}

// dieWithParent ends this process when the parent's end of the pipe closes,
// which the operating system does even for a parent that was killed. Unlike
// PR_SET_PDEATHSIG it works on every Unix and does not depend on threads.
func dieWithParent(life io.Reader) {
	go func() {
		_, _ = io.Copy(io.Discard, life)
		os.Exit(1)
	}()
}

// inheritedListener is the socket the parent bound. The parent binds it so that
// the port is known before the child starts and nobody can take it in between.
func inheritedListener() (net.Listener, error) {
	f := os.NewFile(listenerFD, "listener")
	defer func() { _ = f.Close() }() // net duplicates it
	l, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("open inherited listener: %w", err)
	}
	return l, nil
}
