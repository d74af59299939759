package demo

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// A team deploys, all the time and by the address that teams always use: every
// second it changes a ConfigMap of its own. It knows of no migration. What was
// accepted must be there in the end.
type team struct {
	w      *world
	config *rest.Config
	object client.ObjectKey

	cancel context.CancelFunc
	done   chan struct{}

	mu       sync.Mutex
	accepted int
	refused  int
	failed   int
	sentence string
	trouble  string
	last     string
}

// teamObject is the ConfigMap that the team changes every second.
const (
	teamObject  = "release-notes"
	deployEvery = time.Second
)

func startTeam(ctx context.Context, w *world) (*team, error) {
	file := filepath.Join(w.dir, "team.kubeconfig")
	if err := mint(w.binaries, w.dir, "team-playback", "https://"+apiName+":6443", file); err != nil {
		return nil, err
	}
	config, err := clientcmd.BuildConfigFromFlags("", file)
	if err != nil {
		return nil, fmt.Errorf("read the team's kubeconfig: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	t := &team{w: w, config: config, cancel: cancel, done: make(chan struct{}),
		object: client.ObjectKey{Namespace: w.moving[0].Namespace, Name: teamObject}}
	config.Dial = t.dial
	config.Timeout = 5 * time.Second
	if err := t.begin(ctx); err != nil {
		cancel()
		return nil, err
	}
	go t.run(ctx)
	return t, nil
}

// begin creates the team's object.
func (t *team) begin(ctx context.Context) error {
	k, err := t.connect()
	if err != nil {
		return err
	}
	cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: t.object.Namespace, Name: t.object.Name}, Data: map[string]string{"release": "0"}}
	_, err = k.CoreV1().ConfigMaps(t.object.Namespace).Create(ctx, cm, metav1.CreateOptions{FieldManager: "team-pipeline"})
	if err != nil {
		return fmt.Errorf("the team's first write: %w", err)
	}
	return nil
}

// connect makes a client with a connection of its own, as each run of a pipeline
// does.
func (t *team) connect() (kubernetes.Interface, error) {
	config := rest.CopyConfig(t.config)
	return kubernetes.NewForConfig(config)
}

// dial leads the team where the name of its API address leads, for as long as the
// answer may be kept.
func (t *team) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	ip, err := t.w.lookUp(ctx, host)
	if err != nil {
		return nil, err
	}
	return t.w.translation.DialContext(ctx, network, net.JoinHostPort(ip.String(), port))
}

func (t *team) run(ctx context.Context) {
	defer close(t.done)
	ticks := time.NewTicker(deployEvery)
	defer ticks.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
			t.deploy(ctx, fmt.Sprint(n))
		}
	}
}

// deploy writes the next release, and counts what became of it.
func (t *team) deploy(ctx context.Context, release string) {
	k, err := t.connect()
	if err == nil {
		patch := fmt.Appendf(nil, `{"data":{"release":%q}}`, release)
		_, err = k.CoreV1().ConfigMaps(t.object.Namespace).Patch(ctx, t.object.Name, "application/merge-patch+json", patch,
			metav1.PatchOptions{FieldManager: "team-pipeline"})
	}
	if ctx.Err() != nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case err == nil:
		t.accepted++
		t.last = release
	case apierrors.IsForbidden(err) || apierrors.IsInvalid(err):
		t.refused++
		t.sentence = err.Error()
	default:
		t.failed++
		t.trouble = err.Error()
	}
}

func (t *team) stop() {
	t.cancel()
	<-t.done
}

// lost tells what is missing of the last release that was accepted.
func (t *team) lost(ctx context.Context) string {
	k, err := t.connect()
	if err != nil {
		return err.Error()
	}
	cm, err := k.CoreV1().ConfigMaps(t.object.Namespace).Get(ctx, t.object.Name, metav1.GetOptions{})
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case err != nil:
		return err.Error()
	case t.last != "" && cm.Data["release"] != t.last:
		return fmt.Sprintf("release %s was accepted, %s is there", t.last, cm.Data["release"])
	default:
		return ""
	}
}

// sentenceOf is the freeze's own sentence within a refusal.
func sentenceOf(refusal string) string {
	if i := strings.Index(refusal, "migration "); i >= 0 {
		return refusal[i:]
	}
	return refusal
}
