package policy

import (
	"cmp"
	"strings"

	"crossfade.dev/internal/landing/catalog"
)

// A Request is one call to ask about.
type Request struct {
	// Account is the account of the principal that calls: the name of an account of
	// the organization, or 12 digits. An id that the organization does not have is
	// an account outside it.
	Account string
	// Action is what is called, for example s3:GetObject.
	Action string
	// Region is where it is called; empty means that it is not known.
	Region string
	// Resource is the ARN of what is called upon, or * for an action that is about
	// no resource. Empty means that it is not known; what the catalogue says of the
	// action then narrows it down.
	Resource string
	// ResourceAccount is the account that owns the resource, like Account. Empty
	// means the one that Resource names; Account, if Resource is not known; and that
	// the owner is not known, if Resource is an ARN without an account, like those of
	// buckets.
	ResourceAccount string
	// Principal is the ARN of the role, user or root that calls. Empty means that it
	// is not known, but no service-linked role.
	Principal string
	// Context is what else is known of the request.
	Context Context
}

// A Context holds what is known of the context keys of a request. The zero value
// knows nothing.
type Context struct {
	values   map[string][]string
	complete bool
}

// NewContext returns a context in which keys have values. Names of keys have no
// case. An empty list says that the request does not have the key; a key that is
// not in values at all is not known.
func NewContext(values map[string][]string) Context {
	c := Context{values: make(map[string][]string, len(values))}
	for name, texts := range values {
		c.values[strings.ToLower(name)] = texts
	}
	return c
}

// Complete returns the context of a request of which everything is known: keys that
// c does not have are not in the request. Keys that follow from the request itself
// and the organization are there all the same: they have the values that follow, and
// are unknown where none does, as aws:PrincipalArn is of a request that names no
// principal.
func (c Context) Complete() Context {
	c.complete = true
	return c
}

// A key is the name of a context key.
type key struct {
	name    string // lower case
	shown   string // as written
	derived derived
}

func newKey(name string) key {
	lower := strings.ToLower(name)
	return key{name: lower, shown: name, derived: derivedKeys[lower]}
}

// A derived key has a value that follows from the request and the organization.
type derived uint8

const (
	notDerived derived = iota
	principalAccount
	principalARN
	principalIsService
	principalOrgID
	principalOrgPaths
	resourceAccount
	resourceOrgID
	resourceOrgPaths
	requestedRegion
)

// derivedKeys are those of the IAM User Guide, "AWS global condition context keys",
// whose values are not the caller's to choose.
var derivedKeys = map[string]derived{
	"aws:principalaccount":      principalAccount,
	"aws:principalarn":          principalARN,
	"aws:principalisawsservice": principalIsService,
	"aws:principalorgid":        principalOrgID,
	"aws:principalorgpaths":     principalOrgPaths,
	"aws:resourceaccount":       resourceAccount,
	"aws:resourceorgid":         resourceOrgID,
	"aws:resourceorgpaths":      resourceOrgPaths,
	"aws:requestedregion":       requestedRegion,
}

// ofAccount reports whether the key's value depends on the account.
func (d derived) ofAccount() bool {
	return d != notDerived && d != requestedRegion && d != principalIsService
}

// ofOwner reports whether the key's value depends on who owns the resource.
func (d derived) ofOwner() bool {
	return d == resourceAccount || d == resourceOrgID || d == resourceOrgPaths
}

// A call is a request on its way through an evaluation.
type call struct {
	request    *Request
	state      *State
	action     string // lower case
	service    string // lower case
	resource   string
	principal  *member // nil if the principal's account is outside the organization
	owner      *member // nil if the resource's account is, or ownerless
	catalogued *catalog.Action
	// ownerless holds when the resource is named, and its owner is not.
	ownerless bool
	// principalID and ownerID are the ids of the accounts, empty if not known.
	principalID, ownerID [1]string
	region, arn          [1]string
	// missing collects what was not known; nil if nobody asks.
	missing *missing
	// met remembers what entries say of resources that are not named; nil if nobody
	// keeps it. It holds for one action, and accounts that no entry tells apart.
	met map[*resource]truth
}

