package bench

import (
	"bytes"
	"fmt"
	"strings"

	"crossfade.dev/internal/landing/source"
)

// Separate returns the documents of files as files of their own, as people keep
// them: a landing zone of a thousand accounts has a thousand files.
func Separate(files []source.File) []source.File {
	var all []source.File
	for _, f := range files {
		for i, text := range bytes.Split(f.Data, []byte("\n---\n")) {
			all = append(all, source.File{Name: fmt.Sprintf("%03d/%04d.yaml", i/100, i), Data: append(bytes.TrimRight(text, "\n"), '\n')})
		}
	}
	return all
}

// Rest returns what an organization of so many accounts has besides guardrails: a
// network for each account, all attached to a core network with twenty segments.
// changed shares one segment with another.
func Rest(accounts int, changed bool) []source.File {
	const header = "apiVersion: landing.crossfade.dev/v1alpha1\nkind: %s\nmetadata: {name: %s}\nspec:\n"
	var addresses, core strings.Builder
	fmt.Fprintf(&addresses, header+"  prefixes: [10.0.0.0/8]\n  sizes: [{name: M, ipv4: 22}]\n", "AddressPool", "all")
	fmt.Fprintf(&core, header+"  policyFile: core.json\n  attachments:\n", "CoreNetwork", "core")
	for i := range accounts {
		prefix := fmt.Sprintf("10.%d.%d.0/22", i/64, i%64*4)
		fmt.Fprintf(&addresses, "---\n"+header+"  {pool: all, size: M, account: account-%04d}\nstatus: {prefix: %s, allocatedOn: 2026-%02d-01}\n",
			"AddressClaim", fmt.Sprintf("account-%04d", i), i, prefix, i%10+1)
		fmt.Fprintf(&core, "  - {name: account-%04d, type: vpc, account: account-%04d, regions: [eu-west-1], tags: {segment: s%d}, prefixes: [%s]}\n", i, i, i%20, prefix)
	}
	var segments []string
	for i := range 20 {
		segments = append(segments, fmt.Sprintf(`{"name": "s%d", "require-attachment-acceptance": false}`, i))
	}
	with := `"s1", "s2"`
	if changed {
		with += `, "s3"`
	}
	document := fmt.Sprintf(`{"version": "2025.11",
  "core-network-configuration": {"asn-ranges": ["64512-64555"], "edge-locations": [{"location": "eu-west-1", "asn": 64512}]},
  "segments": [%s],
  "segment-actions": [{"action": "share", "mode": "attachment-route", "segment": "s0", "share-with": [%s]}],
  "attachment-policies": [{"rule-number": 100, "condition-logic": "or", "conditions": [{"type": "tag-exists", "key": "segment"}],
    "action": {"association-method": "tag", "tag-value-of-key": "segment"}}]}`, strings.Join(segments, ", "), with)
	return append(Separate([]source.File{{Data: []byte(addresses.String())}}),
		source.File{Name: "core.yaml", Data: []byte(core.String())}, source.File{Name: "core.json", Data: []byte(document)})
}
