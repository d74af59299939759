package estate

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"sigs.k8s.io/yaml"
)

// clusterFile holds the objects that belong to no namespace.
const clusterFile = "cluster.yaml"

// Files renders the estate as manifests: a file for each namespace, and one for
// what belongs to none. It may be read back with Load.
func (e Estate) Files() (map[string][]byte, error) {
	files := map[string]*bytes.Buffer{}
	for _, object := range e.Objects {
		name := clusterFile
		if namespace := object.GetNamespace(); namespace != "" {
			name = namespace + ".yaml"
		}
		text, err := yaml.Marshal(object.Object)
		if err != nil {
			return nil, fmt.Errorf("render %s %s/%s: %w", object.GetKind(), object.GetNamespace(), object.GetName(), err)
		}
		if files[name] == nil {
			files[name] = &bytes.Buffer{}
		}
		fmt.Fprintf(files[name], "---\n%s", text)
	}
	rendered := make(map[string][]byte, len(files))
	for name, text := range files {
		rendered[name] = text.Bytes()
	}
	return rendered, nil
}

// Write puts the estate's manifests into folder, which it makes if need be. Files
// of other names are left alone.
func (e Estate) Write(folder string) error {
	files, err := e.Files()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("write the manifests: %w", err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o644); err != nil {
			return fmt.Errorf("write the manifests: %w", err)
		}
	}
	return nil
}
