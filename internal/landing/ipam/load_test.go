package ipam

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"crossfade.dev/internal/landing/finding"
	"crossfade.dev/internal/landing/source"
)

const head = "---\napiVersion: landing.crossfade.dev/v1alpha1\n"

func poolYAML(name, spec string) string {
	return head + "kind: AddressPool\nmetadata: {name: " + name + "}\nspec:\n" + spec
}

func claimYAML(name, spec, status string) string {
	return head + "kind: AddressClaim\nmetadata: {name: " + name + "}\nspec: {" + spec + "}\nstatus: {" + status + "}\n"
}

const world = `  prefixes: [10.0.0.0/8, "fd00::/32"]
  sizes: [{name: S, ipv4: 24, ipv6: 56}, {name: M, ipv4: 22}, {name: L, ipv4: 20}, {name: XL, ipv4: 18}]
  foreign: [{prefix: 10.200.0.0/16, reason: offices}]
`

const prod = `  parent: world
  region: eu-west-1
  environment: prod
  prefixes: [10.0.0.0/18]
  reserved: [{prefix: 10.0.0.0/24, reason: transit}]
  planned: [{size: S, count: 40, by: 2027-03-31, reason: next quarter's accounts}]
`

func read(t *testing.T, texts ...string) (*Addresses, source.Findings) {
	t.Helper()
	var files []source.File
	for i, text := range texts {
		files = append(files, source.File{Name: fmt.Sprintf("f%d.yaml", i), Data: []byte(text)})
	}
	documents, unread := source.Read(files)
	a, wrong := Load(documents, unread)
	return a, append(unread, wrong...)
}

func clean(t *testing.T, texts ...string) *Addresses {
	t.Helper()
	a, wrong := read(t, texts...)
	if len(wrong) > 0 {
		t.Fatal(wrong)
	}
	return a
}

func lines(steps []Step) string {
	var out []string
	for _, s := range steps {
		out = append(out, s.String())
	}
	return strings.Join(out, "\n")
}

