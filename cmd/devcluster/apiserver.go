package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/pflag"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	basecompatibility "k8s.io/component-base/compatibility"
	logsapi "k8s.io/component-base/logs/api/v1"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
	serveroptions "k8s.io/kubernetes/cmd/kube-apiserver/app/options"
)

// runAPIServer does what kube-apiserver's own command does, except that it serves
// on the inherited listener: the command has no flag for that. It never calls
// ready: its parent asks /readyz, which also covers the post-start hooks.
func runAPIServer(ctx context.Context, args []string, _ func(string)) error {
	o := serveroptions.NewServerRunOptions()
	flags := pflag.NewFlagSet(apiServerName, pflag.ContinueOnError)
	for _, set := range o.Flags().FlagSets {
		flags.AddFlagSet(set)
	}
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("parse kube-apiserver flags: %w", err)
	}
	registry := o.GenericServerRunOptions.ComponentGlobalsRegistry
	if err := registry.Set(); err != nil {
		return fmt.Errorf("set kube-apiserver feature gates: %w", err)
	}
	gate := registry.FeatureGateFor(basecompatibility.DefaultKubeComponent)
	if err := logsapi.ValidateAndApply(o.Logs, gate); err != nil {
		return fmt.Errorf("set up kube-apiserver logging: %w", err)
	}
	listener, err := inheritedListener()
	if err != nil {
		return err
	}
	o.SecureServing.Listener = listener
	completed, err := o.Complete(ctx)
	if err != nil {
		return fmt.Errorf("complete kube-apiserver options: %w", err)
	}
	if errs := completed.Validate(); len(errs) > 0 {
		return fmt.Errorf("validate kube-apiserver options: %w", utilerrors.NewAggregate(errs))
	}
	if err := app.Run(ctx, completed); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("run kube-apiserver: %w", err)
	}
	return nil
}

func apiServerArgs(d dataDir, etcdURL string) []string {
	return []string{
		"--etcd-servers=" + etcdURL,
		"--token-auth-file=" + d.tokens(),
		"--authorization-mode=RBAC",
		"--tls-cert-file=" + d.servingCert(),
		"--tls-private-key-file=" + d.servingKey(),
		"--service-cluster-ip-range=10.96.0.0/16",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + d.serviceAccountKey(),
		"--service-account-signing-key-file=" + d.serviceAccountKey(),
		// Pods here mount nothing, and the plugin refuses pods of a namespace whose
		// default ServiceAccount has not been created yet.
		"--disable-admission-plugins=ServiceAccount",
		// Endpoints refuse loopback addresses, and a machine without a network has
		// no other address to advertise.
		"--endpoint-reconciler-type=none",
		"--advertise-address=127.0.0.1",
		// One user, one machine: fairness and in-flight limits only cost time.
		"--enable-priority-and-fairness=false",
		"--max-requests-inflight=0",
		"--max-mutating-requests-inflight=0",
		"--allow-privileged=true",
		"--profiling=false",
	}
}
