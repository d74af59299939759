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

// generated adds the flags of a generated estate to cmd.
func generated(cmd *cobra.Command) *estate.Options {
	options := &estate.Options{}
	cmd.Flags().IntVar(&options.Apps, "apps", estate.DefaultApps, "how many applications")
	cmd.Flags().StringVar(&options.Zone, "zone", estate.DefaultZone, "DNS zone of the public names")
	cmd.Flags().Int64Var(&options.Seed, "seed", 0, "seed of what the applications look like")
	return options
}

func generate(options *estate.Options) (estate.Estate, error) {
	if options.Apps < 1 {
		return estate.Estate{}, fmt.Errorf("--apps is %d: it must be 1 or more", options.Apps)
	}
	if wrong := validation.IsDNS1123Subdomain(options.Zone); len(wrong) > 0 {
		return estate.Estate{}, fmt.Errorf("--zone is %q: %s", options.Zone, wrong[0])
	}
	return estate.Generate(*options), nil
}

func manifestsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "manifests",
		Short: "Write the estate's manifests into a folder",
		Args:  cobra.NoArgs,
	}
	options := generated(cmd)
	folder := cmd.Flags().String("dir", "manifests", "folder to write")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		made, err := generate(options)
		if err != nil {
			return err
		}
		if err := made.Write(*folder); err != nil {
			return err
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "%d objects, %d names in %s\n", len(made.Objects), len(made.Names), *folder)
		return nil
	}
	return cmd
}

func namesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "names",
		Short: "Print the public names of the estate, or of other manifests",
		Args:  cobra.NoArgs,
	}
	options := generated(cmd)
	path := cmd.Flags().String("estate", "", "file or folder of other manifests")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		found, err := estateOf(*path, options)
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

func estateOf(path string, options *estate.Options) (estate.Estate, error) {
	if path != "" {
		return estate.Load(path, options.Zone)
	}
	return generate(options)
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
