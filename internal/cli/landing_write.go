package cli

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"crossfade.dev/internal/landing/folder"
	"crossfade.dev/internal/landing/ipam"
	"crossfade.dev/internal/landing/source"
)

// writeGiven writes the networks that claims were given into their files, and
// returns how many. Everything else in the files stays as people wrote it. No file
// is written unless all can be.
func (s *session) writeGiven(f landingFlags, zone *folder.Folder, steps []ipam.Step, at time.Time) (int, error) {
	texts := map[string][]byte{}
	for _, file := range zone.Files {
		texts[file.Name] = file.Data
	}
	written := map[string]bool{}
	given := 0
	// From the last line up, so that the lines of what comes before stay what they are.
	for _, d := range slices.Backward(zone.Documents) {
		step := stepOf(d, steps)
		if step == nil {
			continue
		}
		text, err := withStatus(texts[d.File], d, step.To.String(), at)
		if err == nil && !readsBack(text, d, step.To.String()) {
			err = notWritable(d, "it would not be read back as it was written")
		}
		if err != nil {
			return 0, err
		}
		texts[d.File], written[d.File] = text, true
		given++
	}
	for name := range written {
		relative, err := filepath.Rel(filepath.ToSlash(filepath.Clean(f.folder)), name)
		if err != nil {
			return 0, err
		}
		if err := os.WriteFile(filepath.Join(s.at(f.folder), relative), texts[name], 0o644); err != nil {
			return 0, fmt.Errorf("write what was given into %s: %w", name, plainPathError(err))
		}
	}
	return given, nil
}

// stepOf is the step that gives the claim of a document another network, or nil.
func stepOf(d *source.Document, steps []ipam.Step) *ipam.Step {
	if d.Kind != ipam.KindClaim {
		return nil
	}
	for i, step := range steps {
		changes := step.Outcome == ipam.Allocated || step.Outcome == ipam.Grown || step.Outcome == ipam.Shrunk
		if changes && step.Claim == d.Name && step.Place.File == d.File {
			return &steps[i]
		}
	}
	return nil
}

// withStatus is the text of a file in which the status of one document says what it
// was given.
func withStatus(text []byte, d *source.Document, prefix string, at time.Time) ([]byte, error) {
	lines := bytes.SplitAfter(text, []byte("\n"))
	today := at.Format(time.DateOnly)
	status := d.Root.Get("status")
	switch had := d.Root.Get("status", "prefix"); {
	case had != nil && had.Text != "":
		// The day stays: it says when the claim was first given its network.
		line := lines[had.Line-1]
		if bytes.Count(line, []byte(had.Text)) != 1 {
			return nil, notWritable(d, "status.prefix stands on its line more than once")
		}
		lines[had.Line-1] = bytes.Replace(line, []byte(had.Text), []byte(prefix), 1)
		return bytes.Join(lines, nil), nil
	case status != nil:
		return nil, notWritable(d, "there is a status without a prefix: take it away")
	case d.Root.Column != 1 || bytes.HasPrefix(lines[d.Root.Line-1], []byte("{")):
		return nil, notWritable(d, "the document is not written in lines that begin with its fields")
	}
	end := d.Root.Line
	for end < len(lines) && strings.TrimRight(string(lines[end]), " \t\r\n") != "---" {
		end++
	}
	for end > d.Root.Line && len(bytes.TrimSpace(lines[end-1])) == 0 {
		end--
	}
	if last := lines[end-1]; !bytes.HasSuffix(last, []byte("\n")) {
		lines[end-1] = append(slices.Clone(last), '\n')
	}
	added := fmt.Sprintf("status:\n  prefix: %s\n  allocatedOn: %s\n", prefix, today)
	return bytes.Join(slices.Insert(lines, end, []byte(added)), nil), nil
}

// readsBack reports whether the text of a file says what a document's claim was given.
func readsBack(text []byte, d *source.Document, prefix string) bool {
	documents, _ := source.Read([]source.File{{Name: d.File, Data: text}})
	return slices.ContainsFunc(documents, func(o *source.Document) bool {
		n, _ := o.Locate("status", "prefix")
		return o.Kind == d.Kind && o.Name == d.Name && n.Text == prefix
	})
}

func notWritable(d *source.Document, why string) error {
	return fmt.Errorf("write what %s was given into %s:%d: %s", d.Name, d.File, d.Root.Line, why)
}
