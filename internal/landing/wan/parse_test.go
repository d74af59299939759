package wan_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"crossfade.dev/internal/landing/source"
	"crossfade.dev/internal/landing/wan"
)

// policyOf is a policy document around a body.
func policyOf(body string) string {
	return `{"version": "2025.11",
"core-network-configuration": {"asn-ranges": ["64512-64520"], "edge-locations": [{"location": "eu-west-1"}, {"location": "us-east-1", "asn": 64513}]},
"segments": [{"name": "dev"}, {"name": "prod", "isolate-attachments": true}],
"network-function-groups": [{"name": "inspect"}, {"name": "egress"}]` + body + "}"
}

func parse(text string) source.Findings {
	root, found := source.ParseJSON("p.json", []byte(text))
	if root == nil {
		return found
	}
	_, wrong := wan.Parse("p.json", root, "$")
	return append(found, wrong...)
}

// Each rule, by what is found: the place, the value, what was expected and the code.
func TestParse(t *testing.T) {
	actions := func(list string) string { return policyOf(`, "segment-actions": [` + list + `]`) }
	rules := func(list string) string { return policyOf(`, "attachment-policies": [` + list + `]`) }
	routing := func(rule string) string {
		return policyOf(`, "routing-policies": [{"routing-policy-name": "p", "routing-policy-direction": "inbound", "routing-policy-number": 1, "routing-policy-rules": [` + rule + `]}]`)
	}
	anything := `"conditions": [{"type": "any"}], "action": {"association-method": "constant", "segment": "dev"}`
	tests := []struct{ name, text, want string }{
		{"version", strings.Replace(policyOf(""), "2025.11", "2024.1", 1), `$.version: "2024.1": expected one of 2021.12, 2025.11 [wan/version]`},
		{"old version with routing policies", strings.Replace(policyOf(`, "routing-policies": []`), "2025.11", "2021.12", 1), `$.routing-policies: a list of 0: expected version 2025.11, which routing policies need [wan/version]`},
		{"unknown field", policyOf(`, "segment": []`), `$.segment: "segment": expected one of version, core-network-configuration, segments, network-function-groups, segment-actions, attachment-policies, attachment-routing-policy-rules, routing-policies [wan/unknown-field]`},
		{"type", policyOf(`, "segment-actions": {}`), `$.segment-actions: an object: expected a list of segment actions [wan/type]`},
		{"public ASNs", strings.Replace(policyOf(""), "64512-64520", "1-100", 1), `$.core-network-configuration.asn-ranges[0]: "1-100": expected a range like 64512-64555 within 64512-65534 or 4200000000-4294967294 [wan/asn-range]`},
		{"ASN at the open end", strings.Replace(policyOf(""), "64513", "64520", 1), `$.core-network-configuration.edge-locations[1].asn: 64520: expected a number within asn-ranges (the last number of a range is not in it) [wan/asn]`},
		{"too few ASNs", strings.Replace(policyOf(""), "64512-64520", "64513-64514", 1), `$.core-network-configuration.asn-ranges: a list of 1: expected an ASN for each of 2 edge locations, not 1 (the last number of a range is not in it) [wan/asn]`},
		{"edge twice", strings.Replace(policyOf(""), "us-east-1", "eu-west-1", 1), `$.core-network-configuration.edge-locations[1].location: "eu-west-1": expected each region once [wan/twice]`},
		{"no such region", strings.Replace(policyOf(""), "us-east-1", "us-est-1", 1), `warning: "us-est-1": no region of the partition aws is called so [wan/region]`},
		{"small inside range", strings.Replace(policyOf(""), `"asn": 64513`, `"inside-cidr-blocks": ["10.0.0.0/25"]`, 1), `$.core-network-configuration.edge-locations[1].inside-cidr-blocks[0]: "10.0.0.0/25": expected a range of /24 or larger, /64 or larger for IPv6 [wan/inside-cidr]`},
		{"name", strings.Replace(policyOf(""), `"dev"`, `"de-v"`, 1), `$.segments[0].name: "de-v": expected a name of at most 64 letters and digits [wan/name]`},
		{"segment twice", strings.Replace(policyOf(""), `"dev"`, `"prod"`, 1), `$.segments[1].name: "prod": expected names to be different [wan/twice]`},
		{"too many segments", strings.Replace(policyOf(""), `{"name": "dev"}`, `{"name": "dev"}`+strings.Join(many(40), ""), 1), `$.segments: a list of 42: expected at most 40 segments, not 42 [wan/limit]`},
		{"both filters", strings.Replace(policyOf(""), `"isolate-attachments": true`, `"deny-filter": ["dev"], "allow-filter": ["dev"]`, 1), `$.segments[1].allow-filter: a list of 1: expected either deny-filter or allow-filter, not both [wan/filter]`},
		{"segment at no edge", strings.Replace(policyOf(""), `"isolate-attachments": true`, `"edge-locations": ["ap-south-1"]`, 1), `$.segments[1].edge-locations[0]: "ap-south-1": expected one of the edge locations of core-network-configuration [wan/edge-location]`},
		{"action", actions(`{"action": "deny", "segment": "dev"}`), `$.segment-actions[0].action: "deny": expected one of share, create-route, send-via, send-to, associate-routing-policy [wan/action]`},
		{"share with nobody", actions(`{"action": "share", "mode": "attachment-route", "segment": "dev"}`), `$.segment-actions[0].share-with: expected "*", a list of segments, or an object with except [wan/required]`},
		{"share with a stranger", actions(`{"action": "share", "mode": "attachment-route", "segment": "dev", "share-with": ["test"]}`), `$.segment-actions[0].share-with[0]: "test": expected the name of a declared segment [wan/segment]`},
		{"share mode", actions(`{"action": "share", "mode": "all", "segment": "dev", "share-with": "*"}`), `$.segment-actions[0].mode: "all": expected one of attachment-route [wan/mode]`},
		{"route to something", actions(`{"action": "create-route", "segment": "dev", "destination-cidr-blocks": ["10.0.0.0/8"], "destinations": ["vpc-1"]}`), `$.segment-actions[0].destinations[0]: "vpc-1": expected an id like attachment-05e1da91f4a52b4e6, or blackhole [wan/destination]`},
		{"blackhole and more", actions(`{"action": "create-route", "segment": "dev", "destination-cidr-blocks": ["10.0.0.0/8"], "destinations": ["blackhole", "attachment-05e1da91f4a52b4e6"]}`), `$.segment-actions[0].destinations[0]: "blackhole": expected blackhole alone, or ids of attachments [wan/destination]`},
		{"host bits", actions(`{"action": "create-route", "segment": "dev", "destination-cidr-blocks": ["10.0.0.1/8"], "destinations": ["blackhole"]}`), `$.segment-actions[0].destination-cidr-blocks[0]: "10.0.0.1/8": expected 10.0.0.0/8: no bits after the first 8 [wan/cidr]`},
		{"send-via without mode", actions(`{"action": "send-via", "segment": "prod", "via": {"network-function-groups": ["inspect"]}}`), `$.segment-actions[0].mode: expected one of single-hop, dual-hop [wan/required]`},
		{"send-via no group", actions(`{"action": "send-via", "segment": "prod", "mode": "dual-hop", "via": {"network-function-groups": ["x"]}}`), `$.segment-actions[0].via.network-function-groups[0]: "x": expected the name of a declared network function group [wan/group]`},
		{"override", actions(`{"action": "send-to", "segment": "dev", "via": {"network-function-groups": ["egress"], "with-edge-overrides": [{"edge-sets": [["eu-west-1", "ap-south-1"]], "use-edge-location": "us-east-1"}]}}`), `$.segment-actions[0].via.with-edge-overrides[0].edge-sets[0][1]: "ap-south-1": expected one of the edge locations of core-network-configuration [wan/edge-location]`},
		{"inspection is passed by", actions(`{"action": "send-via", "segment": "dev", "mode": "dual-hop", "via": {"network-function-groups": ["inspect"]}}`), `warning: an object: dev does not isolate its attachments, so packets between them go directly, past inspect [wan/bypass]`},
		{"one group in two modes", actions(`{"action": "send-via", "segment": "prod", "mode": "dual-hop", "via": {"network-function-groups": ["inspect"]}}, {"action": "send-to", "segment": "prod", "via": {"network-function-groups": ["inspect"]}}`), `$.segment-actions[1]: an object: expected a network function group of its own for dual-hop: inspect is also used for single-hop or send-to [wan/group-mixed]`},
		{"one segment in two modes", actions(`{"action": "send-via", "segment": "prod", "mode": "dual-hop", "via": {"network-function-groups": ["inspect"]}}, {"action": "send-via", "segment": "prod", "mode": "single-hop", "when-sent-to": {"segments": ["dev"]}, "via": {"network-function-groups": ["egress"]}}`), `$.segment-actions[1]: an object: expected one mode for all send-via of a segment: prod also has dual-hop [wan/mode-mixed]`},
		{"rule number", rules(`{"rule-number": 70000, ` + anything + `}`), `$.attachment-policies[0].rule-number: 70000: expected a whole number from 1 to 65535 [wan/rule-number]`},
		{"rule number twice", rules(`{"rule-number": 1, ` + anything + `}, {"rule-number": 1, ` + anything + `}`), `$.attachment-policies[1].rule-number: 1: expected numbers of rules to be different [wan/twice]`},
		{"rule after everything", rules(`{"rule-number": 1, ` + anything + `}, {"rule-number": 2, ` + anything + `}`), `warning: an object: rule 2 comes after rule 1, which matches everything [wan/shadowed]`},
		{"logic of two conditions", rules(`{"rule-number": 1, "conditions": [{"type": "any"}, {"type": "tag-exists", "key": "a"}], "action": {"association-method": "constant", "segment": "dev"}}`), `$.attachment-policies[0].condition-logic: expected one of and, or [wan/required]`},
		{"condition", rules(`{"rule-number": 1, "conditions": [{"type": "vpc-id"}], "action": {"association-method": "constant", "segment": "dev"}}`), `$.attachment-policies[0].conditions[0].type: "vpc-id": expected one of any, attachment-type, account, account-id, region, resource-id, tag-exists, tag-name, tag-value [wan/condition]`},
		{"operator", rules(`{"rule-number": 1, "conditions": [{"type": "region", "operator": "matches", "value": "eu"}], "action": {"association-method": "constant", "segment": "dev"}}`), `$.attachment-policies[0].conditions[0].operator: "matches": expected one of equals, not-equals, contains, begins-with [wan/operator]`},
		{"type that is none", rules(`{"rule-number": 1, "conditions": [{"type": "attachment-type", "operator": "equals", "value": "vpn"}], "action": {"association-method": "constant", "segment": "dev"}}`), `warning: "vpn": no attachment is of this type; types are vpc, site-to-site-vpn, connect, direct-connect-gateway, transit-gateway-route-table [wan/condition]`},
		{"segment and group", rules(`{"rule-number": 1, "conditions": [{"type": "tag-exists", "key": "a"}], "action": {"association-method": "constant", "segment": "dev", "add-to-network-function-group": "inspect"}}`), `$.attachment-policies[0].action.association-method: "constant": expected either association-method or add-to-network-function-group: an attachment lands in a segment or in a group [wan/association]`},
		{"group by region", rules(`{"rule-number": 1, "conditions": [{"type": "region", "operator": "equals", "value": "eu-west-1"}], "action": {"add-to-network-function-group": "inspect"}}`), `$.attachment-policies[0].conditions[0].type: "region": expected tag-exists, tag-name or tag-value, the only conditions of rules for network function groups [wan/condition]`},
		{"group by either", rules(`{"rule-number": 1, "condition-logic": "or", "conditions": [{"type": "tag-exists", "key": "a"}], "action": {"add-to-network-function-group": "inspect"}}`), `$.attachment-policies[0].condition-logic: "or": expected and, which rules for network function groups need [wan/condition-logic]`},
		{"acceptance waived", rules(`{"rule-number": 1, "conditions": [{"type": "any"}], "action": {"association-method": "constant", "segment": "dev", "require-acceptance": false}}`), `warning: false: a rule can ask for acceptance, but cannot waive what the segment asks for: only true has an effect [wan/require-acceptance]`},
		{"summarize inbound", routing(`{"rule-number": 1, "rule-definition": {"match-conditions": [{"type": "prefix-equals", "value": "10.0.0.0/8"}], "action": {"type": "summarize", "value": "10.0.0.0/8"}}}`), `$.routing-policies[0].routing-policy-rules[0].rule-definition.action: an object: expected a routing policy of direction outbound, the only one that summarizes [wan/summarize]`},
		{"own ASN", routing(`{"rule-number": 1, "rule-definition": {"match-conditions": [{"type": "asn-in-as-path", "value": 65000}], "action": {"type": "prepend-asn-list", "value": [64512]}}}`), `$.routing-policies[0].routing-policy-rules[0].rule-definition.action.value[0]: 64512: expected an ASN outside asn-ranges, which belong to the core network [wan/asn]`},
		{"community", routing(`{"rule-number": 1, "rule-definition": {"match-conditions": [{"type": "community-in-list", "value": "1:99999"}], "action": {"type": "drop"}}}`), `$.routing-policies[0].routing-policy-rules[0].rule-definition.match-conditions[0].value: "1:99999": expected a community like 65051:100 [wan/community]`},
		{"routing policy that is none", actions(`{"action": "associate-routing-policy", "segment": "dev", "edge-location-association": {"edge-location": "eu-west-1", "peer-edge-location": "us-east-1", "routing-policy-names": ["q"]}}`), `$.segment-actions[0].edge-location-association.routing-policy-names[0]: "q": expected the name of a declared routing policy [wan/routing-policy]`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			found := parse(test.text)
			if !slices.ContainsFunc(found, func(f source.Finding) bool { return strings.HasSuffix(f.String(), test.want) && f.Line > 0 }) {
				t.Errorf("found %v\nwant %s", found, test.want)
			}
		})
	}
}

