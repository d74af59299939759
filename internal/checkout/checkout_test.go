package checkout

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"crossfade.dev/internal/landing/source"
)

// put writes files below dir, by their paths.
func put(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func run(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", append([]string{"-C", dir, "-c", "user.name=ann", "-c", "user.email=ann@example.com"}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// told are files by name and content.
func told(files []source.File) string {
	var all []string
	for _, f := range files {
		all = append(all, fmt.Sprintf("%s=%q", f.Name, f.Data))
	}
	return strings.Join(all, " ")
}

func TestFolderOnDiskAndInARevision(t *testing.T) {
	repository := t.TempDir()
	zone := filepath.Join(repository, "zone")
	put(t, repository, map[string]string{
		"zone/a.yaml": "a: 1\n", "zone/sub/b ü.yml": "", "zone/p.json": "{}", "zone/readme.md": "#", "zone/test.sh": "ls",
		"zone/.hidden/c.yaml": "no", "outside.yaml": "no",
	})
	run(t, repository, "init", "-q", "-b", "main")
	run(t, repository, "add", "-A")
	run(t, repository, "commit", "-q", "-m", "first")
	put(t, repository, map[string]string{"zone/a.yaml": "a: 2\n", "zone/new.yaml": "n: 1\n"})

	before, err := Revision(t.Context(), zone, "zone", "HEAD")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := told(before), `zone/a.yaml="a: 1\n" zone/p.json="{}" zone/readme.md="#" zone/sub/b ü.yml="" zone/test.sh=""`; got != want {
		t.Errorf("in HEAD: %s, want %s", got, want)
	}
	now, err := Disk(zone, "zone")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := told(now), `zone/a.yaml="a: 2\n" zone/new.yaml="n: 1\n" zone/p.json="{}" zone/readme.md="#" zone/sub/b ü.yml="" zone/test.sh=""`; got != want {
		t.Errorf("on disk: %s, want %s", got, want)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(zone, link); err != nil {
		t.Fatal(err)
	}
	if linked, err := Disk(link, "zone"); err != nil || told(linked) != told(now) {
		t.Errorf("by a link to the folder: %s, %v", told(linked), err)
	}
	if files, err := Revision(t.Context(), repository, ".", "main"); err != nil || len(files) != 6 {
		t.Errorf("the whole repository: %d files, %v, want 6", len(files), err)
	}
}

func TestWhatIsNotThereIsSaid(t *testing.T) {
	repository := t.TempDir()
	put(t, repository, map[string]string{"a.yaml": "a: 1\n"})
	if _, err := Revision(t.Context(), repository, ".", "HEAD"); !errors.Is(err, ErrNoRepository) {
		t.Errorf("outside a repository: %v", err)
	}
	run(t, repository, "init", "-q", "-b", "main")
	run(t, repository, "add", "-A")
	run(t, repository, "commit", "-q", "-m", "first")
	put(t, repository, map[string]string{"later/b.yaml": "b: 1\n"})
	for _, test := range []struct {
		dir, revision string
		want          error
	}{
		{repository, "nowhere", ErrNoRevision},
		{repository, "--help", ErrNoRevision},
		{repository, "HEAD:a.yaml", ErrNoRevision},
		{filepath.Join(repository, "later"), "HEAD", ErrNoFolder},
	} {
		if _, err := Revision(t.Context(), test.dir, ".", test.revision); !errors.Is(err, test.want) {
			t.Errorf("%s of %s: %v, want %v", test.revision, test.dir, err, test.want)
		}
	}
	if _, err := Disk(filepath.Join(repository, "missing"), "."); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a folder that is not there: %v", err)
	}
}

// A link could show what stands elsewhere on the machine, or make a guardrail vanish.
func TestLinksAreRefused(t *testing.T) {
	repository := t.TempDir()
	put(t, repository, map[string]string{"zone/a.yaml": "a: 1\n", "zone/script.sh": "ls"})
	zone := filepath.Join(repository, "zone")
	run(t, repository, "init", "-q", "-b", "main")
	for _, test := range []struct {
		name    string
		refused bool
	}{{"b.yaml", true}, {"more", true}, {"other.sh", false}} {
		link := filepath.Join(zone, test.name)
		if err := os.Symlink("/etc/hostname", link); err != nil {
			t.Fatal(err)
		}
		run(t, repository, "add", "-A")
		run(t, repository, "commit", "-q", "-m", test.name)
		if _, err := Disk(zone, "zone"); errors.Is(err, ErrLink) != test.refused {
			t.Errorf("%s on disk: %v", test.name, err)
		}
		if _, err := Revision(t.Context(), zone, "zone", "HEAD"); errors.Is(err, ErrLink) != test.refused {
			t.Errorf("%s in a revision: %v", test.name, err)
		}
		if err := os.Remove(link); err != nil {
			t.Fatal(err)
		}
	}
}
