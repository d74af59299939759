package ingress

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// selfSignedLife is how long the ingress's own certificates are valid.
const selfSignedLife = 365 * 24 * time.Hour

// certificates presents, for each host of an Ingress, the Secret that the Ingress
// names, or else a certificate of the ingress's own authority. It is safe for
// concurrent use.
type certificates struct {
	table *atomic.Pointer[table]
	own   tls.Certificate // the authority

	mu      sync.Mutex
	secrets map[string]*tls.Certificate
	issued  map[string]*tls.Certificate
}

// newCertificates reads the authority from dir, or makes one and leaves it there:
// clients that want to verify may trust dir/ca.crt.
func newCertificates(table *atomic.Pointer[table], dir string) (*certificates, error) {
	own, err := loadAuthority(dir)
	if err != nil {
		return nil, err
	}
	return &certificates{table: table, own: own, secrets: map[string]*tls.Certificate{}, issued: map[string]*tls.Certificate{}}, nil
}

// setSecret takes a Secret in; nil if it went. The error says why it is no use.
func (c *certificates) setSecret(name string, secret *corev1.Secret) error {
	var pair *tls.Certificate
	var err error
	if secret != nil {
		var parsed tls.Certificate
		parsed, err = tls.X509KeyPair(secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey])
		pair = &parsed
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if pair == nil || err != nil {
		delete(c.secrets, name)
		return err
	}
	c.secrets[name] = pair
	return nil
}

// get is tls.Config.GetCertificate.
func (c *certificates) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	t := c.table.Load()
	known := false
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, host := range candidates(hello.ServerName) {
		if pair := c.secrets[t.certificates[host]]; pair != nil {
			return pair, nil
		}
		known = known || (host != "" && len(t.hosts[host]) > 0)
	}
	// Certificates are made for hosts of Ingresses only, so that a client cannot
	// fill the memory with names.
	name := "ingress.invalid"
	if known {
		name = hello.ServerName
	}
	if pair := c.issued[name]; pair != nil {
		return pair, nil
	}
	pair, err := issue(c.own, &x509.Certificate{
		Subject:     pkix.Name{CommonName: name},
		DNSNames:    []string{name},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	if err != nil {
		return nil, err
	}
	c.issued[name] = &pair
	return &pair, nil
}

func loadAuthority(dir string) (tls.Certificate, error) {
	certificate, key := filepath.Join(dir, "ca.crt"), filepath.Join(dir, "ca.key")
	pair, err := tls.LoadX509KeyPair(certificate, key)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return pair, err
	}
	pair, err = issue(tls.Certificate{}, &x509.Certificate{
		Subject:               pkix.Name{CommonName: "sandbox ingress"},
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	})
	if err != nil {
		return tls.Certificate{}, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		return tls.Certificate{}, err
	}
	blocks := map[string]*pem.Block{
		key:         {Type: "PRIVATE KEY", Bytes: private},
		certificate: {Type: "CERTIFICATE", Bytes: pair.Certificate[0]},
	}
	for _, path := range []string{key, certificate} {
		if err := os.WriteFile(path, pem.EncodeToMemory(blocks[path]), 0o600); err != nil {
			return tls.Certificate{}, fmt.Errorf("keep the authority: %w", err)
		}
	}
	return pair, nil
}

// issue signs a certificate with the authority; without one it signs itself.
func issue(by tls.Certificate, template *x509.Certificate) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return tls.Certificate{}, err
	}
	template.NotBefore = time.Now().Add(-time.Hour)
	template.NotAfter = time.Now().Add(selfSignedLife)
	parent, signer, chain := template, any(key), [][]byte(nil)
	if len(by.Certificate) > 0 {
		if parent, err = x509.ParseCertificate(by.Certificate[0]); err != nil {
			return tls.Certificate{}, err
		}
		signer, chain = by.PrivateKey, by.Certificate
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: append([][]byte{der}, chain...), PrivateKey: key}, nil
}