func TestAPlanSaysWhatBecomesOfEveryClaim(t *testing.T) {
	before := clean(t, poolYAML("world", world), poolYAML("eu-prod", prod),
		claimYAML("a", "pool: eu-prod, size: S", "prefix: 10.0.16.0/24"), claimYAML("gone", "pool: eu-prod, size: S", "prefix: 10.0.18.0/24"))
	files := []string{
		poolYAML("world", world), poolYAML("eu-prod", prod),
		claimYAML("z-first", "region: eu-west-1, environment: prod, size: L, neededBy: 2026-12-01", ""),
		claimYAML("a", "pool: eu-prod, size: M", "prefix: 10.0.16.0/24"),
		claimYAML("b", "pool: eu-prod, size: S", "prefix: 10.0.20.0/22"),
		claimYAML("c", "pool: eu-prod, size: M", "prefix: 10.0.25.0/24"),
		claimYAML("d", "pool: eu-prod, size: XL", ""),
		claimYAML("six", "pool: world, family: IPv6, size: S, account: search", ""),
		claimYAML("kept", "pool: eu-prod, prefixLength: 26", "prefix: 10.0.32.0/26"),
	}
	a := clean(t, files...)
	steps := a.Plan(before)
	want := `a grown: 10.0.16.0/24 to 10.0.16.0/22 of pool eu-prod
b shrunk: 10.0.20.0/22 to 10.0.20.0/24 of pool eu-prod
c refused: claim c: grow 10.0.25.0/24 to /22 in pool eu-prod: no room to grow in place: it can have /24; free in the pool are 1 × /20, 2 × /21, 3 × /22, 4 × /23, 4 × /24, 1 × /25, 1 × /26
d refused: claim d: size XL (IPv4 /18) in pool eu-prod of scope private: no block of that size is free: free are`
	if got := lines(steps); !strings.HasPrefix(got, want) {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	for _, want := range []string{"\ngone released: 10.0.18.0/24 of pool eu-prod", "\nkept kept: 10.0.32.0/26", "\nsix allocated: fd00::/56 of pool world", "\nz-first allocated: 10.0.48.0/20 of pool eu-prod"} {
		if !strings.Contains(lines(steps), want) {
			t.Errorf("%s\nwant %s", lines(steps), want)
		}
	}
	if again := a.Plan(before); !reflect.DeepEqual(lines(again), lines(steps)) {
		t.Errorf("asked again:\n%s\nfirst\n%s", lines(again), lines(steps))
	}
	for i, j := 0, len(files)-1; i < j; i, j = i+1, j-1 {
		files[i], files[j] = files[j], files[i]
	}
	if other := clean(t, files...).Plan(before); lines(other) != lines(steps) {
		t.Errorf("files in another order:\n%s\nfirst\n%s", lines(other), lines(steps))
	}
	if found := Findings(steps); len(found) != 2 || found[0].ID != "LZ-ADDR-002" || found[1].ID != "LZ-ADDR-001" {
		t.Errorf("%v", found)
	}
}

func TestErrorsSayWhere(t *testing.T) {
	ok := poolYAML("world", world) + poolYAML("eu-prod", prod)
	tests := []struct{ name, file, want string }{
		{"a prefix with bits", poolYAML("p", "  prefixes: [10.0.0.1/8]\n"), `f1.yaml:6:14: $.spec.prefixes[0]: "10.0.0.1/8": expected a prefix without bits`},
		{"prefixes of another pool", poolYAML("p", "  prefixes: [10.0.0.0/16]\n"), "$.spec.prefixes: a list of 2: expected prefixes that are free: pool world: 10.0.0.0/8 meets 10.0.0.0/16 of pool p"},
		{"a parent that is not there", poolYAML("p", "  parent: q\n  prefixes: [172.16.0.0/12]\n"), `$.spec.parent: "q": expected the name of a pool`},
		{"pools in each other", poolYAML("p", "  parent: q\n  prefixes: [172.16.0.0/12]\n") + poolYAML("q", "  parent: p\n  prefixes: [172.16.0.0/12]\n"), `$.spec.parent: "p": expected`},
		{"a size without length", poolYAML("p", "  prefixes: [172.16.0.0/12]\n  sizes: [{name: S}]\n"), "$.spec.sizes[0]: an object: expected ipv4 from 1 to 32"},
		{"a plan of a size that is not there", poolYAML("p", "  prefixes: [172.16.0.0/12]\n  planned: [{size: Q, count: 1, by: 2027-01-01}]\n"), `$.spec.planned[0].size: "Q": expected a size of the pool`},
		{"a pool that is not there", claimYAML("c", "pool: q, size: S", ""), `$.spec.pool: "q": expected the name of a pool`},
		{"a region without a pool", claimYAML("c", "region: us-east-1, size: S", ""), `expected a pool for IPv4 in region us-east-1`},
		{"a size and a length", claimYAML("c", "pool: eu-prod, size: S, prefixLength: 24", ""), "expected exactly one of size and prefixLength"},
		{"two of a token", claimYAML("c", "pool: eu-prod, size: S, token: x", "") + claimYAML("d", "pool: eu-prod, size: S, token: x", ""), "$.spec.token: \"x\": expected a token of its own: c has this one too"},
		{"an overlap", claimYAML("c", "pool: eu-prod, size: S", "prefix: 10.0.9.0/24") + claimYAML("d", "pool: eu-prod, size: M", "prefix: 10.0.8.0/22"), `$.status.prefix: "10.0.8.0/22": expected a network that it can have`},
		{"a network in a reserved range", claimYAML("c", "pool: eu-prod, size: S", "prefix: 10.0.0.0/24"), `f0.yaml:18:23: $.spec.reserved[0].prefix: "10.0.0.0/24": expected a range of which no network has a part`},
		{"a day that is none", claimYAML("c", "pool: eu-prod, size: S, neededBy: soon", ""), "$.spec.neededBy"},
		{"a version", strings.Replace(claimYAML("c", "pool: eu-prod, size: S", ""), "v1alpha1", "v9", 1), "$.apiVersion"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, wrong := read(t, ok, test.file)
			for _, f := range wrong {
				if strings.Contains(f.String(), test.want) {
					return
				}
			}
			t.Errorf("%v\nwant %s", wrong, test.want)
		})
	}
}

