package control

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
)

// socket returns a path to a Unix socket in the folder dir. The path goes through
// the open folder, because a socket's path may have no more than 107 bytes and a
// sandbox may be anywhere.
func socket(dir *os.File, name string) string {
	return fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), name)
}

func etcdURL(sockets *os.File) url.URL {
	return url.URL{Scheme: "unix", Path: socket(sockets, "etcd.sock")}
}

// startEtcd starts the store of this cluster alone, on a Unix socket. What it returns
// runs for as long as etcd does.
//
// It does not wait for the disk: what a killed process wrote is safe with the
// kernel, and a sandbox need not survive the loss of power.
func (c *Config) startEtcd(sockets *os.File) (func(context.Context, *Config) error, error) {
	client := etcdURL(sockets)
	if err := os.Remove(client.Path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	cfg := embed.NewConfig()
	cfg.Name = "sandbox"
	cfg.Dir = filepath.Join(c.Dir, "etcd")
	cfg.ListenClientUrls = []url.URL{client}
	cfg.ListenPeerUrls = nil
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	cfg.UnsafeNoFsync = true
	cfg.QuotaBackendBytes = 4 << 30
	cfg.MaxRequestBytes = 8 << 20
	cfg.AutoCompactionMode = "periodic"
	cfg.AutoCompactionRetention = "10m"
	cfg.LogLevel = "warn"
	cfg.LogOutputs = []string{filepath.Join(c.Dir, "etcd.log")}
	// Zero would log every request.
	cfg.WarningUnaryRequestDuration = 2 * time.Second
	cfg.TickMs, cfg.ElectionMs = 50, 500

	server, err := embed.StartEtcd(cfg)
	if err != nil {
		return nil, err
	}
	select {
	case <-server.Server.ReadyNotify():
	case err := <-server.Err():
		return nil, err
	case <-time.After(startLimit):
		return nil, fmt.Errorf("not ready after %v", startLimit)
	}
	return func(ctx context.Context, _ *Config) error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-server.Err():
			return err
		case <-server.Server.StopNotify():
			return errors.New("stopped")
		}
	}, nil
}
