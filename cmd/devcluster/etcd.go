package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"go.etcd.io/etcd/server/v3/embed"
)

// runEtcd serves one etcd member from the data directory args[0]. etcd binds its
// own ports (it takes no listener), so it reports the address it got.
func runEtcd(ctx context.Context, args []string, ready func(string)) error {
	if len(args) != 1 {
		return errors.New("etcd: one argument, the data directory, is required")
	}
	server, err := embed.StartEtcd(etcdConfig(args[0]))
	if err != nil {
		return fmt.Errorf("start etcd: %w", err)
	}
	defer server.Close()
	select {
	case <-server.Server.ReadyNotify():
		ready("http://" + server.Clients[0].Addr().String())
	case err := <-server.Err():
		return fmt.Errorf("run etcd: %w", err)
	case <-ctx.Done():
		return nil
	}
	select {
	case err := <-server.Err():
		return fmt.Errorf("run etcd: %w", err)
	case <-ctx.Done():
		return nil
	}
}

func etcdConfig(dir string) *embed.Config {
	// A single member never dials these; they only have to agree with each other.
	anyPort := []url.URL{{Scheme: "http", Host: "127.0.0.1:0"}}
	c := embed.NewConfig()
	c.Dir = dir
	c.ListenClientUrls, c.AdvertiseClientUrls = anyPort, anyPort
	c.ListenPeerUrls, c.AdvertisePeerUrls = anyPort, anyPort
	c.InitialCluster = c.InitialClusterFromName(c.Name)
	c.LogLevel = "warn"
	// The data never has to survive a power cut, and fsync is most of the latency.
	c.UnsafeNoFsync = true
	c.EnableGRPCGateway = false
	c.AutoCompactionMode = "periodic"
	c.AutoCompactionRetention = "5m"
	return c
}
