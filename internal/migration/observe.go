package migration

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	netv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/cluster"
	"crossfade.dev/internal/ledger"
	"crossfade.dev/internal/plan"
)

// A visit is one look at a migration: what both clusters held at its start.
type visit struct {
	m      *v1.Migration
	ledger *ledger.Ledger
	source site
	target site
	// estate is the source's inventory, which stays complete until the source is
	// retired: what has moved stands there at zero.
	estate plan.Estate
	// followed is what the mirror and the bridge last said.
	followed Followed
}

// A site is one side as it was seen.
type site struct {
	side v1.Side
	name string
	// record is the Cluster object by which the hub knows the site.
	record *v1.Cluster
	api    cluster.API
	// facts are what the cluster tells about itself.
	facts cluster.Facts
	// lost is true of a cluster that is given up: nothing else of the site is known then.
	lost bool

	deployments map[client.ObjectKey]*appsv1.Deployment
	autoscalers map[client.ObjectKey]*autoscalingv2.HorizontalPodAutoscaler
	services    map[client.ObjectKey]*corev1.Service
	ingresses   []*netv1.Ingress
	slices      []*discoveryv1.EndpointSlice
	audiences   map[client.ObjectKey]audience
	// last is what the last look showed.
	last *looked
	// podsOf names the Deployment that each pod belongs to; loose are pods that belong
	// to none, nor to any other kind of workload.
	podsOf map[client.ObjectKey]string
	loose  []*metav1.PartialObjectMetadata
}

// A Connection is one cluster as the engine uses it.
type Connection struct {
	API   cluster.API
	Facts cluster.Facts
}

func (s *site) connection() Connection { return Connection{s.api, s.facts} }

// on is the site of a side.
func (v *visit) on(side v1.Side) *site {
	if side == v1.Source {
		return &v.source
	}
	return &v.target
}

// errLedger says that it is the ledger that could not be looked at.
var errLedger = errors.New("the ledger")

// look connects to both clusters and reads what decisions need.
func (e *Engine) look(ctx context.Context, m *v1.Migration) (*visit, error) {
	v := &visit{m: m}
	var err error
	if v.ledger, err = e.Ledger(ctx, m); err != nil {
		return nil, fmt.Errorf("open %w: %w", errLedger, err)
	}
	if v.source, err = e.visitSite(ctx, m, v1.Source, m.Spec.Source); err != nil {
		return nil, err
	}
	if v.target, err = e.visitSite(ctx, m, v1.Target, m.Spec.Target); err != nil {
		return nil, err
	}
	if err := v.ledger.Keep(ctx, m, v.source.record, v.target.record); err != nil {
		return nil, fmt.Errorf("keep %w: %w", errLedger, err)
	}
	v.estate, err = e.inventory(ctx, m, &v.source)
	return v, wrap("take the inventory of "+m.Spec.Source, err)
}

func (e *Engine) visitSite(ctx context.Context, m *v1.Migration, side v1.Side, name string) (site, error) {
	s := site{side: side, name: name, last: e.known.in(m)}
	c := &v1.Cluster{}
	if err := e.Hub.Get(ctx, client.ObjectKey{Namespace: m.Namespace, Name: name}, c); err != nil {
		return s, fmt.Errorf("read cluster %s: %w", name, err)
	}
	if s.record = c; side == v1.Target && e.TargetLost {
		s.lost = true
		return s, nil
	}
	connection, err := e.Clusters(ctx, c)
	if err != nil {
		return s, fmt.Errorf("connect to cluster %s: %w", name, err)
	}
	s.api, s.facts = connection.API, connection.Facts
	return s, wrap("read cluster "+name, s.read(ctx, Scope(m)))
}

