package control

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/cert"
	apiserveroptions "k8s.io/kubernetes/cmd/kube-apiserver/app/options"
)

func TestControlPlanesAgreeOnOneAuthority(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ca")
	found := make([]*authority, 8)
	var all sync.WaitGroup
	for i := range found {
		all.Go(func() {
			a, err := openAuthority(dir, authorityName)
			if err != nil {
				t.Error(err)
				return
			}
			found[i] = a
		})
	}
	all.Wait()
	for _, a := range found {
		if a == nil || !a.cert.Equal(found[0].cert) {
			t.Fatal("two authorities were made")
		}
	}
}

func TestKubeconfigSpeaksForItsUser(t *testing.T) {
	a, err := openAuthority(t.TempDir(), authorityName)
	if err != nil {
		t.Fatal(err)
	}
	content, err := a.kubeconfig("source", "https://api.demo.test:6443", identity{user: "alice", groups: []string{"team-a", "all"}})
	if err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.RESTConfigFromKubeConfig(content)
	if err != nil {
		t.Fatal(err)
	}
	if config.Host != "https://api.demo.test:6443" {
		t.Errorf("leads to %s", config.Host)
	}
	certs, err := cert.ParseCertsPEM(config.CertData)
	if err != nil {
		t.Fatal(err)
	}
	if s := certs[0].Subject; s.CommonName != "alice" || len(s.Organization) != 2 {
		t.Errorf("speaks for %v", s)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(config.CAData)
	if _, err := certs[0].Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Error(err)
	}
}

func TestServerCertificateCarriesItsNames(t *testing.T) {
	dir := t.TempDir()
	c := Config{Cluster: 3, Dir: dir, SAN: []string{"api.demo.test"}}
	if err := c.complete(); err != nil {
		t.Fatal(err)
	}
	key := ""
	for range 2 { // the second finds what the first wrote
		if _, err := c.writeCredentials(); err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(c.serviceAccountKey())
		if err != nil || (key != "" && key != string(content)) {
			t.Errorf("the key of service accounts did not stay the same: %v", err)
		}
		key = string(content)
	}
	certs, err := cert.CertsFromFile(filepath.Join(c.pki(), "apiserver.crt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"127.3.0.1", "10.3.0.1", "10.103.0.1", "api.demo.test", "kubernetes.default.svc", "localhost"} {
		if err := certs[0].VerifyHostname(name); err != nil {
			t.Error(err)
		}
	}
}

func TestUnknownFlagsOfAComponentAreRefused(t *testing.T) {
	flags := apiserveroptions.NewServerRunOptions().Flags()
	if err := parse(flags, map[string]string{"secure-port": "6443"}); err != nil {
		t.Error(err)
	}
	if err := parse(flags, map[string]string{"no-such-flag": "1"}); err == nil {
		t.Error("a flag that does not exist was accepted")
	}
}

func TestConfigIsChecked(t *testing.T) {
	if err := (&Config{Cluster: 100, Dir: t.TempDir()}).complete(); err == nil {
		t.Error("cluster 100 has no addresses, and was accepted")
	}
}
