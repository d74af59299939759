package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/cli"
	"crossfade.dev/internal/cluster"
)

// answerTime is how long a command that a person waits for waits for a cluster.
const answerTime = 10 * time.Second

// contextConfig is where a context of a kubeconfig leads. Both may be empty, as with
// kubectl.
func contextConfig(kubeconfig, context string) (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = kubeconfig
	overrides := &clientcmd.ConfigOverrides{CurrentContext: context}
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides)
	if raw, err := loader.RawConfig(); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("--kubeconfig %q: no such file", kubeconfig)
	} else if err == nil && context != "" && raw.Contexts[context] == nil {
		return nil, fmt.Errorf("the kubeconfig has no context of that name%s", thereAre(raw.Contexts))
	}
	config, err := loader.ClientConfig()
	if err != nil {
		return nil, cli.WithoutKeys(err)
	}
	return config, nil
}

// thereAre names the contexts that there are, at most ten.
func thereAre(contexts map[string]*clientcmdapi.Context) string {
	names := slices.Sorted(maps.Keys(contexts))
	switch {
	case len(names) == 0:
		return "; it has none"
	case len(names) > 10:
		names = append(names[:10], "others")
	}
	return "; it has " + strings.Join(names, ", ")
}

// reach connects to a cluster for a command that is not the engine: the fence is not
// held, so nothing can be written by mistake. What is how the person named the
// cluster.
func reach(ctx context.Context, what string, config *rest.Config, pin types.UID) (*cluster.Cluster, error) {
	began := time.Now()
	within, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	c, err := cluster.Connect(within, cluster.Options{Config: config, PinUID: pin})
	switch {
	case err == nil:
		return c, nil
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	default:
		return nil, unanswered(what, config.Host, time.Since(began), err)
	}
}

// unanswered says in one sentence which cluster did not answer, for how long, and
// why. It does not wrap err, whose wording is about the hub.
func unanswered(what, host string, after time.Duration, err error) error {
	why := err.Error()
	var request *url.Error
	var dial *net.OpError
	switch {
	case errors.Is(err, cluster.ErrReplaced):
		return fmt.Errorf("%s: %w", what, err)
	case apierrors.IsUnauthorized(err):
		return fmt.Errorf("%s: %s does not accept its credentials", what, host)
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &request) && request.Timeout():
		why = "timed out"
	case errors.As(err, &dial):
		why = dial.Err.Error()
	}
	unit := 100 * time.Millisecond
	if after < time.Second {
		unit = time.Millisecond // refused at once, and "within 0s" would say nothing
	}
	return fmt.Errorf("%s: %s gave no answer (after %s: %s)", what, host, max(after.Round(unit), unit), strings.Join(strings.Fields(why), " "))
}

// reachContext connects to where a context of the kubeconfig leads; flag is the one
// that named it.
func reachContext(ctx context.Context, flag, kubeconfig, name string) (*cluster.Cluster, error) {
	what := fmt.Sprintf("%s %q", flag, name)
	config, err := contextConfig(kubeconfig, name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return reach(ctx, what, config, "")
}

// reachHub connects to the hub.
func reachHub(ctx context.Context, h cli.Hub) (*cluster.Cluster, error) {
	config, err := hubConfig(h)
	if err != nil {
		return nil, err
	}
	return reach(ctx, "the hub", config, "")
}

// reachCluster connects to where a Cluster of the hub leads.
func reachCluster(ctx context.Context, hub client.Reader, namespace, name string) (*cluster.Cluster, error) {
	obj, err := readCluster(ctx, hub, namespace, name)
	if err != nil {
		return nil, err
	}
	config, err := hubConfigOf(ctx, hub, obj)
	if err != nil {
		return nil, err
	}
	return reach(ctx, "cluster "+name, config, pinOf(obj))
}

// hubConfigOf is where a Cluster of the hub leads.
func hubConfigOf(ctx context.Context, hub client.Reader, obj *v1.Cluster) (*rest.Config, error) {
	secret, err := readKubeconfig(ctx, hub, obj)
	if err != nil {
		return nil, err
	}
	return configOf(obj, secret.Data[obj.Spec.Kubeconfig.Key])
}

// reachBoth connects to both clusters of a migration in the hub. The returned
// function ends the connections.
func reachBoth(ctx context.Context, hub client.Reader, m *v1.Migration) (source, target *cluster.Cluster, done func(), err error) {
	if source, err = reachCluster(ctx, hub, m.Namespace, m.Spec.Source); err != nil {
		return nil, nil, nil, err
	}
	if target, err = reachCluster(ctx, hub, m.Namespace, m.Spec.Target); err != nil {
		source.Close()
		return nil, nil, nil, err
	}
	return source, target, func() { source.Close(); target.Close() }, nil
}
