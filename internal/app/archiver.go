package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"filippo.io/age"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/cli"
	"crossfade.dev/internal/cluster"
	"crossfade.dev/internal/migration"
	"crossfade.dev/internal/snapshot"
)

// archiver keeps sources in buckets, and has archives rehearsed by a process of
// their own: what restores them must not know what the engine knows.
type archiver struct {
	// ctx ends when the process may no longer write.
	ctx     context.Context
	buckets *buckets
	hub     client.Reader
	// run rehearses one archive, and waits for it.
	run func(ctx context.Context, m *v1.Migration, name string) ([]string, error)

	mu sync.Mutex
	// rehearsals are those under way, and those that nobody has heard the end of.
	rehearsals map[string]*rehearsal
}

// A rehearsal is one archive being restored and compared.
type rehearsal struct {
	done        bool
	differences []string
	err         error
}

func newArchiver(ctx context.Context, b *buckets, hub client.Reader) *archiver {
	a := &archiver{ctx: ctx, buckets: b, hub: hub, rehearsals: map[string]*rehearsal{}}
	a.run = a.rehearse
	return a
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

// Rehearse implements migration.Archiver: it takes minutes, in which other migrations
// are led.
func (a *archiver) Rehearse(_ context.Context, m *v1.Migration, name string) (differences []string, done bool, err error) {
	key := string(m.UID) + "/" + name
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.rehearsals[key]
	if r == nil {
		r = &rehearsal{}
		a.rehearsals[key] = r
		m := m.DeepCopy() // the engine goes on changing its own
		go func() {
			differences, err := a.run(a.ctx, m, name)
			a.mu.Lock()
			defer a.mu.Unlock()
			r.done, r.differences, r.err = true, differences, err
		}()
	}
	if !r.done {
		return nil, false, nil
	}
	delete(a.rehearsals, key)
	return r.differences, r.err == nil, r.err
}

// rehearse runs `crossfade rehearse` with a kubeconfig for the cluster that the
// migration names, and returns as soon as that has compared; the process goes on
// cleaning up.
func (a *archiver) rehearse(ctx context.Context, m *v1.Migration, name string) ([]string, error) {
	folder, args, err := a.rehearsalOf(ctx, m, name)
	if err != nil {
		return nil, err
	}
	// What was restored has to go even if the pass that asked for it is over.
	lasting, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Minute)
	ended := func() {
		cancel()
		_ = os.RemoveAll(folder)
	}
	process, out, err := startSelf(lasting, args)
	if err != nil {
		ended()
		return nil, err
	}
	giveUp := context.AfterFunc(ctx, cancel)
	problems, err := problemsOf(out)
	giveUp()
	if err != nil {
		defer ended()
		return nil, fmt.Errorf("crossfade rehearse: %w", errors.Join(err, failure(process)))
	}
	go func() {
		defer ended()
		if err := failure(process); err != nil {
			log.FromContext(ctx).Error(err, "the rehearsal did not clean up; the next one will", "archive", name)
		}
	}()
	return problems, nil
}

// rehearsalOf writes what a rehearsal needs to a new folder, and returns its command
// line.
func (a *archiver) rehearsalOf(ctx context.Context, m *v1.Migration, name string) (folder string, args []string, err error) {
	files := map[string][]byte{}
	if files["kubeconfig"], err = a.kubeconfig(ctx, m); err != nil {
		return "", nil, fmt.Errorf("archive.rehearseIn: %w", err)
	}
	if identity := m.Spec.Archive.Identity; identity != nil {
		if files["identity"], err = a.secret(ctx, m.Namespace, *identity); err != nil {
			return "", nil, fmt.Errorf("archive.identity: %w", err)
		}
	}
	if folder, err = os.MkdirTemp("", "crossfade-rehearsal-"); err != nil {
		return "", nil, err
	}
	args = []string{"rehearse", "--archive", m.Spec.Archive.URL, "--name", name, "-o", "json"}
	for file, content := range files {
		if err := os.WriteFile(filepath.Join(folder, file), content, 0o600); err != nil {
			_ = os.RemoveAll(folder)
			return "", nil, err
		}
		args = append(args, "--"+file, filepath.Join(folder, file))
	}
	return folder, args, nil
}

// startSelf starts this program with other arguments.
func startSelf(ctx context.Context, args []string) (*exec.Cmd, io.Reader, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	process := exec.CommandContext(ctx, self, args...)
	process.Stderr = &bytes.Buffer{}
	out, err := process.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	return process, out, process.Start()
}

// failure waits for a rehearsal and tells what went wrong with it: exit code 1 says
// that it found problems, which it printed.
func failure(process *exec.Cmd) error {
	err := process.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(fmt.Sprint(process.Stderr)))
	}
	return nil
}

// problemsOf reads what `crossfade rehearse -o json` prints once it has compared.
func problemsOf(out io.Reader) (problems []string, err error) {
	if err := json.NewDecoder(out).Decode(&problems); err != nil {
		return nil, fmt.Errorf("its answer: %w", err)
	}
	return problems, nil
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

func (a *archiver) kubeconfig(ctx context.Context, m *v1.Migration) ([]byte, error) {
	c, err := readCluster(ctx, a.hub, m.Namespace, m.Spec.Archive.RehearseIn)
	if err != nil {
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

// rehearse restores an archive into a cluster, compares, tells what it found, and
// cleans up.
func rehearse(ctx context.Context, o cli.RehearseOptions, found func(problems []string) error) error {
	config, err := clientcmd.BuildConfigFromFlags("", o.Kubeconfig)
	if err != nil {
		return fmt.Errorf("--kubeconfig: %w", err)
	}
	lasting, end := context.WithCancel(ctx)
	defer end()
	in, err := fencedSoon(lasting, config, hostname()+"/rehearsal/"+o.Name)
	if err != nil {
		return err
	}
	defer in.Close()
	defer func() { // the next archive is rehearsed under another name, by a process that knows nothing of this one
		end()
		if err := in.Fence.Release(context.WithoutCancel(ctx)); err != nil {
			log.FromContext(ctx).Info("the fence runs out by itself", "reason", err.Error())
		}
	}()
	bucket, err := (&buckets{}).at(ctx, o.Archive)
	if err != nil {
		return fmt.Errorf("--archive: %w", err)
	}
	var identities []age.Identity
	if o.Identity != "" {
		file, err := os.Open(o.Identity)
		if err != nil {
			return fmt.Errorf("--identity: %w", err)
		}
		defer file.Close()
		if identities, err = age.ParseIdentities(file); err != nil {
			return fmt.Errorf("--identity %s: %w", o.Identity, err)
		}
	}
	archive, err := snapshot.Open(ctx, bucket, o.Name, identities...)
	if err != nil {
		return err
	}
	return snapshot.Rehearse(ctx, in, archive, snapshot.Into{Clock: clock.RealClock{}, Workers: 16}, func(r snapshot.Rehearsal) error {
		if r.Proved() {
			return found(nil)
		}
		return found(r.Problems())
	})
}
