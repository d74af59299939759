package wan

import (
	"slices"
	"strings"

	landing "crossfade.dev/api/landing/v1alpha1"
	"crossfade.dev/internal/landing/source"
)

// attachmentTypes are the types of attachments by the vendor's names.
var attachmentTypes = []string{
	string(landing.AttachmentVPC), string(landing.AttachmentVPN), string(landing.AttachmentConnect),
	string(landing.AttachmentDirectConnect), string(landing.AttachmentTransit),
}

// ruleNumber reads the number of a rule, which no rule before it may have.
func (c cursor) ruleNumber(most int64, taken map[int64]bool) int {
	at := c.field("rule-number")
	n := at.number("rule-number", 1, most)
	if taken[n] && n != 0 {
		at.wrong("twice", "numbers of rules to be different")
	}
	taken[n] = true
	return int(n)
}

// logic reads condition-logic, which more than one condition needs.
func (c cursor) logic(conditions int) string {
	at := c.field("condition-logic")
	if !at.there() && conditions <= 1 {
		return "and"
	}
	return at.one("condition-logic", "and", "or")
}

func (p *Policy) attachmentRules(c cursor) {
	taken := map[int64]bool{}
	for _, item := range c.items("attachment policies") {
		if item.object("an attachment policy", "rule-number", "description", "condition-logic", "conditions", "action") {
			p.attachmentRule(item, taken)
		}
	}
	slices.SortStableFunc(p.AttachmentRules, func(a, b AttachmentRule) int { return a.Number - b.Number })
	catchAll := 0
	for _, r := range p.AttachmentRules {
		if catchAll > 0 {
			at := cursor{parser: c.parser, path: r.place.Path, above: c.at(), node: &source.Node{Kind: source.Map, Line: r.place.Line, Column: r.place.Column}}
			at.warn("shadowed", "rule %d comes after rule %d, which matches everything", r.Number, catchAll)
			continue
		}
		isAny := func(c Condition) bool { return c.Type == anyAttachment }
		if some := slices.ContainsFunc(r.Conditions, isAny); some && (r.Or || len(r.Conditions) == 1) {
			catchAll = r.Number
		}
	}
}

func (p *Policy) attachmentRule(c cursor, taken map[int64]bool) {
	r := AttachmentRule{Number: c.ruleNumber(maxRule, taken), place: c.place()}
	c.described("description")
	conditions := c.field("conditions").some("conditions")
	for _, item := range conditions {
		r.Conditions = append(r.Conditions, condition(item))
	}
	r.Or = c.logic(len(conditions)) == "or"
	p.association(c.field("action"), &r)
	if r.Group != "" {
		if at := c.field("condition-logic"); r.Or {
			at.wrong("condition-logic", "and, which rules for network function groups need")
		}
		for i, condition := range r.Conditions {
			if !strings.HasPrefix(condition.Type, "tag-") && condition.Type != "" {
				conditions[i].field("type").wrong("condition", "tag-exists, tag-name or tag-value, the only conditions of rules for network function groups")
			}
		}
	}
	p.AttachmentRules = append(p.AttachmentRules, r)
}

// condition reads one condition of an attachment rule.
func condition(c cursor) Condition {
	var out Condition
	if !c.object("a condition", "type", "operator", "key", "value") {
		return out
	}
	out.Type = c.field("type").one("condition", anyAttachment, attachmentType, account, accountID, region, resourceID, tagExists, tagName, tagValue)
	needsKey := strings.HasPrefix(out.Type, "tag-")
	needsValue := out.Type != "" && out.Type != anyAttachment && out.Type != tagExists && out.Type != tagName
	if needsKey {
		out.Key = c.field("key").text("the key of a tag")
	}
	if needsValue {
		out.Operator = "equals"
		if at := c.field("operator"); at.there() || out.Type != tagValue {
			out.Operator = at.one("operator", "equals", "not-equals", "contains", "begins-with")
		}
		out.Value = c.field("value").text("the value to compare with")
	}
	for _, field := range []struct {
		name   string
		needed bool
	}{{"key", needsKey}, {"operator", needsValue}, {"value", needsValue}} {
		if at := c.field(field.name); at.there() && !field.needed && out.Type != "" {
			at.warn("condition", "%s says nothing in a condition of type %s", field.name, out.Type)
		}
	}
	if out.Type == attachmentType && out.Operator == "equals" && out.Value != "" && !slices.Contains(attachmentTypes, out.Value) {
		c.field("value").warn("condition", "no attachment is of this type; types are %s", strings.Join(attachmentTypes, ", "))
	}
	if out.Type == accountID {
		out.Type = account
	}
	return out
}

// association reads where attachments land: a segment, the segment that a tag
// names, or a network function group.
func (p *Policy) association(c cursor, r *AttachmentRule) {
	if !c.object("action", "association-method", "segment", "tag-value-of-key", "require-acceptance", "add-to-network-function-group") {
		return
	}
	group, method := c.field("add-to-network-function-group"), c.field("association-method")
	switch {
	case group.there() && method.there():
		method.wrong("association", "either association-method or add-to-network-function-group: an attachment lands in a segment or in a group")
	case group.there():
		r.Group = group.text("the name of a network function group")
		if _, ok := p.groupIndex[r.Group]; !ok && r.Group != "" {
			group.wrong("group", "the name of a declared network function group")
		}
		p.needless(c, "segment", "tag-value-of-key")
	default:
		switch method.one("association", "constant", "tag") {
		case "constant":
			r.Segment = p.isSegment(c.field("segment"))
			p.needless(c, "tag-value-of-key")
		case "tag":
			r.TagKey = c.field("tag-value-of-key").text("the key of the tag whose value names the segment")
			p.needless(c, "segment")
		}
	}
	if at := c.field("require-acceptance"); at.there() {
		r.RequireAcceptance = at.boolean(false)
		if !r.RequireAcceptance {
			at.warn("require-acceptance", "a rule can ask for acceptance, but cannot waive what the segment asks for: only true has an effect")
		}
	}
}

// needless records fields that contradict the rest of the action.
func (p *Policy) needless(c cursor, names ...string) {
	for _, name := range names {
		if at := c.field(name); at.there() {
			at.wrong("association", "no %s here", name)
		}
	}
}

func (p *Policy) labelRules(c cursor) {
	taken := map[int64]bool{}
	for _, item := range c.items("attachment routing policy rules") {
		if !item.object("an attachment routing policy rule", "rule-number", "description", "edge-locations", "conditions", "action") {
			continue
		}
		r := RoutingLabelRule{Number: item.ruleNumber(maxRule, taken), Edges: p.edges(item.field("edge-locations"))}
		item.described("description")
		for _, condition := range item.field("conditions").some("conditions") {
			if condition.object("a condition", "type", "value") {
				condition.field("type").one("condition", "routing-policy-label")
				r.Labels = append(r.Labels, condition.field("value").text("a routing policy label"))
			}
		}
		if action := item.field("action"); action.object("action", "associate-routing-policies") {
			names := action.field("associate-routing-policies")
			items := names.some("routing policies")
			for _, name := range items {
				p.isRoutingPolicy(name)
			}
			r.Policies = p.inOrder(names.texts("the routing policies", items))
		}
		p.RoutingRules = append(p.RoutingRules, r)
	}
	slices.SortStableFunc(p.RoutingRules, func(a, b RoutingLabelRule) int { return a.Number - b.Number })
}
