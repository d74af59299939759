package bench

import (
	"fmt"
	"io"
	"strings"
	"time"

	"crossfade.dev/internal/landing/source"
	"crossfade.dev/internal/landing/wan"
)

// The size of the core network that is measured with: the vendor's quotas.
const (
	segments    = 40
	attachments = 5000
)

// Segments measures who reaches whom in a core network of 40 segments and 5,000
// attachments at eight edges, and what a change of its policy changes. Nothing else
// should run meanwhile.
func Segments(w io.Writer) error {
	start := time.Now()
	before, err := LoadCore(CoreNetwork(segments, attachments, false))
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "landing-segments-load %.3f s\n", time.Since(start).Seconds())
	after, err := LoadCore(CoreNetwork(segments, attachments, true))
	if err != nil {
		return err
	}
	start = time.Now()
	flows := before.Flows()
	fmt.Fprintf(w, "landing-segments-reach %.3f s\n", time.Since(start).Seconds())
	fmt.Fprintf(w, "landing-segments-flows %d count\n", len(flows))
	start = time.Now()
	d := wan.Compare(before, after)
	sentences := d.Sentences()
	fmt.Fprintf(w, "landing-segments-diff %.3f s\n", time.Since(start).Seconds())
	fmt.Fprintf(w, "landing-segments-pairs %d count\n", d.Pairs)
	fmt.Fprintf(w, "landing-segments-turned %d count\n", d.Turned)
	fmt.Fprintf(w, "landing-segments-classes %d count\n", d.Classes)
	fmt.Fprintf(w, "landing-segments-sentences %d count\n", len(sentences))
	return nil
}

// LoadCore returns the one core network of files.
func LoadCore(files []source.File) (*wan.Network, error) {
	documents, found := source.Read(files)
	networks, wrong := wan.Load(documents, files)
	if errors := append(found, wrong...).Errors(); len(errors) > 0 {
		return nil, fmt.Errorf("the core network to measure with: %v", errors[0])
	}
	return networks[0], nil
}

var coreEdges = []string{"eu-west-1", "eu-central-1", "us-east-1", "us-west-2", "ap-south-1", "ap-southeast-1", "ap-northeast-1", "sa-east-1"}

// CoreNetwork returns the files of a core network: segments by team and environment,
// some of them isolated behind inspection, shared services, and on-premises networks
// whose routes are filtered. changed shares one more segment, and takes another one
// from behind its inspection.
func CoreNetwork(segments, attachments int, changed bool) []source.File {
	var out strings.Builder
	out.WriteString("apiVersion: landing.crossfade.dev/v1alpha1\nkind: CoreNetwork\nmetadata: {name: core}\nspec:\n  policy:\n    version: \"2025.11\"\n    core-network-configuration:\n      asn-ranges: [\"64512-64600\"]\n      edge-locations:\n")
	for _, e := range coreEdges {
		fmt.Fprintf(&out, "      - {location: %s}\n", e)
	}
	out.WriteString("    segments:\n    - {name: shared, require-attachment-acceptance: false, isolate-attachments: true}\n    - {name: hybrid, require-attachment-acceptance: false}\n")
	for i := range segments - 2 {
		fmt.Fprintf(&out, "    - {name: team%02d, require-attachment-acceptance: false, isolate-attachments: %v}\n", i, i%3 == 0)
	}
	out.WriteString("    network-function-groups: [{name: inspect}, {name: egress}]\n    segment-actions:\n")
	out.WriteString("    - {action: share, mode: attachment-route, segment: shared, share-with: \"*\"}\n")
	for i := range segments - 2 {
		fmt.Fprintf(&out, "    - {action: send-to, segment: team%02d, via: {network-function-groups: [egress]}}\n", i)
		switch {
		case i%3 == 0 && (i != 3 || !changed):
			fmt.Fprintf(&out, "    - {action: send-via, segment: team%02d, mode: dual-hop, when-sent-to: {segments: [team%02d, team%02d]}, via: {network-function-groups: [inspect]}}\n", i, i, (i+1)%(segments-2))
		case i%4 == 1:
			fmt.Fprintf(&out, "    - {action: share, mode: attachment-route, segment: hybrid, share-with: [team%02d], routing-policy-names: [onlyPublished]}\n", i)
		}
	}
	if changed {
		out.WriteString("    - {action: share, mode: attachment-route, segment: team03, share-with: [team08]}\n")
	}
	out.WriteString(`    routing-policies:
    - routing-policy-name: onlyPublished
      routing-policy-direction: inbound
      routing-policy-number: 10
      routing-policy-rules:
      - {rule-number: 10, rule-definition: {condition-logic: or, match-conditions: [{type: prefix-in-cidr, value: 10.64.0.0/10}], action: {type: allow}}}
      - {rule-number: 20, rule-definition: {condition-logic: or, match-conditions: [{type: prefix-in-cidr, value: 0.0.0.0/0}], action: {type: drop}}}
    attachment-policies:
    - {rule-number: 10, condition-logic: and, conditions: [{type: tag-exists, key: group}, {type: tag-value, operator: equals, key: group, value: inspect}], action: {add-to-network-function-group: inspect}}
    - {rule-number: 20, condition-logic: and, conditions: [{type: tag-exists, key: group}, {type: tag-value, operator: equals, key: group, value: egress}], action: {add-to-network-function-group: egress}}
    - {rule-number: 30, condition-logic: or, conditions: [{type: attachment-type, operator: equals, value: site-to-site-vpn}, {type: attachment-type, operator: equals, value: direct-connect-gateway}], action: {association-method: constant, segment: hybrid}}
    - {rule-number: 40, condition-logic: and, conditions: [{type: tag-exists, key: segment}], action: {association-method: tag, tag-value-of-key: segment}}
  attachments:
`)
	for i, e := range coreEdges {
		fmt.Fprintf(&out, "  - {name: firewall-%s, type: vpc, regions: [%s], tags: {group: inspect}, prefixes: [100.64.%d.0/24]}\n", e, e, i)
		fmt.Fprintf(&out, "  - {name: egress-%s, type: vpc, regions: [%s], tags: {group: egress}, prefixes: [100.65.%d.0/24], transit: Ends}\n", e, e, i)
	}
	for i := range attachments - 2*len(coreEdges) {
		e, prefix := coreEdges[i%len(coreEdges)], fmt.Sprintf("10.%d.%d.0/24", i/256, i%256)
		if i%100 == 0 {
			fmt.Fprintf(&out, "  - {name: site-%04d, type: site-to-site-vpn, regions: [%s], tags: {}, prefixes: [%s, 172.16.%d.0/24], transit: Ends, path: [65000]}\n", i, e, prefix, i/100)
			continue
		}
		segment := fmt.Sprintf("team%02d", i/len(coreEdges)%(segments-2))
		if i%50 == 1 {
			segment = "shared"
		}
		fmt.Fprintf(&out, "  - {name: vpc-%04d, type: vpc, account: \"%012d\", regions: [%s], tags: {segment: %s}, prefixes: [%s]}\n", i, i/3, e, segment, prefix)
	}
	return []source.File{{Name: "core.yaml", Data: []byte(out.String())}}
}