func many(n int) []string {
	var out []string
	for i := range n {
		out = append(out, `, {"name": "s`+string(rune('a'+i%26))+string(rune('a'+i/26))+`"}`)
	}
	return out
}

// The vendor's own examples have no errors (Cloud WAN User Guide, "Core network policy
// examples"; written anew here with the same features).
func TestWellFormed(t *testing.T) {
	for _, text := range []string{
		policyOf(""),
		`{"version": "2021.12", "core-network-configuration": {"asn-ranges": ["64512-65534"], "edge-locations": [{"location": "us-east-1"}]}, "segments": [{"name": "mynetwork", "require-attachment-acceptance": false}],
		  "attachment-policies": [{"rule-number": 100, "condition-logic": "and", "conditions": [{"type": "any"}], "action": {"association-method": "constant", "segment": "mynetwork"}}]}`,
		policyOf(`, "segment-actions": [
		  {"action": "share", "mode": "attachment-route", "segment": "prod", "share-with": {"except": ["dev"]}, "routing-policy-names": ["filter"]},
		  {"action": "send-via", "segment": "prod", "mode": "single-hop", "when-sent-to": {"segments": "*"}, "via": {"network-function-groups": ["inspect"], "with-edge-overrides": [{"edge-sets": [["eu-west-1", "us-east-1"], ["us-east-1"]], "use-edge-location": "eu-west-1"}]}},
		  {"action": "associate-routing-policy", "segment": "prod", "edge-location-association": {"edge-location": "eu-west-1", "peer-edge-location": "us-east-1", "routing-policy-names": ["filter"]}}],
		 "attachment-routing-policy-rules": [{"rule-number": 500, "description": "on-premises", "edge-locations": ["eu-west-1"], "conditions": [{"type": "routing-policy-label", "value": "hybrid"}], "action": {"associate-routing-policies": ["filter", "summary"]}}],
		 "routing-policies": [
		  {"routing-policy-name": "filter", "routing-policy-description": "d", "routing-policy-direction": "inbound", "routing-policy-number": 100, "routing-policy-rules": [
		    {"rule-number": 100, "rule-definition": {"match-conditions": [{"type": "prefix-equals", "value": "172.16.0.0/16"}, {"type": "prefix-in-cidr", "value": "10.0.0.0/8"}], "condition-logic": "or", "action": {"type": "allow"}}},
		    {"rule-number": 200, "rule-definition": {"match-conditions": [{"type": "prefix-in-cidr", "value": "0.0.0.0/0"}], "action": {"type": "drop"}}}]},
		  {"routing-policy-name": "summary", "routing-policy-direction": "outbound", "routing-policy-number": 200, "routing-policy-rules": [
		    {"rule-number": 1, "rule-definition": {"match-conditions": [{"type": "prefix-in-prefix-list", "value": "ours"}], "action": {"type": "summarize", "value": "10.0.0.0/8"}}},
		    {"rule-number": 2, "rule-definition": {"match-conditions": [{"type": "asn-in-as-path", "value": 65010}], "action": {"type": "add-community", "value": "65051:100"}}},
		    {"rule-number": 3, "rule-definition": {"match-conditions": [{"type": "med-equals", "value": 10}], "action": {"type": "set-local-preference", "value": 300}}}]}]`),
	} {
		if found := parse(text).Errors(); len(found) > 0 {
			t.Errorf("%v\n%s", found, text)
		}
	}
}

