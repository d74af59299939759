package wan

import (
	"fmt"
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	landing "crossfade.dev/api/landing/v1alpha1"
	"crossfade.dev/internal/landing/source"
)

// Kind is the kind of the documents that Load reads.
const Kind = "CoreNetwork"

// maxAttachments is the vendor's default quota; it can be increased.
const maxAttachments = 5000

// Load returns the core networks that documents describe, by name, and everything
// that is wrong with them. Documents of kind Account are read for their ids only,
// and others are left alone. files are those of the folder, for policies that are
// files of their own.
//
// There is a network for every document of the kind, however much is wrong: what
// errors leave open is unknown in its answers.
func Load(documents []*source.Document, files []source.File) ([]*Network, source.Findings) {
	l := &loader{files: map[string]source.File{}, accounts: map[string]string{}}
	for _, f := range files {
		l.files[path.Clean(f.Name)] = f
	}
	for _, d := range documents {
		if d.Kind == "Account" && strings.HasPrefix(d.APIVersion, landing.GroupVersion.Group+"/") {
			id := ""
			if n := d.Root.Get("spec", "id"); n != nil && accountDigits.MatchString(n.Text) {
				id = n.Text
			}
			l.accounts[d.Name] = id
		}
	}
	var networks []*Network
	for _, d := range documents {
		if group, _, _ := strings.Cut(d.APIVersion, "/"); d.Kind != Kind || group != landing.GroupVersion.Group {
			continue
		}
		root := cursor{parser: &parser{file: d.File}, node: d.Root, path: "$", above: d.Root}
		if d.APIVersion != landing.GroupVersion.String() {
			root.field("apiVersion").wrong("version", "%s", landing.GroupVersion)
		}
		n := l.network(d, root)
		if slices.ContainsFunc(networks, func(other *Network) bool { return other.Name == n.Name }) {
			root.field("metadata").field("name").wrong("twice", "names of core networks to be different")
		} else {
			networks = append(networks, n)
		}
		l.found = append(l.found, root.found...)
	}
	slices.SortFunc(networks, func(a, b *Network) int { return strings.Compare(a.Name, b.Name) })
	return networks, l.found
}

type loader struct {
	files    map[string]source.File
	accounts map[string]string
	found    source.Findings
}

var accountDigits = regexp.MustCompile(`^[0-9]{12}$`)

func (l *loader) network(d *source.Document, root cursor) *Network {
	n := &Network{Name: d.Name, Place: root.place(), lists: map[string][]netip.Prefix{}, byName: map[string]*Attachment{},
		byID: map[string]*Attachment{}, accounts: l.accounts}
	var kind landing.CoreNetwork
	wrong := source.Decode(d, &kind)
	l.found = append(l.found, wrong...)
	spec := root.field("spec")
	n.Policy = l.policy(d, spec, kind.Spec.PolicyFile)
	if len(wrong.Errors()) > 0 {
		n.Policy.Broken = true
	}
	for i, p := range kind.Spec.PrefixLists {
		at := spec.field("prefixLists").item(i)
		if _, twice := n.lists[p.Alias]; twice {
			at.wrong("twice", "aliases of prefix lists to be different")
		}
		n.lists[p.Alias] = at.field("prefixes").prefixes()
	}
	attachments := spec.field("attachments")
	if len(kind.Spec.Attachments) > maxAttachments {
		attachments.warn("limit", "%d attachments are more than the quota of %d, which has to be increased first", len(kind.Spec.Attachments), maxAttachments)
	}
	for i := range kind.Spec.Attachments {
		n.attachment(attachments.item(i), &kind.Spec.Attachments[i], i)
	}
	if !n.Policy.Broken {
		n.check(spec)
	}
	n.settle()
	if !n.Policy.Broken {
		l.found = append(l.found, n.quiet()...)
	}
	return n
}

// policy returns the policy of a document, which stands in it or in a file.
func (l *loader) policy(d *source.Document, spec cursor, name string) *Policy {
	broken := &Policy{Broken: true, place: spec.place()}
	broken.index()
	inline := spec.field("policy")
	switch {
	case inline.there() == (name != ""):
		spec.wrong("policy", "exactly one of policy and policyFile")
		return broken
	case inline.there():
		p, found := Parse(d.File, inline.node, inline.path)
		l.found = append(l.found, found...)
		return p
	}
	file, ok := l.files[path.Join(path.Dir(d.File), name)]
	if !ok {
		spec.field("policyFile").wrong("policy-file", "a file %s", path.Join(path.Dir(d.File), name))
		return broken
	}
	root, found := source.ParseJSON(file.Name, file.Data)
	l.found = append(l.found, found...)
	if root == nil {
		return broken
	}
	p, wrong := Parse(file.Name, root, "$")
	l.found = append(l.found, wrong...)
	p.Broken = p.Broken || len(found.Errors()) > 0
	return p
}

// item returns the item of a list; it is there, since it was decoded.
func (c cursor) item(i int) cursor {
	next := cursor{parser: c.parser, path: source.Item(c.path, i), above: c.at()}
	if c.node != nil && i < len(c.node.Items) {
		next.node = c.node.Items[i]
	}
	return next
}

// prefixes reads a list of address ranges.
func (c cursor) prefixes() []netip.Prefix {
	out := []netip.Prefix{}
	for _, item := range c.items("address ranges") {
		if item.node.Kind == source.String { // the decoder says so if not
			out = appendValid(out, item.prefix())
		}
	}
	return out
}

