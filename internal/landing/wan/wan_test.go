package wan_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"crossfade.dev/internal/landing/source"
	"crossfade.dev/internal/landing/wan"
)

// network writes a core network with a policy of the body, after its configuration of
// the edges, and attachments in YAML, one a line.
func network(edges, body string, attachments ...string) string {
	var locations []string
	for _, e := range strings.Fields(edges) {
		locations = append(locations, `{"location": "`+e+`"}`)
	}
	text := `apiVersion: landing.crossfade.dev/v1alpha1
kind: CoreNetwork
metadata: {name: core}
spec:
  policy:
    {"version": "2025.11", "core-network-configuration": {"asn-ranges": ["64512-64555"], "edge-locations": [` + strings.Join(locations, ", ") + `]},
     ` + strings.ReplaceAll(body, "\n", "\n     ") + `}
  attachments:
`
	if len(attachments) == 0 {
		return text + "  []\n"
	}
	for _, a := range attachments {
		text += "  - " + a + "\n"
	}
	return text
}

// byTag is an attachment policy by which the tag segment names the segment and the tag
// group puts attachments into the group inspect.
const byTag = `"attachment-policies": [
  {"rule-number": 10, "condition-logic": "and", "conditions": [{"type": "tag-value", "operator": "equals", "key": "inspection", "value": "true"}], "action": {"add-to-network-function-group": "inspect"}},
  {"rule-number": 20, "conditions": [{"type": "tag-exists", "key": "segment"}], "action": {"association-method": "tag", "tag-value-of-key": "segment"}}]`

const groups = `"network-function-groups": [{"name": "inspect"}]`

// open names segments that accept every attachment.
func open(names ...string) string {
	var out []string
	for _, name := range names {
		name, options, _ := strings.Cut(name, " ")
		out = append(out, fmt.Sprintf(`{"name": %q, "require-attachment-acceptance": false%s}`, name, options))
	}
	return `"segments": [` + strings.Join(out, ", ") + `]`
}

func vpc(name, segment, region, prefix string, more ...string) string {
	return fmt.Sprintf(`{name: %s, type: vpc, account: "%012d", regions: [%s], tags: {segment: %s}, prefixes: [%s]%s}`, name, len(name), region, segment, prefix, strings.Join(more, ""))
}

func firewall(name, region, prefix string, more ...string) string {
	return fmt.Sprintf(`{name: %s, type: vpc, regions: [%s], tags: {inspection: "true"}, prefixes: [%s]%s}`, name, region, prefix, strings.Join(more, ""))
}

// load loads one core network, which has no errors.
func load(t testing.TB, text string) *wan.Network {
	t.Helper()
	networks, found := read(text)
	if errors := found.Errors(); len(errors) > 0 {
		t.Fatalf("%v\n%s", errors, text)
	}
	return networks[0]
}

func read(text string) ([]*wan.Network, source.Findings) {
	documents, found := source.Read([]source.File{{Name: "core.yaml", Data: []byte(text)}})
	networks, wrong := wan.Load(documents, nil)
	return networks, append(found, wrong...)
}

// says returns verdict, groups there and groups back of the only flow between two
// sides.
func says(t testing.TB, n *wan.Network, from, to string) string {
	t.Helper()
	flows, err := n.Reach(from, to)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range flows {
		text := string(f.Verdict)
		if len(f.Through) > 0 || len(f.Back) > 0 {
			text += " " + strings.Join(f.Through, "+") + "/" + strings.Join(f.Back, "+")
		}
		out = append(out, text)
	}
	slices.Sort(out)
	return strings.Join(slices.Compact(out), ", ")
}

