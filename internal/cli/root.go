package cli

import "github.com/spf13/cobra"

func newRoot(env Env, commands Commands) *cobra.Command {
	return &cobra.Command{Use: "crossfade", SilenceErrors: true, SilenceUsage: true, Version: env.Version}
}
