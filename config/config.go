// Package config holds what a hub needs before it can hold migrations.
package config

import "embed"

// CRDs are the definitions of Crossfade's kinds, one YAML file each, below crd/.
//
//go:embed crd/*.yaml
var CRDs embed.FS
