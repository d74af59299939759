package app

import (
	"cmp"
	"os"
	"path/filepath"
	"strings"

	"crossfade.dev/internal/view"
)

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
