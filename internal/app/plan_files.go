package app

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"crossfade.dev/internal/manifest"
	"crossfade.dev/internal/view"
)

// saveDiscovery is how a person saves what a cluster serves: every version of every
// group, one answer after another.
const saveDiscovery = `for v in api/v1 $(kubectl --context TARGET api-versions | grep / | sed s,^,apis/,); do kubectl --context TARGET get --raw /$v; done > FOLDER/discovery.json`

// servedBy are the kinds that a cluster serves, by the discovery that was saved with
// its dump; nil without one. Part of one is refused: what it leaves out would look as
// if it were not served.
func servedBy(r manifest.Reading) (map[schema.GroupVersionKind]bool, error) {
	if r.Serves == nil {
		return nil, nil
	}
	for _, k := range []schema.GroupVersionKind{
		{Version: "v1", Kind: "Service"}, {Group: "apps", Version: "v1", Kind: "Deployment"}, {Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"},
	} {
		if !r.Serves[k] {
			return nil, errors.New("--target-from: the discovery in it lacks " + k.GroupVersion().String() + ", so it is not whole; save it with: " + saveDiscovery)
		}
	}
	out := maps.Clone(r.Serves)
	for k := range r.Served {
		out[k] = true // an object of it came from there
	}
	return out, nil
}

// versionsUnknown is what a plan does not know of a target that it read from files.
func (p *planning) versionsUnknown() string {
	return fmt.Sprintf("which kinds and versions %s serves is unknown; a discovery beside its dump tells: %s", p.target.Name, saveDiscovery)
}

// place says where the objects of findings stand in the files that were read: an
// object at its own line, a kind at its first object's, anything else at the beginning
// of the first file.
func (p *planning) place(findings []view.Finding) {
	if len(p.read.Files) == 0 {
		return
	}
	here, _ := os.Getwd() // without it, files keep their names
	names := map[string]string{}
	for _, f := range findings {
		for i, o := range f.Objects {
			at := p.read.Places[o.Name]
			if at.File == "" {
				at.File = p.read.Files[0]
			}
			if names[at.File] == "" {
				names[at.File] = below(here, at.File)
			}
			f.Objects[i].File, f.Objects[i].Line = names[at.File], cmp.Or(at.Line, 1)
		}
	}
}

// below is a file's name from a folder, as code scanning wants it of a repository's
// root; its whole name if it is not below that.
func below(folder, file string) string {
	whole, err := filepath.Abs(file)
	if err != nil {
		return file
	}
	if name, err := filepath.Rel(folder, whole); err == nil && name != ".." && !strings.HasPrefix(name, "../") {
		return filepath.ToSlash(name)
	}
	return filepath.ToSlash(whole)
}
