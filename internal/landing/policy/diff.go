package policy

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"

	"crossfade.dev/internal/landing/catalog"
)

// A Scope says which calls two states are compared for: every combination of an
// account that both have, an action and a region, each with a resource of the same
// account that is not named. The zero Scope is all of them.
type Scope struct {
	// Actions are names of actions; empty means all of the catalogue.
	Actions []string
	// Regions; empty means those of the new organization, or all that are known. An
	// action of a service with one endpoint is asked of once, where that stands.
	Regions []string
	// Accounts are names of accounts; empty means all that both states have.
	Accounts []string
	// Role is the path and name of the role that calls, without a slash before it;
	// empty means that the principal is not known.
	Role string
	// Context is what else is known of the calls.
	Context Context
	// Workers is how many goroutines compute; 0 means one for each processor.
	Workers int
}

// A Difference is what a change of state lets happen, or stops.
type Difference struct {
	Changes []Change `json:"changes"`
	// Added and Removed are accounts that only one of the states has.
	Added   []string `json:"added,omitempty"`
	Removed []string `json:"removed,omitempty"`
	// Cells is how many combinations of account, action and region were compared,
	// Turned how many have another answer, and Shifted how many are unknown in both
	// states, but for other reasons.
	Cells   int64 `json:"cells"`
	Turned  int64 `json:"turned"`
	Shifted int64 `json:"shifted"`
	// Classes are how many accounts, actions and regions had to be told apart, and
	// Decisions how many calls were decided for all of the cells.
	Classes   Classes `json:"classes"`
	Decisions int64   `json:"decisions"`
}

// Classes are numbers of equivalence classes.
type Classes struct {
	Accounts int `json:"accounts"`
	Actions  int `json:"actions"`
	Regions  int `json:"regions"`
}

// A Change is a set of cells that turn from one outcome to another: every
// combination of its accounts, actions and regions. Each list is sorted.
type Change struct {
	From     Decision `json:"from"`
	To       Decision `json:"to"`
	Accounts []string `json:"accounts"`
	Actions  []string `json:"actions"`
	Regions  []string `json:"regions"`
	Cells    int64    `json:"cells"`
}

// String tells the change in one sentence.
func (c *Change) String() string {
	return fmt.Sprintf("%s in %s, %s, %s", some(c.Actions, "actions"), some(c.Accounts, "accounts"), some(c.Regions, "regions"), c.Turn())
}

// Turn tells what becomes of the calls, without naming them: "will pass; nothing
// allows it today at Workloads".
func (c *Change) Turn() string {
	var what string
	switch {
	case c.To.Answer == Denied && c.To.Statement != nil:
		what = fmt.Sprintf("will be denied by %s at %s", c.To.Statement, c.To.Level)
	case c.To.Answer == Denied:
		what = "will be denied: nothing will allow it at " + c.To.Level
	case c.To.Answer == Allowed:
		what = "will pass"
	default:
		what = "will depend on " + c.To.needs()
	}
	switch {
	case c.From.Answer == Denied && c.From.Statement != nil:
		what += fmt.Sprintf("; %s at %s denies it today", c.From.Statement, c.From.Level)
	case c.From.Answer == Denied:
		what += "; nothing allows it today at " + c.From.Level
	case c.From.Answer == Allowed:
		what += "; it passes today"
	default:
		what += "; it depends today on " + c.From.needs()
	}
	return what
}

// some names a list: all of a short one, else the first and how many there are.
func some(list []string, what string) string {
	const short = 3
	if len(list) <= short {
		return strings.Join(list, " and ")
	}
	return fmt.Sprintf("%d %s (%s, ...)", len(list), what, strings.Join(list[:2], ", "))
}

// needs names what is missing.
func (d *Decision) needs() string {
	names := make([]string, len(d.Missing))
	for i, m := range d.Missing {
		names[i] = m.String()
	}
	return strings.Join(names, ", ")
}

// Diff compares two states.
//
// It does so by classes: accounts, actions and regions that no statement of either
// state can tell apart are decided once for all of them. A class is what answers
// the same questions in the same way: which statements' actions an action matches,
// and what their resources say of its resources; which conditions hold for a region
// or for an account.
func Diff(before, after *State, scope Scope) Difference {
	d := &differ{before: before, after: after, scope: scope}
	d.regionNames = d.regions()
	d.index()
	d.classAccounts()
	d.classRegions()
	d.classActions()
	return d.compare()
}

type differ struct {
	before, after *State
	scope         Scope
	regionNames   []string
	facts         facts
	accounts      []accountClass
	regionClass   map[string]int // by name
	regionReps    []string       // a region of each class
	actions       []actionClass
	added, gone   []string
}

