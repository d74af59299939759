package node

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// An image says which local program stands for a container image.
type image struct {
	// Command and Args are what ENTRYPOINT and CMD are in an image. A container's
	// args replace Args. A container's command replaces both; see Paths.
	Command []string `json:"command"`
	Args    []string `json:"args,omitempty"`
	// Env is the image's environment, which a container's may override.
	Env map[string]string `json:"env,omitempty"`
	// Paths leads from programs in the image, as the first word of a container's
	// command or probe names them, to programs of this machine. Without an entry
	// the image's Command[0] is run if it has the same base name, else the word
	// is looked up in PATH.
	Paths map[string]string `json:"paths,omitempty"`
}

// images are the images that run as processes, by name with or without tag.
type images map[string]image

// readImages reads a table of images. Relative paths with a slash are taken from
// the table's folder. No file is an empty table.
func readImages(file string) (images, error) {
	if file == "" {
		return nil, nil
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read table of images: %w", err)
	}
	var table images
	if err := yaml.UnmarshalStrict(content, &table); err != nil {
		return nil, fmt.Errorf("read table of images %s: %w", file, err)
	}
	for name, entry := range table {
		if len(entry.Command) == 0 {
			return nil, fmt.Errorf("table of images %s: %s has no command", file, name)
		}
		entry.Command[0] = besides(file, entry.Command[0])
		for word, path := range entry.Paths {
			entry.Paths[word] = besides(file, path)
		}
	}
	return table, nil
}

func besides(file, path string) string {
	if filepath.IsAbs(path) || !strings.Contains(path, "/") {
		return path
	}
	return filepath.Join(filepath.Dir(file), path)
}

// find looks an image up by its full name, and then without tag and digest.
func (t images) find(name string) (image, bool) {
	if entry, ok := t[name]; ok {
		return entry, true
	}
	name, _, _ = strings.Cut(name, "@")
	if colon := strings.LastIndex(name, ":"); colon > strings.LastIndex(name, "/") {
		name = name[:colon]
	}
	entry, ok := t[name]
	return entry, ok
}

// argv is the command line of a container of this image.
func (i image) argv(c *corev1.Container) []string {
	switch {
	case len(c.Command) > 0:
		return i.local(append(append([]string{}, c.Command...), c.Args...))
	case len(c.Args) > 0:
		return append(append([]string{}, i.Command...), c.Args...)
	}
	return append(append([]string{}, i.Command...), i.Args...)
}

// local replaces the first word of a command of the image by a local program.
func (i image) local(command []string) []string {
	word := command[0]
	switch {
	case i.Paths[word] != "":
		command[0] = i.Paths[word]
	case filepath.Base(word) == filepath.Base(i.Command[0]):
		command[0] = i.Command[0]
	}
	return command
}
