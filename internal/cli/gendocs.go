package cli

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// genDocs writes the part of the documentation that is made from the code.
func (s *session) genDocs() *cobra.Command {
	return &cobra.Command{
		Use:    "gen-docs DIR",
		Short:  "Write reference/cli, runbooks and findings into a folder",
		Long:   "Writes the reference of the command line, the runbooks and the findings into a folder.",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return writeDocs(cmd.Root(), args[0])
		},
	}
}

func writeDocs(root *cobra.Command, dir string) error {
	reference := filepath.Join(dir, "reference", "cli")
	book := filepath.Join(dir, "runbooks")
	findings := filepath.Join(dir, "findings")
	for _, folder := range []string{reference, book, findings} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
	}
	root.InitDefaultHelpCmd()
	root.DisableAutoGenTag = true
	if err := doc.GenMarkdownTree(root, reference); err != nil {
		return fmt.Errorf("write the reference: %w", err)
	}
	files := map[string]string{
		filepath.Join(reference, "exit-codes.md"): "# Exit codes\n\n" + exitCodesTable + "\n" + exitCodesNote,
		filepath.Join(book, "README.md"):          runbooks(theHandbook()),
	}
	for name, text := range findingPages() {
		files[filepath.Join(findings, name)] = text
	}
	for file, text := range files {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}
