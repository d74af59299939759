package demo

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"filippo.io/age"
	"github.com/miekg/dns"
	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	netv1 "k8s.io/api/networking/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/config"
	"crossfade.dev/examples/estate"
	"crossfade.dev/internal/plan"
	"crossfade.dev/internal/referee"
	"crossfade.dev/internal/vantage"
)

// A world is the clusters, the names and the estate that the demo acts on.
type world struct {
	dir, binaries string
	estate        estate.Estate
	translation   vantage.Translation

	source, target, hub site
	// moving is the inventory of what is to move, and asked what the referee asks.
	moving  []plan.Workload
	staying int
	apps    int
	// archiveKey opens the Secrets of archives.
	archiveKey *age.X25519Identity
	asked      []estate.Name
}

// A site is one cluster as its administrator reaches it.
type site struct {
	name   string
	config *rest.Config
	client client.Client
	// given is set if the demo did not start it.
	given *Given
}

// newWorld opens source and target; the hub comes later.
func newWorld(o Options, from vantage.Translation, e estate.Estate) (*world, error) {
	w := &world{dir: o.Dir, binaries: o.Binaries, estate: e, translation: from}
	var err error
	if w.archiveKey, err = age.GenerateX25519Identity(); err != nil {
		return nil, err
	}
	for _, s := range []struct {
		into  *site
		name  string
		given *Given
	}{{&w.source, "source", o.Source}, {&w.target, "target", o.Target}} {
		if s.given == nil {
			*s.into, err = openOwn(o.Dir, s.name)
		} else {
			*s.into, err = openSite(s.name, s.given.Config)
			s.into.given = s.given
		}
		if err != nil {
			return nil, err
		}
	}
	for _, n := range e.Names {
		if len(n.Kinds) > 0 {
			w.asked = append(w.asked, n)
		}
	}
	return w, nil
}

// openOwn opens a cluster that the demo started.
func openOwn(dir, name string) (site, error) {
	config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(dir, name, "kubeconfig"))
	if err != nil {
		return site{}, fmt.Errorf("read the kubeconfig of %s: %w", name, err)
	}
	return openSite(name, config)
}

func openSite(name string, config *rest.Config) (site, error) {
	c := rest.CopyConfig(config)
	c.QPS = -1
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, apiextensionsv1.AddToScheme, v1.AddToScheme} {
		if err := add(scheme); err != nil {
			return site{}, err
		}
	}
	k, err := client.New(c, client.Options{Scheme: scheme})
	if err != nil {
		return site{}, fmt.Errorf("connect to %s: %w", name, err)
	}
	return site{name: name, config: c, client: k}, nil
}

// given is the cluster of a number if the demo did not start it, else nil.
func (w *world) given(number int) *Given {
	switch number {
	case sourceNumber:
		return w.source.given
	case targetNumber:
		return w.target.given
	default:
		return nil
	}
}

// populate creates the estate in the source: first what others need, then the
// rest at once.
func (w *world) populate(ctx context.Context) error {
	var group errgroup.Group
	group.SetLimit(16)
	for _, o := range w.estate.Objects {
		create := func() error {
			err := w.source.client.Create(ctx, o.DeepCopy(), client.FieldOwner("kubectl-create"))
			if err != nil && !apierrors.IsAlreadyExists(err) {
				return fmt.Errorf("create %s %s/%s: %w", o.GetKind(), o.GetNamespace(), o.GetName(), err)
			}
			return nil
		}
		if o.GetNamespace() == "" {
			if err := create(); err != nil {
				return err
			}
			continue
		}
		group.Go(func() error { return eventually(ctx, 20*time.Second, create) })
	}
	return group.Wait()
}

// eventually does something again until it succeeds or its time is over.
func eventually(ctx context.Context, patience time.Duration, do func() error) error {
	deadline := time.Now().Add(patience)
	for {
		err := do()
		if err == nil || time.Now().After(deadline) || ctx.Err() != nil {
			return err
		}
		if pause(ctx, 100*time.Millisecond) != nil {
			return err
		}
	}
}

// installHub gives the hub Crossfade's kinds, and says how to reach the clusters.
func (w *world) installHub(ctx context.Context, proxies map[string]*proxy) error {
	if err := w.installKinds(ctx); err != nil {
		return err
	}
	objects := []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: hubNamespace}},
		secret("tsig", "key", []byte(tsigSecret)),
		secret("archive-key", "identity", []byte(w.archiveKey.String())),
	}
	for number, name := range clusterNames {
		if number == hubNumber {
			continue
		}
		file, err := w.engineKubeconfig(ctx, number, proxies[name])
		if err != nil {
			return err
		}
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		objects = append(objects, secret(name, "kubeconfig", data), &v1.Cluster{
			ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: hubNamespace},
			Spec:       v1.ClusterSpec{Kubeconfig: v1.SecretKey{Name: name, Key: "kubeconfig"}, PodRanges: w.podRanges(number)},
		})
	}
	for _, o := range objects {
		create := func() error { return client.IgnoreAlreadyExists(w.hub.client.Create(ctx, o)) }
		if err := eventually(ctx, 20*time.Second, create); err != nil {
			return fmt.Errorf("create %T %s in the hub: %w", o, o.GetName(), err)
		}
	}
	return nil
}

