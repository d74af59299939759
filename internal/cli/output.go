package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	v1 "crossfade.dev/api/v1alpha1"
)

// A format is how data is written to stdout; empty is text for people.
type format string

const (
	asText format = ""
	asJSON format = "json"
	asYAML format = "yaml"
	asWide format = "wide"
	asName format = "name"
)

// A choice is a flag that takes one of a few words.
type choice[T ~string] struct {
	value   *T
	allowed []T
}

func (c choice[T]) String() string { return string(*c.value) }

func (c choice[T]) Type() string { return "string" }

func (c choice[T]) Set(text string) error {
	if !slices.Contains(c.allowed, T(text)) {
		return fmt.Errorf("want %s", either(words(c.allowed)))
	}
	*c.value = T(text)
	return nil
}

func words[T ~string](all []T) []string {
	var out []string
	for _, x := range all {
		out = append(out, string(x))
	}
	return out
}

// outputFlag gives a command -o.
func outputFlag(cmd *cobra.Command, f *format, allowed ...format) {
	cmd.Flags().VarP(choice[format]{f, allowed}, "output", "o", "Write "+either(words(allowed))+" to stdout")
	complete(cmd, "output", words(allowed))
}

// complete offers the values of a flag to a shell.
func complete(cmd *cobra.Command, flag string, values []string) {
	if err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err)
	}
}

// A dryRun says whether anything is written.
type dryRun string

const (
	dryNone   dryRun = "none"
	dryClient dryRun = "client"
	dryServer dryRun = "server"
	dryStep   dryRun = "step"
)

// asks tells whether the hub is asked what it would make of the command's own write.
func (d dryRun) asks() bool { return d == dryServer || d == dryStep }

// writing are the flags of commands that write an object to the hub.
type writing struct {
	dry    dryRun
	format format
}

func (w *writing) register(cmd *cobra.Command) {
	w.registerFor(cmd, []dryRun{dryNone, dryClient, dryServer},
		"Write nothing, and print the object: as it would be sent (client), or as the server would keep it (server)")
}

func (w *writing) registerFor(cmd *cobra.Command, allowed []dryRun, usage string) {
	w.dry = dryNone
	cmd.Flags().Var(choice[dryRun]{&w.dry, allowed}, "dry-run", usage)
	complete(cmd, "dry-run", words(allowed))
	outputFlag(cmd, &w.format, asJSON, asYAML, asName)
}

// print writes the migration to stdout, if that was asked for.
func (w writing) print(s *session, m *v1.Migration) error {
	f := w.format
	if f == asText && w.dry != dryNone {
		f = asYAML
	}
	if f == asText {
		return nil
	}
	return s.printObject(m, f)
}

// alter brings a migration's spec to what edit makes of it, says that this was done or
// that it was so already, and prints the migration.
func (w writing) alter(ctx context.Context, s *session, c HubClient, m *v1.Migration, edit func(*v1.Migration) error, done, already string) error {
	if err := w.change(ctx, s, c, m, edit, done, already); err != nil {
		return err
	}
	return w.print(s, m)
}

// change is alter without printing.
func (w writing) change(ctx context.Context, s *session, c HubClient, m *v1.Migration, edit func(*v1.Migration) error, done, already string) error {
	changed, err := s.change(ctx, c, m, w.dry, edit)
	if err != nil {
		return err
	}
	if changed {
		s.say("migration %s: %s%s", m.Name, done, w.tense())
	} else {
		s.say("migration %s: %s", m.Name, already)
	}
	return nil
}

// tense is how narration speaks of what was done.
func (w writing) tense() string {
	if w.dry != dryNone {
		return " (dry run)"
	}
	return ""
}

// printObject writes a migration, without what only servers care for.
func (s *session) printObject(m *v1.Migration, f format) error {
	if f == asName {
		return s.out(nameOf(m))
	}
	m.TypeMeta = metav1.TypeMeta{APIVersion: v1.GroupVersion.String(), Kind: "Migration"}
	m.ManagedFields = nil
	if m.ResourceVersion == "" {
		return s.printData(manifest{m.TypeMeta, m.ObjectMeta, m.Spec}, f)
	}
	return s.printData(m, f)
}

// A manifest is a migration that no server has seen: it has no status.
type manifest struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              v1.MigrationSpec `json:"spec"`
}

// nameOf is a migration as other commands take it.
func nameOf(m *v1.Migration) string {
	return "migration." + v1.GroupVersion.Group + "/" + m.Name + "\n"
}

// printData writes a value as JSON or YAML.
func (s *session) printData(value any, f format) error {
	text, err := marshalled(value, f)
	if err != nil {
		return err
	}
	return s.out(text)
}

func marshalled(value any, f format) (string, error) {
	if f == asYAML {
		data, err := yaml.Marshal(value)
		return string(data), err
	}
	data, err := json.MarshalIndent(value, "", "  ")
	return string(data) + "\n", err
}
