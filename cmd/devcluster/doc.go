// Command devcluster runs a local Kubernetes for demo, tests and benches: the real
// etcd, API server and controllers, simulated nodes, pods and gateway, and a
// Prometheus engine. It needs neither root nor a container runtime nor a network
// other than loopback, and runs on Linux and macOS.
//
//	devcluster up  [flags]                    stays in the foreground
//	devcluster run [flags] -- command args…   runs the command beside a cluster
//
// It has a module of its own, and shares no code with the rest of the repository:
// whoever starts it uses the command line and the ready file.
//
// # Start and end
//
// A data directory that exists already is kept at the end and can be used again:
// objects survive, ports, tokens and certificates are new. Any other is removed.
//
// When everything answers, devcluster writes the ready file in one step and prints
// one line. The file is JSON (type facts): paths of kubeconfigs, URLs, the targets
// directory and process ids. Ports are free ones on 127.0.0.1, chosen at each start.
//
// up ends with SIGINT, SIGTERM or SIGHUP, and with -until-stdin-closes also when
// standard input reaches its end. That is the way to start it from a program that
// may be killed: give it a pipe. The exit code is 0; it is 1 when the cluster did
// not get ready or a component died, and then the end of that component's log is
// printed. run passes a signal on to its command and exits with the command's code
// (128 and the signal's number when it was killed); the command finds the ready
// file in the environment variable SLUICE_DEVCLUSTER.
//
// Every component is a process of its own, this binary started again: several of
// them set up logging and signals for the whole process, and a test must be able to
// kill one alone. Each holds the read end of a pipe whose other end only devcluster
// has, and exits when it closes; so even a devcluster that is killed leaves no
// process behind. It then leaves its data directory, and run's command.
//
// # Nodes and pods
//
// There is no scheduler and no kubelet. Pods are bound in turn to nodes that their
// node selector, affinity and tolerations allow, get an address from 10.244.0.0/16
// and are reported as the annotation devcluster.sluice.dev/behaviour says. It is
// read at each event, so a change on a running pod takes effect at once; seconds
// count from the start of the pod and may have a fraction.
//
//	ready               running and ready (the default)
//	ready-after=30      running, ready after 30 s
//	never-ready         running, not ready
//	unready-after=30    ready for 30 s, then running and not ready
//	crash-loop          CrashLoopBackOff; restarts after 1, 2, 4, 8, 10, 10 … s
//	crash-after=30      ready for 30 s, then as crash-loop
//	image-pull          pending with ImagePullBackOff
//	config-error        pending with CreateContainerConfigError
//	unschedulable       never bound, PodScheduled is False
//	succeed             phase Succeeded (the default for the pods of a Job)
//	succeed-after=30    ready for 30 s, then Succeeded
//	fail                phase Failed, exit code 1; as crash-loop unless restartPolicy is Never
//	fail-after=30       ready for 30 s, then as fail
//
// All containers of a pod act as one. Any other value makes the pod Failed with the
// reason InvalidBehaviour. A pod that is deleted goes at once, or with the
// annotation devcluster.sluice.dev/stop-after=5 five seconds later, but never later
// than its grace period. Probes, resources, volumes, logs and exec do not exist.
//
// # Gateway
//
// The Gateway API CRDs (standard channel) are installed, with a GatewayClass
// devcluster and a Gateway default/devcluster. Every GatewayClass and Gateway is
// accepted and programmed. A route's parent is Accepted if it exists, and
// ResolvedRefs if all backends are Services that exist, have the port and may be
// referred to, with the reasons of the Gateway API otherwise, at the current
// observedGeneration. Nothing carries traffic.
//
// # Prometheus
//
// The component prometheus scrapes the targets of all *.json files (file_sd format)
// in the targets directory and serves GET and POST /api/v1/query and
// /api/v1/query_range as a Prometheus server does, without the parameter
// stats, and GET /-/ready. Files are noticed when they change; write them elsewhere
// and rename them into place. Labels of the exposition win over those of the target
// (honor_labels); a target without a job label has the job devcluster. Series that
// vanish, and those of targets that vanish, get staleness markers.
//
// # Users
//
// Tokens are new at each start. admin is in system:masters; sluice and alice are in
// no group and can do what RBAC objects allow them.
package main