func (n *Network) attachment(c cursor, from *landing.NetworkAttachment, number int) {
	a := &Attachment{Name: from.Name, ID: from.ID, Type: from.Type, Label: from.RoutingPolicyLabel, Account: from.Account, Regions: from.Regions,
		ResourceID: from.ResourceID, Tags: from.Tags, Acceptance: from.Acceptance, Transit: from.Transit, Place: c.place(), number: number}
	if a.Name == "" || len(a.Regions) == 0 {
		c.wrong("attachment", "a name and at least one region")
		return
	}
	if n.byName[a.Name] != nil {
		c.field("name").wrong("twice", "names of attachments to be different")
		return
	}
	if a.ID != "" && n.byID[a.ID] != nil {
		c.field("id").wrong("twice", "ids of attachments to be different: %s has this one too", n.byID[a.ID].Name)
	}
	if a.ID != "" && !attachmentIDPattern.MatchString(a.ID) {
		c.field("id").wrong("destination", "an id like attachment-05e1da91f4a52b4e6")
	}
	if !slices.Contains(attachmentTypes, string(a.Type)) {
		c.field("type").wrong("attachment", "one of %s", strings.Join(attachmentTypes, ", "))
	}
	if len(a.Regions) > 1 && a.Type != landing.AttachmentDirectConnect {
		c.field("regions").wrong("attachment", "one region: only a direct-connect-gateway stands in several")
	}
	if a.Acceptance != "" && a.Acceptance != landing.AttachmentAccepted && a.Acceptance != landing.AttachmentPending {
		c.field("acceptance").wrong("attachment", "Accepted or Pending")
	}
	if a.Transit != "" && a.Transit != landing.Returns && a.Transit != landing.Ends {
		c.field("transit").wrong("attachment", "Returns or Ends")
	}
	n.account(c, a)
	if a.PrefixesKnown = c.field("prefixes").there(); a.PrefixesKnown {
		a.Prefixes = c.field("prefixes").prefixes()
	}
	a.routes = attributesOf(from)
	n.Attachments = append(n.Attachments, a)
	n.byName[a.Name] = a
	if a.ID != "" {
		n.byID[a.ID] = a
	}
}

// account finds the 12 digits of an attachment's owner.
func (n *Network) account(c cursor, a *Attachment) {
	id, named := n.accounts[a.Account]
	switch {
	case accountDigits.MatchString(a.Account):
		a.AccountID = a.Account
	case named:
		a.AccountID = id
	case a.Account != "":
		c.field("account").wrong("account", "the name of an Account, or 12 digits")
	}
}

// check compares the policy with what is attached.
func (n *Network) check(spec cursor) {
	attachments := spec.field("attachments")
	for _, a := range n.Attachments {
		i := a.number
		for j, r := range a.Regions {
			if _, ok := n.Policy.edgeIndex[r]; !ok {
				attachments.item(i).field("regions").item(j).warn("edge-location", "the core network has no edge location here")
			}
		}
		for _, r := range n.Policy.RoutingRules {
			if a.bgp() || !slices.Contains(r.Labels, a.Label) {
				continue
			}
			for _, name := range r.Policies {
				if what := n.Policy.RoutingPolicies[n.Policy.routingPolicyName[name]].notForVPC(); what != "" {
					attachments.item(i).field("routingPolicyLabel").warn("vpc-routing-policy", "routing policy %s %s: a VPC has no BGP peer, so that only filtering inbound has an effect", name, what)
				}
			}
		}
	}
}

// notForVPC says what of a routing policy has no effect on a VPC.
func (r *RoutingPolicy) notForVPC() string {
	if !r.Inbound {
		return "is outbound"
	}
	for _, rule := range r.Rules {
		if rule.Action != actDrop && rule.Action != actAllow {
			return fmt.Sprintf("has rule %d, which is to %s", rule.Number, rule.Action)
		}
	}
	return ""
}

// quiet returns what would fail without an error of the vendor's: attachments that
// land nowhere, and inspection without anything that inspects.
func (n *Network) quiet() source.Findings {
	var found source.Findings
	warn := func(at source.Place, value, code, want string) {
		found = append(found, source.Finding{Place: at, Code: "wan/" + code, Severity: source.Warning, Value: value, Want: want})
	}
	inspectors := map[string][]string{} // regions of a group's attachments
	users := map[string][]string{}      // regions of a segment's attachments
	for _, a := range n.Attachments {
		switch {
		case a.Landing.Why != "":
			warn(a.Place, strconv.Quote(a.Name), "nowhere", "it lands nowhere: "+a.Landing.Why)
		case a.Landing.Group != "":
			inspectors[a.Landing.Group] = append(inspectors[a.Landing.Group], a.Regions...)
		case a.Landing.Segment != "":
			users[a.Landing.Segment] = append(users[a.Landing.Segment], a.Regions...)
		default: // it may land anywhere
			return found
		}
	}
	for _, in := range n.Policy.Insertions {
		var without []string
		for _, r := range users[in.Segment] {
			if !slices.Contains(inspectors[in.Group], r) && !slices.Contains(without, r) {
				without = append(without, r)
			}
		}
		slices.Sort(without)
		switch {
		case len(without) == 0:
		case len(inspectors[in.Group]) == 0:
			warn(in.place, "", "no-inspection", fmt.Sprintf("group %s has no attachment: packets of %s that it should inspect are dropped", in.Group, in.Segment))
		case in.Mode == DualHop:
			warn(in.place, "", "no-inspection", fmt.Sprintf("group %s has no attachment in %s, which dual-hop needs: packets of %s are dropped there", in.Group, list(without), in.Segment))
		}
	}
	return found
}

// settle sorts the attachments and says where each lands.
func (n *Network) settle() {
	slices.SortFunc(n.Attachments, func(a, b *Attachment) int { return strings.Compare(a.Name, b.Name) })
	for i, a := range n.Attachments {
		a.number = i
		a.Landing = n.Land(a)
	}
}