// One document's mistakes are all found, and what they leave open is unknown.
func TestEverythingWrongIsFound(t *testing.T) {
	networks, found := read(network("eu-west-1 eu-west-1", `"segments": [{"name": "a b"}, {"nam": "x"}], "segment-actions": [{"action": "share", "segment": "none"}, 7],
"attachment-policies": [{"rule-number": 0}]`,
		`{name: a, type: vpn, regions: [eu-west-1, us-east-1], prefixes: [10.0.0.1/8], account: nobody}`, `{name: a, type: vpc, regions: [eu-west-1]}`))
	codes := map[string]int{}
	for _, f := range found {
		codes[f.Code]++
	}
	for code, least := range map[string]int{"wan/name": 1, "wan/twice": 2, "wan/unknown-field": 1, "wan/required": 4, "wan/segment": 1, "wan/type": 1, "wan/rule-number": 1, "wan/attachment": 2, "wan/cidr": 1, "wan/account": 1} {
		if codes[code] < least {
			t.Errorf("%d findings of %s, want at least %d: %v", codes[code], code, least, found)
		}
	}
	if l := networks[0].Attachment("a").Landing; !strings.Contains(l.String(), "unknown: the policy of core, which has errors") {
		t.Errorf("a lands in %v", l)
	}
}

