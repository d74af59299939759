package policy

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"crossfade.dev/internal/landing/catalog"
)

// facts are what the statements of both states ask for, gathered once.
type facts struct {
	// statements are those of all chains; statements with equal texts are one.
	statements []*Statement
	number     map[string]int // of a statement, by its text
	table      table          // of all statements
	// ofAccount and ofRegion are the conditions whose truth depends on the account,
	// or the region; entangled holds when one depends on both.
	ofAccount, ofRegion []*condition
	entangled           bool
	// accountParts are the patterns that entries of Resource have in the place of the
	// account's id; looseIDs holds when an entry has digits without saying where.
	accountParts []string
	looseIDs     bool
	byRegion     []bool // of each statement: one of its conditions depends on the region
	// lists are the statements of each chain.
	lists map[*chain]*chainList
	tags  map[string]int
}

// A chainList is the statements of a chain by their numbers.
type chainList struct {
	// groups are denials of each type, then what allows by level.
	groups [][]int
	// open holds for each level where FullAWSAccess is not attached; the others have
	// no statements in groups.
	open []bool
	// told are the same statements with a number for where they are attached, in the
	// words that people are told. An open level, which allows only what its own
	// statements allow, is there too, as statement -1.
	told []toldStatement
}

type toldStatement struct{ statement, where int }

// index gathers the facts.
func (d *differ) index() {
	f := &d.facts
	f.number, f.lists, f.tags = map[string]int{}, map[*chain]*chainList{}, map[string]int{}
	for _, s := range []*State{d.before, d.after} {
		for _, m := range s.members {
			if f.lists[m.chain] == nil {
				f.lists[m.chain] = f.listsOf(m.chain)
			}
		}
	}
	var entries []entry
	parts := map[string]bool{}
	f.byRegion = make([]bool, len(f.statements))
	for i, statement := range f.statements {
		entries = append(entries, entry{statement: statement, level: i})
		for j := range statement.conditions {
			c := &statement.conditions[j]
			account, region := d.dependsOn(c)
			if account {
				f.ofAccount = append(f.ofAccount, c)
			}
			if region {
				f.ofRegion = append(f.ofRegion, c)
				f.byRegion[i] = true
			}
			f.entangled = f.entangled || account && region
		}
		for j := range statement.resources {
			switch r := &statement.resources[j]; {
			case r.parts != nil:
				parts[r.parts[partsBefore-1]] = true
			case strings.ContainsAny(r.outline, "0123456789"):
				f.looseIDs = true
			}
		}
	}
	f.table = newTable(entries)
	delete(parts, "")
	delete(parts, string(anyText))
	for part := range parts {
		f.accountParts = append(f.accountParts, part)
	}
	slices.Sort(f.accountParts)
}

// listsOf numbers the statements of a chain.
func (f *facts) listsOf(c *chain) *chainList {
	list := &chainList{}
	list.add(f, &c.denies, c, "deny")
	list.add(f, &c.ownerDenies, c, "owner")
	for i := range c.levels {
		l := &c.levels[i]
		list.open = append(list.open, !l.full)
		if l.full { // what else allows makes no difference
			list.groups = append(list.groups, nil)
			continue
		}
		list.told = append(list.told, toldStatement{-1, f.tag(fmt.Sprint("open ", i, l.name))})
		list.add(f, &l.allows, c, fmt.Sprint("allow ", i))
	}
	return list
}

func (l *chainList) add(f *facts, t *table, c *chain, kind string) {
	var group []int
	for _, e := range t.all {
		key := e.statement.Effect.String() + e.statement.text
		n, ok := f.number[key]
		if !ok {
			n = len(f.statements)
			f.number[key] = n
			f.statements = append(f.statements, e.statement)
		}
		group = append(group, n)
		l.told = append(l.told, toldStatement{n, f.tag(kind + c.levels[e.level].name + "\x00" + e.statement.Policy)})
	}
	slices.Sort(group)
	l.groups = append(l.groups, slices.Compact(group))
}

// tag numbers a text.
func (f *facts) tag(text string) int {
	n, ok := f.tags[text]
	if !ok {
		n = len(f.tags)
		f.tags[text] = n
	}
	return n
}

// dependsOn says whether a condition's truth depends on the account or the region
// of a call, by its key or a variable.
func (d *differ) dependsOn(c *condition) (account, region bool) {
	look := func(k *key) {
		if _, fixed := d.scope.Context.values[k.name]; fixed {
			return
		}
		account = account || k.derived.ofAccount()
		region = region || k.derived == requestedRegion
	}
	look(&c.key)
	for i := range c.values {
		if t := c.values[i].template; t != nil {
			t.keys(look)
		}
	}
	return account, region
}

