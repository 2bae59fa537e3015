package main

import (
	"fmt"
	"io"
	"os"
)

const usage = `usage: devcluster up  [flags]
       devcluster run [flags] -- command [args…]

up   starts the cluster and stays in the foreground.
run  starts the cluster, runs the command with SLUICE_DEVCLUSTER set to the ready
     file, ends the cluster and exits with the command's exit code.

`

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(stderr, usage)
		return 2
	}
	if component, ok := components()[args[0]]; ok {
		return runComponent(component, args[1:], stderr)
	}
	switch args[0] {
	case "up":
		return up(args[1:], stdin, stdout, stderr)
	case "run":
		return runCommand(args[1:], stdin, stdout, stderr)
	case "help", "-h", "--help":
		fmt.Fprint(stdout, usage)
		return 0
	default:
		fmt.Fprintf(stderr, "devcluster: unknown command %q\n%s", args[0], usage)
		return 2
	}
}
