package control

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// kubeconfig returns a kubeconfig by which id reaches server, with one context
// called name.
func (a *authority) kubeconfig(name, server string, id identity) ([]byte, error) {
	certPEM, keyPEM, err := a.sign(id)
	if err != nil {
		return nil, err
	}
	caPEM, err := os.ReadFile(a.certFile)
	if err != nil {
		return nil, err
	}
	config := api.NewConfig()
	config.Clusters[name] = &api.Cluster{Server: server, CertificateAuthorityData: caPEM}
	config.AuthInfos[id.user] = &api.AuthInfo{ClientCertificateData: certPEM, ClientKeyData: keyPEM}
	config.Contexts[name] = &api.Context{Cluster: name, AuthInfo: id.user}
	config.CurrentContext = name
	return clientcmd.Write(*config)
}

// kubeconfigCommand mints a kubeconfig for a person or a robot of the sandbox.
func kubeconfigCommand() *cobra.Command {
	var ca, server, context, out string
	var id identity
	cmd := &cobra.Command{
		Use:   "kubeconfig --ca DIR --user NAME --server URL",
		Short: "Write a kubeconfig for a user, signed by the sandbox's authority",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := openAuthority(ca, authorityName)
			if err != nil {
				return err
			}
			content, err := a.kubeconfig(context, server, id)
			if err != nil {
				return fmt.Errorf("kubeconfig of %s: %w", id.user, err)
			}
			if out != "" {
				return writeFile(out, content, 0o600)
			}
			_, err = cmd.OutOrStdout().Write(content)
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&ca, "ca", "", "folder of the sandbox's authority")
	f.StringVar(&id.user, "user", "", "name of the user")
	f.StringSliceVar(&id.groups, "group", nil, "group of the user; may be repeated")
	f.StringVar(&server, "server", "", "URL of the API server")
	f.StringVar(&context, "context", "sandbox", "name of the context")
	f.StringVar(&out, "out", "", "file to write; standard output if empty")
	for _, name := range []string{"ca", "user", "server"} {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err)
		}
	}
	return cmd
}
