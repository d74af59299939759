// Command crossfade moves a live Kubernetes estate between clusters.
package main

import (
	"cmp"
	"os"
	"runtime/debug"

	"crossfade.dev/internal/app"
)

// version is set when the program is linked; without it, it is what the Go tool chain
// knows of this module.
var version string

func main() {
	if info, ok := debug.ReadBuildInfo(); ok && version == "" {
		version = info.Main.Version
	}
	os.Exit(app.Main(cmp.Or(version, "unknown")))
}