// start fills x from a request.
func (x *call) start(s *State, r *Request) {
	x.request, x.state = r, s
	x.action = strings.ToLower(r.Action)
	x.service, _, _ = strings.Cut(x.action, ":")
	x.catalogued, _ = s.catalog.FindLower(x.action)
	x.resource = r.Resource
	if a := x.catalogued; a != nil && len(a.Formats) == 0 && x.resource == "" {
		x.resource = "*"
	} else if a != nil && len(a.Formats) > 0 && x.resource == "*" {
		x.resource = "" // it may be about some resource, and * names none
	}
	x.principal, x.principalID[0] = s.resolve(r.Account)
	switch owner := cmp.Or(r.ResourceAccount, accountOf(r.Resource)); {
	case owner != "":
		x.owner, x.ownerID[0] = s.resolve(owner)
	case strings.HasPrefix(r.Resource, "arn:"):
		x.ownerless = true
	default:
		x.owner, x.ownerID = x.principal, x.principalID
	}
	x.arn[0] = r.Principal
	x.region[0] = r.Region
	if home, ok := catalog.Home(x.service); ok && r.Region != "" {
		x.region[0] = home
	}
}

// accountOf returns the account that an ARN names, if it names one.
func accountOf(arn string) string {
	for range partsBefore - 1 {
		_, rest, ok := strings.Cut(arn, ":")
		if !ok {
			return ""
		}
		arn = rest
	}
	account, _, _ := strings.Cut(arn, ":")
	if !isAccountID(account) {
		return ""
	}
	return account
}

func isAccountID(text string) bool {
	return len(text) == 12 && strings.Trim(text, "0123456789") == ""
}

// values returns the values of a key and whether they are known: yes, no if the
// request is known not to have the key, or unknown.
func (x *call) values(k *key) ([]string, truth) {
	c := &x.request.Context
	if values, ok := c.values[k.name]; ok {
		return values, truthOf(len(values) > 0)
	}
	if k.derived != notDerived {
		if values := x.derive(k.derived); len(values) > 0 && values[0] != "" {
			return values, yes
		}
		return nil, unknown
	}
	if c.complete {
		return nil, no
	}
	return nil, unknown
}

var falseText = []string{"false"}

// derive returns the value of a derived key, empty if it is not known.
func (x *call) derive(d derived) []string {
	if d.ofOwner() && !x.state.catalog.TellsOwner(x.action) {
		return nil
	}
	switch d {
	case principalAccount:
		return x.principalID[:]
	case principalARN:
		return x.arn[:]
	case principalIsService:
		return falseText
	case principalOrgID:
		return x.organization(x.principal)
	case principalOrgPaths:
		return x.paths(x.principal)
	case resourceAccount:
		return x.ownerID[:]
	case resourceOrgID:
		return x.organization(x.owner)
	case resourceOrgPaths:
		return x.paths(x.owner)
	case requestedRegion:
		return x.region[:]
	}
	return nil
}

func (x *call) organization(m *member) []string {
	if m == nil {
		return nil
	}
	return x.state.organizationID
}

func (x *call) paths(m *member) []string {
	if m == nil {
		return nil
	}
	return m.paths
}

// missing collects what an answer would have needed.
type missing struct {
	facts []Missing
}

// A Missing is one fact that an answer would have needed.
type Missing struct {
	// Name is a context key, Resource, or a text of a policy.
	Name string `json:"name"`
	// Why is empty for what the request does not tell.
	Why string `json:"why,omitempty"`
}

func (m Missing) String() string {
	if m.Why == "" {
		return m.Name
	}
	return m.Name + " (" + m.Why + ")"
}

// miss records that a fact is missing.
func (x *call) miss(name, why string) {
	if x.missing == nil {
		return
	}
	fact := Missing{Name: name, Why: why}
	for _, known := range x.missing.facts {
		if known == fact {
			return
		}
	}
	x.missing.facts = append(x.missing.facts, fact)
}
