package cli

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
	strictjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	v1 "crossfade.dev/api/v1alpha1"
)

// wanted are the flags that describe a migration which need not exist yet.
type wanted struct {
	file           string
	source, target string
	namespaces     []string
	approval       []string
	window         v1.FreezeWindow
	contact        string
	archive        string
	rehearseIn     string
	journal        string
	maxQuarantined int32
}

// describing are the flags that only make sense with --source and --target.
var describing = []string{"namespaces", "approval", "freeze-window", "contact", "archive", "rehearse-in", "journal", "max-quarantined"}

func (w *wanted) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVarP(&w.file, "file", "f", "", "Manifest of the Migration (- is stdin)")
	f.StringVar(&w.source, "source", "", "Cluster to move from")
	f.StringVar(&w.target, "target", "", "Cluster to move to")
	f.StringSliceVar(&w.namespaces, "namespaces", nil, "Namespaces that are the estate (all but kube-* and Crossfade's own if empty)")
	f.StringSliceVar(&w.approval, "approval", nil, "Stages that wait for a person before their first step")
	f.Var(choice[v1.FreezeWindow]{&w.window, []v1.FreezeWindow{v1.Sitting, v1.Handover}}, "freeze-window",
		"When teams' changes are refused: Sitting (from Snapshot to Release) or Handover (for seconds, at Release)")
	f.StringVar(&w.contact, "contact", "", "Where a team whose change is refused can ask")
	f.StringVar(&w.archive, "archive", "", "URL of the bucket in which the source is archived")
	f.StringVar(&w.rehearseIn, "rehearse-in", "", "Cluster, empty of the estate, in which the archive is restored and compared")
	f.StringVar(&w.journal, "journal", "", "URL of the bucket in which the ledger is kept a second time")
	f.Int32Var(&w.maxQuarantined, "max-quarantined", 0, "How many apps may be left behind before the migration is held")
	complete(cmd, "approval", words(v1.Stages))
	complete(cmd, "freeze-window", []string{string(v1.Sitting), string(v1.Handover)})
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error { return w.check(cmd) }
}

// check refuses flags that contradict each other.
func (w *wanted) check(cmd *cobra.Command) error {
	if w.file != "" && (w.source != "" || w.target != "") {
		return fmt.Errorf("--file %q: it says source and target itself; leave out --source and --target", w.file)
	}
	if (w.source == "") != (w.target == "") {
		return fmt.Errorf("--source %q, --target %q: want both or neither", w.source, w.target)
	}
	if w.source != "" && w.source == w.target {
		return fmt.Errorf("--target %q: a cluster cannot be its own target", w.target)
	}
	if w.rehearseIn != "" && w.archive == "" {
		return fmt.Errorf("--rehearse-in %q: it needs --archive", w.rehearseIn)
	}
	for _, name := range describing {
		if flag := cmd.Flags().Lookup(name); flag.Changed && w.source == "" {
			return fmt.Errorf("--%s %q: it needs --source and --target; a migration that exists is changed by kubectl", name, strings.Trim(flag.Value.String(), "[]"))
		}
	}
	return nil
}

// A described migration is one that need not exist.
type described struct {
	*v1.Migration
	// sent is what goes to the server: a manifest exactly as it was written, with
	// zeros that the type would leave out.
	sent client.Object
}

// heard takes over what the server made of what was sent.
func (d described) heard() error {
	if u, raw := d.sent.(*unstructured.Unstructured); raw {
		return runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, d.Migration)
	}
	return nil
}

// migration returns the migration that the flags describe; its Migration is nil if
// they describe none.
func (w *wanted) migration(s *session, args []string) (described, error) {
	name := nameIn(args)
	if w.file != "" {
		return w.read(s, name)
	}
	if w.source == "" {
		return described{}, nil
	}
	m := &v1.Migration{
		ObjectMeta: metav1.ObjectMeta{Name: cmp.Or(name, w.source+"-to-"+w.target), Namespace: s.hub().Namespace},
		Spec: v1.MigrationSpec{
			Source: w.source, Target: w.target, Namespaces: w.namespaces, Journal: w.journal,
			Freeze: v1.FreezePolicy{Window: w.window, Contact: w.contact}, MaxQuarantined: w.maxQuarantined,
		},
	}
	for _, text := range w.approval {
		stage, err := stageNamed("--approval", text, v1.Stages)
		if err != nil {
			return described{}, err
		}
		m.Spec.Approval = append(m.Spec.Approval, stage)
	}
	if w.archive != "" {
		m.Spec.Archive = &v1.Archive{URL: w.archive, RehearseIn: w.rehearseIn}
	}
	return described{m, m}, nil
}

