// Command crossfade moves a live Kubernetes estate between clusters.
package main

import (
	"os"

	"crossfade.dev/internal/app"
)

// version is set when the program is linked.
var version = "unknown"

func main() { os.Exit(app.Main(version)) }
