package policy

import (
	"fmt"
	"path"
	"slices"
	"strings"

	landing "crossfade.dev/api/landing/v1alpha1"
	"crossfade.dev/internal/landing/catalog"
	"crossfade.dev/internal/landing/source"
)

// The kinds that Load reads.
const (
	KindOrganization = "Organization"
	KindAccount      = "Account"
	KindGuardrail    = "Guardrail"
)

// Load builds the state that documents describe, and returns everything that is
// wrong with them. Documents of other kinds are left alone. files are those of the
// folder, for guardrails whose policy is a file of its own, and unread is what
// source.Read found: who knows what a document says that could not be read.
//
// There is always a state, however much is wrong: what errors leave open is unknown
// in its answers.
func Load(documents []*source.Document, files []source.File, unread source.Findings) (*State, source.Findings) {
	l := &loader{files: map[string]source.File{}, state: &State{
		Organization: &landing.Organization{}, catalog: catalog.Default(), nodes: map[string]*node{"": {name: rootName}},
		byName: map[string]*member{}, byID: map[string]*member{},
	}}
	for _, f := range files {
		l.files[path.Clean(f.Name)] = f
	}
	for _, f := range unread.Errors() {
		if what := "a document of " + f.File + ", which cannot be read"; !slices.Contains(l.state.doubts, what) {
			l.state.doubts = append(l.state.doubts, what)
			l.stand(l.state.nodes[""], what)
		}
	}
	for _, kind := range []string{KindOrganization, KindAccount, KindGuardrail} {
		seen := map[string]*source.Document{}
		for _, d := range documents {
			if d.Kind != kind || !l.version(d) {
				continue
			}
			if first := seen[d.Name]; first != nil {
				l.add(d, "metadata.name", "duplicate", fmt.Sprintf("expected names of %ss to be different: %s has this one too", kind, first.File))
				continue
			}
			seen[d.Name] = d
			l.document(d)
		}
		if kind == KindOrganization && len(seen) == 0 {
			l.found = append(l.found, source.Finding{Code: "policy/organization", Severity: source.Error, Want: "expected one document of kind Organization"})
			l.stand(l.state.nodes[""], "the organization, which is not there")
			l.state.doubts = append(l.state.doubts, "the organization is not there")
		}
	}
	l.manage()
	s := l.state
	sortByName(s.members, func(m *member) string { return m.name })
	sortByName(s.Accounts, func(a *landing.Account) string { return a.Name })
	sortByName(s.Guardrails, func(g *landing.Guardrail) string { return g.Name })
	sortByName(s.Policies, func(p *Policy) string { return p.Name })
	for _, n := range l.all() {
		sortByName(n.services, func(p *Policy) string { return p.Name })
		sortByName(n.owners, func(p *Policy) string { return p.Name })
	}
	s.link()
	return s, l.found
}

type loader struct {
	state        *State
	files        map[string]source.File
	found        source.Findings
	organization *source.Document
}

// add records an error about a field of a document, or about the document.
func (l *loader) add(d *source.Document, field, code, want string) {
	n := d.Root.Get(strings.Split(field, ".")...)
	if n == nil {
		n = bare(d.Root)
	}
	l.found.Add(d.File, n, "$."+field, "policy/"+code, want)
}

// place is where a value of a document stands.
func place(d *source.Document, n *source.Node, path string) source.Place {
	return source.Place{File: d.File, Line: n.Line, Column: n.Column, Path: path}
}

// version reports whether a document is of the version that Load reads.
func (l *loader) version(d *source.Document) bool {
	group, _, _ := strings.Cut(d.APIVersion, "/")
	if group != landing.GroupVersion.Group {
		return false
	}
	if d.APIVersion != landing.GroupVersion.String() {
		l.add(d, "apiVersion", "version", "expected "+landing.GroupVersion.String())
		return false
	}
	return true
}

func (l *loader) document(d *source.Document) {
	switch d.Kind {
	case KindOrganization:
		l.readOrganization(d)
	case KindAccount:
		l.readAccount(d)
	case KindGuardrail:
		l.readGuardrail(d)
	}
}

// all returns every node that policies can be attached to.
func (l *loader) all() []*node {
	var all []*node
	for _, n := range l.state.nodes {
		all = append(all, n)
	}
	for _, m := range l.state.members {
		all = append(all, m.node)
	}
	return all
}

// stand attaches the stand-in of something that could not be read: what it lets
// happen is unknown.
func (l *loader) stand(n *node, what string) {
	statements := brokenStatements(what, source.Place{})
	n.services = append(n.services, &Policy{Name: what, Type: landing.ServiceControl, Broken: true, Statements: statements})
	n.owners = append(n.owners, &Policy{Name: what, Type: landing.ResourceControl, Broken: true, Statements: statements[:1]})
}

