// Package cli is the command line of Crossfade: how people say what they want of
// a migration and see how far it has come. Commands write API objects to the hub
// and read them from it; what must reach other clusters is passed in.
//
// Data goes to stdout, narration to stderr. Nothing asks a question unless a
// person sits at a terminal to answer it.
package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Env is the world that a command line runs in.
type Env struct {
	// Args is the command line, the program's name first.
	Args           []string
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Getenv         func(string) string
	// InTTY, OutTTY and ErrTTY are true where a person sits at the other end.
	InTTY, OutTTY, ErrTTY bool
	// Width is how many columns the terminal has now; 0 without one.
	Width func() int
	// Now tells the time.
	Now func() time.Time
	// Dir is where relative paths of folders begin; empty means where the process is.
	Dir string
	// Version is the version of the program.
	Version string
	// Connect reaches the hub; nil means as kubectl would.
	Connect func(Hub) (HubClient, error)
}

// A HubClient is the part of client.Client that commands need: they read objects,
// create them and patch them.
type HubClient interface {
	client.Reader
	Create(ctx context.Context, obj client.Object, opts ...client.CreateOption) error
	Patch(ctx context.Context, obj client.Object, patch client.Patch, opts ...client.PatchOption) error
}

// System is the Env of this process.
func System(version string) Env {
	tty := func(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }
	return Env{
		Args: os.Args, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv,
		InTTY: tty(os.Stdin), OutTTY: tty(os.Stdout), ErrTTY: tty(os.Stderr),
		Width: func() int {
			for _, f := range []*os.File{os.Stdout, os.Stderr} {
				if width, _, err := term.GetSize(int(f.Fd())); err == nil {
					return width
				}
			}
			return 0
		},
		Now: time.Now, Version: version,
	}
}

// Main runs one command line and returns its exit code. When ctx ends, the command
// ends cleanly.
func Main(ctx context.Context, env Env, commands Commands) int {
	root := newRoot(env, commands)
	root.SetArgs(env.Args[1:])
	err := root.ExecuteContext(ctx)
	code, said := verdict(ctx, err)
	if said != "" {
		fmt.Fprintln(env.Stderr, said)
	}
	return code
}