func (d *differ) regions() []string {
	names := d.scope.Regions
	if len(names) == 0 {
		names = d.after.Organization.Spec.Regions
	}
	if len(names) == 0 {
		names = catalog.Regions
	}
	names = slices.Clone(names)
	slices.Sort(names)
	return slices.Compact(names)
}

// compare decides each combination of classes that a change can have touched, and
// groups what turned.
func (d *differ) compare() Difference {
	out := Difference{Added: d.added, Removed: d.gone,
		Classes: Classes{Accounts: len(d.accounts), Actions: len(d.actions), Regions: len(d.regionReps)}}
	accounts := 0
	for i := range d.accounts {
		accounts += len(d.accounts[i].names)
	}
	for i := range d.actions {
		out.Cells += int64(accounts) * int64(len(d.actions[i].names)) * int64(len(d.actions[i].regions))
	}
	workers := cmp.Or(d.scope.Workers, runtime.GOMAXPROCS(0))
	results := make([]found, workers)
	var wait sync.WaitGroup
	for w := range workers {
		wait.Go(func() {
			results[w] = newFound()
			for k := w; k < len(d.actions); k += workers {
				d.compareAction(k, &results[w])
			}
		})
	}
	wait.Wait()
	all := newFound()
	for _, r := range results {
		out.Decisions += r.decisions
		all.merge(r)
	}
	d.group(all, &out)
	return out
}

// found is what one goroutine found: for each pair of outcomes, the regions of each
// combination of an account class and an action class.
type found struct {
	pairs     map[string]*pair
	decisions int64
}

type pair struct {
	from, to outcome
	cells    map[[2]int][]int // region classes by account class and action class
}

func newFound() found { return found{pairs: map[string]*pair{}} }

func (f *found) add(c cell, account, action int) {
	key := c.from.key() + "\x03" + c.to.key()
	p := f.pairs[key]
	if p == nil {
		p = &pair{from: c.from, to: c.to, cells: map[[2]int][]int{}}
		f.pairs[key] = p
	}
	at := [2]int{account, action}
	p.cells[at] = append(p.cells[at], c.regions...)
}

// merge takes over what another goroutine found; they never share cells.
func (f *found) merge(other found) {
	for key, p := range other.pairs {
		mine := f.pairs[key]
		if mine == nil {
			f.pairs[key] = p
			continue
		}
		for at, regions := range p.cells {
			mine.cells[at] = regions
		}
	}
}

// A memory is what entries say of resources that are not named, in both states.
type memory struct{ before, after map[*resource]truth }

// compareAction decides the calls of one action class. Accounts whose chains have
// the same statements about it are decided once.
func (d *differ) compareAction(k int, f *found) {
	class := &d.actions[k]
	about := make([]bool, len(d.facts.statements))
	for _, n := range class.statements {
		about[n] = true
	}
	memories := map[int]memory{} // by variant of account
	known := map[string][]cell{}
	var key []byte
	for a := range d.accounts {
		account := &d.accounts[a]
		if account.sameFacts && sameStatements(account.lists[0], account.lists[1], about) {
			continue
		}
		key = binary.AppendUvarint(key[:0], uint64(account.facts))
		key = binary.AppendUvarint(key, uint64(account.variant))
		key = account.lists[1].key(account.lists[0].key(key, about), about)
		cells, ok := known[string(key)]
		if !ok {
			m, ok := memories[account.variant]
			if !ok {
				m = memory{map[*resource]truth{}, map[*resource]truth{}}
				memories[account.variant] = m
			}
			cells = d.cells(account, class, m, f)
			known[string(key)] = cells
		}
		for _, c := range cells {
			f.add(c, a, k)
		}
	}
}

// A cell is a pair of outcomes that differ, and the region classes where they do.
type cell struct {
	from, to outcome
	regions  []int
}

// cells decides the calls of an account class and an action class.
func (d *differ) cells(account *accountClass, class *actionClass, m memory, f *found) []cell {
	asked := class.regionClasses
	if !class.byRegion {
		asked = asked[:1] // no statement about the action asks for the region
	}
	var cells []cell
	for _, region := range asked {
		from := d.decide(d.before, account.before, class, region, m.before)
		to := d.decide(d.after, account.after, class, region, m.after)
		f.decisions += 2
		if from.alike(to) {
			continue
		}
		from.tell(d, d.before, account.before, class, region)
		to.tell(d, d.after, account.after, class, region)
		c := cell{from: from, to: to, regions: []int{region}}
		if !class.byRegion {
			c.regions = class.regionClasses
		}
		cells = append(cells, c)
	}
	return cells
}