func (l *loader) readOrganization(d *source.Document) {
	if l.organization != nil {
		l.add(d, "kind", "organization", "expected one Organization: "+l.organization.File+" has another")
		l.stand(l.state.nodes[""], "a second organization")
		return
	}
	l.organization = d
	o := l.state.Organization
	wrong := source.Decode(d, o)
	l.found = append(l.found, wrong...)
	if len(wrong.Errors()) > 0 {
		l.stand(l.state.nodes[""], "the organization, which has errors")
	}
	if o.Spec.ID != "" {
		l.state.organizationID = []string{o.Spec.ID}
	}
	if id := o.Spec.ManagementAccount; id != "" && !isAccountID(id) {
		l.add(d, "spec.managementAccount", "account-id", "expected 12 digits in quotes")
	}
	if p := l.state.partition(); p != "aws" && p != "aws-cn" && p != "aws-us-gov" {
		l.add(d, "spec.partition", "partition", "expected aws, aws-cn or aws-us-gov")
	}
	root := l.state.nodes[""]
	root.place = place(d, d.Root, "$")
	root.withoutFull = o.Spec.WithoutFullAccess
	if o.Spec.RootID != "" {
		root.ids = o.Spec.RootID + "/"
	}
	units := slices.Clone(o.Spec.Units)
	slices.SortStableFunc(units, func(a, b landing.Unit) int { return strings.Count(a.Path, "/") - strings.Count(b.Path, "/") })
	for _, u := range units {
		l.unit(d, u, slices.IndexFunc(o.Spec.Units, func(other landing.Unit) bool { return other == u }))
	}
}

func (l *loader) unit(d *source.Document, u landing.Unit, index int) {
	items := d.Root.Get("spec", "units")
	where, at := source.Item("$.spec.units", index), items
	if items != nil && index < len(items.Items) {
		at = items.Items[index]
	}
	parent := path.Dir(u.Path)
	if parent == "." {
		parent = ""
	}
	switch above := l.state.nodes[parent]; {
	case u.Path == "" || path.Clean(u.Path) != u.Path || strings.HasPrefix(u.Path, "/") || strings.HasPrefix(u.Path, "."):
		l.found.Add(d.File, at, where, "policy/unit", "expected a path like Workloads/Prod")
	case l.state.nodes[u.Path] != nil:
		l.found.Add(d.File, at, where, "policy/unit", "expected each unit once")
	case above == nil:
		l.found.Add(d.File, at, where, "policy/unit", fmt.Sprintf("expected a unit %s, which %s hangs in", parent, u.Path))
	default:
		n := &node{name: u.Path, withoutFull: u.WithoutFullAccess, place: place(d, at, where)}
		if u.ID != "" && above.ids != "" {
			n.ids = above.ids + u.ID + "/"
		}
		l.state.nodes[u.Path] = n
	}
}

func (l *loader) readAccount(d *source.Document) {
	a := &landing.Account{}
	wrong := source.Decode(d, a)
	l.found = append(l.found, wrong...)
	m := &member{name: d.Name, id: a.Spec.ID, unit: a.Spec.Unit,
		node: &node{name: d.Name, withoutFull: a.Spec.WithoutFullAccess, place: place(d, d.Root, "$")}}
	if len(wrong.Errors()) > 0 {
		l.stand(m.node, "the account "+d.Name+", which has errors")
	}
	if m.id != "" && !isAccountID(m.id) {
		l.add(d, "spec.id", "account-id", "expected 12 digits in quotes")
		m.id = ""
	}
	if m.id == "" && d.Root.Get("spec", "id") != nil {
		l.state.doubts = append(l.state.doubts, "the id of "+d.Name+" has errors")
	}
	if l.state.nodes[m.unit] == nil {
		l.add(d, "spec.unit", "unit", "expected the path of a unit of the organization")
		l.stand(m.node, "the unit "+m.unit+", which is not there")
		m.unit = ""
	}
	if other := l.state.byID[m.id]; m.id != "" && other != nil {
		l.add(d, "spec.id", "account-id", "expected ids of accounts to be different: "+other.name+" has this one too")
	}
	l.enroll(m)
	l.state.Accounts = append(l.state.Accounts, a)
}

func (l *loader) enroll(m *member) {
	l.state.members = append(l.state.members, m)
	l.state.byName[m.name] = m
	if m.id != "" && l.state.byID[m.id] == nil {
		l.state.byID[m.id] = m
	}
}

// manage marks the management account, which may have no document of its own.
func (l *loader) manage() {
	id := l.state.Organization.Spec.ManagementAccount
	if !isAccountID(id) {
		return
	}
	m := l.state.byID[id]
	if m == nil {
		m = &member{name: id, id: id, node: &node{name: id}}
		l.enroll(m)
	}
	m.management = true
}

