package cli

import (
	_ "embed" // runbooks.yaml
	"fmt"
	"strings"
	"sync"

	"sigs.k8s.io/yaml"

	v1 "crossfade.dev/api/v1alpha1"
)

//go:embed runbooks.yaml
var runbookText []byte

// A handbook is what to do by hand, for every gate and reason.
type handbook struct {
	Gates    []gateEntry `json:"gates"`
	Chapters []chapter   `json:"chapters"`
}

// A gateEntry explains one gate.
type gateEntry struct {
	Name   string     `json:"name"`
	Stages []v1.Stage `json:"stages"`
	// Passes completes the sentence "It passes when …".
	Passes  string      `json:"passes"`
	Reasons []v1.Reason `json:"reasons"`
}

// A chapter holds the reasons of one part of a migration.
type chapter struct {
	Title   string        `json:"title"`
	Reasons []reasonEntry `json:"reasons"`
}

// A reasonEntry says how to look when a migration stands at a reason, and how to go
// back from there.
type reasonEntry struct {
	Name v1.Reason `json:"name"`
	// Look are commands.
	Look []string `json:"look"`
	Back string   `json:"back"`
}

var theHandbook = sync.OnceValue(func() handbook {
	var h handbook
	if err := yaml.UnmarshalStrict(runbookText, &h); err != nil {
		panic(fmt.Errorf("runbooks.yaml: %w", err))
	}
	return h
})

// reasons lists every reason, in the order of the handbook.
func (h handbook) reasons() []reasonEntry {
	var all []reasonEntry
	for _, c := range h.Chapters {
		all = append(all, c.Reasons...)
	}
	return all
}

func (h handbook) reason(name string) (reasonEntry, bool) {
	for _, r := range h.reasons() {
		if strings.EqualFold(string(r.Name), name) {
			return r, true
		}
	}
	return reasonEntry{}, false
}

func (h handbook) gate(name string) (gateEntry, bool) {
	for _, g := range h.Gates {
		if strings.EqualFold(g.Name, name) {
			return g, true
		}
	}
	return gateEntry{}, false
}

// gatesWith lists the gates that may stand at a reason.
func (h handbook) gatesWith(reason v1.Reason) []string {
	var all []string
	for _, g := range h.Gates {
		for _, r := range g.Reasons {
			if r == reason {
				all = append(all, g.Name)
			}
		}
	}
	return all
}

// waiver says how a gate, or a finding by its id, is waived.
func waiver(gate string) string {
	return fmt.Sprintf("spec.waivers: [{gate: %s, reason: WHY, owner: WHO, expires: WHEN}]", gate)
}

// runbooks is docs/runbooks/README.md.
func runbooks(h handbook) string {
	var b strings.Builder
	b.WriteString(runbooksHead)
	for _, g := range h.Gates {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", g.Name, strings.Join(words(g.Stages), ", "), strings.TrimSuffix(g.Passes, "."), links(g.Reasons))
	}
	for _, c := range h.Chapters {
		fmt.Fprintf(&b, "\n## %s\n", c.Title)
		for _, r := range c.Reasons {
			e := v1.Explanations[r.Name]
			fmt.Fprintf(&b, "\n### %s\n\n", r.Name)
			if gates := h.gatesWith(r.Name); len(gates) > 0 {
				fmt.Fprintf(&b, "Gates: `%s`\n\n", strings.Join(gates, "`, `"))
			}
			fmt.Fprintf(&b, "**Cause.** %s\n\n**Fix.** %s\n\n**Look.**\n\n```sh\n%s\n```\n\n**Go back.** %s\n",
				e.Cause, e.Fix, strings.Join(r.Look, "\n"), r.Back)
		}
	}
	return b.String()
}

const runbooksHead = `# Runbooks

<!-- Made by "crossfade gen-docs docs" from api/v1alpha1/explanations.go and internal/cli/runbooks.yaml. -->

A section for each reason that ` + "`crossfade status`" + ` may show: what it means, what ends it, how
to look closer, and how to go back from there. ` + "`crossfade explain REASON`" + ` says the same in a
terminal. SOURCE, TARGET and HUB stand for contexts of your kubeconfig, NAME for the
migration, other words in capitals for what the message names.

Two things hold everywhere. A gate that has not seen something is held, so waiting is
always safe; and until ` + "`crossfade retire`" + ` the way back is open from every stage, with
` + "`crossfade status`" + ` saying what it costs. A gate can be waived by name in spec.waivers, with
a reason, an owner and an expiry; the waiver is shown wherever the gate is.

## Gates

| gate | stages | passes when | may stand at |
|---|---|---|---|
`

func links(reasons []v1.Reason) string {
	var all []string
	for _, r := range reasons {
		all = append(all, fmt.Sprintf("[%s](#%s)", r, strings.ToLower(string(r))))
	}
	return strings.Join(all, ", ")
}
