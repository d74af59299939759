package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/validation"

	"crossfade.dev/examples/estate"
)

// A selection says which estate is meant: one to generate, or other manifests.
type selection struct {
	estate.Options
	path string
}

func selectionFlags(cmd *cobra.Command) *selection {
	s := &selection{}
	cmd.Flags().IntVar(&s.Apps, "apps", estate.DefaultApps, "how many applications")
	cmd.Flags().StringVar(&s.Zone, "zone", estate.DefaultZone, "DNS zone of the public names")
	cmd.Flags().Int64Var(&s.Seed, "seed", 0, "seed of what the applications look like")
	cmd.Flags().StringVar(&s.path, "estate", "", "file or folder of other manifests, in place of generated ones")
	return s
}

func (s *selection) estate() (estate.Estate, error) {
	switch wrong := validation.IsDNS1123Subdomain(s.Zone); {
	case len(wrong) > 0:
		return estate.Estate{}, fmt.Errorf("--zone is %q: %s", s.Zone, wrong[0])
	case s.path != "":
		return estate.Load(s.path, s.Zone)
	case s.Apps < 1:
		return estate.Estate{}, fmt.Errorf("--apps is %d: it must be 1 or more", s.Apps)
	}
	return estate.Generate(s.Options), nil
}

func manifestsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "manifests",
		Short: "Write the estate's manifests into a folder",
		Args:  cobra.NoArgs,
	}
	selected := selectionFlags(cmd)
	folder := cmd.Flags().String("dir", "manifests", "folder to write")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		found, err := selected.estate()
		if err != nil {
			return err
		}
		if err := found.Write(*folder); err != nil {
			return err
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "%d objects, %d names in %s\n", len(found.Objects), len(found.Names), *folder)
		return nil
	}
	return cmd
}

func namesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "names",
		Short: "Print the public names of the estate",
		Args:  cobra.NoArgs,
	}
	selected := selectionFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		found, err := selected.estate()
		if err != nil {
			return err
		}
		out := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
		for _, name := range found.Names {
			fmt.Fprintf(out, "%s://%s:%d%s\t%s %s/%s\t%s\n", name.Scheme, name.Host, name.Port, name.Path,
				name.Entry.Kind, name.Entry.Namespace, name.Entry.Name, kinds(name))
		}
		return out.Flush()
	}
	return cmd
}

func kinds(name estate.Name) string {
	if len(name.Kinds) == 0 {
		return "not asked"
	}
	var texts []string
	for _, kind := range name.Kinds {
		texts = append(texts, string(kind))
	}
	return strings.Join(texts, ", ")
}

func imagesCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "images",
		Short: "Print how the estate's images run as processes of this binary",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			binary, err := os.Executable()
			if err != nil {
				return fmt.Errorf("find this binary: %w", err)
			}
			if binary, err = filepath.EvalSymlinks(binary); err != nil {
				return fmt.Errorf("find this binary: %w", err)
			}
			_, err = cmd.OutOrStdout().Write(estate.ImageTable(binary))
			return err
		},
	}
}
