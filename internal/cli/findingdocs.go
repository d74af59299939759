package cli

import (
	"fmt"
	"strings"

	"crossfade.dev/internal/plan/finding"
)

// waiverOf says how a finding is waived; only what blocks holds anything.
func waiverOf(e finding.Entry) string {
	if e.Severity != finding.Blocks {
		return ""
	}
	return waiver(e.ID)
}

// finding is a finding as people read it in a terminal.
func (e explained) finding() string {
	text := fmt.Sprintf("%s, a finding that %s: %s\n\nwhy    %s\nfix    %s\n", e.Name, e.Severity, e.Title, e.Cause, e.Fix)
	if e.Waiver != "" {
		text += "waive  " + e.Waiver + "\n"
	}
	return text
}

// findingPages are the files of docs/findings.
func findingPages() map[string]string {
	pages := map[string]string{}
	var index strings.Builder
	index.WriteString(findingsHead)
	for _, e := range finding.Catalogue() {
		fmt.Fprintf(&index, "| [%s](%s.md) | %s | %s |\n", e.ID, e.ID, e.Severity, e.Title)
		pages[e.ID+".md"] = findingPage(e)
	}
	pages["README.md"] = index.String()
	return pages
}

func findingPage(e finding.Entry) string {
	text := fmt.Sprintf("# %s: %s\n\n<!-- Made by \"crossfade gen-docs docs\" from internal/plan/finding/catalogue.yaml. -->\n\nSeverity: **%s**.\n\n"+
		"**Why it hurts in a move.** %s\n\n**Fix.** %s\n", e.ID, e.Title, e.Severity, e.Why, e.Fix)
	if w := waiverOf(e); w != "" {
		text += fmt.Sprintf("\n**Waive it,** with a reason, an owner and an expiry, if you know better:\n\n```yaml\n%s\n```\n", w)
	}
	return text
}

const findingsHead = `# Findings

<!-- Made by "crossfade gen-docs docs" from internal/plan/finding/catalogue.yaml. -->

What ` + "`crossfade plan`" + ` may find, a page each. ` + "`crossfade explain CF-NODE-003`" + ` says the same in a
terminal.

What **blocks** holds Preflight until it is mended, or waived by its id in spec.waivers. What
**warns** is for a person to judge. What is **noted** needs nothing done. A severity is the
worst that a finding has: the same trouble with a workload that nobody has decided to move is
a warning. What could not be seen is a finding of its own, because unknown is not clean.

| finding | severity | what it is |
|---|---|---|
`