// What could not be read may have addresses: nothing is given until it can be.
func TestWhatWasNotReadIsNotAssumedFree(t *testing.T) {
	ok := poolYAML("world", world) + poolYAML("eu-prod", prod)
	for name, broken := range map[string]string{
		"a file":  "{",
		"a claim": claimYAML("other", "pool: eu-prod, size: S, colour: red", "prefix: 10.0.8.0/33"),
	} {
		a, wrong := read(t, ok, broken, claimYAML("c", "pool: eu-prod, size: S", ""), claimYAML("small", "pool: eu-prod, size: S", "prefix: 10.0.4.0/22"))
		if len(wrong) == 0 {
			t.Fatalf("%s: nothing is wrong", name)
		}
		steps := a.Plan(nil)
		c, small := steps[0], steps[len(steps)-1]
		if c.Claim != "c" || c.Outcome != Unknown || c.To.IsValid() {
			t.Errorf("%s: %s", name, c)
		}
		if small.Outcome != Shrunk {
			t.Errorf("%s: %s", name, small)
		}
		if found := Findings(steps); found[0].Severity != finding.Unknown {
			t.Errorf("%s: %v", name, found)
		}
		if f := a.Forecast(time.Now())[0]; f.Unknown == "" {
			t.Errorf("%s: %s", name, f)
		}
	}
}

// grown is a pool of 62 S, reserved ones apart, with one S every two weeks.
func grown(dates bool) string {
	text := poolYAML("world", world) + poolYAML("eu-prod", prod)
	start := time.Date(2026, 5, 25, 0, 0, 0, 0, time.UTC)
	for i := range 13 {
		status := fmt.Sprintf("prefix: 10.0.%d.0/24", 2*i+2)
		if dates {
			status += ", allocatedOn: " + start.AddDate(0, 0, 14*i).Format(time.DateOnly)
		}
		text += claimYAML(fmt.Sprintf("c%02d", i), "pool: eu-prod, size: S", status)
	}
	return text
}

func TestForecasts(t *testing.T) {
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	a := clean(t, grown(true))
	a.Plan(nil)
	f := a.Forecast(at)[0]
	want := "pool eu-prod of eu-west-1 (IPv4): the 40 planned networks of size S by 2027-03-31 (next quarter's accounts) fit\n" +
		"pool eu-prod of eu-west-1 (IPv4): ends in 22 weeks (2027-04-25; between 18 weeks and 36 weeks), when a /24 finds no block: 0.5 networks a week since 2026-05-25"
	if got := f.String(); !strings.HasPrefix(got, want) {
		t.Errorf("%s\nwant %s", got, want)
	}
	if f.Plans[0].Fits != 40 || f.Earliest > f.Ends || f.Latest < f.Ends {
		t.Errorf("%+v", f)
	}
	// 63 S less 13 are 50; with 40 planned, ten more are 20 weeks.
	if weeks := f.Ends.Start().Sub(at).Hours() / 24 / 7; weeks < 18 || weeks > 23 {
		t.Errorf("ends in %.1f weeks", weeks)
	}
	if other := a.Forecast(at)[1]; other.Pool != "world" || other.Unknown == "" || other.Ends != "" {
		t.Errorf("a pool without history: %+v", other)
	}

	a = clean(t, grown(false))
	f = a.Forecast(at)[0]
	if !f.NeedsDates || !strings.Contains(f.String(), "when it ends is unknown: it is not known the day on which c00 was given 10.0.2.0/24") {
		t.Errorf("%s", f)
	}
	if f.Plans[0].Fits != 40 || f.Plans[0].WithGrowth != -1 {
		t.Errorf("%+v", f.Plans)
	}
	if found := ForecastFindings(a.Forecast(at)); found[0].ID != "LZ-ADDR-006" || found[0].Severity != finding.Unknown {
		t.Errorf("%v", found)
	}
}