// What fails without an error of the vendor's is a warning.
func TestQuietFailures(t *testing.T) {
	_, found := read(network("eu-west-1 us-east-1", open(`dev , "isolate-attachments": true`)+","+groups+`,"segment-actions": [{"action": "send-via", "segment": "dev", "mode": "dual-hop", "via": {"network-function-groups": ["inspect"]}}],`+byTag,
		vpc("a", "dev", "eu-west-1", "10.0.0.0/16"), vpc("b", "dev", "us-east-1", "10.1.0.0/16"), vpc("c", "test", "us-east-1", "10.2.0.0/16"), firewall("f", "eu-west-1", "10.200.0.0/24")))
	var got []string
	for _, f := range found {
		_, text, _ := strings.Cut(f.String(), ": $.spec.")
		got = append(got, text)
	}
	want := []string{
		`attachments[2]: warning: "c": it lands nowhere: rule 20 matches, but its tag segment is "test", which is no segment [wan/nowhere]`,
		`policy.segment-actions[0]: warning: group inspect has no attachment in us-east-1, which dual-hop needs: packets of dev are dropped there [wan/no-inspection]`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// Every code is in the page for people, and the page has no other one.
func TestCodesAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../../docs/landing/segments.md")
	if err != nil {
		t.Fatal(err)
	}
	inCode, inPage := map[string]bool{}, map[string]bool{}
	for _, m := range regexp.MustCompile("`wan/([a-z-]+)`").FindAllStringSubmatch(string(page), -1) {
		inPage[m[1]] = true
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	call := regexp.MustCompile(`(?:wrong|warn|one|number|numeral)\((?:[a-z.A-Z]+, [^"]*)?(?:"", )?(?:strconv[^,]*, )?"([a-z-]+)"`)
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		for _, m := range call.FindAllStringSubmatch(string(text), -1) {
			inCode[m[1]] = true
		}
	}
	for code := range inCode {
		if !inPage[code] {
			t.Errorf("wan/%s is not in the page", code)
		}
	}
	for code := range inPage {
		if !inCode[code] {
			t.Errorf("wan/%s is in the page only", code)
		}
	}
}

// The sentence that people are promised.
func TestSentence(t *testing.T) {
	build := func(actions string) *wan.Network {
		var attachments []string
		for i := range 14 {
			name := "dev" + strings.Repeat("-", i) // its length makes the account
			attachments = append(attachments, vpc(name, "dev", "eu-west-1", fmt.Sprintf("10.%d.0.0/16", i)))
		}
		attachments = append(attachments, vpc("prod-db", "prod", "eu-west-1", "10.200.0.0/16"), vpc("prod-web", "web", "eu-west-1", "10.201.0.0/16"))
		return load(t, network("eu-west-1", open("dev", "prod", "web")+actions+","+byTag0, attachments...))
	}
	d := wan.Compare(build(""), build(`,"segment-actions": [{"action": "share", "mode": "attachment-route", "segment": "prod", "share-with": ["dev"]}]`))
	want := []string{
		"after this, account 000000000007 of segment prod reaches segment dev through no inspection; today it does not",
		"after this, all 14 accounts of segment dev reach prod-db through no inspection; today they do not",
	}
	if got := d.Sentences(); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