func TestReach(t *testing.T) {
	const one, two = "eu-west-1", "eu-west-1 us-east-1"
	ends := ", transit: Ends"
	tests := []struct {
		name     string
		text     string
		from, to string
		want     string
	}{
		{"one segment", network(two, open("dev")+","+byTag0, vpc("a", "dev", "eu-west-1", "10.0.0.0/16"), vpc("b", "dev", "us-east-1", "10.1.0.0/16")), "a", "b", "Yes"},
		{"isolated", network(one, open(`dev , "isolate-attachments": true`)+","+byTag0, vpc("a", "dev", one, "10.0.0.0/16"), vpc("b", "dev", one, "10.1.0.0/16")), "a", "b", "No"},
		{"two segments", network(one, open("dev", "prod")+","+byTag0, vpc("a", "dev", one, "10.0.0.0/16"), vpc("b", "prod", one, "10.1.0.0/16")), "a", "b", "No"},
		{"shared", network(one, open("dev", "prod")+`,"segment-actions": [{"action": "share", "mode": "attachment-route", "segment": "dev", "share-with": ["prod"]}],`+byTag0, vpc("a", "dev", one, "10.0.0.0/16"), vpc("b", "prod", one, "10.1.0.0/16")), "b", "a", "Yes"},
		{"shared, denied by one side", network(one, open(`dev , "deny-filter": ["prod"]`, "prod")+`,"segment-actions": [{"action": "share", "mode": "attachment-route", "segment": "dev", "share-with": "*"}],`+byTag0, vpc("a", "dev", one, "10.0.0.0/16"), vpc("b", "prod", one, "10.1.0.0/16")), "b", "a", "OneWay"},
		{"not transitive", network(one, open("dev", "shared", "prod")+`,"segment-actions": [{"action": "share", "mode": "attachment-route", "segment": "shared", "share-with": ["dev", "prod"]}],`+byTag0, vpc("a", "dev", one, "10.0.0.0/16"), vpc("b", "prod", one, "10.1.0.0/16")), "a", "b", "No"},
		{"pending", network(one, open("dev")+","+byTag0, vpc("a", "dev", one, "10.0.0.0/16"), `{name: b, type: vpc, regions: [eu-west-1], prefixes: [10.1.0.0/16]}`), "a", "b", "Unknown"},
		{"send-via in a segment", network(two, open(`dev , "isolate-attachments": true`)+","+groups+`,"segment-actions": [{"action": "send-via", "segment": "dev", "mode": "dual-hop", "via": {"network-function-groups": ["inspect"]}}],`+byTag,
			vpc("a", "dev", "eu-west-1", "10.0.0.0/16"), vpc("b", "dev", "us-east-1", "10.1.0.0/16"), firewall("f", "eu-west-1", "10.200.0.0/24"), firewall("g", "us-east-1", "10.201.0.0/24")), "a", "b", "Yes inspect/inspect"},
		{"dual-hop without a firewall at one end", network(two, open(`dev , "isolate-attachments": true`)+","+groups+`,"segment-actions": [{"action": "send-via", "segment": "dev", "mode": "dual-hop", "via": {"network-function-groups": ["inspect"]}}],`+byTag,
			vpc("a", "dev", "eu-west-1", "10.0.0.0/16"), vpc("b", "dev", "us-east-1", "10.1.0.0/16"), firewall("f", "eu-west-1", "10.200.0.0/24")), "a", "b", "No"},
		{"send-via past which a share leads", network(one, open("dev", "prod")+","+groups+`,"segment-actions": [{"action": "send-via", "segment": "dev", "mode": "single-hop", "when-sent-to": {"segments": ["prod"]}, "via": {"network-function-groups": ["inspect"]}}, {"action": "share", "mode": "attachment-route", "segment": "dev", "share-with": ["prod"]}],`+byTag,
			vpc("a", "dev", one, "10.0.0.0/16"), vpc("b", "prod", one, "10.1.0.0/16"), firewall("f", one, "10.200.0.0/24")), "a", "b", "Yes"},
		{"the internet", network(one, open("dev")+","+groups+`,"segment-actions": [{"action": "send-to", "segment": "dev", "via": {"network-function-groups": ["inspect"]}}],`+byTag,
			vpc("a", "dev", one, "10.0.0.0/16"), firewall("f", one, "10.200.0.0/24")), "a", "0.0.0.0/0", "Yes inspect/inspect"},
		{"two segments behind one firewall", network(one, open("dev", "prod")+","+groups+`,"segment-actions": [{"action": "send-to", "segment": "dev", "via": {"network-function-groups": ["inspect"]}}, {"action": "send-to", "segment": "prod", "via": {"network-function-groups": ["inspect"]}}],`+byTag,
			vpc("a", "dev", one, "10.0.0.0/16"), vpc("b", "prod", one, "10.1.0.0/16"), firewall("f", one, "10.200.0.0/24")), "a", "b", "Unknown"},
		{"two segments behind one firewall that ends", network(one, open("dev", "prod")+","+groups+`,"segment-actions": [{"action": "send-to", "segment": "dev", "via": {"network-function-groups": ["inspect"]}}, {"action": "send-to", "segment": "prod", "via": {"network-function-groups": ["inspect"]}}],`+byTag,
			vpc("a", "dev", one, "10.0.0.0/16"), vpc("b", "prod", one, "10.1.0.0/16"), firewall("f", one, "10.200.0.0/24", ends)), "a", "b", "No"},
		{"blackhole", network(one, open("dev")+`,"segment-actions": [{"action": "create-route", "segment": "dev", "destination-cidr-blocks": ["10.1.0.0/16"], "destinations": ["blackhole"]}],`+byTag0,
			vpc("a", "dev", one, "10.0.0.0/16"), vpc("b", "dev", one, "10.1.0.0/16")), "a", "b", "No"},
		{"filtered at the attachment", network(one, open("dev")+`,"attachment-routing-policy-rules": [{"rule-number": 1, "conditions": [{"type": "routing-policy-label", "value": "pods"}], "action": {"associate-routing-policies": ["noPods"]}}],
"routing-policies": [{"routing-policy-name": "noPods", "routing-policy-direction": "inbound", "routing-policy-number": 1, "routing-policy-rules": [{"rule-number": 1, "rule-definition": {"match-conditions": [{"type": "prefix-in-cidr", "value": "100.64.0.0/10"}], "action": {"type": "drop"}}}]}],`+byTag0,
			vpc("a", "dev", one, "10.0.0.0/16"), vpc("b", "dev", one, "10.1.0.0/16, 100.64.0.0/16", ", routingPolicyLabel: pods")), "a", "b", "No, Yes"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			n := load(t, test.text)
			if got := says(t, n, test.from, test.to); got != test.want {
				flows, _ := n.Reach(test.from, test.to)
				t.Errorf("%s to %s: got %q, want %q\n%v", test.from, test.to, got, test.want, flows)
			}
		})
	}
}

const byTag0 = `"attachment-policies": [{"rule-number": 20, "conditions": [{"type": "tag-exists", "key": "segment"}], "action": {"association-method": "tag", "tag-value-of-key": "segment"}}]`