func TestAPlanThatDoesNotFitSaysHowManyDo(t *testing.T) {
	text := strings.Replace(grown(true), "count: 40", "count: 60", 1)
	a := clean(t, text)
	all := a.Forecast(time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC))
	if !strings.Contains(all[0].String(), "do not fit: 50 do") {
		t.Errorf("%s", all[0])
	}
	if found := ForecastFindings(all); found[0].ID != "LZ-ADDR-004" || found[0].Severity != finding.Fail {
		t.Errorf("%v", found)
	}
}

// Whatever files say, what is planned does not overlap and lies in its pool.
func FuzzLoad(f *testing.F) {
	f.Add(poolYAML("world", world) + poolYAML("eu-prod", prod) + claimYAML("c", "pool: eu-prod, size: S", "prefix: 10.0.4.0/24, allocatedOn: 2026-05-01") +
		claimYAML("d", "region: eu-west-1, environment: prod, size: M, neededBy: 2026-12-01", "") + claimYAML("e", "pool: world, family: IPv6, prefixLength: 64", ""))
	f.Add(poolYAML("p", "  prefixes: [\"::/0\", 0.0.0.0/0]\n  sizes: [{name: S, ipv6: 128, ipv4: 32}]\n  planned: [{size: S, family: IPv6, count: 3, by: 2027-01-01}]\n") +
		claimYAML("c", "pool: p, size: S, family: IPv6", "") + claimYAML("d", "pool: p, size: S", "prefix: 1.2.3.4/32") + claimYAML("e", "pool: p, prefixLength: 1", "prefix: 0.0.0.0/2"))
	f.Fuzz(func(t *testing.T, text string) {
		documents, unread := source.Read([]source.File{{Name: "f.yaml", Data: []byte(text)}})
		a, _ := Load(documents, unread)
		for _, p := range a.Pools {
			for _, planned := range p.Spec.Planned {
				if planned.Count > 10_000 {
					t.Skip("it would take long")
				}
			}
		}
		Findings(a.Plan(a))
		for _, f := range a.Forecast(time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)) {
			_ = f.String()
		}
		pools := *a.Space.pools.Load()
		all := a.Space.Allocations()
		for i, x := range all {
			if pools[x.Pool].at(x.Prefix) == nil {
				t.Errorf("%v is not in its pool", x)
			}
			for _, y := range all[:i] {
				if x.Prefix.Overlaps(y.Prefix) && pools[x.Pool].Scope == pools[y.Pool].Scope {
					t.Errorf("%v and %v overlap", x, y)
				}
			}
		}
	})
}

// A claim whose pool has errors is not given a network of another pool that would
// fit, and what it has is not called wrong.
func TestClaimsOfBrokenPools(t *testing.T) {
	broken := strings.Replace(prod, "10.0.0.0/18", "10.0.0.0/18x", 1)
	region := "  parent: world\n  region: eu-west-1\n  prefixes: [10.16.0.0/18]\n"
	a, wrong := read(t, poolYAML("world", world)+poolYAML("prod", broken)+poolYAML("region", region),
		claimYAML("has", "region: eu-west-1, environment: prod, size: M", "prefix: 10.0.4.0/22")+
			claimYAML("new", "region: eu-west-1, environment: prod, size: M", "")+
			claimYAML("other", "region: eu-west-1, environment: dev, size: S", "prefix: 10.16.1.0/24"))
	if len(wrong) != 1 || wrong[0].Code != "addresses/prefix" {
		t.Errorf("found %v, want only the prefix", wrong)
	}
	const want = `has unknown: pool prod has errors (f0.yaml:10:1: $)
new unknown: pool prod has errors (f0.yaml:10:1: $)
other kept: 10.16.1.0/24 of pool region`
	if got := lines(a.Plan(nil)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// A network far smaller than its pool is refused for what it is: there is room.
func TestNetworksTooSmallForTheirPool(t *testing.T) {
	a := clean(t, poolYAML("world", "  prefixes: [\"fd00::/8\"]\n  sizes: [{name: S, ipv6: 48}]\n"),
		claimYAML("host", "pool: world, family: IPv6, prefixLength: 128", ""))
	steps := a.Plan(nil)
	if len(steps) != 1 || steps[0].Outcome != Refused || !strings.Contains(steps[0].Why, fmt.Sprintf("expected at most /%d", 8+deepest)) {
		t.Errorf("got %v", steps)
	}
}
