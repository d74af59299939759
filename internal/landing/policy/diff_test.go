package policy

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	landing "crossfade.dev/api/landing/v1alpha1"
	"crossfade.dev/internal/landing/catalog"
	"crossfade.dev/internal/landing/source"
)

// sentences tells changes as tests expect them.
func sentences(d Difference) string {
	var lines []string
	for _, c := range d.Changes {
		actions := strings.Join(c.Actions, " ")
		if len(c.Actions) > 4 {
			actions = fmt.Sprintf("%s .. %s (%d)", c.Actions[0], c.Actions[len(c.Actions)-1], len(c.Actions))
		}
		lines = append(lines, fmt.Sprintf("%s -> %s: %s | %s | %s", tellDecision(c.From), tellDecision(c.To),
			strings.Join(c.Accounts, " "), actions, strings.Join(c.Regions, " ")))
	}
	return strings.Join(lines, "\n")
}

func tellDecision(d Decision) string {
	text := d.Answer.String()
	switch {
	case d.Answer == Unknown:
		text += fmt.Sprint(d.Missing)
	case d.Reason == NotAllowed:
		text += " by nothing at " + d.Level
	case d.Statement != nil:
		text += " by " + d.Statement.String() + " at " + d.Level
	}
	return text
}

func TestDiff(t *testing.T) {
	const vault = "apiVersion: landing.crossfade.dev/v1alpha1\nkind: Account\nmetadata: {name: vault}\nspec: {id: \"333333333333\", unit: Workloads}\n"
	actions := []string{"iam:CreateRole", "iam:PassRole", "logs:DeleteLogGroup", "logs:PutLogEvents", "s3:GetObject", "sqs:SendMessage"}
	regions := []string{"ap-south-1", "eu-west-1", "us-east-1"}
	tests := []struct {
		name          string
		before, after []string
		want          string
	}{
		{"nothing", []string{guardrail("logs", "ServiceControl", "{root: true}", denyDelete)}, []string{guardrail("logs", "ServiceControl", "{root: true}", denyDelete)}, ""},
		{"the same in other words",
			[]string{guardrail("logs", "ServiceControl", "{root: true}", denyDelete)},
			[]string{guardrail("records", "ServiceControl", "{unit: Workloads}", denyDelete)}, ""},
		{"a denial at a unit", nil, []string{guardrail("logs", "ServiceControl", "{unit: Workloads/Prod}", denyDelete)},
			"Allowed by FullAWSAccess[0] at the account -> Denied by logs/KeepLogs at Workloads/Prod: player | logs:DeleteLogGroup | ap-south-1 eu-west-1 us-east-1"},
		{"a denial gone", []string{guardrail("logs", "ServiceControl", "{root: true}", denyDelete)}, nil,
			"Denied by logs/KeepLogs at the root -> Allowed by FullAWSAccess[0] at the account: player vault | logs:DeleteLogGroup | ap-south-1 eu-west-1 us-east-1"},
		{"regions", nil, []string{guardrail("regions", "ServiceControl", "{unit: Workloads}", denyRegions)},
			"Allowed by FullAWSAccess[0] at the account -> Denied by regions/OnlyEurope at Workloads: player vault | logs:DeleteLogGroup logs:PutLogEvents s3:GetObject sqs:SendMessage | ap-south-1 us-east-1"},
		{"not known before the call", nil, []string{guardrail("tls", "ResourceControl", "{account: vault}", denyPlainHTTP)},
			"Allowed by FullAWSAccess[0] at the account -> Unknown[aws:SecureTransport]: vault | s3:GetObject | ap-south-1 eu-west-1 us-east-1"},
		{"another thing not known",
			[]string{guardrail("tls", "ResourceControl", "{account: vault}", denyPlainHTTP)},
			[]string{guardrail("tls", "ResourceControl", "{account: vault}", strings.Replace(denyPlainHTTP, "SecureTransport", "ViaAWSService", 1))},
			"Unknown[aws:SecureTransport] -> Unknown[aws:ViaAWSService]: vault | s3:GetObject | ap-south-1 eu-west-1 us-east-1"},
		{"one endpoint", nil, []string{guardrail("roles", "ServiceControl", "{root: true}", `{"Sid": "NoRoles", "Effect": "Deny", "Action": "iam:CreateRole", "Resource": "*", "Condition": {"StringEquals": {"aws:RequestedRegion": "us-east-1"}}}`)},
			"Allowed by FullAWSAccess[0] at the account -> Denied by roles/NoRoles at the root: player vault | iam:CreateRole | us-east-1"},
		{"an account of its own", nil, []string{guardrail("one", "ServiceControl", "{root: true}", `{"Sid": "Vault", "Effect": "Deny", "Action": "sqs:*", "Resource": "*", "Condition": {"StringEquals": {"aws:PrincipalAccount": "333333333333"}}}`)},
			"Allowed by FullAWSAccess[0] at the account -> Denied by one/Vault at the root: vault | sqs:SendMessage | ap-south-1 eu-west-1 us-east-1"},
		{"resources of one account", nil, []string{guardrail("one", "ServiceControl", "{root: true}", `{"Sid": "Roles", "Effect": "Deny", "Action": "*", "Resource": "arn:aws:iam::333333333333:role/*"}`)},
			"Allowed by FullAWSAccess[0] at the account -> Denied by one/Roles at the root: vault | iam:CreateRole iam:PassRole | us-east-1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			before, after := load(t, zone(append(test.before, vault)...)), load(t, zone(append(test.after, vault)...))
			d := Diff(before, after, Scope{Actions: actions, Regions: regions, Accounts: []string{"player", "vault"}})
			if got := sentences(d); got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
			var cells int64
			for _, c := range d.Changes {
				cells += c.Cells
			}
			if cells != d.Turned+d.Shifted || d.Cells != 2*(4*3+2) {
				t.Errorf("%d cells: %d turned, %d shifted, %d in changes", d.Cells, d.Turned, d.Shifted, cells)
			}
		})
	}
}

