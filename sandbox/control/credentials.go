package control

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
)

// writeCredentials writes every key and certificate that the components read, and
// returns the administrator's kubeconfig.
func (c *Config) writeCredentials() (admin []byte, err error) {
	ca, err := openAuthority(c.CA, authorityName)
	if err != nil {
		return nil, err
	}
	front, err := openAuthority(c.pki(), "front-proxy-ca")
	if err != nil {
		return nil, err
	}
	hosts := append([]string{
		"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
		fmt.Sprintf("127.%d.0.1", c.Cluster), c.Cluster.API().String(), c.Cluster.Services().Addr().Next().String(),
	}, c.SAN...)
	pairs := []struct {
		base string
		by   *authority
		id   identity
	}{
		{"apiserver", ca, identity{user: "kube-apiserver", hosts: hosts}},
		{"kubelet-client", ca, identity{user: "kube-apiserver-kubelet-client", groups: []string{"kubeadm:cluster-admins"}}},
		{"front-proxy", front, identity{user: "front-proxy-client"}},
	}
	for _, p := range pairs {
		if err := p.by.signTo(filepath.Join(c.pki(), p.base), p.id); err != nil {
			return nil, err
		}
	}
	// Tokens of service accounts have to outlive a restart, so this key is kept.
	if _, err := os.Stat(c.serviceAccountKey()); errors.Is(err, fs.ErrNotExist) {
		if _, err := newKeyFile(c.serviceAccountKey()); err != nil {
			return nil, err
		}
	}
	for name, id := range map[string]identity{
		"controllers": {user: "system:kube-controller-manager"},
		"scheduler":   {user: "system:kube-scheduler"},
	} {
		content, err := ca.kubeconfig(c.Name, c.server(), id)
		if err != nil {
			return nil, err
		}
		if err := writeFile(c.componentKubeconfig(name), content, 0o600); err != nil {
			return nil, err
		}
	}
	return ca.kubeconfig(c.Name, c.server(), identity{user: "admin", groups: []string{"system:masters"}})
}

func (c *Config) serviceAccountKey() string { return filepath.Join(c.pki(), "service-account.key") }

func (c *Config) componentKubeconfig(name string) string {
	return filepath.Join(c.pki(), name+".kubeconfig")
}

// startLimit is how long the API may take to be ready, on a machine that is
// starting several at once.
const startLimit = 2 * time.Minute

// waitReady waits until the API answers that it is ready, and then shows the
// administrator's kubeconfig: whoever finds that file finds a working cluster.
func (c *Config) waitReady(ctx context.Context, admin []byte) error {
	config, err := clientcmd.RESTConfigFromKubeConfig(admin)
	if err != nil {
		return err
	}
	config.Timeout = 2 * time.Second
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	var last error
	err = wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, startLimit, true, func(ctx context.Context) (bool, error) {
		if _, last = client.RESTClient().Get().AbsPath("/readyz").DoRaw(ctx); last != nil {
			return false, nil
		}
		_, last = client.CoreV1().Namespaces().Get(ctx, metav1.NamespaceDefault, metav1.GetOptions{})
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("API of %s is not ready after %v: %w", c.Name, startLimit, last)
	}
	return writeFile(filepath.Join(c.Dir, "kubeconfig"), admin, 0o600)
}

// setLogFlags sets flags of klog, which has no other interface for them.
func setLogFlags(values map[string]string) {
	fs := flag.NewFlagSet("klog", flag.PanicOnError)
	klog.InitFlags(fs)
	for name, value := range values {
		if err := fs.Set(name, value); err != nil {
			panic(err)
		}
	}
}
