package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/view"
)

// defaultNamespace holds Crossfade's own objects unless --namespace says otherwise.
const defaultNamespace = "crossfade-system"

// hubScheme has the kinds that commands read and write in the hub.
var hubScheme = func() *runtime.Scheme {
	s := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(s))
	utilruntime.Must(v1.AddToScheme(s))
	return s
}()

// A session is one command line: its world, and the flags that every command has.
type session struct {
	Env
	commands Commands
	flags    *genericclioptions.ConfigFlags
}

func newSession(env Env, commands Commands) *session {
	return &session{Env: env, commands: commands, flags: &genericclioptions.ConfigFlags{
		KubeConfig: new(""), Context: new(""), Namespace: new(defaultNamespace),
	}}
}

// hub is where the flags lead.
func (s *session) hub() Hub {
	return Hub{Kubeconfig: *s.flags.KubeConfig, Context: *s.flags.Context, Namespace: *s.flags.Namespace}
}

// connect reaches the hub.
func (s *session) connect() (HubClient, error) {
	if *s.flags.Namespace == "" {
		return nil, errors.New(`--namespace "": want the namespace of Crossfade's own objects`)
	}
	if s.Connect != nil {
		return s.Connect(s.hub())
	}
	config, err := s.hubConfig()
	if err != nil {
		return nil, err
	}
	// The client would complain that nobody wants its log.
	log.SetLogger(logr.Discard())
	config.QPS, config.Burst = 50, 100 // requests in a second: a watch makes six
	config.WarningHandler = rest.NewWarningWriter(s.Stderr, rest.WarningWriterOptions{Deduplicate: true})
	c, err := client.New(config, client.Options{Scheme: hubScheme})
	if err != nil {
		return nil, fmt.Errorf("reach the hub: %w", err)
	}
	return c, nil
}

// hubConfig is where the kubeconfig leads, or, without one and in a pod, the
// cluster that the pod is in. Errors name the flag that leads nowhere.
func (s *session) hubConfig() (*rest.Config, error) {
	raw, err := s.flags.ToRawKubeConfigLoader().RawConfig()
	if err != nil {
		return nil, fmt.Errorf("--kubeconfig %q: %w", *s.flags.KubeConfig, WithoutKeys(plainPathError(err)))
	}
	if clientcmdapi.IsConfigEmpty(&raw) {
		config, err := rest.InClusterConfig()
		if err != nil {
			return nil, errors.New("--kubeconfig: no kubeconfig was found, neither by this flag nor by $KUBECONFIG nor in ~/.kube/config")
		}
		return config, nil
	}
	if name := *s.flags.Context; name != "" && raw.Contexts[name] == nil {
		return nil, fmt.Errorf("--context %q: the kubeconfig has no context of that name%s", name, thereAre(slices.Sorted(maps.Keys(raw.Contexts))))
	}
	config, err := s.flags.ToRESTConfig()
	if err != nil {
		return nil, fmt.Errorf("--kubeconfig %q: %w", *s.flags.KubeConfig, WithoutKeys(err))
	}
	return config, nil
}

// streams are what the commands of others write to.
func (s *session) streams() Streams {
	return Streams{In: s.Stdin, Out: s.Stdout, Err: s.Stderr, Live: s.ErrTTY && s.Getenv("TERM") != "dumb"}
}

// look is how text on stdout is drawn.
func (s *session) look() view.Look {
	if !s.OutTTY {
		return view.Look{}
	}
	return view.Look{Color: s.Getenv("NO_COLOR") == "" && s.Getenv("TERM") != "dumb", Width: s.Width()}
}

// say narrates.
func (s *session) say(format string, args ...any) {
	fmt.Fprintf(s.Stderr, format+"\n", args...)
}

// out writes data.
func (s *session) out(text string) error {
	_, err := io.WriteString(s.Stdout, text)
	return err
}

// withHub makes the function of a command that needs the hub.
func (s *session) withHub(run func(ctx context.Context, c HubClient, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		c, err := s.connect()
		if err != nil {
			return err
		}
		return run(cmd.Context(), c, args)
	}
}
