package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"filippo.io/age"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/cli"
	"crossfade.dev/internal/cluster"
	"crossfade.dev/internal/migration"
	"crossfade.dev/internal/snapshot"
)

// archiver keeps sources in buckets, and has archives rehearsed by a process of
// their own: what restores them must not know what the engine knows.
type archiver struct {
	buckets *buckets
	hub     client.Reader
}

// Take implements migration.Archiver.
func (a *archiver) Take(ctx context.Context, s migration.Subject) (string, error) {
	bucket, err := a.buckets.at(ctx, s.Migration.Spec.Archive.URL)
	if err != nil {
		return "", err
	}
	name := s.Migration.Name + "-" + time.Now().UTC().Format("20060102T150405.000Z")
	from := struct {
		cluster.API
		cluster.Facts
	}{s.Source.API, s.Source.Facts}
	recipients, err := recipientsOf(s.Migration)
	if err != nil {
		return "", err
	}
	_, err = snapshot.Take(ctx, from, bucket, snapshot.Options{
		Namespaces: s.In, Name: name, Recipients: recipients, Clock: clock.RealClock{},
	})
	return name, err
}

// Rehearse implements migration.Archiver. It runs `crossfade rehearse` with a
// kubeconfig for the cluster that the migration names.
func (a *archiver) Rehearse(ctx context.Context, m *v1.Migration, name string) ([]string, error) {
	kubeconfig, err := a.kubeconfig(ctx, m)
	if err != nil {
		return nil, fmt.Errorf("archive.rehearseIn: %w", err)
	}
	folder, err := os.MkdirTemp("", "crossfade-rehearsal-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	args := []string{"rehearse", "--archive", m.Spec.Archive.URL, "--name", name, "-o", "json",
		"--kubeconfig", filepath.Join(folder, "kubeconfig")}
	if err := os.WriteFile(filepath.Join(folder, "kubeconfig"), kubeconfig, 0o600); err != nil {
		return nil, err
	}
	if m.Spec.Archive.Identity != nil {
		identity, err := a.secret(ctx, m.Namespace, *m.Spec.Archive.Identity)
		if err != nil {
			return nil, fmt.Errorf("archive.identity: %w", err)
		}
		args = append(args, "--identity", filepath.Join(folder, "identity"))
		if err := os.WriteFile(filepath.Join(folder, "identity"), identity, 0o600); err != nil {
			return nil, err
		}
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, self, args...).Output()
	return problemsOf(out, err)
}

func recipientsOf(m *v1.Migration) ([]age.Recipient, error) {
	var all []age.Recipient
	for _, text := range m.Spec.Archive.Recipients {
		r, err := age.ParseX25519Recipient(text)
		if err != nil {
			return nil, fmt.Errorf("archive.recipients %q: %w", text, err)
		}
		all = append(all, r)
	}
	return all, nil
}

// problemsOf reads what `crossfade rehearse -o json` printed. Its exit code 1 says
// that it found problems, which it printed.
func problemsOf(out []byte, err error) ([]string, error) {
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() != 1 {
		return nil, fmt.Errorf("crossfade rehearse: %s", exit.Stderr)
	}
	if err != nil && exit == nil {
		return nil, fmt.Errorf("crossfade rehearse: %w", err)
	}
	var problems []string
	if err := json.Unmarshal(out, &problems); err != nil {
		return nil, fmt.Errorf("crossfade rehearse printed %q: %w", out, err)
	}
	return problems, nil
}

func (a *archiver) kubeconfig(ctx context.Context, m *v1.Migration) ([]byte, error) {
	c := &v1.Cluster{}
	if err := a.hub.Get(ctx, client.ObjectKey{Namespace: m.Namespace, Name: m.Spec.Archive.RehearseIn}, c); err != nil {
		return nil, err
	}
	return a.secret(ctx, m.Namespace, c.Spec.Kubeconfig)
}

func (a *archiver) secret(ctx context.Context, namespace string, key v1.SecretKey) ([]byte, error) {
	secret := &corev1.Secret{}
	if err := a.hub.Get(ctx, client.ObjectKey{Namespace: namespace, Name: key.Name}, secret); err != nil {
		return nil, err
	}
	return secret.Data[key.Key], nil
}

// rehearse restores an archive into a cluster, compares, and cleans up.
func rehearse(ctx context.Context, o cli.RehearseOptions) ([]string, error) {
	config, err := clientcmd.BuildConfigFromFlags("", o.Kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("--kubeconfig: %w", err)
	}
	in, err := cluster.Connect(ctx, cluster.Options{Config: config, Identity: hostname() + "/rehearsal/" + o.Name})
	if err != nil {
		return nil, err
	}
	defer in.Close()
	lasting, end := context.WithCancel(ctx)
	defer end()
	if err := in.Fence.Hold(ctx); err != nil {
		return nil, err
	}
	go hold(lasting, in.Fence, cluster.DefaultLease/4)
	bucket, err := (&buckets{}).at(ctx, o.Archive)
	if err != nil {
		return nil, fmt.Errorf("--archive: %w", err)
	}
	var identities []age.Identity
	if o.Identity != "" {
		file, err := os.Open(o.Identity)
		if err != nil {
			return nil, fmt.Errorf("--identity: %w", err)
		}
		defer file.Close()
		if identities, err = age.ParseIdentities(file); err != nil {
			return nil, fmt.Errorf("--identity %s: %w", o.Identity, err)
		}
	}
	archive, err := snapshot.Open(ctx, bucket, o.Name, identities...)
	if err != nil {
		return nil, err
	}
	rehearsal, err := snapshot.Rehearse(ctx, in, archive, snapshot.Into{Clock: clock.RealClock{}, Workers: 16})
	if err != nil {
		return nil, err
	}
	if rehearsal.Proved() {
		return nil, nil
	}
	return rehearsal.Problems(), nil
}
