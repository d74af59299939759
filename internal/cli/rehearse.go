package cli

import (
	"fmt"

	"github.com/spf13/cobra"
)

// rehearse is what the engine starts to prove an archive: another process, which
// knows nothing but the bucket and the cluster. People have no use for it.
func (s *session) rehearse() *cobra.Command {
	var o RehearseOptions
	var f format
	cmd := &cobra.Command{
		Use:    "rehearse --archive URL --name NAME --kubeconfig FILE",
		Short:  "Restore an archive into an empty cluster and compare",
		Long:   "Restores an archive into a cluster that is empty of the estate, compares what is there\nwith the archive, writes a line for each difference, and cleans up. The exit code is 1 if there are any.",
		Hidden: true,
		Args:   atMost(0),
	}
	cmd.Flags().StringVar(&o.Archive, "archive", "", "URL of the archive's bucket (required)")
	cmd.Flags().StringVar(&o.Name, "name", "", "Name of the archive in the bucket (required)")
	cmd.Flags().StringVar(&o.Identity, "identity", "", "File with age identities that open the archive's Secrets")
	outputFlag(cmd, &f, asJSON, asYAML)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		o.Kubeconfig = s.hub().Kubeconfig
		for _, required := range []struct{ flag, value string }{{"archive", o.Archive}, {"name", o.Name}, {"kubeconfig", o.Kubeconfig}} {
			if required.value == "" {
				return fmt.Errorf("--%s %q: none given", required.flag, required.value)
			}
		}
		differs := false
		err := s.commands.Rehearse(cmd.Context(), o, func(differences []string) error {
			differs = len(differences) > 0
			return s.showLines(differences, f)
		})
		if err == nil && differs {
			return ended(codeNo)
		}
		return err
	}
	return cmd
}
