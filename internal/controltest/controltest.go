// Package controltest starts real control planes for tests: etcd, API server and
// controllers, as the sandbox's binary has them. Only tests import it.
package controltest

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"crossfade.dev/internal/cluster"
	"crossfade.dev/internal/sandbox"
)

// Binary is the environment variable that names the sandbox's binary. Tests that
// need a real control plane are skipped without it.
const Binary = "CROSSFADE_SANDBOX"

// Start starts a small control plane (no scheduler, no workload controllers) that
// ends with the test, and returns an administrator's way to it.
func Start(t testing.TB) *rest.Config {
	t.Helper()
	binary := os.Getenv(Binary)
	if binary == "" {
		t.Skipf("%s does not name the sandbox's binary", Binary)
	}
	number, release := reserve(t)
	dir := t.TempDir()
	release()
	process, err := sandbox.Start(t.Context(), binary, "control", "--small", "--cluster", fmt.Sprint(number), "--name", "test", "--dir", dir)
	if err != nil {
		t.Fatalf("%v\n%s", err, tail(filepath.Join(dir, "control.log")))
	}
	t.Cleanup(process.End) // it was killed when the test's context ended
	config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(dir, "kubeconfig"))
	if err != nil {
		t.Fatal(err)
	}
	config.QPS, config.Burst = 500, 1000
	return config
}

// Kubeconfig returns a file with a context for each configuration, by its name; a single
// one is the current context.
func Kubeconfig(t testing.TB, configs map[string]*rest.Config) string {
	t.Helper()
	out := clientcmdapi.NewConfig()
	for name, c := range configs {
		out.Clusters[name] = &clientcmdapi.Cluster{
			Server: c.Host, CertificateAuthority: c.CAFile, CertificateAuthorityData: c.CAData, TLSServerName: c.ServerName,
		}
		out.AuthInfos[name] = &clientcmdapi.AuthInfo{
			ClientCertificate: c.CertFile, ClientCertificateData: c.CertData, ClientKey: c.KeyFile, ClientKeyData: c.KeyData, Token: c.BearerToken,
		}
		out.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
		if len(configs) == 1 {
			out.CurrentContext = name
		}
	}
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*out, file); err != nil {
		t.Fatal(err)
	}
	return file
}

// reserve finds a cluster number whose address nobody on this machine listens on,
// among those that no sandbox uses by itself.
func reserve(t testing.TB) (number int, release func()) {
	t.Helper()
	for i := range 50 {
		number = 40 + (os.Getpid()+i)%50
		listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", fmt.Sprintf("127.%d.0.1:6443", number))
		if err == nil {
			return number, func() { _ = listener.Close() }
		}
	}
	t.Fatal("no address is free for a control plane")
	return 0, nil
}

func tail(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-4000):])
}

// API is a cluster.API on a real control plane, without fence: a test is alone.
type API struct {
	client.WithWatch
	t      testing.TB
	config *rest.Config
}

var _ cluster.API = API{}

// New returns the API that config leads to.
func New(t testing.TB, config *rest.Config) API {
	t.Helper()
	c, err := client.NewWithWatch(config, client.Options{Scheme: cluster.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	return API{WithWatch: c, t: t, config: config}
}

// As implements cluster.API.
func (a API) As(user string, groups ...string) cluster.API {
	config := rest.CopyConfig(a.config)
	config.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: groups}
	// A dialer of its own keeps the transport out of client-go's cache, so that
	// the connection is new.
	config.Dial = (&net.Dialer{Timeout: 10 * time.Second}).DialContext
	return New(a.t, config)
}
