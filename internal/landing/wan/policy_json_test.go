package wan_test

import "encoding/json"

// A policyJSON is a core network as its owners write it. It shares nothing with the
// package under test.
type policyJSON struct {
	Version       string           `json:"version"`
	Configuration map[string]any   `json:"core-network-configuration"`
	Segments      []segmentJSON    `json:"segments"`
	Groups        []groupJSON      `json:"network-function-groups,omitempty"`
	Actions       []actionJSON     `json:"segment-actions,omitempty"`
	Rules         []ruleJSON       `json:"attachment-policies,omitempty"`
	LabelRules    []labelRuleJSON  `json:"attachment-routing-policy-rules,omitempty"`
	Routing       []routingJSON    `json:"routing-policies,omitempty"`
	edges         []string         // as in the configuration
	attachments   []attachmentJSON // what is attached
	lists         map[string][]string
}

type segmentJSON struct {
	Name     string   `json:"name"`
	Edges    []string `json:"edge-locations,omitempty"`
	Isolated bool     `json:"isolate-attachments"`
	Accept   bool     `json:"require-attachment-acceptance"`
	Deny     []string `json:"deny-filter,omitempty"`
	Allow    []string `json:"allow-filter,omitempty"`
}

type groupJSON struct {
	Name string `json:"name"`
}

type actionJSON struct {
	Action       string        `json:"action"`
	Segment      string        `json:"segment"`
	Mode         string        `json:"mode,omitempty"`
	With         any           `json:"share-with,omitempty"` // "*", a list, or except
	Policies     []string      `json:"routing-policy-names,omitempty"`
	Prefixes     []string      `json:"destination-cidr-blocks,omitempty"`
	Destinations []string      `json:"destinations,omitempty"`
	To           *sentToJSON   `json:"when-sent-to,omitempty"`
	Via          *viaJSON      `json:"via,omitempty"`
	Pair         *edgePairJSON `json:"edge-location-association,omitempty"`
}

type sentToJSON struct {
	Segments any `json:"segments"`
}

type viaJSON struct {
	Groups    []string       `json:"network-function-groups"`
	Overrides []overrideJSON `json:"with-edge-overrides,omitempty"`
}

type overrideJSON struct {
	Sets [][]string `json:"edge-sets"`
	Use  string     `json:"use-edge-location"`
}

type edgePairJSON struct {
	Edge     string   `json:"edge-location"`
	Peer     string   `json:"peer-edge-location"`
	Policies []string `json:"routing-policy-names"`
}

type conditionJSON struct {
	Type     string `json:"type"`
	Operator string `json:"operator,omitempty"`
	Key      string `json:"key,omitempty"`
	Value    string `json:"value,omitempty"`
}

type ruleJSON struct {
	Number     int             `json:"rule-number"`
	Logic      string          `json:"condition-logic"`
	Conditions []conditionJSON `json:"conditions"`
	Action     map[string]any  `json:"action"`
}

type labelRuleJSON struct {
	Number     int             `json:"rule-number"`
	Edges      []string        `json:"edge-locations,omitempty"`
	Conditions []conditionJSON `json:"conditions"`
	Action     map[string]any  `json:"action"`
}

type routingJSON struct {
	Name      string            `json:"routing-policy-name"`
	Direction string            `json:"routing-policy-direction"`
	Number    int               `json:"routing-policy-number"`
	Rules     []routingRuleJSON `json:"routing-policy-rules"`
}

type routingRuleJSON struct {
	Number     int                   `json:"rule-number"`
	Definition routingDefinitionJSON `json:"rule-definition"`
}

type routingDefinitionJSON struct {
	Match  []conditionJSON `json:"match-conditions"`
	Logic  string          `json:"condition-logic"`
	Action map[string]any  `json:"action"`
}

type attachmentJSON struct {
	Name     string            `json:"name"`
	ID       string            `json:"id"`
	Type     string            `json:"type"`
	Account  string            `json:"account"`
	Regions  []string          `json:"regions"`
	Tags     map[string]string `json:"tags"`
	Prefixes []string          `json:"prefixes"`
	Transit  string            `json:"transit"`
	Label    string            `json:"routingPolicyLabel,omitempty"`
	Path     []int             `json:"path,omitempty"`
	MED      *int              `json:"med,omitempty"`
}

// document writes the core network as the package under test reads it. JSON is YAML.
func (w *policyJSON) document() string {
	lists := []map[string]any{}
	for alias, prefixes := range w.lists {
		lists = append(lists, map[string]any{"alias": alias, "prefixes": prefixes})
	}
	out, err := json.Marshal(map[string]any{"apiVersion": "landing.crossfade.dev/v1alpha1", "kind": "CoreNetwork", "metadata": map[string]string{"name": "core"},
		"spec": map[string]any{"policy": w, "attachments": w.attachments, "prefixLists": lists}})
	if err != nil {
		panic(err)
	}
	return string(out)
}
