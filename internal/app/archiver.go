package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

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
	_, err = snapshot.Take(ctx, from, bucket, snapshot.Options{Namespaces: s.In, Name: name, Clock: clock.RealClock{}})
	return name, err
}

// Rehearse implements migration.Archiver. It runs `crossfade rehearse` with a
// kubeconfig for the cluster that the migration names.
func (a *archiver) Rehearse(ctx context.Context, m *v1.Migration, name string) ([]string, error) {
	kubeconfig, err := a.kubeconfig(ctx, m)
	if err != nil {
		return nil, err
	}
	file, err := os.CreateTemp("", "crossfade-rehearsal-*.kubeconfig")
	if err != nil {
		return nil, err
	}
	defer os.Remove(file.Name())
	if _, err := file.Write(kubeconfig); err != nil {
		return nil, err
	}
	if err := file.Close(); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, self, "rehearse", "--archive", m.Spec.Archive.URL, "--name", name,
		"--kubeconfig", file.Name(), "-o", "json").Output()
	return problemsOf(out, err)
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
		return nil, fmt.Errorf("archive.rehearseIn: %w", err)
	}
	secret := &corev1.Secret{}
	if err := a.hub.Get(ctx, client.ObjectKey{Namespace: m.Namespace, Name: c.Spec.Kubeconfig.Name}, secret); err != nil {
		return nil, fmt.Errorf("archive.rehearseIn: %w", err)
	}
	return secret.Data[c.Spec.Kubeconfig.Key], nil
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
	archive, err := snapshot.Open(ctx, bucket, o.Name)
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
