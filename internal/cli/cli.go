// Package cli is the command line of Crossfade: how people say what they want of
// a migration and see how far it has come. Commands write API objects to the hub
// and read them from it; what must reach other clusters is passed in.
//
// Data goes to stdout, narration to stderr. Nothing asks a question unless it
// stands on a terminal.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// ErrNo is wrapped by errors that answer the question asked with no: something
// failed, or differs. The exit code is 1.
var ErrNo = errors.New("no")

// Env is the world that a command line runs in.
type Env struct {
	// Args is the command line, the program's name first.
	Args           []string
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Getenv         func(string) string
	// InTTY, OutTTY and ErrTTY are true where a person sits at the other end.
	InTTY, OutTTY, ErrTTY bool
	// Width is how many columns stdout has; 0 if it is no terminal.
	Width int
	// Version is the version of the program.
	Version string
	// Connect reaches the hub; nil means as kubectl would.
	Connect func(Hub) (client.WithWatch, error)
}

// System is the Env of this process.
func System(version string) Env {
	return Env{
		Args: os.Args, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv, Version: version,
	}
}

// Main runs one command line and returns its exit code.
func Main(ctx context.Context, env Env, commands Commands) int {
	root := newRoot(env, commands)
	root.SetArgs(env.Args[1:])
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(env.Stderr, "error:", err)
		if errors.Is(err, ErrNo) {
			return 1
		}
		return 2
	}
	return 0
}
