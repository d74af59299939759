package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/validation"

	"crossfade.dev/examples/estate"
)

func manifestsCommand() *cobra.Command {
	var options estate.Options
	var folder string
	cmd := &cobra.Command{
		Use:   "manifests",
		Short: "Write the estate's manifests into a folder",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if options.Apps < 1 {
				return fmt.Errorf("--apps is %d: it must be 1 or more", options.Apps)
			}
			if wrong := validation.IsDNS1123Subdomain(options.Zone); len(wrong) > 0 {
				return fmt.Errorf("--zone is %q: %s", options.Zone, wrong[0])
			}
			made := estate.Generate(options)
			if err := made.Write(folder); err != nil {
				return err
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "%d objects, %d names in %s\n", len(made.Objects), len(made.Names), folder)
			return nil
		},
	}
	cmd.Flags().IntVar(&options.Apps, "apps", estate.DefaultApps, "how many applications")
	cmd.Flags().StringVar(&options.Zone, "zone", estate.DefaultZone, "DNS zone of the public names")
	cmd.Flags().Int64Var(&options.Seed, "seed", 0, "seed of what the applications look like")
	cmd.Flags().StringVar(&folder, "dir", "manifests", "folder to write")
	return cmd
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