// podRanges are known of the demo's own clusters only.
func (w *world) podRanges(number int) []string {
	if w.given(number) != nil {
		return nil
	}
	return []string{fmt.Sprintf("10.%d.0.0/16", number)}
}

// engineKubeconfig writes how the engine reaches a cluster: in its own name, or
// through a proxy that asks in its name.
func (w *world) engineKubeconfig(ctx context.Context, number int, through *proxy) (string, error) {
	file := filepath.Join(w.dir, "engine-"+clusterNames[number]+".kubeconfig")
	if through == nil {
		return file, mint(ctx, w.binaries, w.dir, engineUser, fmt.Sprintf("https://127.%d.0.1:6443", number), file)
	}
	c := api.NewConfig()
	c.Clusters["proxy"] = &api.Cluster{Server: through.url}
	c.Contexts["proxy"] = &api.Context{Cluster: "proxy"}
	c.CurrentContext = "proxy"
	return file, clientcmd.WriteToFile(*c, file)
}

// engineConfig is how the engine reaches a cluster in its own name.
func (w *world) engineConfig(ctx context.Context, number int) (*rest.Config, error) {
	if g := w.given(number); g != nil {
		return g.as(engineUser), nil
	}
	file, err := w.engineKubeconfig(ctx, number, nil)
	if err != nil {
		return nil, err
	}
	return clientcmd.BuildConfigFromFlags("", file)
}

func (w *world) installKinds(ctx context.Context) error {
	kinds, err := config.Definitions()
	if err != nil {
		return err
	}
	for _, crd := range kinds {
		if err := w.hub.client.Create(ctx, crd); client.IgnoreAlreadyExists(err) != nil {
			return fmt.Errorf("install %s: %w", crd.Name, err)
		}
	}
	return nil
}

func secret(name, key string, data []byte) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: hubNamespace},
		Data:       map[string][]byte{key: data},
	}
}

// serving is how long an estate may take to serve: some manifests let a pod be
// ready only minutes after its start.
const serving = 8 * time.Minute

// awaitEstate waits until every Deployment of the source is ready and every entry
// has its address, and takes the inventory.
func (w *world) awaitEstate(ctx context.Context) error {
	return eventually(ctx, serving, func() error {
		deployments, err := w.deployments(ctx)
		if err != nil {
			return err
		}
		for _, d := range deployments {
			if d.Status.ReadyReplicas < ptr.Deref(d.Spec.Replicas, 1) {
				return fmt.Errorf("the Deployment %s/%s has %d of %d replicas ready", d.Namespace, d.Name, d.Status.ReadyReplicas, ptr.Deref(d.Spec.Replicas, 1))
			}
		}
		if _, err := w.records(ctx); err != nil {
			return err
		}
		return w.takeInventory(ctx, deployments)
	})
}

// deployments are those of the estate.
func (w *world) deployments(ctx context.Context) ([]appsv1.Deployment, error) {
	var all appsv1.DeploymentList
	if err := w.source.client.List(ctx, &all); err != nil {
		return nil, err
	}
	in := w.scope()
	return slices.DeleteFunc(all.Items, func(d appsv1.Deployment) bool { return !in(d.Namespace) }), nil
}