// read fills the site with what stands in the estate's namespaces.
func (s *site) read(ctx context.Context, in func(string) bool) error {
	var (
		deployments appsv1.DeploymentList
		autoscalers autoscalingv2.HorizontalPodAutoscalerList
		services    corev1.ServiceList
		ingresses   netv1.IngressList
		endpoints   discoveryv1.EndpointSliceList
	)
	for _, l := range []client.ObjectList{&deployments, &autoscalers, &services, &ingresses, &endpoints} {
		if err := s.api.List(ctx, l, client.UnsafeDisableDeepCopy); err != nil {
			return err
		}
	}
	s.deployments = byKey(within(in, deployments.Items))
	s.autoscalers = byKey(within(in, autoscalers.Items))
	s.services = byKey(within(in, services.Items))
	s.ingresses = within(in, ingresses.Items)
	s.slices = within(in, endpoints.Items)
	return s.readPods(ctx, in, within(in, deployments.Items))
}

// inventory reads the kinds that only the inventory needs, and takes it.
func (e *Engine) inventory(ctx context.Context, m *v1.Migration, s *site) (plan.Estate, error) {
	var (
		statefulSets appsv1.StatefulSetList
		daemonSets   appsv1.DaemonSetList
		cronJobs     batchv1.CronJobList
		jobs         batchv1.JobList
	)
	for _, l := range []client.ObjectList{&statefulSets, &daemonSets, &cronJobs, &jobs} {
		if err := s.api.List(ctx, l, client.UnsafeDisableDeepCopy); err != nil {
			return plan.Estate{}, err
		}
	}
	pods, replicaSets, err := s.looseOnes(ctx)
	if err != nil {
		return plan.Estate{}, err
	}
	in, last := Scope(m), e.known.in(m)
	objects := plan.Objects{
		Pods: pods, ReplicaSets: replicaSets,
		Deployments: values(s.deployments), Services: values(s.services),
		Autoscalers: values(s.autoscalers), Ingresses: s.ingresses,
		StatefulSets: within(in, statefulSets.Items), DaemonSets: within(in, daemonSets.Items),
		CronJobs: within(in, cronJobs.Items), Jobs: within(in, jobs.Items),
	}
	if !last.shows(m, objects) || last.estate == nil {
		estate := last.plan.Inventory(objects, m.Spec.Decisions)
		last.estate = &estate
	}
	return *last.estate, nil
}

// shows tells whether the inventory was last taken of the same objects, with the same
// decisions.
func (l *looked) shows(m *v1.Migration, o plan.Objects) bool {
	l.from.see(m.UID, strconv.FormatInt(m.Generation, 10))
	seeAll(&l.from, o.Deployments)
	seeAll(&l.from, o.StatefulSets)
	seeAll(&l.from, o.DaemonSets)
	seeAll(&l.from, o.ReplicaSets)
	seeAll(&l.from, o.CronJobs)
	seeAll(&l.from, o.Jobs)
	seeAll(&l.from, o.Pods)
	seeAll(&l.from, o.Services)
	seeAll(&l.from, o.Ingresses)
	seeAll(&l.from, o.Autoscalers)
	return l.from.same()
}

// Scope tells which namespaces belong to the estate.
func Scope(m *v1.Migration) func(namespace string) bool {
	if len(m.Spec.Namespaces) > 0 {
		return func(namespace string) bool { return slices.Contains(m.Spec.Namespaces, namespace) }
	}
	return func(namespace string) bool {
		return !strings.HasPrefix(namespace, "kube-") && namespace != m.Namespace
	}
}

// object is a pointer to T that is a Kubernetes object.
type object[T any] interface {
	*T
	client.Object
}

// within points at those items, without copying, that stand in the estate's
// namespaces.
func within[T any, P object[T]](in func(string) bool, items []T) []P {
	out := make([]P, 0, len(items))
	for i := range items {
		if p := P(&items[i]); in(p.GetNamespace()) {
			out = append(out, p)
		}
	}
	return out
}

func byKey[P client.Object](items []P) map[client.ObjectKey]P {
	m := make(map[client.ObjectKey]P, len(items))
	for _, o := range items {
		m[client.ObjectKeyFromObject(o)] = o
	}
	return m
}

func values[P client.Object](m map[client.ObjectKey]P) []P {
	out := make([]P, 0, len(m))
	for _, o := range m {
		out = append(out, o)
	}
	slices.SortFunc(out, func(a, b P) int {
		return cmp.Or(strings.Compare(a.GetNamespace(), b.GetNamespace()), strings.Compare(a.GetName(), b.GetName()))
	})
	return out
}
