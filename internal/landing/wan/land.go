package wan

import (
	"fmt"
	"slices"
	"strings"

	landing "crossfade.dev/api/landing/v1alpha1"
)

// An answer is true, false, or unknown.
type answer int8

const (
	no answer = iota
	maybe
	yes
)

func known(b bool) answer {
	if b {
		return yes
	}
	return no
}

// Land says where an attachment lands. Rules are tried by number, and the first one
// that matches decides; a rule whose match is not known leaves the landing unknown,
// unless what could come after it leads to the same place. Cloud WAN User Guide,
// "Core network policy version parameters", attachment-policies.
func (n *Network) Land(a *Attachment) Landing {
	if n.Policy.Broken {
		return Landing{Missing: []string{"the policy of " + n.Name + ", which has errors"}}
	}
	var perhaps []Landing
	var missing []string
	for i := range n.Policy.AttachmentRules {
		r := &n.Policy.AttachmentRules[i]
		match, facts := r.matches(a)
		if match == no {
			continue
		}
		place := n.place(a, r)
		perhaps = append(perhaps, place)
		missing = append(missing, facts...)
		missing = append(missing, place.Missing...)
		if match == yes {
			return settle(perhaps, missing)
		}
	}
	perhaps = append(perhaps, Landing{Why: "no attachment rule matches"})
	return settle(perhaps, missing)
}

// settle returns the one landing that all possible ones agree on, or an unknown one.
func settle(perhaps []Landing, missing []string) Landing {
	for _, l := range perhaps {
		if !l.lands(perhaps[0]) || len(l.Missing) > 0 {
			slices.Sort(missing)
			return Landing{Missing: slices.Compact(missing), perhaps: perhaps}
		}
	}
	return perhaps[0]
}

// place is where a rule leads an attachment that it matches.
func (n *Network) place(a *Attachment, r *AttachmentRule) Landing {
	l := Landing{Rule: r.Number}
	accept := r.RequireAcceptance
	name := r.Segment
	switch {
	case r.Group != "":
		l.Group = r.Group
		accept = accept || n.Policy.Groups[n.Policy.groupIndex[r.Group]].RequireAcceptance
	case r.TagKey != "":
		value, ok := a.Tags[r.TagKey]
		if a.Tags == nil {
			return Landing{Rule: r.Number, Missing: []string{"the tags of " + a.Name}}
		}
		if _, declared := n.Policy.segmentIndex[value]; !declared {
			l.Why = fmt.Sprintf("rule %d matches, but its tag %s is %q, which is no segment", r.Number, r.TagKey, value)
			if !ok {
				l.Why = fmt.Sprintf("rule %d matches, but it has no tag %s", r.Number, r.TagKey)
			}
			return l
		}
		name = value
	}
	if l.Group == "" {
		s := &n.Policy.Segments[n.Policy.segmentIndex[name]]
		l.Segment = name
		accept = accept || s.RequireAcceptance
		if !slices.ContainsFunc(a.Regions, s.in) {
			return Landing{Rule: r.Number, Why: fmt.Sprintf("segment %s is not in %s", name, list(a.Regions))}
		}
	}
	switch {
	case !slices.ContainsFunc(a.Regions, func(r string) bool { _, ok := n.Policy.edgeIndex[r]; return ok }):
		return Landing{Rule: r.Number, Why: "the core network is not in " + list(a.Regions)}
	case accept && a.Acceptance == landing.AttachmentPending:
		return Landing{Rule: r.Number, Why: "it waits to be accepted into " + strings.TrimSpace(l.Segment+" "+l.Group)}
	case accept && a.Acceptance == "":
		l.Missing = []string{"whether " + a.Name + " is accepted"}
	}
	return l
}

// matches reports whether a rule matches an attachment, and what would have to be
// known to tell.
func (r *AttachmentRule) matches(a *Attachment) (answer, []string) {
	var missing []string
	result := yes
	if r.Or {
		result = no
	}
	for i := range r.Conditions {
		match, fact := r.Conditions[i].matches(a)
		if match == maybe {
			missing = append(missing, fact)
		}
		if r.Or {
			result = max(result, match)
		} else {
			result = min(result, match)
		}
	}
	if result != maybe {
		missing = nil
	}
	return result, missing
}

func (c *Condition) matches(a *Attachment) (match answer, fact string) {
	switch c.Type {
	case anyAttachment:
		return yes, ""
	case attachmentType:
		return c.compare(string(a.Type)), ""
	case account:
		if a.AccountID == "" {
			return maybe, "the account id of " + a.Name
		}
		return c.compare(a.AccountID), ""
	case region:
		return c.regions(a)
	case resourceID:
		if a.ResourceID == "" {
			return maybe, "the resource id of " + a.Name
		}
		return c.compare(a.ResourceID), ""
	}
	value, ok := a.Tags[c.Key]
	switch {
	case a.Tags == nil:
		return maybe, "the tags of " + a.Name
	case c.Type == tagExists || c.Type == tagName:
		return known(ok), ""
	case !ok && c.Operator == "not-equals":
		return maybe, fmt.Sprintf("whether %s matches without a tag %s: the vendor does not say", c.Operator, c.Key)
	case !ok:
		return no, ""
	}
	return c.compare(value), ""
}

// regions compares each region of the attachment: those of a Direct Connect gateway
// may differ.
func (c *Condition) regions(a *Attachment) (match answer, fact string) {
	match = c.compare(a.Regions[0])
	for _, r := range a.Regions[1:] {
		if c.compare(r) != match {
			return maybe, "which of its regions a rule compares for " + a.Name + ": the vendor does not say"
		}
	}
	return match, ""
}

func (c *Condition) compare(value string) answer {
	switch c.Operator {
	case "equals":
		return known(value == c.Value)
	case "not-equals":
		return known(value != c.Value)
	case "contains":
		return known(strings.Contains(value, c.Value))
	}
	return known(strings.HasPrefix(value, c.Value))
}

// list joins words as people do.
func list(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}