// An accountClass is accounts that no statement tells apart, in either state.
type accountClass struct {
	before, after *member // one of them
	names         []string
	// sameFacts holds when everything that statements ask of the account is the same
	// in both states; facts numbers it.
	sameFacts bool
	facts     int
	lists     [2]*chainList // before and after
	// variant numbers what entries of Resource say of the account's id.
	variant int
}

func (d *differ) classAccounts() {
	classes, variants := map[string]int{}, map[string]int{}
	for _, m := range d.before.members {
		if d.inScope(m.name) && d.after.byName[m.name] == nil {
			d.gone = append(d.gone, m.name)
		}
	}
	for _, after := range d.after.members {
		if !d.inScope(after.name) {
			continue
		}
		before := d.before.byName[after.name]
		if before == nil {
			d.added = append(d.added, after.name)
			continue
		}
		old, new := d.accountKey(d.before, before), d.accountKey(d.after, after)
		variant := d.variant(before.id) + d.variant(after.id)
		if _, ok := variants[variant]; !ok {
			variants[variant] = len(variants)
		}
		key := fmt.Sprintf("%p %p %s\x00%s\x00%s", before.chain, after.chain, old, new, variant)
		n, ok := classes[key]
		if !ok {
			n = len(d.accounts)
			classes[key] = n
			d.accounts = append(d.accounts, accountClass{before: before, after: after, variant: variants[variant],
				sameFacts: old == new && before.id == after.id, facts: d.facts.tag(old + "\x00" + new),
				lists: [2]*chainList{d.facts.lists[before.chain], d.facts.lists[after.chain]}})
		}
		d.accounts[n].names = append(d.accounts[n].names, after.name)
	}
}

func (d *differ) inScope(name string) bool {
	return len(d.scope.Accounts) == 0 || slices.Contains(d.scope.Accounts, name)
}

// accountKey is the same for accounts of which every condition says the same.
func (d *differ) accountKey(s *State, m *member) string {
	key := fmt.Append(nil, m.management, m.id == "", s.partition())
	r := d.request(m, "sts:GetCallerIdentity", "")
	var x call
	x.start(s, &r)
	for _, c := range d.facts.ofAccount {
		key = append(key, byte(c.test(&x)))
	}
	if d.facts.entangled {
		key = fmt.Append(key, m.id, m.paths, s.organizationID)
	}
	return string(key)
}

// variant is the same for ids that no entry of Resource tells apart.
func (d *differ) variant(id string) string {
	if d.facts.looseIDs || id == "" {
		return id + " "
	}
	key := make([]byte, len(d.facts.accountParts))
	for i, part := range d.facts.accountParts {
		key[i] = '0'
		if match(part, id) {
			key[i] = '1'
		}
	}
	return string(key) + " "
}

func (d *differ) classRegions() {
	d.regionClass = map[string]int{}
	classes := map[string]int{}
	names := slices.Clone(d.regionNames)
	names = append(names, catalog.HomeRegions()...)
	for _, name := range names {
		r := Request{Action: "sts:GetCallerIdentity", Region: name, Context: d.scope.Context}
		var x call
		x.start(d.after, &r)
		var key []byte
		for _, c := range d.facts.ofRegion {
			key = append(key, byte(c.test(&x)))
		}
		if d.facts.entangled {
			key = append(key, name...)
		}
		n, ok := classes[string(key)]
		if !ok {
			n = len(d.regionReps)
			classes[string(key)] = n
			d.regionReps = append(d.regionReps, name)
		}
		d.regionClass[name] = n
	}
}

// An actionClass is actions that no statement tells apart.
type actionClass struct {
	rep        string
	names      []string
	statements []int // numbers of those that are about the actions, ordered
	byRegion   bool
	regions    []string // where the actions are asked of
	single     bool     // only where the service's one endpoint stands
	// regionClasses are those of regions, each once.
	regionClasses []int
}

func (d *differ) classActions() {
	classes := map[string]int{}
	shapes := &shapes{d: d, known: map[string]string{}}
	for _, name := range d.actionNames() {
		lower := strings.ToLower(name)
		service, _, _ := strings.Cut(lower, ":")
		var statements []int
		for _, e := range d.facts.table.find(service) {
			if e.statement.broken || e.statement.actions.match(lower) {
				statements = append(statements, e.level)
			}
		}
		home, single := catalog.Home(service)
		under := d.after.catalog.UnderResourceControl(service) && lower != "kms:retiregrant"
		_, catalogued := d.after.catalog.FindLower(lower)
		key := fmt.Append(nil, home, under, catalogued, d.after.catalog.TellsOwner(lower))
		statements, shape := shapes.of(name, statements)
		for _, n := range statements {
			key = binary.AppendUvarint(key, uint64(n))
		}
		key = append(append(key, 0), shape...)
		n, ok := classes[string(key)]
		if !ok {
			n = len(d.actions)
			classes[string(key)] = n
			class := actionClass{rep: name, statements: statements, regions: d.regionNames}
			if single {
				class.regions, class.single = []string{home}, true
			}
			for _, number := range statements {
				class.byRegion = class.byRegion || d.facts.byRegion[number]
			}
			for _, region := range class.regions {
				class.regionClasses = append(class.regionClasses, d.regionClass[region])
			}
			slices.Sort(class.regionClasses)
			class.regionClasses = slices.Compact(class.regionClasses)
			d.actions = append(d.actions, class)
		}
		d.actions[n].names = append(d.actions[n].names, name)
	}
}

