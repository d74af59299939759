package control

import (
	"crypto"
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
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
)

// validity of everything that is signed here. A sandbox lives for hours.
const validity = 365 * 24 * time.Hour

// An authority signs the certificates of a sandbox: one for all of its clusters,
// so that a person's certificate is good for each of them.
type authority struct {
	certFile, keyFile string
	cert              *x509.Certificate
	key               crypto.Signer
}

// openAuthority reads the authority kept in dir, or makes one. Control planes
// that start at the same time agree on one by a lock on the folder.
func openAuthority(dir, name string) (*authority, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	unlock, err := lock(filepath.Join(dir, "."+name+".lock"))
	if err != nil {
		return nil, err
	}
	defer unlock()

	a := &authority{certFile: filepath.Join(dir, name+".crt"), keyFile: filepath.Join(dir, name+".key")}
	if _, err := os.Stat(a.certFile); errors.Is(err, fs.ErrNotExist) {
		if err := a.create(name); err != nil {
			return nil, fmt.Errorf("create authority %s: %w", a.certFile, err)
		}
	}
	pair, err := tls.LoadX509KeyPair(a.certFile, a.keyFile)
	if err != nil {
		return nil, fmt.Errorf("read authority %s: %w", a.certFile, err)
	}
	a.cert, a.key = pair.Leaf, pair.PrivateKey.(crypto.Signer)
	return a, nil
}

func (a *authority) create(name string) error {
	key, err := newKeyFile(a.keyFile)
	if err != nil {
		return err
	}
	root, err := cert.NewSelfSignedCACert(cert.Config{CommonName: "crossfade-sandbox-" + name}, key)
	if err != nil {
		return err
	}
	return writeFile(a.certFile, encodeCert(root.Raw), 0o644)
}

// An identity is whom a certificate speaks for: a user with groups, or a server
// with the names and addresses that lead to it.
type identity struct {
	user   string
	groups []string
	hosts  []string
}

// sign returns a certificate for id and its key, both as PEM.
func (a *authority) sign(id identity) (certPEM, keyPEM []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: id.user, Organization: id.groups},
		NotBefore:    a.cert.NotBefore,
		NotAfter:     time.Now().Add(validity),
		KeyUsage:     x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	for _, h := range id.hosts {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		return nil, nil, fmt.Errorf("sign certificate of %s: %w", id.user, err)
	}
	keyPEM, err = keyutil.MarshalPrivateKeyToPEM(key)
	return encodeCert(der), keyPEM, err
}

// signTo keeps a signed pair in the files base.crt and base.key. It signs anew at
// each start, so that a change of names takes effect.
func (a *authority) signTo(base string, id identity) error {
	certPEM, keyPEM, err := a.sign(id)
	if err != nil {
		return err
	}
	if err := writeFile(base+".crt", certPEM, 0o644); err != nil {
		return err
	}
	return writeFile(base+".key", keyPEM, 0o600)
}

// newKeyFile makes a key and writes it to path.
func newKeyFile(path string) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	keyPEM, err := keyutil.MarshalPrivateKeyToPEM(key)
	if err != nil {
		return nil, err
	}
	return key, writeFile(path, keyPEM, 0o600)
}

func encodeCert(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// writeFile replaces path in one step: a reader sees the old or the new content.
func writeFile(path string, content []byte, mode os.FileMode) error {
	tmp := fmt.Sprintf("%s.%d", path, os.Getpid())
	if err := os.WriteFile(tmp, content, mode); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

// lock waits for the exclusive lock on path. The kernel releases it when the
// process ends, however it ends.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return func() { _ = f.Close() }, nil
}