// namespaces are those to move, none for all but the platform's own: in clusters
// that were given, what the demo was not told of stays as it is.
func (w *world) namespaces() []string {
	if w.source.given == nil {
		return nil
	}
	var out []string
	for _, o := range w.estate.Objects {
		if n := o.GetNamespace(); n != "" && !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out
}

// scope tells which namespaces are to be moved.
func (w *world) scope() func(namespace string) bool {
	named := w.namespaces()
	return func(namespace string) bool {
		return len(named) == 0 && !strings.HasPrefix(namespace, "kube-") || slices.Contains(named, namespace)
	}
}

// takeInventory tells what moves and what asks for a decision, as the engine will.
func (w *world) takeInventory(ctx context.Context, deployments []appsv1.Deployment) error {
	e, err := w.inventory(ctx, deployments, nil)
	w.moving = e.Workloads(plan.Moving)
	w.apps = len(e.Apps)
	w.staying = len(e.Workloads(plan.NeedsDecision))
	return err
}

// records are the zone's first records: where each name leads in the source.
func (w *world) records(ctx context.Context) ([]string, error) {
	lines := []string{fmt.Sprintf("api %d IN A %s", firstTTL, apiAddress(sourceNumber, w.source.given != nil))}
	seen := map[string]bool{}
	for _, n := range w.estate.Names {
		if seen[n.Host] {
			continue
		}
		seen[n.Host] = true
		address, err := w.source.entry(ctx, n.Entry)
		if err != nil {
			return nil, err
		}
		lines = append(lines, fmt.Sprintf("%s. %d IN A %s", n.Host, firstTTL, address))
	}
	return lines, nil
}

// entry is the address of an Ingress or a balancer.
func (s site) entry(ctx context.Context, e estate.Entry) (string, error) {
	key := client.ObjectKey{Namespace: e.Namespace, Name: e.Name}
	var address string
	if e.Kind == "Ingress" {
		var i netv1.Ingress
		if err := s.client.Get(ctx, key, &i); err != nil {
			return "", err
		}
		for _, a := range i.Status.LoadBalancer.Ingress {
			address = a.IP
		}
	} else {
		var svc corev1.Service
		if err := s.client.Get(ctx, key, &svc); err != nil {
			return "", err
		}
		for _, a := range svc.Status.LoadBalancer.Ingress {
			address = a.IP
		}
	}
	if address == "" {
		return "", fmt.Errorf("%s %s has no address yet", e.Kind, key)
	}
	return address, nil
}

// targets is what the referee asks, as its file.
func (w *world) targets() ([]byte, error) {
	var targets referee.Targets
	for _, n := range w.asked {
		t := referee.Target{Name: n.Host + n.Path, Host: n.Host, Port: uint16(n.Port), Scheme: referee.Scheme(n.Scheme), Path: n.Path}
		for _, k := range n.Kinds {
			t.Kinds = append(t.Kinds, referee.Kind(k))
			if k == estate.Player {
				t.PlaylistPath = n.Path
			}
		}
		targets = append(targets, t)
	}
	return yaml.Marshal(targets)
}

// awaitName waits until a resolver knows the name.
func (w *world) awaitName(ctx context.Context, name string) error {
	return eventually(ctx, starting, func() error {
		_, err := w.lookUp(ctx, name)
		return err
	})
}

// awaitAnswers waits until every name that the referee will ask answers: entries hear
// of pods that are ready only some time after the API server does.
func (w *world) awaitAnswers(ctx context.Context) error {
	asking := &http.Client{Timeout: starting, Transport: &http.Transport{
		DisableKeepAlives: true, DialContext: w.dial,
	}}
	for _, n := range w.asked {
		err := eventually(ctx, starting, func() error {
			url := fmt.Sprintf("%s://%s%s", n.Scheme, net.JoinHostPort(n.Host, strconv.Itoa(int(n.Port))), n.Path)
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
			if err != nil {
				return err
			}
			reply, err := asking.Do(request)
			if err != nil {
				return err
			}
			defer reply.Body.Close()
			if reply.StatusCode >= http.StatusInternalServerError {
				return fmt.Errorf("%s answers %s", url, reply.Status)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// dial connects to where a name leads now.
func (w *world) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	ip, err := w.lookUp(ctx, host)
	if err != nil {
		return nil, err
	}
	return w.translation.DialContext(ctx, network, net.JoinHostPort(ip.String(), port))
}

// lookUp asks a resolver of the sandbox for the name's address.
func (w *world) lookUp(ctx context.Context, name string) (net.IP, error) {
	_, server, _ := strings.Cut(resolvers[0], "=")
	conn, err := w.translation.DialContext(ctx, "udp", server)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	question := new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeA)
	c := &dns.Conn{Conn: conn}
	if err := conn.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return nil, err
	}
	if err := c.WriteMsg(question); err != nil {
		return nil, err
	}
	answer, err := c.ReadMsg()
	if err != nil {
		return nil, fmt.Errorf("look up %s: %w", name, err)
	}
	for _, rr := range answer.Answer {
		if a, ok := rr.(*dns.A); ok {
			return a.A, nil
		}
	}
	return nil, fmt.Errorf("look up %s: no address", name)
}

func finished(m *v1.Migration, s v1.Stage) bool {
	return meta.IsStatusConditionTrue(m.Status.Conditions, s.Finished())
}

// backAt tells whether every stage after the given one was undone.
func backAt(m *v1.Migration, stage v1.Stage) bool {
	for _, s := range slices.Backward(v1.Stages) {
		if s == stage {
			break
		}
		if c := meta.FindStatusCondition(m.Status.Conditions, s.Finished()); c == nil || c.Status != metav1.ConditionUnknown {
			return false
		}
	}
	return true
}
