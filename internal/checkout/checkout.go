// Package checkout reads a folder of a landing zone as it stands on disk, or as it
// stood in a revision of Git. It runs the git program, which knows every kind of
// repository (worktrees, partial clones, alternates) that people keep files in.
package checkout

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"crossfade.dev/internal/landing/source"
)

var (
	// ErrNoRepository says that a folder is in no Git repository.
	ErrNoRepository = errors.New("it is in no Git repository")
	// ErrNoRevision says that a repository has no such revision.
	ErrNoRevision = errors.New("the repository has no such revision")
	// ErrNoFolder says that a folder is not there in a revision.
	ErrNoFolder = errors.New("the folder is not there in that revision")
	// ErrLink says that a folder holds a symbolic link, or another thing that is no
	// file. Links are not followed: what is proved must stand in the folder, and a pull
	// request must not show what stands elsewhere on the machine that checks it.
	ErrLink = errors.New("want the file itself, not a link to it")
)

// mostBytes is how much a folder may hold: far more than any landing zone, far less
// than a home directory that was named by mistake.
const mostBytes = 256 << 20

// symlink is the mode of a symbolic link in a tree of Git: its content is a path.
const symlink = "120000"

// isRead reports whether a file's content can be part of a landing zone: documents,
// policies and lenses, decisions.
func isRead(name string) bool {
	return source.IsYAML(name) || path.Ext(name) == ".json" || path.Ext(name) == ".md"
}

// mayHold reports whether something that is no file could stand for documents: for a
// file that is read, or for a folder.
func mayHold(name string) bool { return isRead(name) || path.Ext(name) == "" }

// hidden reports whether a part of a path, relative to the folder, begins with a
// dot.
func hidden(name string) bool {
	return strings.HasPrefix(name, ".") || strings.Contains(name, "/.")
}

// Disk returns the files below dir, in the order of their names, which are their
// paths below name: what people call the folder. Hidden ones are left out. Only
// YAML, JSON and Markdown have their content; that others are there is all that
// anybody asks.
func Disk(dir, name string) ([]source.File, error) {
	dir, err := filepath.EvalSymlinks(dir) // the folder that a person names may be a link
	if err != nil {
		return nil, err
	}
	var files []source.File
	var size int64
	err = filepath.WalkDir(dir, func(at string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(dir, at)
		if err != nil {
			return err
		}
		relative = filepath.ToSlash(relative)
		switch {
		case d.IsDir() && relative != "." && hidden(relative):
			return fs.SkipDir
		case d.IsDir() || hidden(relative) || !d.Type().IsRegular() && !mayHold(relative):
			return nil
		case !d.Type().IsRegular():
			return fmt.Errorf("%s: %w", relative, ErrLink)
		}
		file := source.File{Name: path.Join(filepath.ToSlash(name), relative)}
		if !isRead(relative) {
			files = append(files, file)
			return nil
		}
		data, err := os.ReadFile(at)
		if err != nil {
			return err
		}
		if size += int64(len(data)); size > mostBytes {
			return fmt.Errorf("it holds more than %d MiB of YAML, JSON and Markdown", mostBytes>>20)
		}
		file.Data = data
		files = append(files, file)
		return nil
	})
	return files, err
}

// Revision returns the files below dir as they stood in a revision of the repository
// that dir is in, as Disk does. The error wraps
// ErrNoRepository, ErrNoRevision or ErrNoFolder where that is what is wrong.
func Revision(ctx context.Context, dir, name, revision string) ([]source.File, error) {
	if strings.HasPrefix(revision, "-") {
		return nil, ErrNoRevision // git would take it for a flag
	}
	prefix, err := git(ctx, dir, nil, "rev-parse", "--show-prefix")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoRepository, err)
	}
	commit, err := git(ctx, dir, nil, "rev-parse", "--verify", "--quiet", "--end-of-options", revision+"^{commit}")
	if err != nil {
		return nil, ErrNoRevision
	}
	tree := strings.TrimSpace(string(commit)) + ":" + strings.TrimSuffix(strings.TrimSpace(string(prefix)), "/")
	listed, err := git(ctx, dir, nil, "ls-tree", "-r", "-z", "--full-tree", tree)
	if err != nil {
		return nil, ErrNoFolder
	}
	var files []source.File
	var blobs bytes.Buffer
	for entry := range strings.SplitSeq(string(listed), "\x00") {
		about, file, ok := strings.Cut(entry, "\t")
		fields := strings.Fields(about)
		isLink := ok && len(fields) == 3 && fields[0] == symlink
		if !ok || len(fields) != 3 || fields[1] != "blob" || hidden(file) || isLink && !mayHold(file) {
			continue
		}
		if isLink {
			return nil, fmt.Errorf("%s: %w", file, ErrLink)
		}
		files = append(files, source.File{Name: path.Join(filepath.ToSlash(name), file)})
		if isRead(file) {
			fmt.Fprintln(&blobs, fields[2])
		}
	}
	contents, err := git(ctx, dir, &blobs, "cat-file", "--batch")
	if err != nil {
		return nil, err
	}
	return files, unpack(files, contents)
}

// unpack gives files the contents that `git cat-file --batch` wrote: for each a line
// with its size, its bytes, and a line break.
func unpack(files []source.File, contents []byte) error {
	r := bufio.NewReader(bytes.NewReader(contents))
	for i, file := range files {
		if !isRead(file.Name) {
			continue
		}
		line, err := r.ReadString('\n')
		if err != nil {
			return fmt.Errorf("read %s from git: %w", file.Name, err)
		}
		fields := strings.Fields(line)
		size := -1
		if len(fields) == 3 {
			size, err = strconv.Atoi(fields[2])
		}
		if err != nil || size < 0 || size > len(contents) {
			return fmt.Errorf("read %s from git: it says %q", file.Name, strings.TrimSpace(line))
		}
		data := make([]byte, size+1)
		if _, err := io.ReadFull(r, data); err != nil {
			return fmt.Errorf("read %s from git: %w", file.Name, err)
		}
		files[i].Data = data[:size]
	}
	return nil
}

// git runs the git program in a folder and returns what it writes.
func git(ctx context.Context, dir string, in io.Reader, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "git", append([]string{"-C", dir}, args...)...)
	cmd.Stdin = in
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if line, _, _ := strings.Cut(strings.TrimSpace(said.String()), "\n"); err != nil && line != "" {
		return nil, errors.New("git says: " + strings.TrimPrefix(line, "fatal: "))
	}
	if err != nil {
		return nil, fmt.Errorf("run git %s: %w", args[0], err)
	}
	return out, nil
}
