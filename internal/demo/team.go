package demo

import (
	"context"
	"fmt"
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

// A team deploys, all the time and by the address that teams always use: twice a
// second it changes a ConfigMap of its own. It knows of no migration. What was
// accepted must be there in the end.
type team struct {
	w      *world
	config *rest.Config
	object client.ObjectKey

	cancel context.CancelFunc
	done   chan struct{}

	mu sync.Mutex
	diary
}

// A diary is what became of the team's writes, in their order.
type diary struct {
	accepted, refused, failed int
	// sentence is what a refused person read, trouble why a write failed otherwise.
	sentence, trouble string
	// last is the last release that was accepted.
	last string
	// lastAccepted is when a write was last accepted; closed when the last one was
	// before the first refusal, opened when the first one was after the last refusal.
	lastAccepted, closed, opened time.Time
}

// teamObject is the ConfigMap that the team changes. How often it does decides how
// finely a freeze is measured.
const (
	teamUser    = "team-playback"
	teamObject  = "release-notes"
	deployEvery = 500 * time.Millisecond
)

func startTeam(ctx context.Context, w *world) (*team, error) {
	config, err := w.teamConfig(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	t := &team{w: w, config: config, cancel: cancel, done: make(chan struct{}),
		object: client.ObjectKey{Namespace: w.moving[0].Namespace, Name: teamObject}}
	config.Dial = t.w.dial
	config.Timeout = 5 * time.Second
	if err := t.begin(ctx); err != nil {
		cancel()
		return nil, err
	}
	go t.run(ctx)
	return t, nil
}

// teamConfig is how a team reaches the cluster that the name of the API leads to. In
// given clusters a proxy of each stands for the sign-on that teams have in both.
func (w *world) teamConfig(ctx context.Context) (*rest.Config, error) {
	if w.source.given == nil {
		file := filepath.Join(w.dir, "team.kubeconfig")
		if err := mint(ctx, w.binaries, w.dir, teamUser, "https://"+apiName+":6443", file); err != nil {
			return nil, err
		}
		return clientcmd.BuildConfigFromFlags("", file)
	}
	for number, g := range map[int]*Given{sourceNumber: w.source.given, targetNumber: w.target.given} {
		if _, err := newProxy(ctx, g.as(teamUser), fmt.Sprintf("127.%d.0.9:6443", number)); err != nil {
			return nil, err
		}
	}
	return &rest.Config{Host: "http://" + apiName + ":6443"}, nil
}

// begin creates the team's object.
func (t *team) begin(ctx context.Context) error {
	k, done, err := t.connect()
	if err != nil {
		return err
	}
	defer done()
	cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: t.object.Namespace, Name: t.object.Name}, Data: map[string]string{"release": "0"}}
	_, err = k.CoreV1().ConfigMaps(t.object.Namespace).Create(ctx, cm, metav1.CreateOptions{FieldManager: "team-pipeline"})
	if err != nil {
		return fmt.Errorf("the team's first write: %w", err)
	}
	return nil
}

// connect makes a client with a connection of its own; done closes that.
func (t *team) connect() (k kubernetes.Interface, done func(), err error) {
	transport, err := rest.HTTPClientFor(rest.CopyConfig(t.config))
	if err != nil {
		return nil, nil, err
	}
	k, err = kubernetes.NewForConfigAndClient(t.config, transport)
	return k, transport.CloseIdleConnections, err
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

// deploy writes the next release, on a connection of its own as each run of a
// pipeline does, and counts what became of it.
func (t *team) deploy(ctx context.Context, release string) {
	k, done, err := t.connect()
	if err == nil {
		patch := fmt.Appendf(nil, `{"data":{"release":%q}}`, release)
		_, err = k.CoreV1().ConfigMaps(t.object.Namespace).Patch(ctx, t.object.Name, "application/merge-patch+json", patch,
			metav1.PatchOptions{FieldManager: "team-pipeline"})
		done()
	}
	if ctx.Err() != nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.enter(release, err, time.Now())
}

// enter notes what became of a write.
func (d *diary) enter(release string, err error, now time.Time) {
	switch {
	case err == nil:
		d.accepted++
		d.last, d.lastAccepted = release, now
		if d.refused > 0 && d.opened.IsZero() {
			d.opened = now
		}
	case apierrors.IsForbidden(err) || apierrors.IsInvalid(err):
		if d.refused == 0 {
			d.closed = d.lastAccepted
		}
		d.refused++
		d.sentence, d.opened = err.Error(), time.Time{}
	default:
		d.failed++
		d.trouble = err.Error()
	}
}

// frozen is for how long the team could not write because it was refused; 0 if it
// never was, or not both before and after.
func (d *diary) frozen() time.Duration {
	if d.closed.IsZero() || d.opened.IsZero() {
		return 0
	}
	return d.opened.Sub(d.closed)
}

func (d *diary) writes() int { return d.accepted + d.refused + d.failed }

// complaints are what the team would have noticed beyond a freeze: back is true if
// the way led back before one, faults if control planes were killed, which then take
// no writes.
func (d *diary) complaints(back, faults bool) []string {
	var out []string
	switch {
	case d.accepted == 0:
		out = append(out, "none of the team's writes was accepted")
	case back && d.refused > 0:
		out = append(out, fmt.Sprintf("%d of the team's writes were refused, though the writer never changed: %s", d.refused, d.sentence))
	case !back && d.refused == 0:
		out = append(out, "none of the team's writes was refused: nobody saw the freeze")
	case !back && d.closed.IsZero():
		out = append(out, "none of the team's writes was accepted before the freeze")
	case !back && d.opened.IsZero():
		out = append(out, "none of the team's writes was accepted after the freeze")
	}
	if d.failed > 0 && !faults {
		out = append(out, fmt.Sprintf("%d of the team's writes failed otherwise than refused: %s", d.failed, d.trouble))
	}
	return out
}

// remove deletes the team's object on both sides.
func (t *team) remove(ctx context.Context) error {
	for _, c := range []site{t.w.source, t.w.target} {
		cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: t.object.Namespace, Name: t.object.Name}}
		if err := client.IgnoreNotFound(c.client.Delete(ctx, cm)); err != nil {
			return fmt.Errorf("delete the team's object in the %s: %w", c.name, err)
		}
	}
	return nil
}

func (t *team) stop() {
	t.cancel()
	<-t.done
}

// lost tells what is missing of the last release that was accepted.
func (t *team) lost(ctx context.Context) string {
	k, done, err := t.connect()
	if err != nil {
		return err.Error()
	}
	defer done()
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
