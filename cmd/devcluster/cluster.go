package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	// startTimeout is about ten times what a start takes on two busy cores.
	startTimeout = 90 * time.Second
	// readyPoll is how often /readyz is asked; the API server offers no event.
	readyPoll = 50 * time.Millisecond
)

var errNotReady = fmt.Errorf("not ready after %s", startTimeout)

// A cluster is what was started so far. It is owned by one goroutine.
type cluster struct {
	data      dataDir
	options   options
	processes []*process
	// died cancels the context of the whole cluster, with the cause.
	died context.CancelCauseFunc
}

// withCluster starts a cluster, hands its facts to use, and ends everything when
// use returns. The context given to use ends when a component dies; its cause
// then is that death.
func withCluster(ctx context.Context, o options, use func(context.Context, facts) error) (err error) {
	dir, made, err := openDataDir(o.data)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	c := &cluster{data: dir, options: o, died: cancel}
	defer func() { err = errors.Join(err, c.end(made)) }()
	f, err := c.start(ctx)
	if err != nil {
		return err
	}
	return use(ctx, f)
}

// end stops the children, youngest first, and removes what is not asked for.
func (c *cluster) end(made bool) error {
	for i := len(c.processes) - 1; i >= 0; i-- {
		c.processes[i].stop(c.grace(made))
	}
	err := os.Remove(c.readyFile())
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	if !made {
		return err
	}
	return errors.Join(err, os.RemoveAll(string(c.data)))
}

// grace is zero for data that is about to be removed: etcd may as well be killed.
func (c *cluster) grace(made bool) time.Duration {
	if made {
		return 0
	}
	return stopGrace
}

func (c *cluster) readyFile() string {
	if c.options.readyFile != "" {
		return c.options.readyFile
	}
	return c.data.ready()
}

func (c *cluster) start(parent context.Context) (facts, error) {
	ctx, cancel := context.WithTimeoutCause(parent, startTimeout, errNotReady)
	defer cancel()
	// A file of an earlier run would announce a cluster that does not answer yet.
	if err := os.Remove(c.readyFile()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return facts{}, fmt.Errorf("remove old ready file: %w", err)
	}
	if err := writePKI(c.data, time.Now()); err != nil {
		return facts{}, err
	}
	prometheus, prometheusURL, err := c.launchServer(prometheusName, "http", prometheusArgs(c.data, c.options))
	if err != nil {
		return facts{}, err
	}
	server, err := c.startControlPlane(ctx)
	if err != nil {
		return facts{}, err
	}
	if err := c.startSimulators(ctx); err != nil {
		return facts{}, err
	}
	if _, err := c.await(ctx, prometheus); err != nil {
		return facts{}, err
	}
	f := c.facts(server, prometheusURL)
	if err := writeJSON(c.readyFile(), f); err != nil {
		return facts{}, err
	}
	return f, nil
}

// startControlPlane returns the URL of a ready API server.
func (c *cluster) startControlPlane(ctx context.Context) (string, error) {
	etcd, err := c.launch(etcdName, []string{c.data.etcd()}, nil)
	if err != nil {
		return "", err
	}
	listener, server, err := listen("https")
	if err != nil {
		return "", err
	}
	defer func() { _ = listener.Close() }() // the child has its own
	if err := writeUsers(c.data, server); err != nil {
		return "", err
	}
	etcdURL, err := c.await(ctx, etcd)
	if err != nil {
		return "", err
	}
	apiServer, err := c.launch(apiServerName, apiServerArgs(c.data, etcdURL), listener)
	if err != nil {
		return "", err
	}
	if err := awaitReadyz(ctx, server); err != nil {
		return "", stuck(err, apiServer)
	}
	return server, nil
}

// startSimulators starts everything that is a client of the API server, and waits
// until all of it acts.
func (c *cluster) startSimulators(ctx context.Context) error {
	controllerManager, err := c.launch(controllerManagerName, controllerManagerArgs(c.data), nil)
	if err != nil {
		return err
	}
	nodes, err := c.launch(nodesName, nodesArgs(c.data, c.options), nil)
	if err != nil {
		return err
	}
	config, err := adminConfig(c.data.kubeconfig(adminUser))
	if err != nil {
		return err
	}
	if err := installCRDs(ctx, config); err != nil {
		return err
	}
	gateway, err := c.launch(gatewayName, []string{c.data.kubeconfig(adminUser)}, nil)
	if err != nil {
		return err
	}
	for _, p := range []*process{nodes, gateway} {
		if _, err := c.await(ctx, p); err != nil {
			return err
		}
	}
	if err := awaitControllers(ctx, config); err != nil {
		return stuck(err, controllerManager)
	}
	return nil
}

// launch starts a component and ends the cluster's context when it dies.
func (c *cluster) launch(name string, args []string, listener *os.File) (*process, error) {
	p, err := startProcess(c.data, name, args, listener)
	if err != nil {
		return nil, err
	}
	c.processes = append(c.processes, p)
	go func() {
		<-p.exited
		c.died(p.death())
	}()
	return p, nil
}

// launchServer starts a component that serves a port, and returns its URL.
func (c *cluster) launchServer(name, scheme string, args []string) (*process, string, error) {
	listener, url, err := listen(scheme)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = listener.Close() }() // the child has its own
	p, err := c.launch(name, args, listener)
	return p, url, err
}

// await returns what the component said when it was ready.
func (c *cluster) await(ctx context.Context, p *process) (string, error) {
	select {
	case line := <-p.ready:
		return line, nil
	case <-ctx.Done():
		return "", stuck(context.Cause(ctx), p)
	}
}

// stuck says what was waited for. A component that hangs is explained by its log;
// the error of one that died has the log in it already.
func stuck(err error, p *process) error {
	if errors.Is(err, errNotReady) {
		return fmt.Errorf("wait for %s: %w\n%s", p.name, err, tail(p.log))
	}
	return fmt.Errorf("wait for %s: %w", p.name, err)
}

// listen binds a free port on loopback and returns the socket, to be given to a
// child, and its URL.
func listen(scheme string) (*os.File, string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", fmt.Errorf("bind a port: %w", err)
	}
	defer l.Close()
	tcp, ok := l.(*net.TCPListener)
	if !ok {
		return nil, "", fmt.Errorf("bind a port: unexpected listener %T", l)
	}
	f, err := tcp.File()
	if err != nil {
		return nil, "", fmt.Errorf("bind a port: %w", err)
	}
	return f, scheme + "://" + l.Addr().String(), nil
}

// awaitReadyz polls without verifying the certificate: it asks only whether, not
// what, and the socket was bound by this process.
func awaitReadyz(ctx context.Context, server string) error {
	client := &http.Client{
		Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}},
		Timeout:   5 * time.Second,
	}
	defer client.CloseIdleConnections()
	ticker := time.NewTicker(readyPoll)
	defer ticker.Stop()
	for {
		if answersOK(ctx, client, server+"/readyz") {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func answersOK(ctx context.Context, client *http.Client, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	resp, err := client.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode == http.StatusOK
}

// adminConfig is a client configuration without client-side rate limits: the
// simulators must keep up with the controllers.
func adminConfig(kubeconfig string) (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig: %w", err)
	}
	config.QPS = -1
	config.UserAgent = "devcluster"
	return config, nil
}

func nodesArgs(d dataDir, o options) []string {
	return []string{d.kubeconfig(adminUser), strconv.Itoa(o.nodes)}
}

func prometheusArgs(d dataDir, o options) []string {
	return []string{d.tsdb(), d.targets(), o.scrapeInterval.String()}
}
