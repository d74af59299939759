package ingress

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"testing"
)

func certificateFor(host string) *x509.Certificate {
	return &x509.Certificate{Subject: pkix.Name{CommonName: host}, DNSNames: []string{host}}
}

func parse(t *testing.T, pair tls.Certificate) *x509.Certificate {
	t.Helper()
	certificate, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

func pemOf(t *testing.T, pair tls.Certificate) (chain, key []byte) {
	t.Helper()
	for _, der := range pair.Certificate {
		chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	private, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return chain, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
}

func poolOf(t *testing.T, authority tls.Certificate) *x509.CertPool {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AddCert(parse(t, authority))
	return pool
}

func TestAuthorityOutlivesARestart(t *testing.T) {
	dir := t.TempDir()
	first, err := loadAuthority(dir)
	if err != nil {
		t.Fatal(err)
	}
	second, err := loadAuthority(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !parse(t, first).Equal(parse(t, second)) {
		t.Error("the second start made another authority")
	}
}
