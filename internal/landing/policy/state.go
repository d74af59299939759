package policy

import (
	"cmp"
	"slices"
	"strings"

	landing "crossfade.dev/api/landing/v1alpha1"
	"crossfade.dev/internal/landing/catalog"
	"crossfade.dev/internal/landing/source"
)

// A State is an organization with its accounts and what is attached where. Load
// returns one; it does not change afterwards.
type State struct {
	// Organization, Accounts, Guardrails and Policies are what was loaded, ordered by
	// name. Callers must not change them.
	Organization *landing.Organization
	Accounts     []*landing.Account
	Guardrails   []*landing.Guardrail
	Policies     []*Policy

	catalog        *catalog.Catalog
	organizationID []string
	nodes          map[string]*node // by path; "" is the root
	members        []*member        // ordered by name
	byName         map[string]*member
	byID           map[string]*member
	// doubts are why an account that is not there may still be one of the
	// organization.
	doubts []string
}

// A node is the root, a unit, or an account: something that policies are attached
// to.
type node struct {
	name     string // as people are shown it
	place    source.Place
	ids      string // ids from the root, each with a slash after it; empty if one is not known
	services []*Policy
	owners   []*Policy // resource control policies
	// withoutFull holds when FullAWSAccess was detached.
	withoutFull bool
}

// A member is one account of the organization.
type member struct {
	name, id   string
	unit       string // path
	management bool
	node       *node
	paths      []string // aws:PrincipalOrgPaths; empty if not known
	chain      *chain
}

// A chain is what stands above an account, and the account itself, with the
// statements that its calls meet. Accounts with the same guardrails in the same
// unit share one.
type chain struct {
	levels []level
	// denies and ownerDenies are the Deny statements of all levels: of service
	// control policies, and of resource control policies.
	denies, ownerDenies table
	key                 string
}

// A level is one node of a chain.
type level struct {
	name   string
	full   bool // FullAWSAccess is attached
	allows table
}

// Names of nodes that have none of their own.
const (
	rootName    = "the root"
	accountName = "the account"
)

// An entry is a statement where it is attached.
type entry struct {
	statement *Statement
	level     int
}

// A table finds the statements that may be about an action.
type table struct {
	all       []entry
	byService map[string][]entry // with those of elsewhere
	elsewhere []entry            // may be about services that they do not name
}

func (t *table) find(service string) []entry {
	if entries, ok := t.byService[service]; ok {
		return entries
	}
	return t.elsewhere
}

func newTable(entries []entry) table {
	t := table{all: entries, byService: map[string][]entry{}}
	for _, e := range entries {
		for _, service := range e.statement.actions.services {
			t.byService[service] = nil
		}
	}
	for _, e := range entries {
		services := e.statement.actions.services
		if services == nil {
			t.elsewhere = append(t.elsewhere, e)
		}
		for service := range t.byService {
			if services == nil || slices.Contains(services, service) {
				t.byService[service] = append(t.byService[service], e)
			}
		}
	}
	return t
}

// above returns the nodes of an account's chain, the root first.
func (s *State) above(m *member) []*node {
	nodes := []*node{s.nodes[""]}
	if m.unit != "" {
		for i := range len(m.unit) + 1 {
			if i == len(m.unit) || m.unit[i] == '/' {
				if n := s.nodes[m.unit[:i]]; n != nil {
					nodes = append(nodes, n)
				}
			}
		}
	}
	return append(nodes, m.node)
}

// link gives every account its chain, once everything is attached.
func (s *State) link() {
	chains := map[string]*chain{}
	for _, m := range s.members {
		nodes := s.above(m)
		key := chainKey(nodes)
		c := chains[key]
		if c == nil {
			c = newChain(nodes, key)
			chains[key] = c
		}
		m.chain = c
		if last := nodes[len(nodes)-2]; last.ids != "" && s.Organization.Spec.ID != "" {
			m.paths = []string{s.Organization.Spec.ID + "/" + last.ids}
		}
	}
}

// chainKey is the same for chains that answer every call in the same way, in the
// same words.
func chainKey(nodes []*node) string {
	var key strings.Builder
	for i, n := range nodes {
		name := n.name
		if i == len(nodes)-1 {
			name = ""
		}
		key.WriteString(name)
		for _, p := range n.policies() {
			key.WriteByte(0)
			key.WriteString(p.Name)
			key.WriteByte(0)
			key.WriteString(p.text)
			if p.Broken {
				key.WriteString(" broken")
			}
		}
		key.WriteByte(1)
	}
	return key.String()
}

// policies returns the node's service control policies, FullAWSAccess among them,
// and its resource control policies.
func (n *node) policies() []*Policy {
	var all []*Policy
	if !n.withoutFull {
		all = append(all, fullAccess)
	}
	return append(append(all, n.services...), n.owners...)
}

func newChain(nodes []*node, key string) *chain {
	c := &chain{key: key}
	var denies, ownerDenies []entry
	for i, n := range nodes {
		l := level{name: n.name, full: !n.withoutFull}
		if i == len(nodes)-1 {
			l.name = accountName
		}
		var allows []entry
		for _, p := range n.services {
			for _, statement := range p.Statements {
				e := entry{statement: statement, level: i}
				if statement.Effect == Deny {
					denies = append(denies, e)
				} else {
					allows = append(allows, e)
				}
			}
		}
		for _, p := range n.owners {
			for _, statement := range p.Statements {
				if statement.Effect == Deny {
					ownerDenies = append(ownerDenies, entry{statement: statement, level: i})
				}
			}
		}
		l.allows = newTable(allows)
		c.levels = append(c.levels, l)
	}
	c.denies, c.ownerDenies = newTable(denies), newTable(ownerDenies)
	return c
}

// partition is the partition of the cloud that the organization lives in.
func (s *State) partition() string { return cmp.Or(s.Organization.Spec.Partition, "aws") }

// resolve returns the account that a request names, and its id, empty if not known.
// The member is nil for an account outside the organization.
func (s *State) resolve(account string) (*member, string) {
	if m := s.byName[account]; m != nil {
		return m, m.id
	}
	if m := s.byID[account]; m != nil {
		return m, m.id
	}
	if isAccountID(account) {
		return nil, account
	}
	return nil, ""
}

func sortByName[T any](list []T, name func(T) string) {
	slices.SortStableFunc(list, func(a, b T) int { return cmp.Compare(name(a), name(b)) })
}