// request is the call that stands for a combination of classes.
func (d *differ) request(m *member, action, region string) Request {
	r := Request{Account: m.name, Action: action, Region: region, Context: d.scope.Context}
	if d.scope.Role != "" && m.id != "" {
		r.Principal = "arn:" + d.after.partition() + ":iam::" + m.id + ":role/" + d.scope.Role
	}
	return r
}

// An outcome is a decision that can be compared with others.
type outcome struct {
	Decision
	residue string // of an Unknown: what leaves it undecided
}

// alike reports whether an outcome lets pass what the other does. Which statement
// decides makes no difference.
func (o *outcome) alike(other outcome) bool {
	return o.Answer == other.Answer && o.residue == other.residue
}

// tell adds to an outcome that is Unknown what a certain one would have needed.
func (o *outcome) tell(d *differ, s *State, m *member, class *actionClass, region int) {
	if o.Answer == Unknown {
		r := d.request(m, class.rep, d.regionReps[region])
		o.Missing = s.missingFor(&r)
	}
}

// key is the same for outcomes that are told to people in the same words.
func (o *outcome) key() string {
	key := fmt.Sprint(o.residue, "\x00", o.Reason, "\x00", o.Level, o.Missing)
	if o.Statement != nil {
		key += "\x00" + o.Statement.Policy + "\x00" + o.Statement.text
	}
	return key
}

// decide returns the outcome of a call.
func (d *differ) decide(s *State, m *member, class *actionClass, region int, met map[*resource]truth) outcome {
	r := d.request(m, class.rep, d.regionReps[region])
	var x call
	x.start(s, &r)
	x.met = met
	v := x.decide()
	o := outcome{Decision: v.decision()}
	if v.answer == Unknown {
		o.residue = x.residue()
	}
	return o
}

// residue is a text of the statements that leave a call undecided: those that may
// deny it, and for each level that may allow it those that may.
func (x *call) residue() string {
	var open []string
	undecided := func(t *table) []string {
		var texts []string
		for _, e := range t.find(x.service) {
			if e.statement.applies(x) == unknown {
				texts = append(texts, e.statement.text)
			}
		}
		slices.Sort(texts)
		return slices.Compact(texts)
	}
	services, owners := x.chains()
	if services != nil {
		open = append(open, undecided(&services.denies)...)
		for i := range services.levels {
			if _, passes := x.allow(&services.levels[i]); passes == unknown {
				open = append(open, "allow "+strings.Join(undecided(&services.levels[i].allows), "\x02"))
			}
		}
	}
	if owners != nil {
		open = append(open, undecided(&owners.ownerDenies)...)
	}
	slices.Sort(open)
	return strings.Join(slices.Compact(open), "\x01")
}

// group turns the cells that were found into changes: those of one pair of outcomes
// with the same actions and regions are one.
func (d *differ) group(all found, out *Difference) {
	for _, p := range all.pairs {
		rows := map[string]map[int][]int{} // action classes by regions and account class
		for at, regions := range p.cells {
			key := d.regionKey(at[1], regions)
			if rows[key] == nil {
				rows[key] = map[int][]int{}
			}
			rows[key][at[0]] = append(rows[key][at[0]], at[1])
		}
		for _, row := range rows {
			boxes := map[string][]int{} // account classes by action classes
			for account, actions := range row {
				slices.Sort(actions)
				key := fmt.Sprint(actions)
				boxes[key] = append(boxes[key], account)
			}
			for _, accounts := range boxes {
				actions := row[accounts[0]]
				c := d.change(p, accounts, actions, p.cells[[2]int{accounts[0], actions[0]}])
				if c.From.Answer == c.To.Answer {
					out.Shifted += c.Cells
				} else {
					out.Turned += c.Cells
				}
				out.Changes = append(out.Changes, c)
			}
		}
	}
	sortChanges(out.Changes)
}

// regionKey is the same for the regions of cells that can be one change.
func (d *differ) regionKey(action int, regions []int) string {
	slices.Sort(regions)
	if class := &d.actions[action]; class.single {
		return class.regions[0]
	}
	return fmt.Sprint(regions)
}

// change is one change of account classes, action classes and region classes.
func (d *differ) change(p *pair, accounts, actions, regions []int) Change {
	c := Change{From: p.from.Decision, To: p.to.Decision}
	for _, a := range accounts {
		c.Accounts = append(c.Accounts, d.accounts[a].names...)
	}
	for _, k := range actions {
		c.Actions = append(c.Actions, d.actions[k].names...)
	}
	for _, name := range d.actions[actions[0]].regions {
		if slices.Contains(regions, d.regionClass[name]) {
			c.Regions = append(c.Regions, name)
		}
	}
	slices.Sort(c.Accounts)
	slices.Sort(c.Actions)
	c.Cells = int64(len(c.Accounts)) * int64(len(c.Actions)) * int64(len(c.Regions))
	return c
}