func (l *loader) readGuardrail(d *source.Document) {
	g := &landing.Guardrail{}
	wrong := source.Decode(d, g)
	l.found = append(l.found, wrong...)
	l.state.Guardrails = append(l.state.Guardrails, g)
	switch g.Spec.Type {
	case landing.ServiceControl, landing.ResourceControl:
		if len(g.Spec.Rules) > 0 {
			l.add(d, "spec.rules", "rules", "expected rules only in a guardrail of type Detective")
		}
		p := l.policyOf(d, g)
		l.state.Policies = append(l.state.Policies, p)
		l.attach(d, g, p, len(wrong.Errors()) > 0)
	case landing.Detective:
		if g.Spec.Policy != nil || g.Spec.PolicyFile != "" {
			l.add(d, "spec", "rules", "expected rules and no policy in a guardrail of type Detective")
		}
		if len(g.Spec.Rules) == 0 {
			l.add(d, "spec.rules", "rules", "expected at least one rule")
		}
		l.attach(d, g, nil, false)
	default:
		l.add(d, "spec.type", "type", "expected ServiceControl, ResourceControl or Detective")
		l.stand(l.state.nodes[""], g.Name+", of which not even the type is known")
	}
}

// policyOf parses the policy of a guardrail, which stands in it or in a file.
func (l *loader) policyOf(d *source.Document, g *landing.Guardrail) *Policy {
	inline := d.Root.Get("spec", "policy")
	broken := func(field, code, want string) *Policy {
		l.add(d, field, code, want)
		at := source.Place{File: d.File, Line: d.Root.Line, Column: d.Root.Column}
		return &Policy{Name: g.Name, Type: g.Spec.Type, Broken: true, Statements: brokenStatements(g.Name, at), at: at}
	}
	if (inline != nil) == (g.Spec.PolicyFile != "") {
		return broken("spec", "policy", "expected exactly one of policy and policyFile")
	}
	if inline != nil {
		p, wrong := Parse(g.Name, g.Spec.Type, d.File, inline, "$.spec.policy")
		l.found = append(l.found, wrong...)
		return p
	}
	name := path.Join(path.Dir(d.File), g.Spec.PolicyFile)
	file, ok := l.files[name]
	if !ok {
		return broken("spec.policyFile", "policy-file", "expected a file "+name)
	}
	root, wrong := source.ParseJSON(file.Name, file.Data)
	l.found = append(l.found, wrong...)
	if root == nil {
		at := source.Place{File: file.Name, Line: 1, Column: 1}
		return &Policy{Name: g.Name, Type: g.Spec.Type, Broken: true, Statements: brokenStatements(g.Name, at), at: at}
	}
	p, found := Parse(g.Name, g.Spec.Type, file.Name, root, "$")
	l.found = append(l.found, found...)
	if len(wrong.Errors()) > 0 && !p.Broken {
		p.Broken, p.Statements = true, brokenStatements(g.Name, p.at)
	}
	return p
}

// attach puts a policy, nil for a detective guardrail, where a guardrail's targets
// say: everywhere, as unknown, if what they say could not be read.
func (l *loader) attach(d *source.Document, g *landing.Guardrail, p *Policy, wrong bool) {
	if wrong {
		l.stand(l.state.nodes[""], g.Name+", which has errors")
	}
	for i, t := range g.Spec.Targets {
		where := source.Item("$.spec.targets", i)
		at := bare(d.Root)
		if items := d.Root.Get("spec", "targets"); items != nil && i < len(items.Items) {
			at = items.Items[i]
		}
		n, want := l.target(t)
		switch {
		case want != "":
			l.found.Add(d.File, at, where, "policy/target", "expected "+want)
			l.stand(l.state.nodes[""], g.Name+", of which a target is not known")
		case p == nil:
		case p.Type == landing.ServiceControl:
			n.services = l.once(d, at, where, n.services, p)
		default:
			n.owners = l.once(d, at, where, n.owners, p)
		}
	}
}

func (l *loader) once(d *source.Document, at *source.Node, where string, list []*Policy, p *Policy) []*Policy {
	if slices.Contains(list, p) {
		l.found.Add(d.File, at, where, "policy/target", "expected each target once")
		return list
	}
	return append(list, p)
}

// target returns the node that a target names, or what was expected.
func (l *loader) target(t landing.Target) (n *node, want string) {
	named := 0
	for _, is := range []bool{t.Root, t.Unit != "", t.Account != ""} {
		if is {
			named++
		}
	}
	switch {
	case named != 1:
		return nil, "exactly one of root, unit and account"
	case t.Root:
		return l.state.nodes[""], ""
	case t.Unit != "":
		if n := l.state.nodes[t.Unit]; n != nil {
			return n, ""
		}
		return nil, "the path of a unit of the organization, not " + t.Unit
	}
	if m := l.state.byName[t.Account]; m != nil {
		return m.node, ""
	}
	return nil, "the name of an account, not " + t.Account
}
