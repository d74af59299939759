package mirrorbench

import (
	"context"
	"fmt"
	nethttp "net/http"
	"path/filepath"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/config"
	"crossfade.dev/internal/cluster"
	"crossfade.dev/internal/sandbox"
)

// firstPlane is the number of the first control plane; no demo uses it or the next.
const firstPlane = 31

const hubNamespace = "crossfade-system"

// A plane is a control plane of the sandbox.
type plane struct {
	client     client.WithWatch
	config     *rest.Config
	kubeconfig string
	process    *sandbox.Process
}

func startPlane(ctx context.Context, binary, dir string, number int) (*plane, error) {
	name := fmt.Sprintf("plane-%d", number)
	p := &plane{kubeconfig: filepath.Join(dir, name, "kubeconfig")}
	var err error
	p.process, err = sandbox.Start(ctx, binary, "control", "--small", "--cluster", fmt.Sprint(number), "--name", name, "--dir", filepath.Join(dir, name))
	if err != nil {
		return nil, fmt.Errorf("does another control plane run at 127.%d.0.1? %w", number, err)
	}
	if p.config, err = clientcmd.BuildConfigFromFlags("", p.kubeconfig); err != nil {
		return nil, err
	}
	p.config.QPS = -1
	p.client, err = client.NewWithWatch(p.config, client.Options{Scheme: cluster.Scheme()})
	return p, err
}

// post is the bare loop: it creates namespaces first, then all the rest, with as many
// requests in flight as the mirror has, and returns how long that took.
func (p *plane) post(ctx context.Context, objects []*unstructured.Unstructured) (time.Duration, error) {
	began := time.Now()
	for _, namespaces := range []bool{true, false} {
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(workers)
		for _, obj := range objects {
			if (obj.GetKind() == "Namespace") != namespaces {
				continue
			}
			group.Go(func() error {
				if err := p.client.Create(ctx, obj.DeepCopy(), client.FieldOwner("helm")); err != nil {
					return fmt.Errorf("create %s %s/%s: %w", obj.GetKind(), obj.GetNamespace(), obj.GetName(), err)
				}
				return nil
			})
		}
		if err := group.Wait(); err != nil {
			return 0, err
		}
	}
	return time.Since(began), nil
}

// writes counts the writes of objects that the API server has done, those of leases
// and its own left out.
func (p *plane) writes(ctx context.Context) (int, error) {
	http, err := rest.HTTPClientFor(p.config)
	if err != nil {
		return 0, err
	}
	request, err := nethttp.NewRequestWithContext(ctx, nethttp.MethodGet, p.config.Host+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	reply, err := http.Do(request)
	if err != nil {
		return 0, fmt.Errorf("read the API server's metrics: %w", err)
	}
	defer reply.Body.Close()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(reply.Body)
	if err != nil {
		return 0, fmt.Errorf("read the API server's metrics: %w", err)
	}
	sum := 0.0
	for _, metric := range families["apiserver_request_total"].GetMetric() {
		if isWrite(metric) {
			sum += metric.GetCounter().GetValue()
		}
	}
	return int(sum), nil
}

// isWrite is true of the counter of writes to objects of the estate that were done.
func isWrite(metric *dto.Metric) bool {
	labels := map[string]string{}
	for _, pair := range metric.GetLabel() {
		labels[pair.GetName()] = pair.GetValue()
	}
	switch labels["verb"] {
	case "POST", "PUT", "PATCH", "DELETE":
	default:
		return false
	}
	switch labels["resource"] {
	case "leases", "flowschemas", "prioritylevelconfigurations", "events", "subjectaccessreviews", "selfsubjectaccessreviews", "selfsubjectreviews", "tokenreviews", "":
		return false
	}
	return strings.HasPrefix(labels["code"], "2") && labels["dry_run"] == ""
}

// installHub gives the hub the kinds that the ledger needs.
func (b *benchmark) installHub(ctx context.Context) error {
	kinds, err := config.Definitions()
	if err != nil {
		return err
	}
	for _, crd := range kinds {
		if err := b.hub.client.Create(ctx, crd); err != nil {
			return fmt.Errorf("install %s: %w", crd.Name, err)
		}
	}
	return b.hub.client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: hubNamespace}})
}

// starting is how long the hub may take to serve its new kinds, on a busy machine.
const starting = 2 * time.Minute

// migration makes the migration whose ledger the mirror keeps, if it is not there. The
// hub may just have begun to serve its kind.
func (b *benchmark) migration(ctx context.Context, name string) error {
	m := &v1.Migration{
		ObjectMeta: metav1.ObjectMeta{Namespace: hubNamespace, Name: name},
		Spec:       v1.MigrationSpec{Source: "source", Target: "target"},
	}
	deadline := time.Now().Add(starting)
	for {
		err := b.hub.client.Create(ctx, m.DeepCopy())
		switch {
		case err == nil, apierrors.IsAlreadyExists(err):
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("create the migration: %w", err)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
