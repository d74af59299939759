package control

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	cliflag "k8s.io/component-base/cli/flag"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	apiserveroptions "k8s.io/kubernetes/cmd/kube-apiserver/app/options"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	controlleroptions "k8s.io/kubernetes/cmd/kube-controller-manager/app/options"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	scheduleroptions "k8s.io/kubernetes/cmd/kube-scheduler/app/options"
)

// apiPort is the port of every API server of the sandbox.
const apiPort = 6443

// An apiServer is a configured kube-apiserver.
type apiServer struct {
	options *apiserveroptions.ServerRunOptions
}

// newAPIServer parses the flags of kube-apiserver. The components are run from
// their options, since running their commands three times in one process panics.
func newAPIServer(c *Config, sockets *os.File) (*apiServer, error) {
	egress := filepath.Join(c.Dir, "egress.yaml")
	if err := writeFile(egress, egressConfig(sockets), 0o644); err != nil {
		return nil, err
	}
	pki := func(name string) string { return filepath.Join(c.pki(), name) }
	etcd := etcdURL(sockets)
	s := &apiServer{options: apiserveroptions.NewServerRunOptions()}
	return s, parse(s.options.Flags(), map[string]string{
		"bind-address":     fmt.Sprintf("127.%d.0.1", c.Cluster),
		"secure-port":      fmt.Sprint(apiPort),
		"etcd-servers":     etcd.String(),
		"allow-privileged": "true",
		// The address that the Service "kubernetes" leads to; loopback is refused.
		"advertise-address":        c.Cluster.API().String(),
		"service-cluster-ip-range": c.Cluster.Services().String(),
		"tls-cert-file":            pki("apiserver.crt"),
		"tls-private-key-file":     pki("apiserver.key"),
		"client-ca-file":           filepath.Join(c.CA, authorityName+".crt"),
		"authorization-mode":       "Node,RBAC",
		"anonymous-auth":           "false",
		"service-account-issuer":   "https://kubernetes.default.svc.cluster.local",
		"service-account-key-file": c.serviceAccountKey(), "service-account-signing-key-file": c.serviceAccountKey(),
		// Nodes, webhooks and aggregated APIs have addresses that need translation.
		"egress-selector-config-file":        egress,
		"enable-aggregator-routing":          "true",
		"kubelet-preferred-address-types":    "InternalIP",
		"kubelet-client-certificate":         pki("kubelet-client.crt"),
		"kubelet-client-key":                 pki("kubelet-client.key"),
		"proxy-client-cert-file":             pki("front-proxy.crt"),
		"proxy-client-key-file":              pki("front-proxy.key"),
		"requestheader-client-ca-file":       pki("front-proxy-ca.crt"),
		"requestheader-allowed-names":        "front-proxy-client",
		"requestheader-username-headers":     "X-Remote-User",
		"requestheader-group-headers":        "X-Remote-Group",
		"requestheader-extra-headers-prefix": "X-Remote-Extra-",
		"max-requests-inflight":              "1600",
		"max-mutating-requests-inflight":     "800",
	})
}

func (s *apiServer) run(ctx context.Context, _ *Config) error {
	completed, err := s.options.Complete(ctx)
	if err != nil {
		return err
	}
	if errs := completed.Validate(); len(errs) > 0 {
		return utilerrors.NewAggregate(errs)
	}
	return apiserver.Run(ctx, completed)
}

// smallControllers keep a cluster of objects tidy: nothing in it runs.
var smallControllers = []string{
	"namespace-controller", "garbage-collector-controller", "serviceaccount-controller", "serviceaccount-token-controller",
	"root-ca-certificate-publisher-controller", "validatingadmissionpolicy-status-controller", "clusterrole-aggregation-controller",
}

func runControllers(ctx context.Context, c *Config) error {
	options, err := controlleroptions.NewKubeControllerManagerOptions()
	if err != nil {
		return err
	}
	known, off, aliases := controllers.KnownControllers(), controllers.ControllersDisabledByDefault(), controllers.ControllerAliases()
	flags := options.Flags(known, off, aliases)
	options.ParsedFlags = &flags
	values := map[string]string{
		"kubeconfig":                        c.componentKubeconfig("controllers"),
		"use-service-account-credentials":   "true",
		"leader-elect":                      "false",
		"secure-port":                       "0",
		"kube-api-qps":                      "500",
		"kube-api-burst":                    "1000",
		"root-ca-file":                      filepath.Join(c.CA, authorityName+".crt"),
		"cluster-signing-cert-file":         filepath.Join(c.CA, authorityName+".crt"),
		"cluster-signing-key-file":          filepath.Join(c.CA, authorityName+".key"),
		"service-account-private-key-file":  c.serviceAccountKey(),
		"concurrent-deployment-syncs":       "20",
		"concurrent-replicaset-syncs":       "20",
		"concurrent-service-endpoint-syncs": "20",
	}
	if c.Small {
		values["controllers"] = strings.Join(smallControllers, ",")
	}
	if err := parse(flags, values); err != nil {
		return err
	}
	config, err := options.Config(ctx, known, off, aliases)
	if err != nil {
		return err
	}
	return controllers.Run(ctx, config.Complete())
}

func runScheduler(ctx context.Context, c *Config) error {
	options := scheduleroptions.NewOptions()
	if err := parse(*options.Flags, map[string]string{
		"kubeconfig":     c.componentKubeconfig("scheduler"),
		"leader-elect":   "false",
		"secure-port":    "0",
		"kube-api-qps":   "1000",
		"kube-api-burst": "2000",
	}); err != nil {
		return err
	}
	config, instance, err := scheduler.Setup(ctx, options)
	if err != nil {
		return err
	}
	return scheduler.Run(ctx, config, instance)
}

// parse sets flags of a component by name. Names that the component does not have
// are mistakes of ours, and refused.
func parse(sets cliflag.NamedFlagSets, values map[string]string) error {
	all := pflag.NewFlagSet("component", pflag.ContinueOnError)
	for _, f := range sets.FlagSets {
		all.AddFlagSet(f)
	}
	for name, value := range values {
		if err := all.Set(name, value); err != nil {
			return fmt.Errorf("flag %s=%s: %w", name, value, err)
		}
	}
	return nil
}