func (d *differ) actionNames() []string {
	if len(d.scope.Actions) > 0 {
		names := slices.Clone(d.scope.Actions)
		slices.Sort(names)
		return slices.Compact(names)
	}
	all := d.after.catalog.Actions()
	names := make([]string, len(all))
	for i := range all {
		names[i] = all[i].Name
	}
	return names
}

// shapes say what entries of Resource say of the resources that actions are about.
type shapes struct {
	d     *differ
	known map[string]string // by formats and entry
}

// of returns which of the statements can be about the resources of an action at
// all, and a text that is the same for actions of which the entries of these
// statements say the same, for every variant of account.
func (s *shapes) of(name string, statements []int) (about []int, text []byte) {
	a, _ := s.d.after.catalog.Find(name)
	formats := "-"
	if a != nil {
		formats = fmt.Sprint(a.Optional, strings.Join(a.Formats, "\t"))
	}
	for _, n := range statements {
		statement := s.d.facts.statements[n]
		mark := len(text)
		never := !statement.notIn && !statement.broken
		for i := range statement.resources {
			r := &statement.resources[i]
			shape := "2"
			if !r.all {
				shape = s.shape(name, formats, r)
				text = append(text, shape...)
			}
			if statement.notIn {
				never = never || strings.Trim(shape, "2") == ""
			} else {
				never = never && strings.Trim(shape, "0") == ""
			}
		}
		if never {
			text = text[:mark]
		} else {
			about = append(about, n)
		}
	}
	return about, text
}

func (s *shapes) shape(name, formats string, r *resource) string {
	key := formats + "\x00" + r.text
	shape, ok := s.known[key]
	if !ok {
		shape = s.compute(name, r)
		s.known[key] = shape
	}
	return shape
}

func (s *shapes) compute(name string, r *resource) string {
	var out []byte
	seen := -1
	for i := range s.d.accounts {
		class := &s.d.accounts[i]
		if class.variant <= seen {
			continue // variants are numbered in the order of their first class
		}
		seen = class.variant
		for _, at := range []struct {
			state *State
			m     *member
		}{{s.d.before, class.before}, {s.d.after, class.after}} {
			request := s.d.request(at.m, name, "")
			var x call
			x.start(at.state, &request)
			out = append(out, '0'+byte(r.match(&x)))
		}
	}
	return string(out)
}

// sameStatements reports whether two chains have the same statements about an
// action class, level by level.
func sameStatements(before, after *chainList, about []bool) bool {
	return before == after || slices.Equal(before.open, after.open) && slices.EqualFunc(before.groups, after.groups, func(old, new []int) bool {
		for {
			old, new = skip(old, about), skip(new, about)
			if len(old) == 0 || len(new) == 0 {
				return len(old) == len(new)
			}
			if old[0] != new[0] {
				return false
			}
			old, new = old[1:], new[1:]
		}
	})
}

// skip returns the rest of a list from its first member that is about an action
// class.
func skip(list []int, about []bool) []int {
	for len(list) > 0 && !about[list[0]] {
		list = list[1:]
	}
	return list
}

// key appends what decides about an action class, in the words that people are
// told.
func (l *chainList) key(key []byte, about []bool) []byte {
	for _, s := range l.told {
		if s.statement < 0 || about[s.statement] {
			key = binary.AppendVarint(key, int64(s.statement))
			key = binary.AppendUvarint(key, uint64(s.where))
		}
	}
	return append(key, 0xff)
}

// order compares changes for people: what opens first, then what closes, then what
// is not certain.
func (c *Change) order() int {
	switch {
	case c.To.Answer == Allowed && c.From.Answer == Denied:
		return 0
	case c.To.Answer == Denied:
		return 1
	case c.To.Answer == Allowed:
		return 2
	}
	return 3
}

func sortChanges(changes []Change) {
	slices.SortFunc(changes, func(a, b Change) int {
		return cmp.Or(cmp.Compare(a.order(), b.order()), cmp.Compare(b.Cells, a.Cells),
			slices.Compare(a.Accounts, b.Accounts), slices.Compare(a.Actions, b.Actions), slices.Compare(a.Regions, b.Regions),
			strings.Compare(a.From.Level, b.From.Level), strings.Compare(a.To.Level, b.To.Level))
	})
}