// read reads the one Migration that a manifest holds.
func (w *wanted) read(s *session, name string) (described, error) {
	data, err := readFile(s.Stdin, w.file)
	if err != nil {
		return described{}, fmt.Errorf("--file %q: %w", w.file, plainPathError(err))
	}
	m, err := parseMigration(data)
	if err == nil {
		err = fits(m.Migration, s.hub().Namespace)
	}
	if err != nil {
		return described{}, fmt.Errorf("--file %q: %w", w.file, err)
	}
	if name != "" && m.Name != "" && name != m.Name {
		return described{}, fmt.Errorf("NAME %q: the manifest's metadata.name is %q", name, m.Name)
	}
	if m.Name == "" && name == "" {
		return described{}, fmt.Errorf("--file %q: metadata.name: none given", w.file)
	}
	for _, obj := range []client.Object{m.Migration, m.sent} {
		obj.SetName(cmp.Or(m.Name, name))
		obj.SetNamespace(s.hub().Namespace)
	}
	return m, nil
}

// fits refuses a migration for another namespace, and one to where it comes from.
func fits(m *v1.Migration, namespace string) error {
	if m.Namespace != "" && m.Namespace != namespace {
		return fmt.Errorf("metadata.namespace %q: want %s, or say --namespace %[1]s", m.Namespace, namespace)
	}
	if m.Spec.Source == m.Spec.Target && m.Spec.Source != "" {
		return fmt.Errorf("spec.target %q: a cluster cannot be its own target", m.Spec.Target)
	}
	return nil
}

func readFile(stdin io.Reader, file string) ([]byte, error) {
	if file == "-" {
		return io.ReadAll(stdin)
	}
	return os.ReadFile(file)
}

// plainPathError leaves the path out of what the operating system says: the flag
// has named it.
func plainPathError(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// parseMigration reads exactly one Migration, and refuses fields that it does not
// have.
func parseMigration(data []byte) (described, error) {
	var found described
	documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data)))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return described{}, err
		}
		m, err := parseDocument(document)
		switch {
		case err != nil:
			return described{}, err
		case m.Migration == nil:
			continue
		case found.Migration != nil:
			return described{}, fmt.Errorf("metadata.name %q: want one Migration in the file, and %q is there before", m.Name, found.Name)
		}
		found = m
	}
	if found.Migration == nil {
		return described{}, errors.New("there is no Migration in it")
	}
	return found, nil
}

// parseDocument reads one document; there is no Migration if it is empty.
func parseDocument(document []byte) (described, error) {
	data, err := yaml.YAMLToJSONStrict(document)
	if err != nil {
		return described{}, errors.New(strings.TrimPrefix(strings.Join(strings.Fields(err.Error()), " "), "yaml: "))
	}
	if string(data) == "null" {
		return described{}, nil
	}
	var kind metav1.TypeMeta
	if err := json.Unmarshal(data, &kind); err != nil {
		return described{}, errors.New("it is no manifest: want apiVersion, kind, metadata and spec")
	}
	if want := v1.GroupVersion.String(); kind.Kind != "Migration" || kind.APIVersion != want {
		return described{}, fmt.Errorf("kind %q of apiVersion %q: want Migration of %s", kind.Kind, kind.APIVersion, want)
	}
	m := &v1.Migration{}
	unknown, err := strictjson.UnmarshalStrict(data, m)
	var mistyped *json.UnmarshalTypeError
	switch {
	case errors.As(err, &mistyped):
		return described{}, fmt.Errorf("%s: %s, want %s", mistyped.Field, mistyped.Value, mistyped.Type)
	case err != nil:
		return described{}, err
	case len(unknown) > 0:
		return described{}, unknown[0]
	}
	sent := &unstructured.Unstructured{}
	return described{m, sent}, sent.UnmarshalJSON(data)
}

// thereAre names what could have been meant.
func thereAre(all []string) string {
	if len(all) == 0 {
		return ""
	}
	return "; there are: " + strings.Join(all, ", ")
}
