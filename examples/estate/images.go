package estate

import (
	"fmt"

	"sigs.k8s.io/yaml"
)

// A Role is one of the estate's real services; it is a subcommand of the estate
// binary too.
type Role string

// The roles.
const (
	Web     Role = "web"
	API     Role = "api"
	Store   Role = "store"
	Origin  Role = "origin"
	Service Role = "service"
	Task    Role = "task" // runs once and ends
)

// Image is the container image of role in the manifests.
func (role Role) Image() string {
	return fmt.Sprintf("estate.crossfade.dev/%s:v1", role)
}

// process is how an image runs as a local process.
type process struct {
	Command []string `json:"command"`
	Args    []string `json:"args"`
}

// ImageTable tells a sandbox node how to run the estate's images as processes of
// binary, the path of the built cmd/estate: YAML, from image to command and args.
func ImageTable(binary string) []byte {
	table := map[string]process{}
	for _, role := range []Role{Web, API, Store, Origin, Service, Task} {
		table[role.Image()] = process{Command: []string{binary}, Args: []string{string(role)}}
	}
	text, err := yaml.Marshal(table)
	if err != nil {
		panic(fmt.Sprintf("render the table of images: %v", err)) // strings only
	}
	return text
}
