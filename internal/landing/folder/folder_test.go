package folder_test

import (
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	"crossfade.dev/internal/landing/folder"
	"crossfade.dev/internal/landing/source"
)

var now = time.Date(2027, time.May, 3, 0, 0, 0, 0, time.UTC)

const organization = `apiVersion: landing.crossfade.dev/v1alpha1
kind: Organization
metadata: {name: o}
spec: {managementAccount: "110000000001", units: [{path: Prod}]}
`

func account(name, unit string) string {
	return "---\napiVersion: landing.crossfade.dev/v1alpha1\nkind: Account\nmetadata: {name: " + name + "}\nspec: {unit: " + unit + "}\n"
}

// The worked example has sixty accounts, one of each thing, and nothing is wrong
// with it.
func TestExampleIsRight(t *testing.T) {
	var files []source.File
	example := os.DirFS("../../../examples/landing")
	err := fs.WalkDir(example, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(example, name)
		files = append(files, source.File{Name: name, Data: data})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	zone := folder.Load(files, now)
	for _, f := range zone.Findings {
		t.Error(f)
	}
	if n := len(zone.Guardrails.Accounts); n != 60 {
		t.Errorf("%d accounts, want 60", n)
	}
	for _, kind := range []string{"Organization", "Guardrail", "AddressPool", "AddressClaim", "CoreNetwork", "QuotaWatch", "Review", "Decision"} {
		if !strings.Contains(zone.Counts(), kind) {
			t.Errorf("%s: want a %s", zone.Counts(), kind)
		}
	}
}

// A document of a kind that nobody knows is an error: a typo must not make a
// guardrail vanish. Nor does one bad file hide what is wrong in another.
func TestNothingVanishes(t *testing.T) {
	zone := folder.Load([]source.File{
		{Name: "a.yaml", Data: []byte("kind: [\n")},
		{Name: "b.yaml", Data: []byte(organization + account("player", "Prd"))},
		{Name: "c.yaml", Data: []byte(strings.Replace(account("x", "Prod"), "Account", "Acount", 1))},
		{Name: "d.yaml", Data: []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n")},
		{Name: "e.yaml", Data: []byte("apiVersion: landing.crossfade.dev/v1alpha1\nkind: QuotaWatch\nmetadata: {name: q}\nspec: {service: s, quota: q, account: plyer}\n")},
		{Name: "readme.txt", Data: []byte("kind: [")},
	}, now)
	var got []string
	for _, f := range zone.Findings {
		got = append(got, f.File+" "+f.Code)
	}
	want := "a.yaml source/yaml, b.yaml policy/unit, c.yaml folder/kind, d.yaml folder/group, e.yaml folder/account"
	if strings.Join(got, ", ") != want {
		t.Errorf("got %s, want %s", strings.Join(got, ", "), want)
	}
}

func TestAccountsThatCanBeAskedAbout(t *testing.T) {
	zone := folder.Load([]source.File{{Name: "b.yaml", Data: []byte(organization + account("player", "Prod") + strings.Replace(account("search", "Prod"), "{unit", "{id: \"110000000007\", unit", 1))}}, now)
	for _, test := range []struct {
		account, role string
		has           bool
	}{
		{"player", "", true}, // planned: its roles have no ARN yet
		{"search", "arn:aws:iam::110000000007:role/app", true},
		{"110000000009", "arn:aws:iam::110000000009:role/app", true}, // outside the organization
		{"nobody", "", false},
	} {
		if has := zone.HasAccount(test.account); has != test.has {
			t.Errorf("has %s: %v", test.account, has)
		}
		if test.has && zone.RoleARN(test.account, "app") != test.role {
			t.Errorf("role of %s: %q, want %q", test.account, zone.RoleARN(test.account, "app"), test.role)
		}
	}
}

func TestWhomAGuardrailConcerns(t *testing.T) {
	guardrail := func(target string) string {
		return "---\napiVersion: landing.crossfade.dev/v1alpha1\nkind: Guardrail\nmetadata: {name: g}\nspec: {type: Detective, targets: [" + target +
			"], rules: [{name: r, resourceType: T, expression: \"true\"}]}\n"
	}
	tests := []struct {
		target, account string
		want            bool
	}{
		{"{root: true}", "player", true},
		{"{unit: Prod}", "player", true},
		{"{unit: Prod}", "110000000007", true}, // by its id
		{"{unit: Prod}", "lab", false},
		{"{account: player}", "player", true},
		{"{account: player}", "lab", false},
		{"{account: player}", "somewhere", true},
		{"", "player", false},
	}
	for _, test := range tests {
		zone := folder.Load([]source.File{{Name: "z.yaml", Data: []byte(organization + account("player", "Prod") + account("lab", "\"\"") +
			strings.Replace(account("search", "Prod"), "{unit", "{id: \"110000000007\", unit", 1) + guardrail(test.target))}}, now)
		if got := zone.Concerns("g", test.account); got != test.want {
			t.Errorf("%s concerns %s: %v, want %v", test.target, test.account, got, test.want)
		}
	}
}