func TestChangesInSentences(t *testing.T) {
	scope := Scope{Actions: []string{"logs:DeleteLogGroup", "s3:GetObject"}, Regions: []string{"ap-south-1", "eu-west-1", "us-east-1", "us-west-2"}, Accounts: []string{"player"}}
	states := []*State{
		load(t, zone()),
		load(t, zone(guardrail("logs", "ServiceControl", "{root: true}", denyDelete))),
		load(t, zone(guardrail("tls", "ResourceControl", "{root: true}", denyPlainHTTP))),
	}
	var got []string
	for i, s := range states {
		for _, c := range Diff(s, states[(i+1)%3], scope).Changes {
			got = append(got, c.String())
		}
	}
	want := []string{
		"logs:DeleteLogGroup in player, 4 regions (ap-south-1, eu-west-1, ...), will be denied by logs/KeepLogs at the root; it passes today",
		"logs:DeleteLogGroup in player, 4 regions (ap-south-1, eu-west-1, ...), will pass; logs/KeepLogs at the root denies it today",
		"s3:GetObject in player, 4 regions (ap-south-1, eu-west-1, ...), will depend on aws:SecureTransport; it passes today",
		"s3:GetObject in player, 4 regions (ap-south-1, eu-west-1, ...), will pass; it depends today on aws:SecureTransport",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestDiffOfAccounts(t *testing.T) {
	before, after := load(t, zone()), load(t, zone())
	after.members[slices.IndexFunc(after.members, func(m *member) bool { return m.name == "player" })].name = "mover"
	delete(after.byName, "player")
	d := Diff(before, after, Scope{Actions: []string{"s3:GetObject"}})
	if fmt.Sprint(d.Added, d.Removed) != "[mover] [player]" {
		t.Errorf("added %v, removed %v", d.Added, d.Removed)
	}
}

// A world is a random organization that can be changed.
type world struct {
	units    []string
	id       string // of the organization
	manager  string
	open     string // a unit without FullAWSAccess
	accounts []landing.Account
	policies map[string]worldPolicy
}

type worldPolicy struct {
	kind    Type
	target  string // root, a unit, or the name of an account after a colon
	content string
}

func (g generator) world() world {
	w := world{units: []string{"A", "A/B", "C"}, id: "o-a1b2c3d4e5", manager: "111111111111", policies: map[string]worldPolicy{}}
	for i := range 6 {
		var a landing.Account
		a.Name = fmt.Sprint("account", i)
		a.Spec.Unit = pick(g, append(w.units, ""))
		a.Spec.WithoutFullAccess = g.chance(10)
		if g.chance(90) {
			a.Spec.ID = fmt.Sprintf("22222222222%d", i)
		}
		w.accounts = append(w.accounts, a)
	}
	for i := range 2 + g.IntN(5) {
		w.policies[fmt.Sprint("p", i)] = g.worldPolicy(&w)
	}
	return w
}

func (g generator) worldPolicy(w *world) worldPolicy {
	p := worldPolicy{kind: landing.ServiceControl, target: pick(g, append(w.units, "", ":account1", ":account2"))}
	if g.chance(30) {
		p.kind = landing.ResourceControl
	}
	var statements []string
	for range 1 + g.IntN(3) {
		statements = append(statements, g.worldStatement(p.kind))
	}
	p.content = `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
	if g.chance(3) {
		p.content = strings.Replace(p.content, "Effect", "Affect", 1)
	}
	return p
}

// worldStatement is a statement that asks for the region, the account, resources
// and what nobody tells.
func (g generator) worldStatement(kind Type) string {
	text := g.statement(kind)
	if at := strings.Index(text, `,"Condition"`); at >= 0 && g.chance(80) {
		text = text[:at] + "}"
	}
	if g.chance(30) {
		entries := []string{"*", "arn:aws:s3:::films/*", "arn:aws:iam::222222222221:role/*", "arn:aws:sqs:*:22222222222?:*", "arn:aws:lambda:*", "arn:aws:s3:::${aws:PrincipalAccount}/x", "arn:aws:dynamodb:eu-west-1:*:table/*", "arn:aws:logs:*2:x"}
		at := strings.Index(text, `"Resource":`)
		if at >= 0 {
			text = text[:at] + fmt.Sprintf(`"Resource":%q}`, pick(g, entries))
		}
	}
	if g.chance(50) && !strings.Contains(text, `"Condition"`) {
		text = strings.TrimSuffix(text, "}") + `,"Condition":` + pick(g, []string{
			`{"StringNotEquals":{"aws:RequestedRegion":["eu-west-1","eu-central-1"]}}`,
			`{"StringLike":{"aws:RequestedRegion":"us-*"}}`,
			`{"StringEquals":{"aws:PrincipalAccount":["222222222221","222222222223"]}}`,
			`{"ForAnyValue:StringLike":{"aws:PrincipalOrgPaths":"o-a1b2c3d4e5/r-ab12/ou-ab12-0/*"}}`,
			`{"StringNotEqualsIfExists":{"aws:ResourceAccount":"222222222222"}}`,
			`{"StringEquals":{"aws:PrincipalTag/x":"y"}}`,
			`{"StringNotLike":{"aws:RequestedRegion":"${aws:PrincipalTag/x}*"}}`,
			`{"StringEquals":{"aws:PrincipalOrgID":"o-a1b2c3d4e5"},"Bool":{"aws:SecureTransport":"true"}}`,
			`{"ArnNotLike":{"aws:PrincipalArn":"arn:aws:iam::*1:role/ops"}}`,
			`{"StringLike":{"aws:PrincipalArn":"*${aws:RequestedRegion}*"}}`,
		}) + "}"
	}
	return text
}

// change returns a world that differs in one thing.
func (g generator) change(w world) world {
	out := w
	out.accounts, out.policies = slices.Clone(w.accounts), maps.Clone(w.policies)
	names := slices.Sorted(maps.Keys(w.policies))
	switch g.IntN(9) {
	case 8:
		out.accounts[g.IntN(len(out.accounts))].Spec.ID = "222222222229"
	case 7:
		out.id, out.manager = pick(g, []string{"", "o-f1f2f3f4f5"}), pick(g, []string{out.manager, "222222222223"})
	case 6:
		out.open = pick(g, w.units)
	case 5:
		a := &out.accounts[g.IntN(len(out.accounts))].Spec
		a.WithoutFullAccess = !a.WithoutFullAccess
	case 0:
		delete(out.policies, pick(g, names))
	case 1:
		out.policies["new"] = g.worldPolicy(&out)
	case 2:
		name := pick(g, names)
		p := out.policies[name]
		p.target = pick(g, append(w.units, "", ":account3"))
		out.policies[name] = p
	case 3:
		out.accounts[g.IntN(len(out.accounts))].Spec.Unit = pick(g, append(w.units, ""))
	case 4:
		name := pick(g, names)
		p := g.worldPolicy(&out)
		p.kind, p.target = out.policies[name].kind, out.policies[name].target
		if out.policies[name].kind == landing.ResourceControl {
			p.content = `{"Version":"2012-10-17","Statement":[` + g.worldStatement(landing.ResourceControl) + `]}`
		}
		out.policies[name] = p
	}
	return out
}

func (w *world) state(t *testing.T) *State {
	t.Helper()
	var out strings.Builder
	out.WriteString("apiVersion: landing.crossfade.dev/v1alpha1\nkind: Organization\nmetadata: {name: o}\n")
	fmt.Fprintf(&out, "spec: {id: %q, rootID: r-ab12, managementAccount: %q, units: [", w.id, w.manager)
	for i, u := range w.units {
		fmt.Fprintf(&out, "{path: %s, id: ou-ab12-%d, withoutFullAccess: %v}, ", u, i, u == w.open)
	}
	out.WriteString("]}\n")
	for _, a := range w.accounts {
		fmt.Fprintf(&out, "---\napiVersion: landing.crossfade.dev/v1alpha1\nkind: Account\nmetadata: {name: %s}\nspec: {id: %q, unit: %q, withoutFullAccess: %v}\n", a.Name, a.Spec.ID, a.Spec.Unit, a.Spec.WithoutFullAccess)
	}
	for name, p := range w.policies {
		target := fmt.Sprintf("{unit: %s}", p.target)
		if p.target == "" {
			target = "{root: true}"
		} else if strings.HasPrefix(p.target, ":") {
			target = fmt.Sprintf("{account: %s}", p.target[1:])
		}
		fmt.Fprintf(&out, "---\napiVersion: landing.crossfade.dev/v1alpha1\nkind: Guardrail\nmetadata: {name: %s}\nspec:\n  type: %s\n  targets: [%s]\n  policyFile: %s.json\n", name, p.kind, target, name)
	}
	files := []source.File{{Name: "w.yaml", Data: []byte(out.String())}}
	for name, p := range w.policies {
		files = append(files, source.File{Name: name + ".json", Data: []byte(p.content)})
	}
	documents, found := source.Read(files)
	if len(found) > 0 {
		t.Fatal(found)
	}
	s, _ := Load(documents, files, nil)
	return s
}

// Every cell that turns is in one change, with its outcomes, and no other is: as if
// each cell were decided by itself.
func TestDiffAgreesWithEachCell(t *testing.T) {
	var actions []string
	for _, a := range catalog.Default().Actions() {
		service, _, _ := strings.Cut(a.Name, ":")
		if actionsOf[service] != nil && len(actions) < 4000 && (len(actions)%7 == 0 || slices.Contains(actionsOf[service], strings.TrimPrefix(a.Name, service+":"))) {
			actions = append(actions, a.Name)
		} else if service == "iam" || service == "route53" {
			if strings.Contains(a.Name, "Role") || strings.Contains(a.Name, "HostedZone") {
				actions = append(actions, a.Name)
			}
		}
	}
	actions = append(actions, "s3:NotYetThere")
	regions := []string{"ap-south-1", "eu-central-1", "eu-west-1", "us-east-1", "us-west-2"}
	rounds := 100
	if testing.Short() {
		rounds = 20
	}
	for seed := range rounds {
		g := generator{rand.New(rand.NewPCG(uint64(seed), 1))}
		w := g.world()
		changed := g.change(w)
		before, after := w.state(t), changed.state(t)
		scope := Scope{Actions: actions, Regions: regions, Workers: 1 + seed%3}
		if g.chance(30) {
			scope.Role = "ops"
		}
		if g.chance(20) {
			scope.Context = NewContext(map[string][]string{"aws:PrincipalTag/x": {"us-"}, "aws:SecureTransport": {"true"}})
		}
		checkCells(t, seed, before, after, scope, Diff(before, after, scope))
		if t.Failed() {
			t.Logf("before %+v\nafter %+v", w.policies, changed.policies)
			return
		}
	}
}

func checkCells(t *testing.T, seed int, before, after *State, scope Scope, d Difference) {
	t.Helper()
	type cell struct{ account, action, region string }
	turned := map[cell]Change{}
	for _, c := range d.Changes {
		for _, account := range c.Accounts {
			for _, action := range c.Actions {
				for _, region := range c.Regions {
					at := cell{account, action, region}
					if _, twice := turned[at]; twice {
						t.Fatalf("seed %d: %v is in two changes", seed, at)
					}
					turned[at] = c
				}
			}
		}
	}
	helper := &differ{before: before, after: after, scope: scope}
	cells := 0
	for _, m := range after.members {
		old := before.byName[m.name]
		if old == nil {
			continue
		}
		for _, action := range scope.Actions {
			regions := scope.Regions
			service, _, _ := strings.Cut(action, ":")
			if home, ok := catalog.Home(service); ok {
				regions = []string{home}
			}
			for _, region := range regions {
				cells++
				decide := func(s *State, m *member) outcome {
					r := helper.request(m, action, region)
					var x call
					x.start(s, &r)
					v := x.decide()
					o := outcome{Decision: s.Decide(&r)}
					if v.answer == Unknown {
						o.residue = x.residue()
					}
					return o
				}
				from, to := decide(before, old), decide(after, m)
				c, ok := turned[cell{m.name, action, region}]
				if ok == from.alike(to) {
					t.Errorf("seed %d: %s %s %s: %s -> %s, in a change: %v", seed, m.name, action, region, tellDecision(from.Decision), tellDecision(to.Decision), ok)
					return
				}
				if ok && (tellDecision(c.From) != tellDecision(from.Decision) || tellDecision(c.To) != tellDecision(to.Decision)) {
					t.Errorf("seed %d: %s %s %s: %s -> %s, told as %s -> %s", seed, m.name, action, region, tellDecision(from.Decision), tellDecision(to.Decision), tellDecision(c.From), tellDecision(c.To))
					return
				}
			}
		}
	}
	if int64(cells) != d.Cells {
		t.Errorf("seed %d: %d cells, counted %d", seed, cells, d.Cells)
	}
}
